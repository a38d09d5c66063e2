"""Certificates, CRLs and Tickets for tests, made with ``cryptography`` alone.

root ─┬─▶ issuing ─▶ leaf          keys are on P-256 unless a test asks for RSA
      └─▶ …
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from registrar.core.certificate import Certificate
from registrar.core.crl import Crl
from registrar.core.signatures import Algorithm
from registrar.core.trust import TicketAuthorities, TrustList
from registrar.core.valid_ticket import Route, SignatureOutcome, ValidTicket
from registrar.core.verify import TicketVerifier

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
DEVICE_URI = "urn:example.com:model-x:snr-1"
COMPOSITE_URI = "urn:builder.com:cell-1"

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_serials = count(1000)


@cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """Return the RSA key of this size and number; made once, because making one is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def usage(*names: str) -> x509.KeyUsage:
    """Return a KeyUsage with exactly the named bits."""
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in names for name in every})


def name(text: str, kind: x509.ObjectIdentifier = NameOID.COMMON_NAME) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, text)])


@dataclass(kw_only=True)
class Issued:
    """A certificate with its key and the chain above it."""

    certificate: Certificate
    key: PrivateKey
    above: tuple[Certificate, ...] = ()
    revoked: list[int] = field(default_factory=list)

    @property
    def chain(self) -> tuple[Certificate, ...]:
        return (self.certificate, *self.above)

    @property
    def der(self) -> bytes:
        return self.certificate.der

    def issue(self, text: str, **options: Any) -> Issued:
        """Issue a certificate below this one; see ``make``."""
        return make(text, issuer=self, **options)

    def crl(
        self,
        *revoked: Certificate,
        number: int | None = 1,
        this_update: datetime = NOW - timedelta(days=1),
        next_update: datetime | None = NOW + timedelta(days=30),
        key: PrivateKey | None = None,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
        reason: x509.ReasonFlags = x509.ReasonFlags.unspecified,
    ) -> Crl:
        """Return a CRL of this CA; ``key`` signs in the place of its own."""
        subject = self.certificate.parsed.subject
        builder = x509.CertificateRevocationListBuilder().issuer_name(subject)
        builder = builder.last_update(this_update).next_update(next_update or this_update)
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
            if reason is not x509.ReasonFlags.unspecified:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.revocation_date(this_update).build())
        signing = key or self.key
        made = builder.sign(signing, digest_of(signing))
        return Crl.from_der(made.public_bytes(serialization.Encoding.DER))


def digest_of(key: PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def make(
    subject: str | x509.Name,
    *,
    issuer: Issued | None = None,
    key: PrivateKey | None = None,
    uris: Sequence[str] = (),
    names: Sequence[x509.GeneralName] = (),
    is_ca: bool = False,
    path_length: int | None = None,
    key_usage: x509.KeyUsage | None = None,
    extended: Sequence[x509.ObjectIdentifier] = (),
    extended_critical: bool = False,
    usage_critical: bool = True,
    pointer: bool = False,
    not_before: datetime = NOW - YEAR,
    not_after: datetime = NOW + YEAR,
    digest: hashes.SHA256 | hashes.SHA384 | None = None,
    rsa_padding: padding.PSS | None = None,
    signing_key: PrivateKey | None = None,
    ski: bool = True,
    aki: bool = True,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """Issue a certificate; without ``issuer`` a self-signed one."""
    own = key or ec_key()
    signing = signing_key or (issuer.key if issuer else own)
    subject_name = name(subject) if isinstance(subject, str) else subject
    issuer_name = issuer.certificate.parsed.subject if issuer else subject_name
    constraints = x509.BasicConstraints(ca=is_ca, path_length=path_length)
    default = usage("key_cert_sign", "crl_sign") if is_ca else usage("digital_signature")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name)
        .issuer_name(issuer_name)
        .public_key(own.public_key())
        .serial_number(next(_serials))
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(constraints, critical=True)
        .add_extension(key_usage or default, critical=usage_critical)
    )
    if ski:
        identifier = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if aki and issuer:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(authority, critical=False)
    general = [*map(x509.UniformResourceIdentifier, uris), *names]
    if general:
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=extended_critical)
    if pointer:
        where = x509.UniformResourceIdentifier("http://pki.example.com/ca.crl")
        point = x509.DistributionPoint([where], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    made = builder.sign(signing, digest or digest_of(signing), rsa_padding=rsa_padding)
    return Issued(
        certificate=Certificate.from_der(made.public_bytes(serialization.Encoding.DER)),
        key=own,
        above=issuer.chain if issuer else (),
    )


def root(text: str = "root", **options: Any) -> Issued:
    return make(text, is_ca=True, **options)


def trusting(
    *trusted: Issued | Certificate, crls: Iterable[Crl] = (), issuers: Iterable[Issued] = ()
) -> TrustList:
    return TrustList(
        trusted_certificates=tuple(
            one.certificate if isinstance(one, Issued) else one for one in trusted
        ),
        trusted_crls=tuple(crls),
        issuer_certificates=tuple(one.certificate for one in issuers),
    )


def with_sha1(issued: Issued, issuer: Issued) -> Issued:
    """Return ``issued`` signed again with sha1WithRSAEncryption, which the library cannot make."""
    sha256 = bytes.fromhex("06092a864886f70d01010b")
    sha1 = bytes.fromhex("06092a864886f70d010105")
    key = issuer.key
    assert isinstance(key, rsa.RSAPrivateKey)
    tbs = issued.certificate.tbs_bytes.replace(sha256, sha1)
    signature = key.sign(tbs, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    head = issued.der[: issued.der.index(issued.certificate.tbs_bytes)]
    middle = bytes.fromhex("300d") + sha1 + bytes.fromhex("0500 0382010100")
    der = head + tbs + middle + signature
    return replace(issued, certificate=Certificate.from_der(der))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def header(
    signer: Issued,
    *,
    alg: str = "ES256",
    kind: str = "DeviceIdentityTicketType",
    opc_uri: str = "",
    **more: Any,
) -> dict[str, Any]:
    """Return the members of a protected header."""
    return {
        "alg": alg,
        "x5c": [base64.b64encode(one.der).decode() for one in signer.chain],
        "cty": f"opc-ticket+json;type={kind}",
        **({"opc-uri": opc_uri} if opc_uri else {}),
        **more,
    }


def sign_bytes(key: PrivateKey, alg: str, message: bytes) -> bytes:
    """Sign as JWS does."""
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[alg[2:]]
    if isinstance(key, rsa.RSAPrivateKey):
        if alg.startswith("PS"):
            scheme = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
            return key.sign(message, scheme, digest)
        return key.sign(message, padding.PKCS1v15(), digest)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    size = (key.key_size + 7) // 8
    numbers = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
    return b"".join(number.to_bytes(size) for number in numbers)


def entry(
    payload: bytes,
    signer: Issued,
    members: Mapping[str, Any] | None = None,
    *,
    raw_header: bytes | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return one element of ``signatures``; ``more`` goes into the protected header."""
    content = dict(members) if members is not None else header(signer, **more)
    protected = base64url(raw_header if raw_header is not None else json.dumps(content).encode())
    message = f"{protected}.{base64url(payload)}".encode()
    alg = content.get("alg", "ES256")
    fitting = str(alg) if alg in set(Algorithm) else "ES256"
    signature = sign_bytes(signer.key, fitting, message)
    return {"protected": protected, "signature": base64url(signature)}


def document(payload: bytes, *entries: Mapping[str, Any]) -> str:
    return json.dumps({"payload": base64url(payload), "signatures": list(entries)})


def device_payload(uri: str = DEVICE_URI, *authorities: Issued, **more: Any) -> bytes:
    """Return the JSON of a DeviceIdentityTicketType."""
    members: dict[str, Any] = {
        "ManufacturerName": "Example",
        "ModelName": "model-x",
        "SerialNumber": "1",
        "ManufactureDate": "2025-03-01T00:00:00Z",
        "ProductInstanceUri": uri,
        **more,
    }
    if authorities:
        members["Authorities"] = [_authority(one) for one in authorities]
    return json.dumps(members).encode()


def composite_payload(
    uri: str = COMPOSITE_URI,
    *authorities: Issued,
    devices: Sequence[str] = (),
    composites: Sequence[str] = (),
) -> bytes:
    members: dict[str, Any] = {
        "CompositeInstanceUri": uri,
        "Devices": list(devices),
        "Composites": list(composites),
        "Authorities": [_authority(one) for one in authorities],
    }
    return json.dumps(members).encode()


def _authority(one: Issued) -> dict[str, Any]:
    first, *rest = [base64.b64encode(certificate.der).decode() for certificate in one.chain]
    return {"AuthorityCertificate": first, "IssuerCertificates": rest}


@dataclass(frozen=True, kw_only=True)
class Maker:
    """A signer of Tickets under a root, and the list that trusts the root."""

    root: Issued
    signer: Issued

    @classmethod
    def new(cls, text: str = "maker", **options: Any) -> Maker:
        top = root(f"{text} root")
        return cls(root=top, signer=top.issue(f"{text} signer", **options))

    @property
    def authorities(self) -> TicketAuthorities:
        return TicketAuthorities(trusting(self.root, crls=[self.root.crl()]))

    def ticket(self, payload: bytes, **more: Any) -> str:
        return document(payload, entry(payload, self.signer, **more))

    def believed(
        self, payload: bytes, *, route: Route = Route.OUT_OF_BAND, **more: Any
    ) -> ValidTicket:
        """Sign ``payload`` and verify it: how tests come by a ``ValidTicket``."""
        trust = TrustList(
            trusted_certificates=(self.root.certificate, self.signer.certificate),
            trusted_crls=(self.root.crl(),),
        )
        verifier = TicketVerifier(TicketAuthorities(trust))
        return verifier.verify(self.ticket(payload, **more), route=route, now=NOW)


def good(outcomes: Sequence[SignatureOutcome]) -> list[bool]:
    return [outcome.reason is None for outcome in outcomes]
