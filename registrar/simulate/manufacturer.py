"""Makers of pretended Devices: their CAs with CRLs, and the certificates and keys these sign.

    root ─┬─▶ identity CA ─▶ IDevID, LDevID            (or the root signs them itself)
          └─▶ Ticket CA   ─▶ Ticket signer

Written with ``cryptography`` alone: neither ``ca`` nor ``core`` has a part in it, so that what
these decide is judged against certificates they did not make. Source: OPC 10000-21 §5, §6.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The value IEEE 802.1AR gives to identities that do not end (§5.1)."""
CA_LIFETIME = timedelta(days=30 * 365)
CRL_LIFETIME = timedelta(days=365)
BACKDATE = timedelta(days=90)
"""Certificates of a plant were made a while before it is installed."""


class Revocation(StrEnum):
    """Where a certificate says its revocation status can be asked for (§7.1)."""

    CRL = "cRLDistributionPoints"
    OCSP = "authorityInfoAccess"
    NOWHERE = "neither extension"


@dataclass(slots=True, kw_only=True, eq=False)
class CertificateAuthority:
    """A CA certificate with its key, and what it has revoked."""

    certificate: x509.Certificate
    key: PrivateKey
    issuers: tuple[bytes, ...]
    """DER certificates of its own issuers, nearest first; empty for a root."""
    revocation: Revocation
    now: datetime
    revoked: list[int] = field(default_factory=list)
    _serial: int = 0

    @property
    def der(self) -> bytes:
        """The CA certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The CA certificate and all its issuers: what follows a leaf."""
        return (self.der, *self.issuers)

    def subordinate(self, common_name: str, key: PrivateKey) -> CertificateAuthority:
        """Return a CA below this one."""
        certificate = self._issue(
            _name(common_name), key.public_key(), self.now + CA_LIFETIME, ca=True
        )
        return CertificateAuthority(
            certificate=certificate,
            key=key,
            issuers=self.chain,
            revocation=self.revocation,
            now=self.now,
        )

    def identity(
        self, subject: str, public_key: PublicKey, *, uris: Iterable[str] = (), serial: str = ""
    ) -> bytes:
        """Return a DeviceIdentity Certificate that never ends; ``uris`` go into its SAN (§5.3)."""
        name = _name(subject, serial)
        alternative = [x509.UniformResourceIdentifier(uri) for uri in uris]
        certificate = self._issue(name, public_key, FOREVER, alternative=alternative)
        return certificate.public_bytes(serialization.Encoding.DER)

    def application(
        self, application_uri: str, public_key: PublicKey, *, host: str = "localhost"
    ) -> bytes:
        """Return an Application Instance Certificate (OPC 10000-6 §6.2.2)."""
        alternative = [x509.UniformResourceIdentifier(application_uri), x509.DNSName(host)]
        certificate = self._issue(
            _name(application_uri),
            public_key,
            self.now + CRL_LIFETIME,
            alternative=alternative,
            usages=[x509.OID_SERVER_AUTH, x509.OID_CLIENT_AUTH],
        )
        return certificate.public_bytes(serialization.Encoding.DER)

    def signer(self, common_name: str, key: PrivateKey) -> TicketSigner:
        """Return a signer of Tickets certified by this CA (§6.1)."""
        certificate = self._issue(_name(common_name), key.public_key(), self.now + CA_LIFETIME)
        der = certificate.public_bytes(serialization.Encoding.DER)
        return TicketSigner(certificate=der, issuers=self.chain, key=key)

    def revoke(self, certificate: bytes) -> None:
        """Put ``certificate`` on the next CRL."""
        self.revoked.append(x509.load_der_x509_certificate(certificate).serial_number)

    def crl(self, number: int = 1) -> bytes:
        """Return the CRL as it is now, DER."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(self.now - timedelta(hours=1))
            .next_update(self.now + CRL_LIFETIME)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(_authority_key(self.key.public_key()), critical=False)
        )
        for serial in self.revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(
                entry.revocation_date(self.now - timedelta(hours=2)).build()
            )
        return builder.sign(self.key, _hash(self.key)).public_bytes(serialization.Encoding.DER)

    def _issue(
        self,
        subject: x509.Name,
        public_key: PublicKey,
        not_after: datetime,
        *,
        ca: bool = False,
        alternative: Sequence[x509.GeneralName] = (),
        usages: list[x509.ObjectIdentifier] | None = None,
    ) -> x509.Certificate:
        self._serial += 1
        serial = self._serial + (self.certificate.serial_number << 40)
        builder = (
            _certificate(subject, self.certificate.subject, public_key, serial)
            .not_valid_before(self.now - BACKDATE)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(_key_usage(public_key, ca=ca), critical=True)
            .add_extension(_authority_key(self.key.public_key()), critical=False)
        )
        if alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative), False)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        builder = _with_revocation(builder, self.revocation)
        return builder.sign(self.key, _hash(self.key))


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketSigner:
    """A key that signs Tickets, with its certificate and all its issuers."""

    certificate: bytes
    issuers: tuple[bytes, ...]
    key: PrivateKey


def root_authority(
    common_name: str, key: PrivateKey, *, serial: int, revocation: Revocation, now: datetime
) -> CertificateAuthority:
    """Return a self-signed CA; ``serial`` also begins the serials of what it issues."""
    name = _name(common_name)
    builder = (
        _certificate(name, name, key.public_key(), serial)
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(key.public_key(), ca=True), critical=True)
    )
    certificate = _with_revocation(builder, revocation).sign(key, _hash(key))
    return CertificateAuthority(
        certificate=certificate, key=key, issuers=(), revocation=revocation, now=now
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, serial: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _with_revocation(
    builder: x509.CertificateBuilder, revocation: Revocation
) -> x509.CertificateBuilder:
    location = x509.UniformResourceIdentifier("http://pki.example.com/status")
    if revocation is Revocation.CRL:
        point = x509.DistributionPoint([location], None, None, None)
        return builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    if revocation is Revocation.OCSP:
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)
        return builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return builder


def _name(common_name: str, serial: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])]
    if serial:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial))
    return x509.Name(attributes)


def _authority_key(public_key: PublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)


def _key_usage(public_key: PublicKey, *, ca: bool) -> x509.KeyUsage:
    enciphers = isinstance(public_key, rsa.RSAPublicKey) and not ca
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=enciphers,
        key_encipherment=enciphers,
        data_encipherment=enciphers,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    wide = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256
    return hashes.SHA384() if wide else hashes.SHA256()
