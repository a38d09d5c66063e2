"""Ticket payloads as OPC UA JSON, reversible or compact, and lists of Tickets.

Both encodings give the same text for these structures; the compact one leaves defaults out.
Members are named as in the DataTypeDefinitions; lowerCamelCase, as the prose of the standard
prints them, is read too, and so is an ExtensionObject around the structure if it names the
right type. Source: OPC 10000-21 §8.1, §8.2; OPC 10000-6 §5.4.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import orjson

from registrar.core.certificate import MAX_CERTIFICATE_BYTES, MAX_CHAIN_LENGTH
from registrar.core.jws import TicketType, decode_base64
from registrar.core.strict_json import JsonValue, decode_object, decode_text
from registrar.core.ticket import (
    MAX_URI,
    CertificateAuthority,
    CompositeIdentityTicket,
    DeviceIdentityTicket,
    Ticket,
)
from registrar.errors import DecodingError, Reason, TicketInvalid

MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
"""As the hard maximum of ``jws.JwsLimits``."""

MAX_LIST_BYTES = 256 * 1024 * 1024
"""A shipment of 50,000 Tickets in one file."""

MAX_LIST = 100_000
"""Tickets of each kind in one list."""

_KEPT_CHAINS = 64
_KEPT_CHARACTERS = 8 * 1024
"""Short certificates of CAs that are kept decoded: the Tickets of a manufacturer name the same."""

_ONBOARDING = "http://opcfoundation.org/UA/Onboarding/"
_TYPE_IDS: Mapping[TicketType, frozenset[int]] = {
    TicketType.DEVICE_IDENTITY: frozenset({1166, 1489}),
    TicketType.COMPOSITE_IDENTITY: frozenset({1167, 1490}),
}
"""The ids of each DataType and of its JSON encoding, as an ExtensionObject may name them."""

_DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_UNKNOWN_DATE = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketList:
    """The Tickets of a shipment (TicketListType); each is signed and validated on its own."""

    devices: tuple[str, ...] = ()
    composites: tuple[str, ...] = ()


def decode_ticket(payload: bytes, ticket_type: TicketType) -> Ticket:
    """Read a payload as the structure that ``cty`` names.

    Raises:
        TicketInvalid: it is not that structure (``TICKET_MALFORMED``).
    """
    try:
        members = decode_object(decode_text(payload, MAX_PAYLOAD_BYTES))
    except DecodingError as error:
        raise TicketInvalid(str(error)) from error
    return _ticket(members, ticket_type)


def decode_ticket_again(payload: bytes, ticket_type: TicketType) -> Ticket:
    """Read a payload that ``decode_ticket`` read before, by the fast reader of JSON.

    Raises:
        TicketInvalid: it is not that structure (``TICKET_MALFORMED``).
    """
    try:
        members = orjson.loads(payload)
    except orjson.JSONDecodeError:
        members = None
    if not isinstance(members, dict):  # a number may be too much for the fast reader
        return decode_ticket(payload, ticket_type)
    return _ticket(members, ticket_type)


def _ticket(members: Mapping[str, JsonValue], ticket_type: TicketType) -> Ticket:
    try:
        values = _fields(_unwrap(members, ticket_type), _TICKETS[ticket_type])
    except DecodingError as error:
        raise TicketInvalid(str(error)) from error
    if ticket_type is TicketType.DEVICE_IDENTITY:
        values.setdefault("product_instance_uri", "")
        return DeviceIdentityTicket(**values)
    values.setdefault("composite_instance_uri", "")
    return CompositeIdentityTicket(**values)


def encode_ticket(ticket: Ticket) -> bytes:
    """Write a payload in CompactEncoding: defaults are left out."""
    members: dict[str, object] = {}
    for name, (attribute, _) in _TICKETS[ticket.type].items():
        value = getattr(ticket, attribute)
        if value:
            members[name] = _encode(value)
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def claimed_uri(payload: bytes) -> str:
    """Return the URI that a payload claims, or "" where none can be read.

    Nobody vouches for it: it serves to remember a refused Ticket by.
    """
    try:
        members = decode_object(decode_text(payload, MAX_PAYLOAD_BYTES))
    except DecodingError:
        return ""
    for name in ("ProductInstanceUri", "CompositeInstanceUri"):
        value = members.get(name, members.get(_camel(name)))
        if isinstance(value, str) and 0 < len(value) <= MAX_URI:
            return value
    return ""


def decode_ticket_list(data: str | bytes) -> TicketList:
    """Read a TicketListType: the Tickets of a shipment as JSON strings.

    Raises:
        TicketInvalid: it is not one, or longer than ``MAX_LIST_BYTES`` or ``MAX_LIST``.
    """
    if len(data) > MAX_LIST_BYTES:
        raise TicketInvalid(f"a list of {len(data)} bytes", reason=Reason.TICKET_TOO_LARGE)
    try:
        members = decode_object(decode_text(data, MAX_LIST_BYTES))
        if members.keys().isdisjoint({"Devices", "Composites", "devices", "composites"}):
            raise DecodingError("neither Devices nor Composites")
        return TicketList(**_fields(members, _LIST))
    except DecodingError as error:
        raise TicketInvalid(str(error)) from error


def encode_ticket_list(tickets: TicketList) -> str:
    """Write a TicketListType."""
    return json.dumps({"Devices": tickets.devices, "Composites": tickets.composites}, indent=1)


def _unwrap(members: Mapping[str, JsonValue], wanted: TicketType) -> Mapping[str, JsonValue]:
    """Take the ExtensionObject off, if there is one and its type is the wanted one."""
    if "UaTypeId" in members:
        found = members["UaTypeId"]
        if not any(found == f"nsu={_ONBOARDING};i={number}" for number in _TYPE_IDS[wanted]):
            raise DecodingError(f"UaTypeId {str(found)[:80]!r} is not {wanted}")
        return members
    if "TypeId" in members and "Body" in members:
        found, body = members["TypeId"], members["Body"]
        if not isinstance(found, Mapping) or found.get("Namespace") != _ONBOARDING:
            raise DecodingError("TypeId is not in the namespace of Onboarding")
        if not any(found.get("Id") == number for number in _TYPE_IDS[wanted]):
            raise DecodingError(f"TypeId is not {wanted}")
        if not isinstance(body, Mapping):
            raise DecodingError("Body is not an object")
        return body
    return members


def _fields(
    members: Mapping[str, JsonValue],
    table: Mapping[str, tuple[str, Callable[[JsonValue], Any]]],
) -> dict[str, Any]:
    """Read the members a table names; null and absent ones keep their default."""
    values: dict[str, Any] = {}
    for name, (attribute, read) in table.items():
        camel = _camel(name)
        if name in members and camel in members:
            raise DecodingError(f"{name} stands twice")
        value = members.get(name, members.get(camel))
        if value is not None:
            try:
                values[attribute] = read(value)
            except DecodingError as error:
                raise DecodingError(f"{name}: {error}") from error
    return values


@cache
def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise DecodingError("not a string")
    return value


def _texts(value: JsonValue) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise DecodingError(f"not an array of at most {MAX_LIST} strings")
    return tuple(map(_text, value))


def _date(value: JsonValue) -> datetime | None:
    match = _DATE.fullmatch(_text(value))
    if match is None:
        raise DecodingError("not a date of ISO 8601 with its offset")
    seconds, fraction, offset = match.groups()
    try:
        date = datetime.fromisoformat(f"{seconds}.{(fraction or '0')[:6]:0<6}{offset}")
        date = date.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DecodingError("not a date") from error
    return None if date == _UNKNOWN_DATE else date


def _authorities(value: JsonValue) -> tuple[CertificateAuthority, ...]:
    if not isinstance(value, list):
        raise DecodingError("not an array")
    return tuple(map(_authority, value))


def _authority(value: JsonValue) -> CertificateAuthority:
    if not isinstance(value, Mapping):
        raise DecodingError("not an object")
    values = _fields(value, _AUTHORITY)
    values.setdefault("authority_certificate", b"")
    return CertificateAuthority(**values)


def _chain(value: JsonValue) -> bytes:
    text = _text(value)
    return _kept_chain(text) if len(text) <= _KEPT_CHARACTERS else _decode_chain(text)


def _decode_chain(text: str) -> bytes:
    return decode_base64(text, MAX_CERTIFICATE_BYTES * MAX_CHAIN_LENGTH)


_kept_chain = lru_cache(maxsize=_KEPT_CHAINS)(_decode_chain)


def _chains(value: JsonValue) -> tuple[bytes, ...]:
    if not isinstance(value, list):
        raise DecodingError("not an array")
    return tuple(map(_chain, value))


def _encode(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, CertificateAuthority):
        return {
            name: _encode(getattr(value, attribute)) for name, (attribute, _) in _AUTHORITY.items()
        }
    if isinstance(value, tuple):
        return [_encode(element) for element in value]
    return value


_Table = Mapping[str, tuple[str, Callable[[JsonValue], Any]]]

_BASE: _Table = {
    "ManufacturerName": ("manufacturer_name", _text),
    "ModelName": ("model_name", _text),
    "ModelVersion": ("model_version", _text),
    "HardwareRevision": ("hardware_revision", _text),
    "SoftwareRevision": ("software_revision", _text),
    "SerialNumber": ("serial_number", _text),
    "ManufactureDate": ("manufacture_date", _date),
    "Authorities": ("authorities", _authorities),
}
_TICKETS: Mapping[TicketType, _Table] = {
    TicketType.DEVICE_IDENTITY: {
        **_BASE,
        "ProductInstanceUri": ("product_instance_uri", _text),
    },
    TicketType.COMPOSITE_IDENTITY: {
        **_BASE,
        "CompositeInstanceUri": ("composite_instance_uri", _text),
        "Devices": ("devices", _texts),
        "Composites": ("composites", _texts),
    },
}
_AUTHORITY: _Table = {
    "AuthorityCertificate": ("authority_certificate", _chain),
    "IssuerCertificates": ("issuer_certificates", _chains),
}
_LIST: _Table = {"Devices": ("devices", _texts), "Composites": ("composites", _texts)}
