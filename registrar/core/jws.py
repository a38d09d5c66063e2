"""JSON Web Signatures as Tickets use them: General JSON Serialization, and nothing else.

    {"payload": BASE64URL, "signatures": [{"protected": BASE64URL, "header": {…},
                                           "signature": BASE64URL}, …]}

A fault of the document refuses it. A fault of one signature makes that signature unusable and
leaves the others alone. Nothing is ever fetched, and a key in the document proves nothing.
Source: OPC 10000-21 §8.1; RFC 7515 §7.2.1; threat-model 5.1.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import orjson

from registrar.core.certificate import MAX_CERTIFICATE_BYTES, MAX_CHAIN_LENGTH, Certificate
from registrar.core.signatures import Algorithm, fits
from registrar.core.strict_json import JsonValue, decode_object, decode_text
from registrar.errors import CertificateRejected, DecodingError, Misuse, Reason, TicketInvalid

MAX_PROTECTED_CHARACTERS = 64 * 1024
"""A whole chain of certificates of 3 KiB, encoded twice, and the other members."""

MAX_SIGNATURE_BYTES = 1024
"""An RSA signature of 8,192 bits."""

MAX_COMPOSITE_URI = 1024
"""Characters of ``opc-uri``."""

_HEADERS = 128
"""Protected headers kept decoded: all Tickets of one signer carry the same bytes."""

_REFUSED_MEMBERS = frozenset({"crit", "b64", "jwk", "jku", "x5u"})
"""Members that bring keys, fetch keys or change the meaning of the rest."""

_FROM_URL = bytes.maketrans(b"-_+/", b"+/!!")
"""Base64url to Base64 (RFC 4648 §5); what only Base64 has becomes what neither has."""

_CONTENT_TYPE = re.compile(
    r"(?:application/)?opc-ticket\+json *; *type=(\"?)(?P<type>\w+)\1 *",
    re.ASCII | re.IGNORECASE,
)


class TicketType(StrEnum):
    """What a payload is, by the BrowseName that ``cty`` carries (OPC 10000-21 §8.1)."""

    DEVICE_IDENTITY = "DeviceIdentityTicketType"
    COMPOSITE_IDENTITY = "CompositeIdentityTicketType"


@dataclass(frozen=True, slots=True, kw_only=True)
class JwsLimits:
    """What one document may ask of us. Each has a hard maximum, in ``HARD_MAXIMA``."""

    document_bytes: int = 256 * 1024
    payload_bytes: int = 128 * 1024
    signatures: int = 16

    def __post_init__(self) -> None:
        for name, maximum in HARD_MAXIMA.items():
            if not 0 < getattr(self, name) <= maximum:
                raise Misuse(f"{name} must be from 1 to {maximum}")


HARD_MAXIMA: Mapping[str, int] = {
    "document_bytes": 4 * 1024 * 1024,
    "payload_bytes": 2 * 1024 * 1024,
    "signatures": 64,
}
"""No configuration allows more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedHeader:
    """What the signer says under the signature (OPC 10000-21 Table 5)."""

    algorithm: Algorithm
    certificates: tuple[Certificate, ...]
    """``x5c``: the signer, then its issuers."""

    ticket_type: TicketType
    """From ``cty``."""

    composite_uri: str | None
    """``opc-uri``: the Composite that the signer built the Device into."""

    @property
    def signer(self) -> Certificate:
        return self.certificates[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class JwsSignature:
    """One signature, decoded or known to be unusable."""

    header: ProtectedHeader | None
    """``None`` where ``problem`` says why it cannot be used."""

    signed: bytes
    """What the signature is over: protected header, ".", payload, as received."""

    signature: bytes
    problem: TicketInvalid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Jws:
    """One document, decoded and not yet believed."""

    document: str
    payload: bytes
    signatures: tuple[JwsSignature, ...]


_LIMITS = JwsLimits()
_HARD_LIMITS = JwsLimits(**HARD_MAXIMA)


def decode_jws(document: str | bytes, limits: JwsLimits = _LIMITS) -> Jws:
    """Read a document in General JSON Serialization.

    Raises:
        TicketInvalid: it is malformed (``TICKET_MALFORMED``) or exceeds ``limits``
            (``TICKET_TOO_LARGE``).
    """
    text, encoded, entries = _open(document, limits)
    if len(entries) > limits.signatures:
        raise TicketInvalid(
            f"{len(entries)} signatures exceed {limits.signatures}", reason=Reason.TICKET_TOO_LARGE
        )
    return Jws(
        document=text,
        payload=_payload(encoded, limits),
        signatures=tuple(_decode_signature(entry, encoded) for entry in entries),
    )


def payload_of(document: str) -> bytes:
    """Return the payload of a document that was verified before.

    What was strict then need not be again, so the fast reader of JSON takes part.

    Raises:
        TicketInvalid: it is malformed.
    """
    if len(document) > HARD_MAXIMA["document_bytes"]:
        raise TicketInvalid(f"a stored document of {len(document)} characters")
    try:
        members = orjson.loads(document)
        encoded = members["payload"] if isinstance(members, dict) else None
    except (orjson.JSONDecodeError, KeyError):
        encoded = None
    if not isinstance(encoded, str):
        raise TicketInvalid("a stored document without payload")
    return _payload(encoded, _HARD_LIMITS)


def _open(document: str | bytes, limits: JwsLimits) -> tuple[str, str, list[JsonValue]]:
    """Return a document's text, its encoded payload and its signatures, undecoded."""
    if len(document) > limits.document_bytes:
        raise TicketInvalid(
            f"a Ticket of {len(document)} bytes exceeds {limits.document_bytes}",
            reason=Reason.TICKET_TOO_LARGE,
        )
    try:
        text = decode_text(document, limits.document_bytes)
        members = decode_object(text)
        if not members.keys().isdisjoint({"protected", "header", "signature"}):
            raise DecodingError("members of the flattened serialization")
        encoded = members.get("payload")
        if not isinstance(encoded, str):
            raise DecodingError("payload is not a string")
        entries = members.get("signatures")
        if not isinstance(entries, list) or not entries:
            raise DecodingError("signatures is not an array with an element")
    except DecodingError as error:
        raise TicketInvalid(str(error)) from error
    return text, encoded, entries


def _payload(encoded: str, limits: JwsLimits) -> bytes:
    if len(encoded) * 3 // 4 > limits.payload_bytes:
        raise TicketInvalid(
            f"a payload of {len(encoded) * 3 // 4} bytes exceeds {limits.payload_bytes}",
            reason=Reason.TICKET_TOO_LARGE,
        )
    try:
        return decode_base64url(encoded)
    except DecodingError as error:
        raise TicketInvalid(f"payload: {error}") from error


def encode_base64url(data: bytes) -> str:
    """Encode without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Decode the one canonical form: no padding, no other characters, no stray bits.

    Raises:
        DecodingError: the text is not in that form.
    """
    try:
        encoded = text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4)
        data = binascii.a2b_base64(encoded, strict_mode=True)
    except (binascii.Error, UnicodeError) as error:
        raise DecodingError(f"not base64url: {str(error)[:80]}") from error
    whole = len(data) // 3 * 3
    if encode_base64url(data[whole:]) != text[whole // 3 * 4 :]:
        raise DecodingError("base64url that is not canonical")
    return data


def decode_base64(text: str, limit: int) -> bytes:
    """Decode standard Base64 with padding (RFC 4648 §4), as ``x5c`` and ByteString have it.

    Raises:
        DecodingError: another form, stray bits, or more than ``limit`` bytes.
    """
    size = len(text) // 4 * 3 - text[-2:].count("=")
    if size > limit:
        raise DecodingError(f"Base64 of {size} bytes exceeds {limit}")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodingError(f"not Base64: {str(error)[:80]}") from error
    if base64.b64encode(data).decode() != text:
        raise DecodingError("Base64 that is not canonical")
    return data


def _decode_signature(entry: JsonValue, payload: str) -> JwsSignature:
    try:
        if not isinstance(entry, Mapping):
            raise DecodingError("a signature is not an object")
        protected = entry.get("protected")
        if not isinstance(protected, str):
            raise DecodingError("protected is not a string")
        encoded = entry.get("signature")
        if not isinstance(encoded, str):
            raise DecodingError("signature is not a string")
        if len(encoded) > MAX_SIGNATURE_BYTES * 2:
            raise DecodingError(f"a signature of {len(encoded)} characters")
        signature = decode_base64url(encoded)
        header, names = decode_protected(protected)
        _check_unprotected(entry.get("header"), names)
    except TicketInvalid as error:
        return JwsSignature(header=None, signed=b"", signature=b"", problem=error)
    except DecodingError as error:
        problem = TicketInvalid(str(error))
        return JwsSignature(header=None, signed=b"", signature=b"", problem=problem)
    signed = f"{protected}.{payload}".encode("ascii")
    return JwsSignature(header=header, signed=signed, signature=signature)


def _check_unprotected(header: JsonValue, protected: frozenset[str]) -> None:
    """Let the unprotected header say what it likes about nothing that counts."""
    if header is None:
        return
    if not isinstance(header, Mapping):
        raise DecodingError("header is not an object")
    refused = header.keys() & _REFUSED_MEMBERS
    if refused:
        raise DecodingError(f"header member {min(refused)} is refused")
    if not header.keys().isdisjoint(protected):
        raise DecodingError("a member stands in both headers")


@lru_cache(maxsize=_HEADERS)
def decode_protected(text: str) -> tuple[ProtectedHeader, frozenset[str]]:
    """Read one encoded protected header; return it and the names of all its members.

    Raises:
        DecodingError: a member is missing, malformed or refused.
        TicketInvalid: ``alg`` is refused or does not fit the key (``TICKET_ALGORITHM_REFUSED``).
    """
    if len(text) > MAX_PROTECTED_CHARACTERS:
        raise DecodingError(f"a protected header of {len(text)} characters")
    raw = decode_base64url(text)
    members = decode_object(decode_text(raw, MAX_PROTECTED_CHARACTERS))
    refused = members.keys() & _REFUSED_MEMBERS
    if refused:
        raise DecodingError(f"header member {min(refused)} is refused")
    algorithm = _decode_algorithm(members.get("alg"))
    certificates = _decode_x5c(members.get("x5c"))
    ticket_type = _decode_content_type(members.get("cty"))
    composite_uri = members.get("opc-uri")
    if composite_uri is not None and not isinstance(composite_uri, str):
        raise DecodingError("opc-uri is not a string")
    if composite_uri is not None and not 0 < len(composite_uri) <= MAX_COMPOSITE_URI:
        raise DecodingError(f"an opc-uri of {len(composite_uri)} characters")
    if not fits(algorithm, certificates[0].public_key):
        raise TicketInvalid(
            f"{algorithm} does not fit the signer's key", reason=Reason.TICKET_ALGORITHM_REFUSED
        )
    header = ProtectedHeader(
        algorithm=algorithm,
        certificates=certificates,
        ticket_type=ticket_type,
        composite_uri=composite_uri,
    )
    return header, frozenset(members)


def _decode_algorithm(value: JsonValue | None) -> Algorithm:
    if not isinstance(value, str):
        raise DecodingError("alg is not a string")
    try:
        return Algorithm(value)
    except ValueError:
        raise TicketInvalid(
            f"algorithm {value[:80]!r} is refused", reason=Reason.TICKET_ALGORITHM_REFUSED
        ) from None


def _decode_x5c(value: JsonValue | None) -> tuple[Certificate, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CHAIN_LENGTH:
        raise DecodingError(f"x5c is not an array of 1 to {MAX_CHAIN_LENGTH} certificates")
    certificates: list[Certificate] = []
    for element in value:
        if not isinstance(element, str):
            raise DecodingError("an element of x5c is not a string")
        try:
            der = decode_base64(element, MAX_CERTIFICATE_BYTES)
            certificates.append(Certificate.from_der(der))
            _ = certificates[-1].public_key
        except CertificateRejected as error:
            raise TicketInvalid(f"x5c: {error}", reason=Reason.TICKET_SIGNER_INVALID) from error
    return tuple(certificates)


def _decode_content_type(value: JsonValue | None) -> TicketType:
    if not isinstance(value, str):
        raise DecodingError("cty is not a string")
    match = _CONTENT_TYPE.fullmatch(value[:256])
    try:
        return TicketType(match["type"] if match else "")
    except ValueError:
        raise DecodingError(f"cty {value[:80]!r} names no Ticket") from None
