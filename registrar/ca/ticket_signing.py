"""Signing Tickets as a maker or a CompositeBuilder does (OPC 10000-21 §6.4, §8.1).

A maker signs what it wrote; everybody later appends a signature to a Ticket that validates, and
to nothing else: ``append_signature`` takes a ``ValidTicket``, which only a verifier makes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from registrar.ca.keys import PrivateKey, load_key, public_key_der
from registrar.ca.pem import read_certificates
from registrar.core.certificate import Certificate
from registrar.core.jws import JwsLimits, TicketType, encode_base64url
from registrar.core.signatures import Algorithm
from registrar.core.ticket import Ticket
from registrar.core.ticket_json import encode_ticket
from registrar.core.valid_ticket import ValidTicket
from registrar.errors import FileInvalid, Misuse

_OF_CURVE: Final[Mapping[str, tuple[Algorithm, hashes.HashAlgorithm, int]]] = {
    "secp256r1": (Algorithm.ES256, hashes.SHA256(), 32),
    "secp384r1": (Algorithm.ES384, hashes.SHA384(), 48),
    "secp521r1": (Algorithm.ES512, hashes.SHA512(), 66),
}
"""What RFC 7518 §3.4 has for each curve: ``alg``, its hash, bytes of r and of s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketSigner:
    """A private key and the certificates that say whose it is."""

    key: PrivateKey = field(repr=False)
    certificates: tuple[Certificate, ...]
    """The signer's own first, then its issuers: what ``x5c`` carries."""

    def __post_init__(self) -> None:
        if public_key_der(self.key.public_key()) != self.certificates[0].public_key_der:
            raise Misuse("the private key is not that of the certificate")
        if isinstance(self.key, ec.EllipticCurvePrivateKey) and self.key.curve.name not in (
            _OF_CURVE
        ):
            raise Misuse(f"no algorithm of Tickets fits the curve {self.key.curve.name}")

    @property
    def algorithm(self) -> Algorithm:
        """ES* by the curve; PS256 for RSA."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return Algorithm.PS256
        return _OF_CURVE[self.key.curve.name][0]


def load_signer(certificate: Path, key: Path, *, passphrase: str | None = None) -> TicketSigner:
    """Read a signer from PEM files.

    Args:
        certificate: the signer's certificate, then its issuers.
        key: its private key.
        passphrase: opens the key where it is encrypted.

    Raises:
        FileInvalid: a file holds something else, or the two do not belong together.
        IssuerUnavailable: a file is missing or cannot be read.
    """
    certificates = read_certificates(certificate)
    if not certificates:
        raise FileInvalid("holds no certificate", subject=str(certificate))
    try:
        return TicketSigner(
            key=load_key(key, passphrase=passphrase), certificates=tuple(certificates)
        )
    except Misuse as error:
        raise FileInvalid(str(error), subject=str(key)) from error


def sign_ticket(ticket: Ticket, signer: TicketSigner) -> str:
    """Return ``ticket`` with the signature of its maker: General JSON Serialization."""
    payload = encode_base64url(encode_ticket(ticket))
    return _document(payload, [_signature(payload, ticket.type, signer, "")])


def append_signature(valid: ValidTicket, signer: TicketSigner, *, composite_uri: str = "") -> str:
    """Return the document of ``valid`` with one signature more; the others stay as they are.

    Args:
        valid: believed by the signer's own trust list (§6.4).
        signer: appends the signature.
        composite_uri: the Composite the signer built the Device into; ``opc-uri``.

    Raises:
        Misuse: the Ticket has as many signatures as it may.
    """
    document = json.loads(valid.document)
    payload, signatures = document["payload"], document["signatures"]
    most = JwsLimits().signatures
    if len(signatures) >= most:
        raise Misuse(f"the Ticket has {len(signatures)} signatures; {most} is the most")
    added = _signature(payload, valid.ticket.type, signer, composite_uri)
    return _document(payload, [*signatures, added])


def _document(payload: str, signatures: list[dict[str, str]]) -> str:
    return json.dumps({"payload": payload, "signatures": signatures}, separators=(",", ":"))


def _signature(
    payload: str, ticket_type: TicketType, signer: TicketSigner, composite_uri: str
) -> dict[str, str]:
    header: dict[str, object] = {
        "alg": signer.algorithm,
        "x5c": [base64.b64encode(one.der).decode() for one in signer.certificates],
        "cty": f"opc-ticket+json;type={ticket_type}",
    }
    if composite_uri:
        header["opc-uri"] = composite_uri
    protected = encode_base64url(json.dumps(header, separators=(",", ":")).encode())
    signature = _sign(signer.key, f"{protected}.{payload}".encode("ascii"))
    return {"protected": protected, "signature": encode_base64url(signature)}


def _sign(key: PrivateKey, message: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return key.sign(message, scheme, hashes.SHA256())
    _, digest, size = _OF_CURVE[key.curve.name]
    numbers = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
    return b"".join(number.to_bytes(size, "big") for number in numbers)
