"""Variant, DataValue and ExtensionObject: values that say themselves what they hold.

The three may hold each other, so each level is counted (OPC 10000-6 §5.1.9, §5.2.2.15 to
§5.2.2.17). An ExtensionObject is decoded when its type is one of namespace 0 that asyncua has;
any other stays opaque. Type descriptions of a peer are never consulted (T24).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

from asyncua import ua

from registrar.errors import DecodingError, Misuse
from registrar.ua import binary, node_id
from registrar.ua.binary import INT32, NULL_LENGTH, Budget, Decoder, Encoder, decode_count

MAX_DIMENSIONS = 16
"""Dimensions of an array in a Variant."""

_ARRAY = 0x80
_DIMENSIONS = 0x40
_TYPES = 0x3F
_new = object.__new__

NO_OBJECT = ua.ExtensionObject()
"""The null ExtensionObject; it is immutable."""


def decode_extension_object(data: bytes, at: int, budget: Budget) -> tuple[Any, int]:
    """Decode an ExtensionObject; a null one is an empty ``ua.ExtensionObject``.

    A body in XML is passed over: nobody here reads one, and kept as bytes it would be taken for a
    binary one when it is sent on.
    """
    if data[at : at + 3] == b"\0\0\0":
        return NO_OBJECT, at + 3
    type_id, at = node_id.decode_node_id(data, at, budget)
    encoding = data[at]
    at += 1
    if encoding > 2:
        raise DecodingError(f"ExtensionObject with encoding {encoding}")
    body: Any = None
    if encoding:
        body, at = binary.decode_byte_string(data, at, budget)
    if encoding == 2:
        body = None
    elif body is not None and type_id.NamespaceIndex == 0:
        decode = _structure_decoder(type_id.Identifier)
        if decode is not None:
            budget.descend()
            value, end = decode(body, 0, budget)
            if end != len(body):
                raise DecodingError(f"{len(body) - end} bytes behind an ExtensionObject")
            budget.depth += 1
            return value, at
    if type_id.is_null():
        return NO_OBJECT, at
    return ua.ExtensionObject(TypeId=type_id, Body=body), at


def encode_extension_object(out: bytearray, value: Any) -> None:
    """Append a structure, an opaque ``ua.ExtensionObject``, or None, with its type in front."""
    if value is None:
        out += b"\0\0\0"
        return
    if isinstance(value, ua.ExtensionObject):
        node_id.encode_node_id(out, value.TypeId)
        out.append(value.Body is not None)
        if value.Body is not None:
            binary.encode_byte_string(out, value.Body)
        return
    prefix, encode = _structure_encoder(type(value))
    out += prefix
    position = len(out)
    out += b"\0\0\0\0"
    encode(out, value)
    INT32.pack_into(out, position, len(out) - position - 4)


def decode_variant(data: bytes, at: int, budget: Budget) -> tuple[ua.Variant, int]:
    """Decode a Variant; Dimensions must fit the length of its array."""
    encoding = data[at]
    at += 1
    variant: Any = _new(ua.Variant)
    kind = encoding & _TYPES
    variant.VariantType = _VARIANT_TYPES[kind] if kind < len(_VARIANT_TYPES) else _unknown(kind)
    variant.Dimensions = None
    if encoding < _DIMENSIONS:
        if kind == 24:
            raise DecodingError("a Variant holds a Variant that is not an array")
        variant.is_array = False
        if kind in _NESTING:
            budget.descend()
            variant.Value, at = DECODERS[kind](data, at, budget)
            budget.depth += 1
        else:
            variant.Value, at = DECODERS[kind](data, at, budget)
        return variant, at
    if not encoding & _ARRAY:
        raise DecodingError("a Variant has Dimensions and no array")
    variant.is_array = True
    budget.descend()
    variant.Value, at = _decode_array(data, at, budget, kind)
    budget.depth += 1
    if encoding & _DIMENSIONS:
        at = _decode_dimensions(data, at, budget, variant)
    return variant, at


def _unknown(kind: int) -> Any:
    raise DecodingError(f"a Variant holds built-in type {kind}")


def _decode_array(data: bytes, at: int, budget: Budget, kind: int) -> tuple[Any, int]:
    count, at = decode_count(data, at, budget, MIN_SIZES[kind])
    if count < 0:
        return None, at
    code = CODES.get(kind)
    if code is not None:
        layout = f"<{count}{code}"
        return list(struct.unpack_from(layout, data, at)), at + struct.calcsize(layout)
    decode = DECODERS[kind]
    values = []
    for _ in range(count):
        value, at = decode(data, at, budget)
        values.append(value)
    return values, at


def _decode_dimensions(data: bytes, at: int, budget: Budget, variant: ua.Variant) -> int:
    count, at = decode_count(data, at, budget, 4)
    if count <= 0:
        return at
    if count > MAX_DIMENSIONS:
        raise DecodingError(f"array of {count} dimensions, at most {MAX_DIMENSIONS} are allowed")
    dimensions = list(struct.unpack_from(f"<{count}i", data, at))
    product = 1
    for dimension in dimensions:
        product *= dimension
    if min(dimensions) < 0 or product != len(variant.Value or ()):
        raise DecodingError(f"Dimensions {dimensions} of {len(variant.Value or ())} elements")
    variant.Dimensions = dimensions
    if variant.Value:
        for size in reversed(dimensions[1:]):
            flat = variant.Value
            variant.Value = [flat[start : start + size] for start in range(0, len(flat), size)]
    return at + 4 * count


def encode_variant(out: bytearray, value: ua.Variant | None) -> None:
    """Append a Variant."""
    if value is None:
        out.append(0)
        return
    content = value.Value
    kind = value.VariantType.value
    if not (value.is_array or isinstance(content, list | tuple)):
        out.append(kind)
        ENCODERS[kind](out, content)
        return
    dimensions = value.Dimensions
    out.append(kind | _ARRAY if dimensions is None else kind | _ARRAY | _DIMENSIONS)
    _encode_array(out, kind, content)
    if dimensions is not None:
        out += INT32.pack(len(dimensions))
        out += struct.pack(f"<{len(dimensions)}i", *dimensions)


def _encode_array(out: bytearray, kind: int, content: Sequence[Any] | None) -> None:
    if content is None:
        out += NULL_LENGTH
        return
    while content and isinstance(content[0], list | tuple):
        content = list(chain.from_iterable(content))
    out += INT32.pack(len(content))
    code = CODES.get(kind)
    if code is not None:
        out += struct.pack(f"<{len(content)}{code}", *content)
        return
    encode = ENCODERS[kind]
    for element in content:
        encode(out, element)


def decode_data_value(data: bytes, at: int, budget: Budget) -> tuple[ua.DataValue, int]:
    """Decode a DataValue, in the order of OPC 10000-6 §5.2.2.17.

    Each count of picoseconds follows its timestamp; asyncua puts both at the end.
    """
    mask = data[at]
    at += 1
    if mask > 0x3F:
        raise DecodingError(f"DataValue with mask {mask:#x}")
    value: Any = _new(ua.DataValue)
    value.Encoding = 0
    value.SourceTimestamp = value.ServerTimestamp = None
    value.SourcePicoseconds = value.ServerPicoseconds = None
    if mask & 0x01:
        value.Value, at = decode_variant(data, at, budget)
    else:
        value.Value = ua.Variant()
    if mask & 0x02:
        value.StatusCode, at = binary.decode_status(data, at, budget)
    else:
        value.StatusCode = ua.StatusCode()
    if mask & 0x04:
        value.SourceTimestamp, at = binary.decode_datetime(data, at, budget)
    if mask & 0x10:
        (value.SourcePicoseconds,) = binary.UINT16.unpack_from(data, at)
        at += 2
    if mask & 0x08:
        value.ServerTimestamp, at = binary.decode_datetime(data, at, budget)
    if mask & 0x20:
        (value.ServerPicoseconds,) = binary.UINT16.unpack_from(data, at)
        at += 2
    return value, at


def encode_data_value(out: bytearray, value: ua.DataValue | None) -> None:
    """Append a DataValue."""
    position = len(out)
    out.append(0)
    if value is None:
        return
    mask = 0
    if value.Value is not None:
        mask |= 0x01
        encode_variant(out, value.Value)
    if value.StatusCode is not None:
        mask |= 0x02
        binary.encode_status(out, value.StatusCode)
    if value.SourceTimestamp is not None:
        mask |= 0x04
        binary.encode_datetime(out, value.SourceTimestamp)
    if value.SourcePicoseconds is not None:
        mask |= 0x10
        out += binary.UINT16.pack(value.SourcePicoseconds)
    if value.ServerTimestamp is not None:
        mask |= 0x08
        binary.encode_datetime(out, value.ServerTimestamp)
    if value.ServerPicoseconds is not None:
        mask |= 0x20
        out += binary.UINT16.pack(value.ServerPicoseconds)
    out[position] = mask


def _number(code: str) -> tuple[Encoder, Decoder]:
    layout = struct.Struct("<" + code)

    def encode(out: bytearray, value: Any) -> None:
        out += layout.pack(value)

    def decode(data: bytes, at: int, budget: Budget) -> tuple[Any, int]:
        (value,) = layout.unpack_from(data, at)
        return value, at + layout.size

    return encode, decode


def _encode_null(out: bytearray, value: object) -> None:
    if value is not None:
        raise Misuse(f"a Variant of type Null holds a {type(value).__name__}")


def _decode_null(data: bytes, at: int, budget: Budget) -> tuple[None, int]:
    return None, at


CODES = {1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d"}
"""The ``struct`` codes of the types that are plain numbers."""

_BUILT_IN: tuple[tuple[Encoder, Decoder, int], ...] = (
    (_encode_null, _decode_null, 0),
    *((*_number(code), struct.calcsize("<" + code)) for code in CODES.values()),
    (binary.encode_string, binary.decode_string, 4),
    (binary.encode_datetime, binary.decode_datetime, 8),
    (binary.encode_guid, binary.decode_guid, 16),
    (binary.encode_byte_string, binary.decode_byte_string, 4),
    (binary.encode_xml_element, binary.decode_xml_element, 4),
    (node_id.encode_node_id, node_id.decode_node_id, 2),
    (node_id.encode_expanded_node_id, node_id.decode_expanded_node_id, 2),
    (binary.encode_status, binary.decode_status, 4),
    (binary.encode_qualified_name, binary.decode_qualified_name, 6),
    (binary.encode_localized_text, binary.decode_localized_text, 1),
    (encode_extension_object, decode_extension_object, 3),
    (encode_data_value, decode_data_value, 1),
    (encode_variant, decode_variant, 1),
    (binary.encode_diagnostic_info, binary.decode_diagnostic_info, 1),
    # Reserved types are ByteStrings (OPC 10000-6 §5.2.2.16).
    *((binary.encode_byte_string, binary.decode_byte_string, 4) for _ in range(26, 32)),
)
"""Encoder, decoder and fewest bytes of each built-in type, by its number."""

ENCODERS = tuple(row[0] for row in _BUILT_IN)
DECODERS = tuple(row[1] for row in _BUILT_IN)
MIN_SIZES = tuple(row[2] for row in _BUILT_IN)
_NESTING = frozenset((22, 23, 25))
_VARIANT_TYPES: tuple[Any, ...] = (
    *ua.VariantType,
    *(ua.VariantTypeCustom(number) for number in range(26, 32)),
)


def _structure_decoder(identifier: object) -> Decoder | None:
    # Structures hold Variants and Variants hold structures, so one of the two imports late.
    from registrar.ua.structure import decoder_of_encoding

    return decoder_of_encoding(identifier)


def _structure_encoder(cls: type) -> tuple[bytes, Encoder]:
    from registrar.ua.structure import encoder_of_extension

    return encoder_of_extension(cls)
