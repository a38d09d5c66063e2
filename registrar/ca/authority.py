"""One CA: first it says what it will sign, and only then it signs.

    prepare(key, profile) ─▶ to-be-signed bytes ─▶ ledger, durable ─▶ sign ─▶ certificate

The CA's key stays untouched until the ledger has the bytes, and signs no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from registrar.ca.keys import PrivateKey, PublicKey, public_key_der
from registrar.ca.profiles import CertificateProfile, validity_of
from registrar.ca.tbs import Issuer, element, encoded_extension, encoded_subject, write_tbs
from registrar.core.certificate import Certificate
from registrar.errors import CertificateRejected, FileInvalid, IssuerUnavailable, Misuse

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
        self._signer = _signer_for(key)
        self._issuer = _issuer(certificate, self._key_identifier, self._signer)

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
        return _prepare(
            public_key, profile, issuer=self._issuer, serial=serial, begins=begins, ends=ends
        )

    def sign(self, prepared: Prepared) -> bytes:
        """Sign what the ledger holds and return the certificate, DER.

        Raises:
            IssuerUnavailable: the CA key cannot sign.
            Misuse: the bytes were not prepared by a CA with such a key and this name.
        """
        der = _signed(prepared.tbs, self._key, self._signer)
        try:
            signed = Certificate.from_der(der)
        except CertificateRejected as error:
            raise Misuse(f"what was prepared is no certificate: {error}") from error
        if signed.tbs_bytes != prepared.tbs:
            raise Misuse("the certificate does not carry the bytes of the ledger")
        if signed.issuer_bytes != self.certificate.subject_bytes:
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
        return builder.sign(self._key, self._signer.digest).public_bytes(Encoding.DER)


def prepare_root(
    key: PrivateKey, profile: CertificateProfile, *, serial: int, now: datetime
) -> Prepared:
    """Make everything of a self-signed root but the signature."""
    begins, ends = validity_of(profile, now=now, issuer_begins=None, issuer_ends=None)
    itself = Issuer(name=encoded_subject(profile), algorithm=_signer_for(key).algorithm)
    return _prepare(
        key.public_key(), profile, issuer=itself, serial=serial, begins=begins, ends=ends
    )


def sign_root(key: PrivateKey, prepared: Prepared, *, name: str) -> Authority:
    """Sign a root with its own key and return the CA."""
    certificate = Certificate.from_der(_signed(prepared.tbs, key, _signer_for(key)))
    return Authority(name=name, certificate=certificate, key=key)


def _prepare(
    public_key: PublicKey,
    profile: CertificateProfile,
    *,
    issuer: Issuer,
    serial: int,
    begins: datetime,
    ends: datetime,
) -> Prepared:
    if not 0 < serial <= MAX_SERIAL:
        raise Misuse(f"a serial number has 1 to {MAX_SERIAL.bit_length()} bits")
    tbs = write_tbs(public_key, profile, issuer=issuer, serial=serial, begins=begins, ends=ends)
    return Prepared(serial=serial, tbs=tbs, not_after=ends)


# --- keys and signatures


@dataclass(frozen=True, slots=True)
class _Signer:
    """How the CAs of one kind of key sign."""

    algorithm: bytes
    """AlgorithmIdentifier, DER (RFC 4055 §5, RFC 5758 §3.2)."""

    digest: hashes.SHA256 | hashes.SHA384


_SHA256_WITH_RSA: Final = bytes.fromhex("300d06092a864886f70d01010b0500")
_ECDSA_WITH_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
_ECDSA_WITH_SHA384: Final = bytes.fromhex("300a06082a8648ce3d040303")

_SIGNERS: Final[Mapping[str, _Signer]] = {
    "rsa": _Signer(_SHA256_WITH_RSA, hashes.SHA256()),
    "secp256r1": _Signer(_ECDSA_WITH_SHA256, hashes.SHA256()),
    "secp384r1": _Signer(_ECDSA_WITH_SHA384, hashes.SHA384()),
}
"""By what decides the signature algorithm: RSA, or the name of the curve."""


def _signer_for(key: PrivateKey) -> _Signer:
    kind = "rsa" if isinstance(key, rsa.RSAPrivateKey) else key.curve.name
    if kind not in _SIGNERS:
        raise FileInvalid(f"a CA with a key on {kind} is not supported")
    return _SIGNERS[kind]


def _signed(tbs: bytes, key: PrivateKey, signer: _Signer) -> bytes:
    """Put to-be-signed bytes, algorithm and signature together."""
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(tbs, padding.PKCS1v15(), signer.digest)
        else:
            signature = key.sign(tbs, ec.ECDSA(signer.digest))
    except ValueError as error:
        raise IssuerUnavailable("the CA key cannot sign") from error
    return element(0x30, tbs + signer.algorithm + element(0x03, b"\0" + signature))


def _issuer(certificate: Certificate, key_identifier: bytes, signer: _Signer) -> Issuer:
    parsed = certificate.parsed
    identifier = x509.AuthorityKeyIdentifier(
        key_identifier, [x509.DirectoryName(parsed.issuer)], parsed.serial_number
    )
    return Issuer(
        name=certificate.subject_bytes,
        algorithm=signer.algorithm,
        key_identifier=encoded_extension(identifier, is_critical=False),
    )


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
