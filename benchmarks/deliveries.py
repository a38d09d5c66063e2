"""Tickets and Device certificates of a delivery, made with ``cryptography`` alone.

    maker's root ─▶ signer of Tickets          5 makers: 3 with P-256, 2 with RSA-2048
    maker's CA   ─▶ Device certificates        named in the Tickets
    builder's root ─▶ builder                  signs every fourth Ticket as well, with opc-uri

Every CA has a CRL of 1,000 entries. Of 200 Tickets one is altered, and of 200 Devices one revoked.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
EC_MAKERS, RSA_MAKERS = 3, 2
REVOKED_OF_EACH_CA = 1000
ODD_ONE_OF = 200
DEVICE_KEYS = 64
"""Keys that the Devices share; nobody proves possession here."""

DEVICES_OF_A_COMPOSITE = 200
"""A quarter of them carry its URI; each Composite makes a protected header of its own."""

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_SHA256 = hashes.SHA256()


@dataclass(kw_only=True)
class Authority:
    """A certificate, its key and, of a CA, its CRL."""

    certificate: x509.Certificate
    key: Key
    crl: x509.CertificateRevocationList | None = None
    above: tuple[x509.Certificate, ...] = ()

    @property
    def chain(self) -> list[str]:
        """The certificate and those above it, Base64."""
        return [
            base64.b64encode(one.public_bytes(Encoding.DER)).decode()
            for one in (self.certificate, *self.above)
        ]


@dataclass(kw_only=True)
class Delivery:
    """What is verified, and what it is verified against."""

    documents: list[bytes] = field(default_factory=list)
    certificates: list[bytes] = field(default_factory=list)
    signer_roots: list[Authority] = field(default_factory=list)
    device_cas: list[Authority] = field(default_factory=list)


def deliver(count: int) -> Delivery:
    """Make ``count`` Tickets with a certificate each, the makers taking turns."""
    delivery = Delivery()
    signers: list[Authority] = []
    for number in range(EC_MAKERS + RSA_MAKERS):
        is_rsa = number >= EC_MAKERS
        top = authority(f"Maker {number} Tickets", is_rsa=is_rsa)
        delivery.signer_roots.append(top)
        signers.append(authority(f"Maker {number} signer", is_rsa=is_rsa, issuer=top, is_ca=False))
        delivery.device_cas.append(authority(f"Maker {number} Devices", is_rsa=is_rsa))
    delivery.signer_roots.append(authority("Builder"))
    builder = authority("Builder signer", issuer=delivery.signer_roots[-1], is_ca=False)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(DEVICE_KEYS)]
    for number in range(count):
        maker = number % len(signers)
        ca = delivery.device_cas[maker]
        uri = f"urn:maker-{maker}.example.com:pump-7:{number:08}"
        payload = json.dumps(_payload(maker, number, uri, ca), separators=(",", ":")).encode()
        signatures = [_sign(signers[maker], payload)]
        if number % 4 == 3:
            cell = f"urn:builder.example.com:cell-{number // DEVICES_OF_A_COMPOSITE}"
            signatures.append(_sign(builder, payload, cell))
        is_altered = number % ODD_ONE_OF == ODD_ONE_OF // 2
        content = payload.replace(b"pump-7", b"pump-8") if is_altered else payload
        document = {"payload": _base64url(content), "signatures": signatures}
        delivery.documents.append(json.dumps(document).encode())
        is_revoked = number % ODD_ONE_OF == 0
        serial = 1 + number // ODD_ONE_OF % REVOKED_OF_EACH_CA if is_revoked else 10**9 + number
        delivery.certificates.append(_device(uri, keys[number % len(keys)], ca, serial))
    return delivery


def authority(
    name: str, *, is_rsa: bool = False, issuer: Authority | None = None, is_ca: bool = True
) -> Authority:
    """Make a CA with its CRL, or a signer below one."""
    key: Key = (
        rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
    )
    usages = ("key_cert_sign", "crl_sign") if is_ca else ("digital_signature",)
    parent = issuer.certificate.subject if issuer else _name(name)
    signing = issuer.key if issuer else key
    certificate = (
        _begin(_name(name), parent, key.public_key(), x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(_usage(*usages), critical=True)
        .add_extension(_authority_key(signing), critical=False)
        .sign(signing, _SHA256)
    )
    above = (issuer.certificate, *issuer.above) if issuer else ()
    crl = _crl(certificate, key) if is_ca else None
    return Authority(certificate=certificate, key=key, crl=crl, above=above)


def _payload(maker: int, number: int, uri: str, ca: Authority) -> dict[str, object]:
    return {
        "ManufacturerName": f"Maker {maker} AG",
        "ModelName": "pump-7",
        "ModelVersion": "B",
        "HardwareRevision": "3.1",
        "SoftwareRevision": "2.4.17",
        "SerialNumber": f"{number:08}",
        "ManufactureDate": "2026-03-01T00:00:00Z",
        "Authorities": [{"AuthorityCertificate": ca.chain[0], "IssuerCertificates": []}],
        "ProductInstanceUri": uri,
    }


def _sign(signer: Authority, payload: bytes, composite_uri: str = "") -> dict[str, str]:
    header: dict[str, object] = {
        "alg": "RS256" if isinstance(signer.key, rsa.RSAPrivateKey) else "ES256",
        "x5c": signer.chain,
        "cty": "opc-ticket+json;type=DeviceIdentityTicketType",
    }
    if composite_uri:
        header["opc-uri"] = composite_uri
    protected = _base64url(json.dumps(header, separators=(",", ":")).encode())
    message = f"{protected}.{_base64url(payload)}".encode()
    if isinstance(signer.key, rsa.RSAPrivateKey):
        signature = signer.key.sign(message, padding.PKCS1v15(), _SHA256)
    else:
        r, s = decode_dss_signature(signer.key.sign(message, ec.ECDSA(_SHA256)))
        signature = r.to_bytes(32) + s.to_bytes(32)
    return {"protected": protected, "signature": _base64url(signature)}


def _device(uri: str, key: ec.EllipticCurvePrivateKey, ca: Authority, serial: int) -> bytes:
    builder = _begin(_name(uri[-8:]), ca.certificate.subject, key.public_key(), serial)
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage("digital_signature"), True),
        (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False),
        (_authority_key(ca.key), False),
    )
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(ca.key, _SHA256).public_bytes(Encoding.DER)


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    serial: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(NOW - timedelta(days=100))
        .not_valid_after(NOW + timedelta(days=3650))
    )


def _crl(certificate: x509.Certificate, key: Key) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(NOW - timedelta(days=1))
        .next_update(NOW + timedelta(days=30))
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    for serial in range(1, REVOKED_OF_EACH_CA + 1):
        entry = x509.RevokedCertificateBuilder().serial_number(serial)
        builder = builder.add_revoked_certificate(entry.revocation_date(NOW).build())
    return builder.sign(key, _SHA256)


def _authority_key(key: Key) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _usage(*names: str) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in names for name in every})


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
