"""One CA: first it says what it will sign, and only then it signs.

    prepare(key, profile) ─▶ to-be-signed bytes ─▶ ledger, durable ─▶ sign ─▶ certificate

The bytes come from signing once with a throw-away key of the CA's kind: the library that knows
the encoding makes them, and the CA's key stays untouched until the ledger has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from registrar.ca.keys import RSA_EXPONENT, PrivateKey, PublicKey, public_key_der
from registrar.ca.profiles import CertificateProfile, extensions_of, subject_of, validity_of
from registrar.core.certificate import Certificate, outline
from registrar.errors import DecodingError, FileInvalid, IssuerUnavailable, Misuse

MAX_SERIAL: Final = 2**159 - 1
"""20 octets with a positive sign (RFC 5280 §4.1.2.2)."""

MAX_REVOKED: Final = 1_000_000
"""Entries of one CRL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A certificate that only lacks its signature; goes into the ledger as it is."""

    serial: int
    tbs: bytes
    """TBSCertificate, DER."""

    not_after: datetime


class RevokedCertificate(Protocol):
    """What a CRL says of one certificate."""

    @property
    def serial(self) -> int: ...

    @property
    def revoked_at(self) -> datetime: ...

    @property
    def reason(self) -> str:
        """A CRLReason by its name in RFC 5280 §5.3.1."""
        ...


class Authority:
    """A CA with its key, loaded once.

    Args:
        name: what the ledger calls it.
        certificate: its own.
        key: fits the certificate.
        issuers: the CAs above it, nearest first, the root last.
    """

    def __init__(
        self,
        *,
        name: str,
        certificate: Certificate,
        key: PrivateKey,
        issuers: Sequence[Certificate] = (),
    ) -> None:
        if public_key_der(key.public_key()) != certificate.public_key_der:
            raise FileInvalid(f"the key of {name} does not fit its certificate", subject=name)
        if not certificate.is_ca:
            raise FileInvalid(f"the certificate of {name} is not that of a CA", subject=name)
        self.name = name
        self.certificate = certificate
        self.issuers = tuple(issuers)
        self._key = key
        self._subject = certificate.parsed.subject
        self._key_identifier = _key_identifier(certificate, key)
        self._hash = _hash_for(key)

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """The CA itself, then the CAs above it."""
        return (self.certificate, *self.issuers)

    def prepare(
        self, public_key: PublicKey, profile: CertificateProfile, *, serial: int, now: datetime
    ) -> Prepared:
        """Make everything of a certificate but the signature, without touching the CA's key.

        Args:
            public_key: of the subject; checked by ``check_signing_request``.
            profile: all it says.
            serial: 128 random bits, never used before; the ledger makes sure.
            now: the present, timezone-aware.

        Raises:
            IssuerUnavailable: this CA has expired or is not valid yet.
            Misuse: the serial is no serial.
        """
        begins, ends = validity_of(
            profile,
            now=now,
            issuer_begins=self.certificate.not_before,
            issuer_ends=self.certificate.not_after,
        )
        parsed = self.certificate.parsed
        identifier = x509.AuthorityKeyIdentifier(
            self._key_identifier, [x509.DirectoryName(parsed.issuer)], parsed.serial_number
        )
        return _prepare(
            public_key,
            profile,
            serial=serial,
            begins=begins,
            ends=ends,
            issuer=self._subject,
            authority_key_identifier=identifier,
            signed_like=self._key,
        )

    def sign(self, prepared: Prepared) -> bytes:
        """Sign what the ledger holds and return the certificate, DER.

        Raises:
            IssuerUnavailable: the CA key cannot sign.
            Misuse: the bytes were not prepared by a CA with such a key and this name.
        """
        der = _signed(prepared.tbs, self._key)
        try:
            signed = outline(der)
        except DecodingError as error:
            raise Misuse(f"what was prepared is no certificate: {error}") from error
        if signed.tbs != prepared.tbs:
            raise Misuse("the certificate does not carry the bytes of the ledger")
        if signed.issuer != self.certificate.subject_bytes:
            raise Misuse(f"{self.name} is not the issuer of what it was asked to sign")
        return der

    def make_crl(
        self,
        revoked: Iterable[RevokedCertificate],
        *,
        number: int,
        now: datetime,
        lifetime: timedelta,
        backdate: timedelta = timedelta(0),
    ) -> bytes:
        """Return the CRL of this CA, version 2, with CRLNumber and nextUpdate, DER.

        Args:
            revoked: every revoked certificate of this CA, as long as it has to stand there.
            number: above that of every list before.
            now: the present, timezone-aware.
            lifetime: from ``now`` to nextUpdate; cut at the end of the CA.
            backdate: from thisUpdate to ``now``, for Devices that run behind.

        Raises:
            IssuerUnavailable: the CA has expired, or there are more than ``MAX_REVOKED`` entries.
            Misuse: the number is not positive.
        """
        if number < 1:
            raise Misuse(f"CRLNumber {number} is not positive")
        ends = min(now + lifetime, self.certificate.not_after)
        if ends <= now:
            raise IssuerUnavailable(f"{self.name} has expired and can publish no CRL")
        begins = max(now - backdate, self.certificate.not_before)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._subject)
            .last_update(begins.replace(microsecond=0))
            .next_update(ends.replace(microsecond=0))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier(self._key_identifier, None, None), critical=False
            )
        )
        for count, entry in enumerate(revoked, 1):
            if count > MAX_REVOKED:
                raise IssuerUnavailable(f"a CRL of more than {MAX_REVOKED} entries")
            builder = builder.add_revoked_certificate(_crl_entry(entry))
        return builder.sign(self._key, self._hash).public_bytes(Encoding.DER)


def prepare_root(
    key: PrivateKey, profile: CertificateProfile, *, serial: int, now: datetime
) -> Prepared:
    """Make everything of a self-signed root but the signature."""
    begins, ends = validity_of(profile, now=now, issuer_begins=None, issuer_ends=None)
    return _prepare(
        key.public_key(),
        profile,
        serial=serial,
        begins=begins,
        ends=ends,
        issuer=subject_of(profile),
        authority_key_identifier=None,
        signed_like=key,
    )


def sign_root(key: PrivateKey, prepared: Prepared, *, name: str) -> Authority:
    """Sign a root with its own key and return the CA."""
    certificate = Certificate.from_der(_signed(prepared.tbs, key))
    return Authority(name=name, certificate=certificate, key=key)


def _prepare(
    public_key: PublicKey,
    profile: CertificateProfile,
    *,
    serial: int,
    begins: datetime,
    ends: datetime,
    issuer: x509.Name,
    authority_key_identifier: x509.AuthorityKeyIdentifier | None,
    signed_like: PrivateKey,
) -> Prepared:
    if not 0 < serial <= MAX_SERIAL:
        raise Misuse(f"a serial number has 1 to {MAX_SERIAL.bit_length()} bits")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_of(profile))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    for extension, is_critical in extensions_of(profile, public_key):
        builder = builder.add_extension(extension, critical=is_critical)
    subject_identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    builder = builder.add_extension(subject_identifier, critical=False)
    if authority_key_identifier is not None:
        builder = builder.add_extension(authority_key_identifier, critical=False)
    unsigned = builder.sign(_throw_away(_kind_of(signed_like)), _hash_for(signed_like))
    return Prepared(serial=serial, tbs=unsigned.tbs_certificate_bytes, not_after=ends)


# --- keys and signatures

_SHA256_WITH_RSA: Final = bytes.fromhex("300d06092a864886f70d01010b0500")
_ECDSA_WITH_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
_ECDSA_WITH_SHA384: Final = bytes.fromhex("300a06082a8648ce3d040303")
"""AlgorithmIdentifiers, DER (RFC 4055 §5, RFC 5758 §3.2)."""


def _kind_of(key: PrivateKey) -> str:
    """Return what decides the signature algorithm: RSA, or the name of the curve."""
    return "rsa" if isinstance(key, rsa.RSAPrivateKey) else key.curve.name


@cache
def _throw_away(kind: str) -> PrivateKey:
    """Make the key whose signatures are thrown away; so short that it costs next to nothing."""
    if kind == "rsa":
        return rsa.generate_private_key(RSA_EXPONENT, 1_024)  # noqa: S505
    return ec.generate_private_key(ec.SECP384R1() if kind == "secp384r1" else ec.SECP256R1())


def _hash_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    if _kind_of(key) not in ("rsa", "secp256r1", "secp384r1"):
        raise FileInvalid(f"a CA with a key on {_kind_of(key)} is not supported")
    return hashes.SHA384() if _kind_of(key) == "secp384r1" else hashes.SHA256()


def _signed(tbs: bytes, key: PrivateKey) -> bytes:
    """Put to-be-signed bytes, algorithm and signature together."""
    algorithm_hash = _hash_for(key)
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            algorithm = _SHA256_WITH_RSA
            signature = key.sign(tbs, padding.PKCS1v15(), algorithm_hash)
        else:
            is_384 = isinstance(algorithm_hash, hashes.SHA384)
            algorithm = _ECDSA_WITH_SHA384 if is_384 else _ECDSA_WITH_SHA256
            signature = key.sign(tbs, ec.ECDSA(algorithm_hash))
    except ValueError as error:
        raise IssuerUnavailable("the CA key cannot sign") from error
    return _tlv(0x30, tbs + algorithm + _tlv(0x03, b"\0" + signature))


def _tlv(tag: int, value: bytes) -> bytes:
    """Return the DER element of ``tag`` around ``value``."""
    length = len(value)
    if length < 0x80:
        return bytes((tag, length)) + value
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + value


def _key_identifier(certificate: Certificate, key: PrivateKey) -> bytes:
    if certificate.ski is not None:
        return certificate.ski
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest


def _crl_entry(entry: RevokedCertificate) -> x509.RevokedCertificate:
    try:
        flag = x509.ReasonFlags(entry.reason)
    except ValueError as error:
        raise Misuse(f"{entry.reason!r} is no CRLReason") from error
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(entry.serial)
        .revocation_date(entry.revoked_at.replace(microsecond=0))
    )
    if flag is not x509.ReasonFlags.unspecified:
        builder = builder.add_extension(x509.CRLReason(flag), critical=False)
    return builder.build()
