"""Certificate revocation lists: complete, direct ones, as OPC UA TrustLists hold them.

Delta, indirect and partial lists are refused when read, because a TrustList that holds one
would seem to answer what it cannot. Source: RFC 5280 §5; OPC 10000-12 §7.8.2.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cached_property, lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import SignatureAlgorithmOID

from registrar.core import der as asn1
from registrar.core.certificate import Certificate
from registrar.core.signatures import signed_with
from registrar.errors import CertificateRejected, DecodingError

MAX_CRL_BYTES = 4 * 1024 * 1024
"""Room for some 100,000 revoked certificates."""

_PARSED = 64
_CHECKED = 256


class Crl:
    """One well-formed CRL, compared by its bytes. Make one with ``from_der``."""

    def __init__(self, der: bytes, parsed: x509.CertificateRevocationList, issuer: bytes) -> None:
        self.der = der
        self.issuer_bytes = issuer
        """The issuer's name as signed."""
        self._parsed = parsed
        self._hash = hash(der)
        self.this_update: datetime | None = parsed.last_update_utc
        """Aware, UTC."""
        self.next_update: datetime | None = parsed.next_update_utc
        """Aware, UTC; a list without it is never fresh (OPC 10000-6 §6.2)."""
        self.number: int | None = None
        """CRLNumber; grows with every list of one issuer."""
        for extension in parsed.extensions:
            if extension.critical:
                name = extension.oid.dotted_string
                raise DecodingError(f"critical CRL extension {name} is not understood")
            if isinstance(extension.value, x509.CRLNumber):
                self.number = extension.value.crl_number

    @staticmethod
    def from_der(der: bytes) -> Crl:
        """Read one CRL.

        Raises:
            CertificateRejected: the bytes are not one well-formed, complete, direct CRL
                (``Bad_CertificateInvalid``).
        """
        return _from_der(bytes(der))

    @cached_property
    def thumbprint(self) -> str:
        """The SHA-256 digest in lower-case hex."""
        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def issuer(self) -> str:
        """The issuer as RFC 4514 text, for people."""
        try:
            return self._parsed.issuer.rfc4514_string()
        except (ValueError, TypeError):
            return "(a name that cannot be read)"

    @cached_property
    def serial_numbers(self) -> frozenset[int]:
        """The serial numbers of all revoked certificates."""
        return frozenset(entry.serial_number for entry in self._parsed)

    @property
    def parsed(self) -> x509.CertificateRevocationList:
        """The list as ``cryptography`` has it, for its signature."""
        return self._parsed

    def revoked(self, serial_number: int) -> bool:
        """Tell whether the certificate of ``serial_number`` is on the list."""
        return serial_number in self.serial_numbers

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
    if crl.issuer_bytes != issuer.subject_bytes:
        return False
    if issuer.key_usage is not None and not issuer.key_usage.crl_sign:
        return False
    parsed = crl.parsed
    try:
        parameters = parsed.signature_algorithm_parameters
        digest = parsed.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm, TypeError):
        return False
    is_pss = parsed.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
    if is_pss != isinstance(parameters, padding.PSS):
        return False
    try:
        key = issuer.public_key
    except CertificateRejected:
        return False
    return signed_with(key, parsed.signature, parsed.tbs_certlist_bytes, digest, parameters)


@lru_cache(maxsize=_PARSED)
def _from_der(der: bytes) -> Crl:
    if len(der) > MAX_CRL_BYTES:
        raise CertificateRejected(f"a CRL of {len(der)} bytes exceeds {MAX_CRL_BYTES}")
    try:
        issuer = _issuer_bytes(der)
        crl = Crl(der, x509.load_der_x509_crl(der), issuer)
        _ = crl.serial_numbers
    except DecodingError as error:
        raise CertificateRejected(str(error)) from error
    except (
        ValueError,
        TypeError,
        OverflowError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise CertificateRejected(f"not a CRL: {str(error)[:80]}") from error
    return crl


def _issuer_bytes(der: bytes) -> bytes:
    outer, end = asn1.expect(der, 0, len(der), asn1.SEQUENCE)
    if end != len(der):
        raise DecodingError(f"{len(der) - end} bytes after the CRL")
    at, tbs_end = asn1.expect(der, outer, end, asn1.SEQUENCE)
    tag, _, after = asn1.read_header(der, at, tbs_end)
    if tag == asn1.INTEGER:
        at = after
    inner_at = at
    _, at = asn1.expect(der, at, tbs_end, asn1.SEQUENCE)
    inner = der[inner_at:at]
    issuer_at = at
    _, at = asn1.expect(der, at, tbs_end, asn1.SEQUENCE)
    _, algorithm_end = asn1.expect(der, tbs_end, end, asn1.SEQUENCE)
    if der[tbs_end:algorithm_end] != inner:
        raise DecodingError("the signature algorithms inside and outside differ")
    return der[issuer_at:at]
