"""Certificate revocation lists: complete, direct ones, as OPC UA TrustLists hold them.

Delta, indirect and partial lists are refused when read, and so are those that deltas complete,
because a TrustList that holds one would seem to answer what it cannot.
Source: RFC 5280 §5; OPC 10000-12 §7.8.2.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache

from cryptography import x509

from registrar.core import der as asn1
from registrar.core.certificate import UNREADABLE, Certificate, name_text
from registrar.core.names import Name, canonical
from registrar.core.revoked import read_entries
from registrar.core.signatures import is_signed_by
from registrar.errors import CertificateRejected, DecodingError, Reason

MAX_CRL_BYTES = 64 * 1024 * 1024
"""Room for more than a million revoked certificates with a reason each."""

MAX_NUMBER_BYTES = 20
"""Of a CRLNumber (RFC 5280 §5.2.3)."""

_PARSED = 64
_PARSED_BYTES = 256 * 1024
"""Of a CRL that is kept parsed; those of plants have a few kilobytes."""

_NEVER_IGNORED = (x509.DeltaCRLIndicator, x509.FreshestCRL, x509.IssuingDistributionPoint)
"""Refused even where the issuer did not mark them critical: the list is not the whole truth."""

_TIMES = (0x17, 0x18)
"""UTCTime and GeneralizedTime."""

_CHECKED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """Where the parts of a CRL stand."""

    issuer: bytes
    signed: tuple[int, int]
    """Begin and end of what the signature is over."""

    entries: tuple[int, int]
    """Begin and end of the entries, the header around them left out."""

    without_entries: bytes
    """The CRL as it would be with nobody revoked, for the library, which is slow at many."""


class Crl:
    """One well-formed CRL, compared by its bytes. Make one with ``from_der``."""

    def __init__(
        self,
        der: bytes,
        outline: _Outline,
        parsed: x509.CertificateRevocationList,
    ) -> None:
        self.der = der
        self.issuer_bytes = outline.issuer
        """The issuer's name as signed; ``issuer_name`` is compared."""
        self._signed = outline.signed
        self._parsed = parsed
        self._hash = hash(der)
        self.this_update: datetime | None = parsed.last_update_utc
        """Aware, UTC."""
        self.next_update: datetime | None = parsed.next_update_utc
        """Aware, UTC; a list without it is never fresh (OPC 10000-6 §6.2)."""
        self.number: int | None = None
        """CRLNumber; grows with every list of one issuer."""
        self.aki: bytes | None = None
        """Which of its issuer's keys signed it."""
        self._tails, self._offsets = read_entries(der, *outline.entries)
        for extension in parsed.extensions:
            if extension.critical or isinstance(extension.value, _NEVER_IGNORED):
                name = extension.oid.dotted_string
                raise DecodingError(f"critical CRL extension {name} is not understood")
            if isinstance(extension.value, x509.CRLNumber):
                self.number = extension.value.crl_number
                if not 0 <= self.number < 1 << 8 * MAX_NUMBER_BYTES:
                    raise DecodingError(f"CRLNumber is not of {MAX_NUMBER_BYTES} bytes at most")
            elif isinstance(extension.value, x509.AuthorityKeyIdentifier):
                self.aki = extension.value.key_identifier

    @staticmethod
    def from_der(der: bytes) -> Crl:
        """Read one CRL.

        Raises:
            CertificateRejected: the bytes are not one well-formed, complete, direct CRL
                (``Bad_CertificateInvalid``, ``file_invalid``).
        """
        return _from_der(bytes(der))

    @cached_property
    def thumbprint(self) -> str:
        """The SHA-256 digest in lower-case hex."""
        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def issuer_name(self) -> Name:
        """The issuer in the form in which names are compared (RFC 5280 §7.1)."""
        return canonical(self.issuer_bytes)

    @cached_property
    def issuer(self) -> str:
        """The issuer as RFC 4514 text, for people."""
        return name_text(self._parsed, "issuer")

    @cached_property
    def serial_numbers(self) -> frozenset[int]:
        """The serial numbers of all revoked certificates; slow where there are many."""
        return frozenset(
            int.from_bytes(self.der[start : start + self.der[start - 1]], signed=True)
            for start in self._offsets
        )

    @cached_property
    def parsed(self) -> x509.CertificateRevocationList:
        """The list as ``cryptography`` has it, with date and reason of each entry."""
        return x509.load_der_x509_crl(self.der)

    @property
    def size(self) -> int:
        """How many certificates are revoked."""
        return len(self._offsets)

    def is_signed_by(self, issuer: Certificate) -> bool:
        """Tell whether the key of ``issuer`` made the signature; nothing else is looked at."""
        start, end = self._signed
        return is_signed_by(self._parsed, self.der[start:end], issuer)

    def revoked(self, serial_number: int) -> bool:
        """Tell whether the certificate of ``serial_number`` is on the list.

        Whatever reason stands there, it counts: removeFromCRL has no meaning in a complete list.
        """
        content = serial_number.to_bytes(serial_number.bit_length() // 8 + 1)
        tail = int.from_bytes(content[-8:])
        first, end = bisect_left(self._tails, tail), bisect_right(self._tails, tail)
        length = len(content)
        return any(
            self.der[start - 1 : start + length] == bytes((length,)) + content
            for start in self._offsets[first:end]
        )

    def is_fresh(self, now: datetime) -> bool:
        """Tell whether ``now`` lies between thisUpdate and nextUpdate."""
        return (
            self.this_update is not None
            and self.next_update is not None
            and self.this_update <= now <= self.next_update
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Crl) and self.der == other.der

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<Crl {self.issuer!r} number {self.number}>"


@lru_cache(maxsize=_CHECKED)
def is_crl_of(crl: Crl, issuer: Certificate) -> bool:
    """Tell whether ``issuer`` signed ``crl`` and was allowed to."""
    if crl.issuer_name != issuer.subject_name:
        return False
    if issuer.key_usage is not None and not issuer.key_usage.crl_sign:
        return False
    if crl.aki is not None and issuer.ski is not None and crl.aki != issuer.ski:
        return False
    return crl.is_signed_by(issuer)


def _from_der(der: bytes) -> Crl:
    if len(der) > MAX_CRL_BYTES:
        raise _refusal(f"a CRL of {len(der)} bytes exceeds {MAX_CRL_BYTES}")
    return _kept(der) if len(der) <= _PARSED_BYTES else _read(der)


@lru_cache(maxsize=_PARSED)
def _kept(der: bytes) -> Crl:
    return _read(der)


def _read(der: bytes) -> Crl:
    try:
        outline = _outline(der)
        return Crl(der, outline, x509.load_der_x509_crl(outline.without_entries))
    except DecodingError as error:
        raise _refusal(str(error)) from error
    except UNREADABLE as error:
        raise _refusal(f"not a CRL: {str(error)[:80]}") from error


def _refusal(message: str) -> CertificateRejected:
    """Blame the file that is no CRL, and no device: whoever gave it can only give another."""
    return CertificateRejected(message, reason=Reason.FILE_INVALID)


def _outline(der: bytes) -> _Outline:
    outer, end = asn1.expect(der, 0, len(der), asn1.SEQUENCE)
    if end != len(der):
        raise DecodingError(f"{len(der) - end} bytes after the CRL")
    tbs, tbs_end = asn1.expect(der, outer, end, asn1.SEQUENCE)
    at = tbs
    tag, _, after = asn1.read_header(der, at, tbs_end)
    if tag == asn1.INTEGER:
        at = after
    inner_at = at
    _, at = asn1.expect(der, at, tbs_end, asn1.SEQUENCE)
    inner = der[inner_at:at]
    issuer_at = at
    _, at = asn1.expect(der, at, tbs_end, asn1.SEQUENCE)
    issuer = der[issuer_at:at]
    _, algorithm_end = asn1.expect(der, tbs_end, end, asn1.SEQUENCE)
    if der[tbs_end:algorithm_end] != inner:
        raise DecodingError("the signature algorithms inside and outside differ")
    asn1.expect_signature(der, algorithm_end, end)
    first = last = list_at = at
    while at < tbs_end:
        tag, start, after = asn1.read_header(der, at, tbs_end)
        if tag not in _TIMES:
            if tag == asn1.SEQUENCE:
                list_at, first, last = at, start, after
            break
        first = last = list_at = at = after
    content = der[tbs:list_at] + der[last:tbs_end]
    stub = asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.SEQUENCE, content) + der[tbs_end:end])
    return _Outline(
        issuer=issuer, signed=(outer, tbs_end), entries=(first, last), without_entries=stub
    )
