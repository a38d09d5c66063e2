"""Write and sign Tickets as a maker or a CompositeBuilder does.

    {"payload": base64url(JSON), "signatures": [{"protected": …, "signature": …}, …]}

Written with ``cryptography`` alone, so that ``core`` is judged against Tickets it did not make.
Source: OPC 10000-21 §8.1 (general JWS), §8.2 (structures), OPC 10000-6 §5.4 (CompactEncoding).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from registrar.simulate.manufacturer import TicketSigner


class TicketType(StrEnum):
    """The structure a Ticket's ``cty`` names."""

    DEVICE = "DeviceIdentityTicketType"
    COMPOSITE = "CompositeIdentityTicketType"


class Algorithm(StrEnum):
    """The ``alg`` values makers of a pretended plant sign with (RFC 7518 §3)."""

    RS256 = "RS256"
    PS256 = "PS256"
    ES256 = "ES256"
    ES384 = "ES384"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signer's way to sign: the header is the same in all Tickets it signs."""

    signer: TicketSigner
    algorithm: Algorithm
    ticket_type: TicketType = TicketType.DEVICE
    opc_uri: str = ""
    """CompositeInstanceUri, in the signature a CompositeBuilder adds."""

    def protected(self) -> str:
        """Return the protected header, base64url."""
        chain = (self.signer.certificate, *self.signer.issuers)
        header: dict[str, object] = {
            "alg": self.algorithm.value,
            "x5c": [base64.b64encode(der).decode() for der in chain],
            "cty": f"opc-ticket+json;type={self.ticket_type}",
        }
        if self.opc_uri:
            header["opc-uri"] = self.opc_uri
        return _base64url(_json(header))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What every Ticket says about its subject (BaseTicketType, §8.2.3)."""

    manufacturer_name: str
    model_name: str
    serial_number: str
    software_revision: str = ""
    manufacture_date: datetime
    authorities: tuple[tuple[bytes, ...], ...] = ()
    """For each CA its certificate and its issuers, DER."""


def device_payload(claims: Claims, product_instance_uri: str) -> bytes:
    """Return the DeviceIdentityTicketType of one Device as JSON."""
    return _json({**_base(claims), "ProductInstanceUri": product_instance_uri})


def composite_payload(
    claims: Claims, composite_uri: str, *, devices: Sequence[str], composites: Sequence[str] = ()
) -> bytes:
    """Return the CompositeIdentityTicketType of one Composite as JSON."""
    members: dict[str, object] = {"CompositeInstanceUri": composite_uri}
    if devices:
        members["Devices"] = list(devices)
    if composites:
        members["Composites"] = list(composites)
    return _json({**_base(claims), **members})


def sign(payload: bytes, signatures: Sequence[Signature]) -> str:
    """Return ``payload`` with ``signatures`` in the general JWS serialisation: a Ticket."""
    encoded = _base64url(payload)
    entries = [_entry(encoded, signature) for signature in signatures]
    return json.dumps({"payload": encoded, "signatures": entries}, separators=(",", ":"))


def countersign(ticket: str, signature: Signature) -> str:
    """Append a signature to ``ticket`` without touching the others (§6.4).

    A CompositeBuilder does so for every Device it builds in, and names the Composite.
    """
    document = json.loads(ticket)
    document["signatures"].append(_entry(document["payload"], signature))
    return json.dumps(document, separators=(",", ":"))


def forge(ticket: str, **changed: str) -> str:
    """Change members of the payload after signing; the signatures are left as they were."""
    document = json.loads(ticket)
    payload = json.loads(_from_base64url(document["payload"]))
    document["payload"] = _base64url(_json({**payload, **changed}))
    return json.dumps(document, separators=(",", ":"))


def ticket_list(devices: Sequence[str], composites: Sequence[str]) -> str:
    """Return the shipment container of signed Tickets (TicketListType, §8.2.5)."""
    return json.dumps({"Devices": list(devices), "Composites": list(composites)})


def _base(claims: Claims) -> dict[str, object]:
    members: dict[str, object] = {
        "ManufacturerName": claims.manufacturer_name,
        "ModelName": claims.model_name,
        "SoftwareRevision": claims.software_revision,
        "SerialNumber": claims.serial_number,
        "ManufactureDate": claims.manufacture_date.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Authorities": [_authority(chain) for chain in claims.authorities],
    }
    return {name: value for name, value in members.items() if value}


def _authority(chain: tuple[bytes, ...]) -> dict[str, object]:
    first, *issuers = [base64.b64encode(der).decode() for der in chain]
    return {"AuthorityCertificate": first, **({"IssuerCertificates": issuers} if issuers else {})}


def _entry(payload: str, signature: Signature) -> dict[str, str]:
    protected = signature.protected()
    signed = _sign(signature, f"{protected}.{payload}".encode())
    return {"protected": protected, "signature": _base64url(signed)}


def _sign(signature: Signature, message: bytes) -> bytes:
    key = signature.signer.key
    if isinstance(key, rsa.RSAPrivateKey):
        scheme: padding.AsymmetricPadding = padding.PKCS1v15()
        if signature.algorithm is Algorithm.PS256:
            scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return key.sign(message, scheme, hashes.SHA256())
    wide = signature.algorithm is Algorithm.ES384
    der = key.sign(message, ec.ECDSA(hashes.SHA384() if wide else hashes.SHA256()))
    size = 48 if wide else 32
    return b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(der))


def _json(members: dict[str, object]) -> bytes:
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
