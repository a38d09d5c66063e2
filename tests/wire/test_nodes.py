"""The table of standard nodes, and that it says what the published models say."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from asyncua import ua

from registrar.wire.builtin import node_id
from registrar.wire.nodes import (
    DI_NAMESPACE,
    GDS_NAMESPACE,
    ONBOARDING_NAMESPACE,
    UA_NAMESPACE,
    key_of,
    load_node_table,
    node_id_of,
)

NODESETS = Path(__file__).parents[3] / "shared" / "nodesets"

has_nodesets = pytest.mark.skipif(
    not NODESETS.is_dir(), reason="the published models are not beside the project"
)

TABLE = load_node_table()


def test_companions_have_their_places() -> None:
    assert TABLE.namespaces == (
        UA_NAMESPACE,
        "",
        DI_NAMESPACE,
        GDS_NAMESPACE,
        ONBOARDING_NAMESPACE,
    )


@pytest.mark.slow
def test_every_node_parses_and_every_reference_ends_at_a_node() -> None:
    for key in TABLE.keys():  # noqa: SIM118 (a table is no dict)
        node = TABLE.get(key)
        assert node is not None
        assert node.browse_name.Name
        assert all(reference.target in TABLE for reference in node.references)
        assert all(reference.kind in TABLE for reference in node.references)


@pytest.mark.parametrize(
    ("number", "namespace", "name", "node_class"),
    [
        (29878, 0, "ProvisionableDevice", ua.NodeClass.Object),
        (29880, 0, "RequestTickets", ua.NodeClass.Method),
        (26871, 0, "ProvisionableDeviceType", ua.NodeClass.ObjectType),
        (16706, 0, "ManagedApplications", ua.NodeClass.Object),
        (16662, 0, "ApplicationConfigurationFolderType", ua.NodeClass.ObjectType),
        (12637, 0, "ServerConfiguration", ua.NodeClass.Object),
        (32296, 0, "GetCertificates", ua.NodeClass.Method),
        (12642, 0, "TrustList", ua.NodeClass.Object),
        (1344, 4, "DeviceRegistrar", ua.NodeClass.Object),
        (1510, 4, "UpdateSoftwareStatus", ua.NodeClass.Method),
        (141, 3, "Directory", ua.NodeClass.Object),
        (5034, 4, "RegistrarAdmin", ua.NodeClass.Object),
        (5051, 4, "RemoveEndpoint", ua.NodeClass.Method),
    ],
)
@pytest.mark.clause("OPC 10000-21 §9; OPC 10000-12 §7.10")
def test_the_nodes_of_onboarding_are_there(
    number: int, namespace: int, name: str, node_class: ua.NodeClass
) -> None:
    node = TABLE.get(key_of(node_id(number, namespace)))

    assert node is not None
    assert (node.browse_name.Name, node.node_class) == (name, node_class)


@pytest.mark.parametrize("name", ["SetRegistrarEndpoints", "GetCertificates"])
def test_what_the_standard_instances_lack_is_not_invented(name: str) -> None:
    """Reserved ids that are in no published instance; OPC 10000-12 §7.10.4."""
    reserved = {"SetRegistrarEndpoints": 29882, "GetCertificates": 32333}[name]

    assert TABLE.get(reserved) is None


def test_signatures_of_methods_are_kept() -> None:
    node = TABLE.get(key_of(node_id(1504, 4)))  # InputArguments of UpdateSoftwareStatus

    assert node is not None
    assert node.value is not None
    assert [(item.Name, item.DataType, item.ValueRank) for item in node.value.Value] == [
        ("ProductInstanceUri", node_id(12), -1),
        ("Status", node_id(1), -1),
        ("SoftwareRevision", node_id(12), -1),
    ]


def test_no_descriptions_are_kept() -> None:
    for key in TABLE.keys():  # noqa: SIM118
        value = getattr(TABLE.get(key), "value", None)
        for item in value.Value if value is not None else ():
            assert not getattr(getattr(item, "Description", None), "Text", None)


def test_a_type_knows_its_subtypes() -> None:
    assert {33, 34, 35, 44, 45, 46, 47, 49} <= TABLE.subtypes(33)
    assert 40 not in TABLE.subtypes(33)


@pytest.mark.parametrize("key", [7, 4 << 32 | 1344, (1, "name"), (1, b"opaque")])
def test_keys_and_node_ids_are_two_forms_of_one(key: int | tuple[int, object]) -> None:
    assert key_of(node_id_of(key)) == key


@has_nodesets
@pytest.mark.parametrize(
    ("model", "namespace"), [("Di", 2), ("Gds", 3), ("Onboarding", 4)], ids=["DI", "GDS", "ONB"]
)
def test_the_published_ids_are_ours(model: str, namespace: int) -> None:
    with (NODESETS / f"Opc.Ua.{model}.NodeIds.csv").open(newline="") as file:
        published = [(name, int(number), kind) for name, number, kind in csv.reader(file)]

    assert published
    for name, number, kind in published:
        node = TABLE.get(namespace << 32 | number)
        assert node is not None, name
        assert node.node_class is ua.NodeClass[kind], name
