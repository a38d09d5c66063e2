"""X.509 certificates as values: what the rules of onboarding ask of them, and no more.

A ``Certificate`` is well-formed; that it is genuine only ``path.validate_path`` can say.
Source: OPC 10000-6 §6.2; RFC 5280 §4.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtensionOID

from registrar.core import der as asn1
from registrar.core.names import Name, canonical, usual_text
from registrar.errors import CertificateRejected, DecodingError
from registrar.native import compiled

MAX_CERTIFICATE_BYTES = 16 * 1024
"""Ten times a usual certificate; a post-quantum one would still fit."""

MAX_CHAIN_LENGTH = 10
"""Certificates in one chain, root included."""

MAX_NAMES = 64
"""Entries of one subjectAltName or extendedKeyUsage, and subtrees of one nameConstraints."""

MAX_NAME_BYTES = 1024
"""A usual subject or issuer has some 100; names are kept, by their parts."""

_PARSED = 512
"""Certificates kept parsed. A plant's CAs are few and stand in every Ticket and chain."""

_READ_LATER = frozenset(
    {
        *("dns_names", "ip_addresses", "is_ca", "path_length", "key_usage"),
        *("extended_key_usage", "name_constraints", "ski", "critical"),
    }
)
"""Fields of a ``Certificate`` that a ``PlainLeaf`` lacks."""

_RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
"""The object identifier rsaEncryption, DER."""

UNDERSTOOD_EXTENSIONS = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.NAME_CONSTRAINTS,
    }
)
"""What may be marked critical; another critical extension refuses the certificate."""


UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for bytes that are no certificate or CRL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The signed fields of a certificate by their bytes; what stands in them is not looked at."""

    issuer: bytes
    subject: bytes
    public_key: bytes
    tbs: bytes


class PlainLeaf(NamedTuple):
    """What a usual Device certificate holds: for an RSA key of bearable size, not of a CA.

    It is signed with RSA or ECDSA, its usages allow signing and channels, and its issuer has
    another name, as names are compared.
    """

    issuer: bytes
    subject: bytes
    public_key: bytes
    tbs: bytes
    not_before: datetime
    not_after: datetime
    san_uris: tuple[str, ...]
    aki: bytes | None
    has_revocation_pointer: bool
    key_bits: int
    serial_number: int
    algorithm: str
    """Of its signature, by a value of ``signatures.Algorithm``; any curve may go with ES*."""

    signature: bytes
    """As X.509 has it."""


@compiled
def read_plain_leaf(der: bytes) -> PlainLeaf | tuple[object, ...] | None:
    """Return the fields of a ``PlainLeaf``; None for any other certificate, well-formed or not.

    Only the compiled twin recognises any.
    """
    return None


class Certificate:
    """One well-formed X.509 v3 certificate, compared by its bytes.

    Fields that cost time are read when first asked for. Make one with ``from_der``.
    """

    issuer_bytes: bytes
    subject_bytes: bytes
    """The subject name as signed; ``subject_name`` is compared."""
    public_key_der: bytes
    """The SubjectPublicKeyInfo as signed."""
    tbs_bytes: bytes
    not_before: datetime
    """Aware, UTC."""
    not_after: datetime
    """Aware, UTC; 9999-12-31T23:59:59Z stands for "never" (IEEE 802.1AR)."""
    san_uris: tuple[str, ...]
    """Every URI of subjectAltName, in order (OPC 10000-21 §5.3)."""
    aki: bytes | None
    has_revocation_pointer: bool
    """Tells whether cRLDistributionPoints or authorityInfoAccess is there."""

    def __init__(self, der: bytes, slices: Outline | PlainLeaf) -> None:
        self.der = der
        """The exact bytes."""
        self._hash = hash(der)
        self.plain: PlainLeaf | None = None
        """What was recognised without reading all of it."""
        if isinstance(slices, PlainLeaf):
            self.plain = slices
            (
                self.issuer_bytes,
                self.subject_bytes,
                self.public_key_der,
                self.tbs_bytes,
                self.not_before,
                self.not_after,
                self.san_uris,
                self.aki,
                self.has_revocation_pointer,
                *_,
            ) = slices
        else:
            self.issuer_bytes, self.subject_bytes = slices.issuer, slices.subject
            self.public_key_der, self.tbs_bytes = slices.public_key, slices.tbs
            self._read()

    @staticmethod
    def from_der(der: bytes) -> Certificate:
        """Read one certificate.

        Raises:
            CertificateRejected: the bytes are not one well-formed X.509 v3 certificate whose
                critical extensions are all understood (``Bad_CertificateInvalid``).
        """
        return _from_der(bytes(der))

    def _read(self) -> None:
        """Read all that the library reads."""
        # Thrown away, because it keeps an object for each part of each extension.
        parsed = x509.load_der_x509_certificate(self.der)
        if parsed.version is not x509.Version.v3:
            raise DecodingError("not an X.509 v3 certificate")
        self.not_before = parsed.not_valid_before_utc
        self.not_after = parsed.not_valid_after_utc
        extensions = parsed.extensions
        self.san_uris = ()
        self.dns_names: tuple[str, ...] = ()
        self.ip_addresses: tuple[IPv4Address | IPv6Address, ...] = ()
        self.is_ca = False
        self.path_length: int | None = None
        self.key_usage: x509.KeyUsage | None = None
        self.extended_key_usage: frozenset[str] | None = None
        """Dotted object identifiers; ``None`` where the extension is absent."""
        self.name_constraints: x509.NameConstraints | None = None
        self.ski: bytes | None = None
        self.aki = None
        self.has_revocation_pointer = False
        self.critical: frozenset[str] = frozenset(
            extension.oid.dotted_string for extension in extensions if extension.critical
        )
        """Dotted object identifiers of the critical extensions."""
        for extension in extensions:
            if extension.critical and extension.oid not in UNDERSTOOD_EXTENSIONS:
                raise DecodingError(
                    f"critical extension {extension.oid.dotted_string} is not understood"
                )
            self._read_extension(extension.value)

    def _read_extension(self, value: x509.ExtensionType) -> None:
        if isinstance(value, x509.SubjectAlternativeName):
            if len(list(value)) > MAX_NAMES:
                raise DecodingError(f"more than {MAX_NAMES} entries in subjectAltName")
            self.san_uris = tuple(value.get_values_for_type(x509.UniformResourceIdentifier))
            self.dns_names = tuple(value.get_values_for_type(x509.DNSName))
            self.ip_addresses = tuple(
                address
                for address in value.get_values_for_type(x509.IPAddress)
                if isinstance(address, IPv4Address | IPv6Address)
            )
        elif isinstance(value, x509.BasicConstraints):
            self.is_ca, self.path_length = value.ca, value.path_length
        elif isinstance(value, x509.KeyUsage):
            self.key_usage = value
        elif isinstance(value, x509.ExtendedKeyUsage):
            if len(value) > MAX_NAMES:
                raise DecodingError(f"more than {MAX_NAMES} usages in extendedKeyUsage")
            self.extended_key_usage = frozenset(usage.dotted_string for usage in value)
        elif isinstance(value, x509.SubjectKeyIdentifier):
            self.ski = value.digest
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            self.aki = value.key_identifier
        elif isinstance(value, x509.CRLDistributionPoints | x509.AuthorityInformationAccess):
            self.has_revocation_pointer = True
        elif isinstance(value, x509.NameConstraints):
            subtrees = (*(value.permitted_subtrees or ()), *(value.excluded_subtrees or ()))
            if len(subtrees) > MAX_NAMES:
                raise DecodingError(f"more than {MAX_NAMES} subtrees in nameConstraints")
            self.name_constraints = value

    @cached_property
    def sha1(self) -> bytes:
        """The SHA-1 digest, which OPC UA calls the thumbprint on the wire."""
        return hashlib.sha1(self.der, usedforsecurity=False).digest()

    @cached_property
    def thumbprint(self) -> str:
        """The SHA-256 digest in lower-case hex."""
        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def subject(self) -> str:
        """The subject as RFC 4514 text, for people."""
        usual = usual_text(self.subject_bytes)
        return name_text(self.parsed, "subject") if usual is None else usual

    @cached_property
    def issuer(self) -> str:
        """The issuer as RFC 4514 text, for people."""
        usual = usual_text(self.issuer_bytes)
        return name_text(self.parsed, "issuer") if usual is None else usual

    @property
    def serial_number(self) -> int:
        """Positive, at most 20 octets."""
        return self.parsed.serial_number if self.plain is None else self.plain.serial_number

    @cached_property
    def public_key(self) -> CertificatePublicKeyTypes:
        """The decoded public key.

        Raises:
            CertificateRejected: its algorithm, curve or encoding is not supported.
        """
        try:
            return self.parsed.public_key()
        except (ValueError, UnsupportedAlgorithm, TypeError) as error:
            raise CertificateRejected(f"public key: {error}", subject=self.subject) from error

    @property
    def subject_name(self) -> Name:
        """The subject in the form in which names are compared (RFC 5280 §7.1)."""
        return canonical(self.subject_bytes)

    @property
    def issuer_name(self) -> Name:
        """The issuer in the form in which names are compared."""
        return canonical(self.issuer_bytes)

    @cached_property
    def key_digest(self) -> str:
        """The SHA-256 digest of ``public_key_der`` in lower-case hex."""
        return hashlib.sha256(self.public_key_der).hexdigest()

    @property
    def has_rsa_key(self) -> bool:
        """Tells whether the public key says it is an RSA key; it is not decoded."""
        return _RSA_ENCRYPTION in self.public_key_der[:32]

    @cached_property
    def parsed(self) -> x509.Certificate:
        """The certificate as ``cryptography`` has it, for its signature algorithm."""
        return x509.load_der_x509_certificate(self.der)

    @property
    def is_self_issued(self) -> bool:
        """Tells whether subject and issuer are the same name; the key is not looked at."""
        return self.plain is None and (
            self.subject_bytes == self.issuer_bytes or self.subject_name == self.issuer_name
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<Certificate {self.subject!r} {self.thumbprint[:16]}>"


class _ReadLater:
    """A field that a ``PlainLeaf`` lacks, read with the rest when it is first asked for.

    A ``__getattr__`` would make every other field cost several times as much.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, certificate: Certificate, owner: type[Certificate]) -> object:
        certificate._read()
        return vars(certificate)[self._name]


for _name in _READ_LATER:
    setattr(Certificate, _name, _ReadLater(_name))


def split_chain(blob: bytes) -> tuple[bytes, ...]:
    """Split concatenated DER certificates, leaf first (OPC 10000-6 §6.2.6).

    Args:
        blob: one or more certificates, nothing between or after them.

    Returns:
        The bytes of each; a single certificate gives a tuple of one.

    Raises:
        CertificateRejected: the blob is empty, longer than ``MAX_CHAIN_LENGTH`` certificates, or
            not made of whole DER sequences.
    """
    if len(blob) > MAX_CHAIN_LENGTH * MAX_CERTIFICATE_BYTES:
        raise CertificateRejected(f"a chain of {len(blob)} bytes")
    parts: list[bytes] = []
    at = 0
    while at < len(blob):
        if len(parts) == MAX_CHAIN_LENGTH:
            raise CertificateRejected(f"a chain of more than {MAX_CHAIN_LENGTH} certificates")
        try:
            _, end = asn1.expect(blob, at, len(blob), asn1.SEQUENCE)
        except DecodingError as error:
            raise CertificateRejected(f"chain: {error}") from error
        parts.append(bytes(blob[at:end]))
        at = end
    if not parts:
        raise CertificateRejected("an empty certificate")
    return tuple(parts)


def decode_chain(blob: bytes) -> tuple[Certificate, ...]:
    """Read concatenated DER certificates, leaf first.

    Raises:
        CertificateRejected: as ``split_chain``, or one of them is malformed.
    """
    return tuple(Certificate.from_der(der) for der in split_chain(blob))


@lru_cache(maxsize=_PARSED)
def _from_der(der: bytes) -> Certificate:
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise CertificateRejected(
            f"a certificate of {len(der)} bytes exceeds {MAX_CERTIFICATE_BYTES}"
        )
    plain = read_plain_leaf(der)
    if plain is not None:
        return Certificate(der, PlainLeaf._make(plain))
    try:
        return Certificate(der, outline(der))
    except DecodingError as error:
        raise CertificateRejected(str(error)) from error
    except UNREADABLE as error:
        raise CertificateRejected(f"not a certificate: {str(error)[:80]}") from error


def outline(der: bytes) -> Outline:
    """Cut out the signed fields and check what must hold before the library reads them.

    Ten times as fast as reading the certificate, for bytes that we made ourselves.

    Raises:
        DecodingError: the bytes have not the shape of a certificate.
    """
    outer, end = asn1.expect(der, 0, len(der), asn1.SEQUENCE)
    if end != len(der):
        raise DecodingError(f"{len(der) - end} bytes after the certificate")
    tbs, tbs_end = asn1.expect(der, outer, end, asn1.SEQUENCE)
    at = tbs
    tag, _, after = asn1.read_header(der, at, tbs_end)
    if tag == asn1.CONTEXT_0:
        at = after
    start, at = asn1.expect(der, at, tbs_end, asn1.INTEGER)
    serial = der[start:at]
    if not 0 < len(serial) <= 21 or serial[0] >= 0x80 or not any(serial):
        raise DecodingError("the serial number is not a positive number of at most 20 octets")
    inner_at = at
    _, at = asn1.expect(der, at, tbs_end, asn1.SEQUENCE)
    inner = der[inner_at:at]
    issuer_at = at
    _, at = asn1.expect(der, at, tbs_end, asn1.SEQUENCE)
    issuer = der[issuer_at:at]
    _, at = asn1.expect(der, at, tbs_end, asn1.SEQUENCE)
    subject_at = at
    _, at = asn1.expect(der, at, tbs_end, asn1.SEQUENCE)
    subject = der[subject_at:at]
    key_at = at
    _, at = asn1.expect(der, at, tbs_end, asn1.SEQUENCE)
    _, algorithm_end = asn1.expect(der, tbs_end, end, asn1.SEQUENCE)
    if der[tbs_end:algorithm_end] != inner:
        raise DecodingError("the signature algorithms inside and outside differ")
    asn1.expect_signature(der, algorithm_end, end)
    for name in (issuer, subject):
        if len(name) > MAX_NAME_BYTES:
            raise DecodingError(f"a name of {len(name)} bytes exceeds {MAX_NAME_BYTES}")
    return Outline(
        issuer=issuer, subject=subject, public_key=der[key_at:at], tbs=der[outer:tbs_end]
    )


def name_text(parsed: x509.Certificate | x509.CertificateRevocationList, which: str) -> str:
    """Return the name ``subject`` or ``issuer`` as RFC 4514 text, for people."""
    try:
        with warnings.catch_warnings():
            # An attribute that is too long or empty would be reported on our stderr.
            warnings.simplefilter("ignore")
            name: x509.Name = getattr(parsed, which)
            return name.rfc4514_string()
    except (ValueError, TypeError):
        return "(a name that cannot be read)"
