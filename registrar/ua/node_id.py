"""NodeId and ExpandedNodeId in their six forms (OPC 10000-6 §5.2.2.9, §5.2.2.10)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from asyncua import ua

from registrar.errors import DecodingError
from registrar.ua.binary import (
    UINT16,
    UINT32,
    Budget,
    Encoder,
    decode_byte_string,
    decode_guid,
    decode_string,
    encode_byte_string,
    encode_guid,
    encode_string,
)

_BYTE_UINT16 = struct.Struct("<BH")
_UINT16_UINT32 = struct.Struct("<HI")
_TWO_BYTE = struct.Struct("<BB")
_FOUR_BYTE = struct.Struct("<BBH")
_NUMERIC = struct.Struct("<BHI")
_NODE_ID_TYPES = tuple(ua.NodeIdType)
_new = object.__new__


def decode_node_id(data: bytes, at: int, budget: Budget) -> tuple[ua.NodeId, int]:
    """Decode a NodeId."""
    node_id: Any = _new(ua.NodeId)
    return node_id, _decode_node_id(data, at, data[at], node_id, budget)


def decode_expanded_node_id(data: bytes, at: int, budget: Budget) -> tuple[ua.ExpandedNodeId, int]:
    """Decode an ExpandedNodeId."""
    encoding = data[at]
    node_id: Any = _new(ua.ExpandedNodeId)
    node_id.NamespaceUri = None
    node_id.ServerIndex = 0
    at = _decode_node_id(data, at, encoding & 0x3F, node_id, budget)
    if encoding & 0x80:
        node_id.NamespaceUri, at = decode_string(data, at, budget)
    if encoding & 0x40:
        (node_id.ServerIndex,) = UINT32.unpack_from(data, at)
        at += 4
    return node_id, at


def _decode_node_id(data: bytes, at: int, encoding: int, node_id: Any, budget: Budget) -> int:
    """Fill ``node_id``; setting the slots costs a tenth of asyncua's constructor."""
    if encoding == 1:
        node_id.NamespaceIndex, node_id.Identifier = _BYTE_UINT16.unpack_from(data, at + 1)
        at += 4
    elif encoding == 0:
        node_id.NamespaceIndex = 0
        node_id.Identifier = data[at + 1]
        at += 2
    elif encoding == 2:
        node_id.NamespaceIndex, node_id.Identifier = _UINT16_UINT32.unpack_from(data, at + 1)
        at += 7
    elif encoding <= 5:
        (node_id.NamespaceIndex,) = UINT16.unpack_from(data, at + 1)
        node_id.Identifier, at = _decode_identifier(data, at + 3, encoding, budget)
    else:
        raise DecodingError(f"NodeId with encoding {encoding:#x}")
    node_id.NodeIdType = _NODE_ID_TYPES[encoding]
    return at


def _decode_identifier(
    data: bytes, at: int, encoding: int, budget: Budget
) -> tuple[str | bytes | UUID, int]:
    if encoding == ua.NodeIdType.Guid:
        return decode_guid(data, at, budget)
    value, at = decode_byte_string(data, at, budget)
    value = value or b""
    return (str(value, "utf-8") if encoding == ua.NodeIdType.String else value), at


def encode_node_id(out: bytearray, value: ua.NodeId | None) -> None:
    """Append a NodeId in the form its NodeIdType names."""
    _encode_node_id(out, value, 0)


def encode_expanded_node_id(out: bytearray, value: ua.NodeId | None) -> None:
    """Append an ExpandedNodeId; a plain NodeId will do."""
    if not isinstance(value, ua.ExpandedNodeId):
        _encode_node_id(out, value, 0)
        return
    uri, index = value.NamespaceUri, value.ServerIndex
    _encode_node_id(out, value, (0 if uri is None else 0x80) | (0x40 if index else 0))
    if uri is not None:
        encode_string(out, uri)
    if index:
        out += UINT32.pack(index)


def _encode_node_id(out: bytearray, value: ua.NodeId | None, flags: int) -> None:
    if value is None:
        out += b"\0\0"
        return
    kind = value.NodeIdType
    if kind == 1:
        out += _FOUR_BYTE.pack(1 | flags, value.NamespaceIndex, value.Identifier)
    elif kind == 0:
        out += _TWO_BYTE.pack(flags, value.Identifier)
    elif kind == 2:
        out += _NUMERIC.pack(2 | flags, value.NamespaceIndex, value.Identifier)
    else:
        out += _BYTE_UINT16.pack(kind | flags, value.NamespaceIndex)
        _IDENTIFIER_ENCODERS[kind](out, value.Identifier)


_IDENTIFIER_ENCODERS: Mapping[int, Encoder] = MappingProxyType(
    {3: encode_string, 4: encode_guid, 5: encode_byte_string}
)
