"""Reads and Browses of a DCA, where a missing node is an answer and not a failure."""

from __future__ import annotations

from collections.abc import Container, Sequence

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.status import is_bad
from registrar.wire.client import Client
from registrar.wire.dca_nodes import HIERARCHICAL_REFERENCES


async def read_values(client: Client, wanted: Sequence[ua.NodeId | None]) -> list[object]:
    """Return the values of ``wanted`` in order; None for each that is none or cannot be read."""
    there = [(node, AttributeIds.Value) for node in wanted if node is not None]
    values = iter(await client.read(there) if there else [])
    return [None if node is None else _value(next(values)) for node in wanted]


async def browse_objects(
    client: Client, starts: Sequence[ua.NodeId], *, may_lack: Container[int] = ()
) -> list[list[ua.ReferenceDescription]]:
    """Return the Objects right below each of ``starts``, with BrowseName and type.

    Args:
        may_lack: positions in ``starts`` of nodes that need not be there.

    Raises:
        ServiceFailed: BadNodeIdUnknown where another one of ``starts`` is not there.
    """
    wanted = ua.BrowseResultMask.BrowseName | ua.BrowseResultMask.TypeDefinition
    if not starts:
        return []
    return await client.browse(
        [
            ua.BrowseDescription(
                NodeId=start,
                BrowseDirection=ua.BrowseDirection.Forward,
                ReferenceTypeId=HIERARCHICAL_REFERENCES,
                IncludeSubtypes=True,
                NodeClassMask=int(ua.NodeClass.Object),
                ResultMask=int(wanted),
            )
            for start in starts
        ],
        may_lack=may_lack,
    )


def _value(value: ua.DataValue) -> object:
    if value.StatusCode is not None and is_bad(value.StatusCode.value):
        return None
    return value.Value.Value if value.Value is not None else None
