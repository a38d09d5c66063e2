"""The entries of a CRL, found without making an object of each.

A list of a million entries has some 40 MB. It is walked once: of each entry the place of its
serial number is kept, and the last eight bytes of it, by which it is found.
Source: RFC 5280 §5.1.2.6, §5.3.
"""

from __future__ import annotations

from array import array
from typing import Final

from registrar.core import der as asn1
from registrar.errors import DecodingError
from registrar.native import compiled

MAX_SERIAL_BYTES: Final = 21
"""Of the DER content of a serial number: 20 octets and a sign."""

_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_OBJECT_IDENTIFIER, _BOOLEAN, _OCTET_STRING = 0x06, 0x01, 0x04

_UNDERSTOOD: Final = frozenset({b"\x55\x1d\x15", b"\x55\x1d\x18"})
"""reasonCode and invalidityDate; whatever they say, the certificate counts as revoked."""


@compiled
def read_entries(der: bytes, at: int, end: int) -> tuple[array[int], array[int]]:
    """Read the content of ``revokedCertificates``.

    Args:
        der: the CRL, below 4 GiB.
        at: where the first entry begins.
        end: where the last one ends.

    Returns:
        Of each entry the last eight bytes of its serial number, big-endian, in ascending order,
        and at the same index the offset of the serial number's DER content.

    Raises:
        DecodingError: an entry is malformed, or has a critical extension that is not understood.
    """
    found: list[tuple[int, int]] = []
    while at < end:
        start, stop, at = _read_entry(der, at, end)
        found.append((int.from_bytes(der[max(start, stop - 8) : stop]), start))
    found.sort()
    return array("Q", [tail for tail, _ in found]), array("I", [start for _, start in found])


def _read_entry(der: bytes, entry: int, end: int) -> tuple[int, int, int]:
    is_understood = True
    try:
        at, stop = asn1.expect(der, entry, end, asn1.SEQUENCE)
        start, serial_end = asn1.expect(der, at, stop, asn1.INTEGER)
        tag, _, at = asn1.read_header(der, serial_end, stop)
        if not _is_shortest(der[start:serial_end]) or tag not in (_UTC_TIME, _GENERALIZED_TIME):
            raise DecodingError("no serial number and date")
        if at < stop:
            at, extensions_end = asn1.expect(der, at, stop, asn1.SEQUENCE)
            if extensions_end != stop:
                raise DecodingError("more than extensions")
            while at < stop:
                is_good, at = _read_extension(der, at, stop)
                is_understood = is_understood and is_good
    except DecodingError as error:
        raise DecodingError(f"the CRL entry at offset {entry} cannot be read") from error
    if not is_understood:
        raise DecodingError(f"the CRL entry at offset {entry} has an unknown critical extension")
    return start, serial_end, stop


def _is_shortest(content: bytes) -> bool:
    """Tell whether a serial number has one form alone, so that it cannot hide from a look-up."""
    if not 0 < len(content) <= MAX_SERIAL_BYTES:
        return False
    is_padded = len(content) > 1 and content[0] == 0xFF * (content[1] >> 7)
    return not is_padded


def _read_extension(der: bytes, at: int, end: int) -> tuple[bool, int]:
    at, stop = asn1.expect(der, at, end, asn1.SEQUENCE)
    start, at = asn1.expect(der, at, stop, _OBJECT_IDENTIFIER)
    name = der[start:at]
    tag, start, after = asn1.read_header(der, at, stop)
    is_critical = False
    if tag == _BOOLEAN:
        is_critical = der[start:after] != b"\0"
        at = after
    _, after = asn1.expect(der, at, stop, _OCTET_STRING)
    if after != stop:
        raise DecodingError("more than a value")
    return not is_critical or name in _UNDERSTOOD, stop
