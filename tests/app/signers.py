"""Signers of Tickets in files, as makers and CompositeBuilders have them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509 import load_der_x509_certificate

from registrar.ca.ticket_signing import TicketSigner, load_signer
from tests.app.delivery import Maker, make_maker


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerFiles:
    """A maker, and the PEM files of one signer of it."""

    maker: Maker
    certificate: Path
    key: Path

    def load(self) -> TicketSigner:
        """Read them."""
        return load_signer(self.certificate, self.key)


def write_signer(
    folder: Path,
    name: str,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> SignerFiles:
    """Make a maker of that name with a signer, and write the signer's files into ``folder``."""
    maker = make_maker(name)
    signer = maker.root.signer(f"{name} Tickets", key) if key else maker.signature.signer
    certificate, private = folder / f"{name}.pem", folder / f"{name}.key"
    folder.mkdir(exist_ok=True)
    certificate.write_bytes(
        load_der_x509_certificate(signer.certificate).public_bytes(Encoding.PEM)
    )
    private.write_bytes(signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return SignerFiles(maker=maker, certificate=certificate, key=private)
