"""The applications of a device are found with few requests, whatever their groups are called."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import cast

import pytest
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.status import StatusCode
from registrar.wire import dca_nodes as nodes
from registrar.wire.builtin import status_code
from registrar.wire.client import Client
from registrar.wire.dca_applications import find_applications
from registrar.wire.operations import browse_path

DEFAULT = nodes.DEFAULT_APPLICATION_GROUP_NAME


class Tree:
    """A Server whose NodeIds are the BrowseNames that lead to them."""

    def __init__(self, groups: Sequence[str]) -> None:
        self.asked: list[str] = []
        self.objects = {"app", "app/CertificateGroups"}
        self.values: dict[str, object] = {"app/ApplicationUri": "urn:app"}
        self.groups = [f"app/CertificateGroups/{name}" for name in groups]
        for group in self.groups:
            self.objects |= {group, f"{group}/TrustList"}
            self.values[f"{group}/CertificateTypes"] = [nodes.RSA_SHA256]
            self.values[f"{group}/Purpose"] = nodes.APPLICATION_PURPOSE
            self.values[f"{group}/TrustList/MaxByteStringLength"] = 1_000

    async def browse(
        self, descriptions: Sequence[ua.BrowseDescription], *, may_lack: Container[int] = ()
    ) -> list[list[ua.ReferenceDescription]]:
        self.asked.append("browse")
        if descriptions[0].NodeId == nodes.PROVISIONABLE_DEVICE:
            return [[reference("app", nodes.APPLICATION_CONFIGURATION_TYPE)], []]
        return [[reference(group, ua.NodeId()) for group in self.groups] for _ in descriptions]

    async def translate(self, paths: Sequence[ua.BrowsePath]) -> list[ua.BrowsePathResult]:
        self.asked.append("translate")
        return [self._follow(path) for path in paths]

    def _follow(self, path: ua.BrowsePath) -> ua.BrowsePathResult:
        names = [element.TargetName.Name for element in path.RelativePath.Elements]
        end = "/".join([str(path.StartingNode.Identifier), *names])
        if end not in self.objects and end not in self.values:
            return ua.BrowsePathResult(StatusCode=status_code(StatusCode.BadNoMatch))
        target = ua.BrowsePathTarget(TargetId=named(end), RemainingPathIndex=0xFFFFFFFF)
        return ua.BrowsePathResult(StatusCode=status_code(StatusCode.Good), Targets=[target])

    async def read(self, wanted: Sequence[tuple[ua.NodeId, AttributeIds]]) -> list[ua.DataValue]:
        self.asked.append("read")
        found = [self.values.get(str(node.Identifier)) for node, _ in wanted]
        return [ua.DataValue(ua.Variant(value)) for value in found]


def named(name: str) -> ua.NodeId:
    return ua.NodeId(ua.String(name), ua.Int16(1))


def reference(name: str, kind: ua.NodeId) -> ua.ReferenceDescription:
    return ua.ReferenceDescription(
        NodeId=ua.ExpandedNodeId(ua.String(name), ua.Int16(1)),
        BrowseName=ua.QualifiedName(name.rpartition("/")[2], 1),
        TypeDefinition=ua.ExpandedNodeId(kind.Identifier, kind.NamespaceIndex, kind.NodeIdType),
    )


ORDINARY = ["browse", "translate", "browse", "read"]


@pytest.mark.parametrize(
    ("groups", "asked"),
    [
        ([DEFAULT], ORDINARY),
        (["Other"], [*ORDINARY[:3], "translate", "read"]),
        (["Other", DEFAULT, "Third"], [*ORDINARY[:3], "translate", "read"]),
        ([], ORDINARY),
    ],
)
async def test_only_groups_of_other_names_take_a_further_request(
    groups: list[str], asked: list[str]
) -> None:
    server = Tree(groups)

    (found,) = await find_applications(cast(Client, server))

    assert server.asked == asked
    assert found.application_uri == "urn:app"
    assert [group.node for group in found.groups] == [named(group) for group in server.groups]
    assert [group.trust_list for group in found.groups] == [
        named(f"{group}/TrustList") for group in server.groups
    ]
    assert all(group.block_size == 1_000 for group in found.groups)
    assert all(group.certificate_types == (nodes.RSA_SHA256,) for group in found.groups)


def test_paths_with_the_same_names_differ_in_their_start_alone() -> None:
    one, other = browse_path(nodes.DEFAULT_GROUP, "TrustList"), browse_path(named("x"), "TrustList")

    assert (one.StartingNode, other.StartingNode) == (nodes.DEFAULT_GROUP, named("x"))
    assert one.RelativePath == other.RelativePath
    assert one.RelativePath != browse_path(nodes.DEFAULT_GROUP, "Purpose").RelativePath
