"""Writes a TBSCertificate in DER: all of a certificate but its signature.

    version ▸ serial ▸ algorithm ▸ issuer ▸ validity ▸ subject ▸ key ▸ extensions

What differs from one certificate to the next is written here, a few elements each. What takes
knowledge, such as usages, the library encodes, once, since it stays the same.
Source: RFC 5280 §4.1; ITU-T X.690 §8, §10.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from registrar.ca.keys import PublicKey, public_key_der
from registrar.ca.profiles import (
    MAX_COMMON_NAME,
    MAX_ORGANIZATION,
    CertificateProfile,
    constraints_of,
)
from registrar.core import der as asn1
from registrar.errors import Misuse

_VERSION_3 = bytes.fromhex("a003020102")
_CERTIFICATE_EXTENSION = bytes.fromhex("0603551d")
"""The object identifier 2.5.29.n, without n."""

_TRUE = bytes.fromhex("0101ff")
_SUBJECT_KEY_IDENTIFIER = 14
_SUBJECT_ALTERNATIVE_NAME = 17
"""The last number of their object identifiers."""

_DNS_NAME, _URI, _IP_ADDRESS = 0x82, 0x86, 0x87
"""Tags of GeneralName."""

_FIRST_YEAR, _LAST_UTC_YEAR = 1950, 2049
"""UTCTime has two digits for the year (RFC 5280 §4.1.2.5)."""

_COMMON_NAME = bytes.fromhex("0603550403")
_ORGANIZATION = bytes.fromhex("060355040a")
"""Object identifiers of the attributes of a subject, DER."""

_TIMES = 64
"""Times kept encoded: certificates of one second begin and end together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """What every certificate of one CA has in common, DER."""

    name: bytes
    """As its own certificate has it, so that chains are built by equal bytes."""

    algorithm: bytes
    """AlgorithmIdentifier of its signatures."""

    key_identifier: bytes = b""
    """The extension authorityKeyIdentifier; a root has none."""


def element(tag: int, value: bytes) -> bytes:
    """Return the DER element of ``tag`` around ``value``."""
    length = len(value)
    if length < 0x80:
        return bytes((tag, length)) + value
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + value


def write_tbs(
    public_key: PublicKey,
    profile: CertificateProfile,
    *,
    issuer: Issuer,
    serial: int,
    begins: datetime,
    ends: datetime,
) -> bytes:
    """Return the TBSCertificate, DER.

    Args:
        public_key: of the subject.
        profile: names and usage.
        issuer: the CA.
        serial: positive.
        begins: notBefore, timezone-aware; parts of a second are cut off.
        ends: notAfter, timezone-aware.

    Raises:
        Misuse: a time is of no timezone, or of a year no certificate can name.
    """
    key = public_key_der(public_key)
    is_rsa = isinstance(public_key, rsa.RSAPublicKey)
    path_length = profile.path_length if profile.is_authority else None
    extensions = (
        (b"" if profile.is_authority else _alternative_names(profile))
        + _constraints(profile.is_authority, path_length, is_rsa)
        + _subject_key_identifier(key)
        + issuer.key_identifier
    )
    return element(
        0x30,
        _VERSION_3
        + element(0x02, serial.to_bytes(serial.bit_length() // 8 + 1))
        + issuer.algorithm
        + issuer.name
        + element(0x30, _time(begins) + _time(ends))
        + encoded_subject(profile)
        + key
        + element(0xA3, element(0x30, extensions)),
    )


def encoded_extension(value: x509.ExtensionType, *, is_critical: bool) -> bytes:
    """Return one of the extensions of RFC 5280 §4.2.1, with its object identifier, DER."""
    number = int(value.oid.dotted_string.removeprefix("2.5.29."))
    return _extension(number, value.public_bytes(), is_critical=is_critical)


def encoded_subject(profile: CertificateProfile) -> bytes:
    """Return the subject, DER: CN, and O where there is one."""
    names = _name(_COMMON_NAME, profile.common_name[:MAX_COMMON_NAME])
    if profile.organization:
        names += _name(_ORGANIZATION, profile.organization[:MAX_ORGANIZATION])
    return element(0x30, names)


def _name(kind: bytes, value: str) -> bytes:
    return element(0x31, element(0x30, kind + element(0x0C, value.encode())))


def _extension(number: int, value: bytes, *, is_critical: bool = False) -> bytes:
    flag = _TRUE if is_critical else b""
    return element(0x30, _CERTIFICATE_EXTENSION + bytes((number,)) + flag + element(0x04, value))


def _alternative_names(profile: CertificateProfile) -> bytes:
    # A URI is ASCII by RFC 5280; DNS names come from a checked request or our configuration.
    names = [element(_URI, profile.application_uri.encode("ascii"))]
    names += [element(_DNS_NAME, name.encode("ascii")) for name in profile.dns_names]
    names += [element(_IP_ADDRESS, address.packed) for address in profile.ip_addresses]
    return _extension(_SUBJECT_ALTERNATIVE_NAME, element(0x30, b"".join(names)))


@cache
def _constraints(is_authority: bool, path_length: int | None, is_rsa: bool) -> bytes:
    constraints: Iterable[tuple[x509.ExtensionType, bool]] = constraints_of(
        is_authority=is_authority, path_length=path_length, is_rsa=is_rsa
    )
    return b"".join(
        encoded_extension(value, is_critical=is_critical) for value, is_critical in constraints
    )


def _subject_key_identifier(key: bytes) -> bytes:
    """Name the key by the SHA-1 of its bits (RFC 5280 §4.2.1.2, method 1)."""
    start, end = asn1.expect(key, 0, len(key), asn1.SEQUENCE)
    _, bits = asn1.expect(key, start, end, asn1.SEQUENCE)
    start, end = asn1.expect(key, bits, end, asn1.BIT_STRING)
    digest = hashlib.sha1(key[start + 1 : end], usedforsecurity=False).digest()
    return _extension(_SUBJECT_KEY_IDENTIFIER, element(0x04, digest))


@lru_cache(maxsize=_TIMES)
def _time(moment: datetime) -> bytes:
    if moment.tzinfo is None:
        raise Misuse("a certificate begins and ends at times of a timezone")
    utc = moment.astimezone(UTC)
    if utc.year < _FIRST_YEAR:
        raise Misuse(f"a certificate cannot name the year {utc.year}")
    if utc.year <= _LAST_UTC_YEAR:
        return element(0x17, f"{utc:%y%m%d%H%M%S}Z".encode())
    return element(0x18, f"{utc:%Y%m%d%H%M%S}Z".encode())
