"""CertificateGroups, the objects that have them, and the slots certificates go into.

Source: OPC 10000-12 §7.8.3, §7.10.14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua

from registrar.errors import ProtocolViolation
from registrar.wire import dca_nodes as nodes
from registrar.wire.operations import browse_path, local

MAX_GROUPS = 8
"""Groups of one object, and CertificateTypes of one group, that are looked at."""
DEFAULT_BLOCK = 16_384
"""Bytes of a file in one call where the Server names no limit."""
MIN_BLOCK = 128
"""A Server that takes less at a time is not worth the calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateGroup:
    """One CertificateGroup and what is needed to fill it (OPC 10000-12 §7.8.3)."""

    node: ua.NodeId
    trust_list: ua.NodeId
    certificate_types: tuple[ua.NodeId, ...]
    block_size: int
    """Bytes the TrustList takes in one Write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationObject:
    """ServerConfiguration, or one ApplicationConfigurationType object."""

    node: ua.NodeId
    name: str
    application_uri: str
    groups: tuple[CertificateGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where one certificate belongs: object, group and type."""

    object_id: ua.NodeId
    group: ua.NodeId
    certificate_type: ua.NodeId


def group_paths(start: ua.NodeId, *way: str) -> list[ua.BrowsePath]:
    """Return the paths to what is to be read of a group, for ``make_group``.

    Args:
        start: the group, or where ``way`` begins.
        way: BrowseNames from ``start`` to the group.
    """
    return [
        browse_path(start, *way, "TrustList"),
        browse_path(start, *way, "CertificateTypes"),
        browse_path(start, *way, "Purpose"),
        browse_path(start, *way, "TrustList", "MaxByteStringLength"),
    ]


def make_group(
    node: ua.NodeId,
    name: str,
    targets: Sequence[ua.NodeId | None],
    values: Sequence[object],
    server_length: object,
) -> CertificateGroup | None:
    """Make a group of what ``group_paths`` led to; None where it is for something else."""
    trust_list, purpose = targets[0], values[2]
    if purpose is None and name == nodes.DEFAULT_APPLICATION_GROUP_NAME:
        purpose = nodes.APPLICATION_PURPOSE
    if trust_list is None or purpose != nodes.APPLICATION_PURPOSE:
        return None
    return CertificateGroup(
        node=node,
        trust_list=trust_list,
        certificate_types=node_ids(values[1]),
        block_size=block_size(values[3], server_length),
    )


def node_ids(value: object) -> tuple[ua.NodeId, ...]:
    """Return an array of NodeIds; empty for anything else."""
    if not isinstance(value, list):
        return ()
    return tuple(local(node) for node in value[:MAX_GROUPS] if isinstance(node, ua.NodeId))


def block_size(*limits: object) -> int:
    """Return how many bytes of a file go into one call, by the first of ``limits`` that is one.

    Raises:
        ProtocolViolation: fewer than ``MIN_BLOCK``.
    """
    for limit in limits:
        if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
            if limit < MIN_BLOCK:
                raise ProtocolViolation(f"a file that takes {limit} bytes at a time")
            return min(limit, DEFAULT_BLOCK)
    return DEFAULT_BLOCK
