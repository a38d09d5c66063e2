"""The applications of a DCA: every ApplicationConfigurationType object, wherever it lives.

Source: OPC 10000-21 §9.3.2; OPC 10000-12 §7.10.14 to §7.10.16.
"""

from __future__ import annotations

from collections.abc import Sequence

from asyncua import ua

from registrar.errors import ProtocolViolation
from registrar.wire import dca_nodes as nodes
from registrar.wire.certificate_groups import (
    MAX_GROUPS,
    CertificateGroup,
    ConfigurationObject,
    group_paths,
    make_group,
)
from registrar.wire.client import Client
from registrar.wire.dca_reading import browse_objects, read_values
from registrar.wire.operations import browse_path, find, local

MAX_APPLICATIONS = 64
MAX_URI = 1_024
"""Characters of an ApplicationUri."""
MAX_NAME = 256
"""Characters of a BrowseName that are kept."""
MAX_IDENTIFIER = 4_096
"""Characters or bytes in a NodeId (OPC 10000-3 §8.2.4)."""


async def find_applications(client: Client) -> list[ConfigurationObject]:
    """Find every ApplicationConfigurationType object, wherever it lives (Q28).

    They are looked for below ProvisionableDevice and in ManagedApplications, and counted
    once by NodeId and by ApplicationUri.
    """
    found = await _application_nodes(client)
    if not found:
        return []
    numbers = range(len(found))
    targets = await find(client, [path for node, _ in found for path in _application_paths(node)])
    uris, groups = await _uris_and_groups(
        client, [targets[at : at + _PATHS] for at in range(0, len(targets), _PATHS)]
    )
    objects: dict[str, ConfigurationObject] = {}
    for number in numbers:
        node, name = found[number]
        uri = uris[number]
        if not isinstance(uri, str) or not _can_be_certified(uri):
            raise ProtocolViolation(
                f"application {name[:80]!r} has no ApplicationUri of 1 to {MAX_URI} characters "
                "that a certificate can hold"
            )
        objects.setdefault(
            uri,
            ConfigurationObject(
                node=node, name=name, application_uri=uri, groups=tuple(groups[number])
            ),
        )
    return list(objects.values())


async def _application_nodes(client: Client) -> list[tuple[ua.NodeId, str]]:
    places = [nodes.PROVISIONABLE_DEVICE, nodes.MANAGED_APPLICATIONS]
    # ManagedApplications came later than ProvisionableDevice (OPC 10000-12 1.05.06).
    answers = await browse_objects(client, places, may_lack={1})
    found: dict[ua.NodeId, str] = {}
    for references in answers:
        for reference in references:
            if reference.TypeDefinition == nodes.APPLICATION_CONFIGURATION_TYPE:
                name = reference.BrowseName.Name or ""
                found.setdefault(_checked(local(reference.NodeId)), name[:MAX_NAME])
    if len(found) > MAX_APPLICATIONS:
        raise ProtocolViolation(f"{len(found)} applications exceed the limit of {MAX_APPLICATIONS}")
    return list(found.items())


def _can_be_certified(uri: str) -> bool:
    """Tell whether ``uri`` is printable ASCII, all that a URI in a certificate may be."""
    return 0 < len(uri) <= MAX_URI and uri.isascii() and uri.isprintable()


def _checked(node: ua.NodeId) -> ua.NodeId:
    identifier = node.Identifier
    if isinstance(identifier, str | bytes) and len(identifier) > MAX_IDENTIFIER:
        raise ProtocolViolation(f"a NodeId with an identifier of {len(identifier)} characters")
    return node


_PATHS = 7
"""How many paths ``_application_paths`` gives."""


def _application_paths(node: ua.NodeId) -> list[ua.BrowsePath]:
    """Return the paths to ApplicationUri, CertificateGroups and the group most devices stop at."""
    group = ("CertificateGroups", nodes.DEFAULT_APPLICATION_GROUP_NAME)
    return [
        browse_path(node, "ApplicationUri"),
        browse_path(node, "CertificateGroups"),
        browse_path(node, *group),
        *group_paths(node, *group),
    ]


async def _uris_and_groups(
    client: Client, applications: Sequence[Sequence[ua.NodeId | None]]
) -> tuple[list[object], list[list[CertificateGroup]]]:
    """Read ApplicationUris, and the groups in each folder for application certificates.

    The groups are browsed, as a device may have more than the default one; only what the paths
    did not lead to yet is looked for.

    Args:
        applications: for each, what ``_application_paths`` led to.
    """
    folders = [targets[1] for targets in applications]
    answers = iter(
        await browse_objects(client, [folder for folder in folders if folder is not None])
    )
    # A group is met once for each reference to it.
    members = [
        list(
            {
                _checked(local(reference.NodeId)): reference.BrowseName.Name
                for reference in (next(answers) if folder is not None else [])
            }.items()
        )[:MAX_GROUPS]
        for folder in folders
    ]
    flat = [member for group in members for member in group]
    known = {targets[2]: targets[3:] for targets in applications}
    strange = [node for node, _ in flat if node not in known]
    more = await find(client, [path for node in strange for path in group_paths(node)])
    known.update((node, more[4 * at : 4 * at + 4]) for at, node in enumerate(strange))
    targets = [target for node, _ in flat for target in known[node]]
    properties = [one[0] for one in applications]
    values = await read_values(client, [*properties, *targets, nodes.SERVER_MAX_BYTE_STRING_LENGTH])
    uris, server_length = values[: len(properties)], values[-1]
    described = iter(
        make_group(node, name, targets[at : at + 4], values[len(uris) + at :], server_length)
        for at, (node, name) in zip(range(0, 4 * len(flat), 4), flat, strict=True)
    )
    groups = [
        [found for found in (next(described) for _ in group) if found is not None]
        for group in members
    ]
    return uris, groups
