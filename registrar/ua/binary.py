"""The built-in types of OPC UA Binary (OPC 10000-6 §5.2.2), decoded within bounds.

A decoder takes the buffer, an offset and the ``Budget`` of the message, and returns the value and
the offset behind it. An encoder appends to a bytearray. ``codec`` builds structures from both.
What ``struct`` and ``str`` raise on short or wrong bytes is translated once, in ``codec``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from asyncua import ua

from registrar.errors import DecodingError
from registrar.ua.limits import MAX_DIAGNOSTIC_DEPTH, DecoderLimits

UINT16 = struct.Struct("<H")
INT32 = struct.Struct("<i")
UINT32 = struct.Struct("<I")
INT64 = struct.Struct("<q")

NULL_LENGTH = b"\xff\xff\xff\xff"
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1601, 1, 1)
"""asyncua takes a time without a zone as UTC."""
END_OF_TIME = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_MAX_TICKS = int((END_OF_TIME - EPOCH).total_seconds()) * 10_000_000
_MAX_INT64 = 2**63 - 1
_MICROSECOND = timedelta(microseconds=1)

_new = object.__new__


class Budget:
    """What is left of a message's limits while it is decoded."""

    __slots__ = ("depth", "elements")

    def __init__(self, limits: DecoderLimits) -> None:
        self.depth = limits.max_depth
        self.elements = limits.max_elements

    def descend(self) -> None:
        """Go one level deeper; the value there counts as an element.

        Raises:
            DecodingError: a limit is reached.
        """
        self.depth -= 1
        if self.depth < 0:
            raise DecodingError("values are nested deeper than the limit")
        self.charge(1)

    def charge(self, count: int) -> None:
        """Count elements that are about to be decoded.

        Raises:
            DecodingError: the limit is reached.
        """
        self.elements -= count
        if self.elements < 0:
            raise DecodingError("more elements than the limit")


Decoder = Callable[[bytes, int, Budget], tuple[Any, int]]
Encoder = Callable[[bytearray, Any], None]


# Lengths


def decode_count(data: bytes, at: int, budget: Budget, minimum: int) -> tuple[int, int]:
    """Decode the length of an array whose elements take at least ``minimum`` bytes each.

    Raises:
        DecodingError: below -1, more elements than bytes can hold, or elements of no bytes.
    """
    (count,) = INT32.unpack_from(data, at)
    at += 4
    if count <= 0:
        if count < -1:
            raise DecodingError(f"array of length {count}")
        return count, at
    if not minimum:
        raise DecodingError(f"array of {count} elements that need no bytes")
    if count * minimum > len(data) - at:
        raise DecodingError(f"array of {count} elements leaves the body")
    budget.charge(count)
    return count, at


def decode_byte_string(data: bytes, at: int, budget: Budget) -> tuple[bytes | None, int]:
    """Decode a ByteString; its length is compared with the bytes left first."""
    (length,) = INT32.unpack_from(data, at)
    at += 4
    if length < 0:
        if length < -1:
            raise DecodingError(f"String of length {length}")
        return None, at
    end: int = at + length
    if end > len(data):
        raise DecodingError(f"String of {length} bytes leaves the body")
    return data[at:end], end


def decode_string(data: bytes, at: int, budget: Budget) -> tuple[str | None, int]:
    """Decode a String, which must be UTF-8."""
    value, at = decode_byte_string(data, at, budget)
    return None if value is None else str(value, "utf-8"), at


def encode_byte_string(out: bytearray, value: bytes | None) -> None:
    """Append a ByteString."""
    if value is None:
        out += NULL_LENGTH
    else:
        out += INT32.pack(len(value))
        out += value


def encode_string(out: bytearray, value: str | None) -> None:
    """Append a String."""
    if value is None:
        out += NULL_LENGTH
    else:
        encoded = value.encode()
        out += INT32.pack(len(encoded))
        out += encoded


# Scalars that are more than a number


def to_datetime(ticks: int) -> datetime:
    """Return the time ``ticks`` of 100 ns after 1601; what is out of range is clamped."""
    if ticks >= _MAX_TICKS:
        return END_OF_TIME
    return EPOCH if ticks <= 0 else EPOCH + timedelta(microseconds=ticks // 10)


def from_datetime(value: datetime | None) -> int:
    """Return the ticks of a time; without a time zone it is UTC."""
    if value is None:
        return 0
    past = value - (_NAIVE_EPOCH if value.tzinfo is None else EPOCH)
    if past.days < 0:
        return 0
    ticks = (past.days * 86_400 + past.seconds) * 10_000_000 + past.microseconds * 10
    return ticks if ticks < _MAX_TICKS else _MAX_INT64


def to_status(value: int) -> ua.StatusCode:
    """Return the StatusCode with ``value``."""
    status = _new(ua.StatusCode)
    status.value = value  # type: ignore[assignment]
    return status


def from_status(value: ua.StatusCode | int | None) -> int:
    """Return the number of a StatusCode, asyncua's or ours."""
    if value is None:
        return 0
    return value if isinstance(value, int) else value.value


def decode_status(data: bytes, at: int, budget: Budget) -> tuple[ua.StatusCode, int]:
    """Decode a StatusCode."""
    (value,) = UINT32.unpack_from(data, at)
    return to_status(value), at + 4


def encode_status(out: bytearray, value: ua.StatusCode | int | None) -> None:
    """Append a StatusCode."""
    out += UINT32.pack(from_status(value))


def decode_datetime(data: bytes, at: int, budget: Budget) -> tuple[datetime, int]:
    """Decode a DateTime."""
    (ticks,) = INT64.unpack_from(data, at)
    return to_datetime(ticks), at + 8


def encode_datetime(out: bytearray, value: datetime | None) -> None:
    """Append a DateTime."""
    out += INT64.pack(from_datetime(value))


def decode_guid(data: bytes, at: int, budget: Budget) -> tuple[UUID, int]:
    """Decode a Guid."""
    end = at + 16
    if end > len(data):
        raise DecodingError("Guid leaves the body")
    return UUID(bytes_le=data[at:end]), end


def encode_guid(out: bytearray, value: UUID) -> None:
    """Append a Guid."""
    out += value.bytes_le


def decode_xml_element(data: bytes, at: int, budget: Budget) -> tuple[ua.XmlElement, int]:
    """Decode an XmlElement; its text is never parsed."""
    element: Any = _new(ua.XmlElement)
    element.Value, at = decode_string(data, at, budget)
    return element, at


def encode_xml_element(out: bytearray, value: ua.XmlElement | str | None) -> None:
    """Append an XmlElement."""
    encode_string(out, value.Value if isinstance(value, ua.XmlElement) else value)


def decode_qualified_name(data: bytes, at: int, budget: Budget) -> tuple[ua.QualifiedName, int]:
    """Decode a QualifiedName."""
    (namespace,) = UINT16.unpack_from(data, at)
    text, at = decode_string(data, at + 2, budget)
    name: Any = _new(ua.QualifiedName)
    name.NamespaceIndex = namespace
    name.Name = text
    return name, at


def encode_qualified_name(out: bytearray, value: ua.QualifiedName | None) -> None:
    """Append a QualifiedName."""
    if value is None:
        out += b"\0\0" + NULL_LENGTH
        return
    out += UINT16.pack(value.NamespaceIndex)
    encode_string(out, value.Name)


def decode_localized_text(data: bytes, at: int, budget: Budget) -> tuple[ua.LocalizedText, int]:
    """Decode a LocalizedText."""
    mask = data[at]
    at += 1
    if mask > 3:
        raise DecodingError(f"LocalizedText with mask {mask:#x}")
    text: Any = _new(ua.LocalizedText)
    text.Encoding = 0
    text.Locale = text.Text = None
    if mask & 1:
        text.Locale, at = decode_string(data, at, budget)
    if mask & 2:
        text.Text, at = decode_string(data, at, budget)
    return text, at


def encode_localized_text(out: bytearray, value: ua.LocalizedText | None) -> None:
    """Append a LocalizedText."""
    if value is None:
        out.append(0)
        return
    locale, text = value.Locale, value.Text
    out.append((locale is not None) | (text is not None) << 1)
    if locale is not None:
        encode_string(out, locale)
    if text is not None:
        encode_string(out, text)


# DiagnosticInfo


def decode_diagnostic_info(data: bytes, at: int, budget: Budget) -> tuple[ua.DiagnosticInfo, int]:
    """Decode a DiagnosticInfo of at most ``MAX_DIAGNOSTIC_DEPTH`` levels.

    The mask and the order are those of OPC 10000-6 §5.2.2.12; asyncua exchanges Locale and
    LocalizedText in the mask.
    """
    if not data[at]:
        return _no_diagnostic_info(), at + 1
    return _decode_diagnostic_info(data, at, budget, MAX_DIAGNOSTIC_DEPTH)


def _no_diagnostic_info() -> Any:
    info: Any = _new(ua.DiagnosticInfo)
    info.Encoding = 0
    info.SymbolicId = info.NamespaceURI = info.Locale = info.LocalizedText = None
    info.AdditionalInfo = info.InnerStatusCode = info.InnerDiagnosticInfo = None
    return info


def _decode_diagnostic_info(
    data: bytes, at: int, budget: Budget, levels: int
) -> tuple[ua.DiagnosticInfo, int]:
    if not levels:
        raise DecodingError(f"DiagnosticInfo of more than {MAX_DIAGNOSTIC_DEPTH} levels")
    mask = data[at]
    at += 1
    if mask > 0x7F:
        raise DecodingError(f"DiagnosticInfo with mask {mask:#x}")
    info: Any = _no_diagnostic_info()
    for bit, name in _DIAGNOSTIC_INDEXES:
        if mask & bit:
            (value,) = INT32.unpack_from(data, at)
            setattr(info, name, value)
            at += 4
    if mask & 0x10:
        info.AdditionalInfo, at = decode_string(data, at, budget)
    if mask & 0x20:
        info.InnerStatusCode, at = decode_status(data, at, budget)
    if mask & 0x40:
        budget.charge(1)
        inner, at = _decode_diagnostic_info(data, at, budget, levels - 1)
        info.InnerDiagnosticInfo = inner
    return info, at


_DIAGNOSTIC_INDEXES = (
    (0x01, "SymbolicId"),
    (0x02, "NamespaceURI"),
    (0x08, "Locale"),
    (0x04, "LocalizedText"),
)


def encode_diagnostic_info(out: bytearray, value: Any) -> None:
    """Append a DiagnosticInfo."""
    position = len(out)
    out.append(0)
    if value is None:
        return
    mask = 0
    for bit, name in _DIAGNOSTIC_INDEXES:
        index = getattr(value, name)
        if index is not None:
            mask |= bit
            out += INT32.pack(index)
    if value.AdditionalInfo is not None:
        mask |= 0x10
        encode_string(out, value.AdditionalInfo)
    if value.InnerStatusCode is not None:
        mask |= 0x20
        encode_status(out, value.InnerStatusCode)
    if value.InnerDiagnosticInfo is not None:
        mask |= 0x40
        encode_diagnostic_info(out, value.InnerDiagnosticInfo)
    out[position] = mask
