"""A small delivery of a pretended manufacturer, for tests of what is done with its files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from registrar.simulate.manufacturer import CertificateAuthority, Revocation, root_authority
from registrar.simulate.tickets import Algorithm, Claims, Signature, device_payload, sign


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """A manufacturer with a root and one signer of Tickets."""

    root: CertificateAuthority
    signature: Signature

    def ticket(self, number: int, *, uri: str = "", cas: tuple[bytes, ...] = ()) -> str:
        """Return the Ticket of device ``number``; ``cas`` issue its certificates, nearest first."""
        claims = Claims(
            manufacturer_name="Example AG",
            model_name="Pump",
            serial_number=str(number),
            software_revision="1.0",
            manufacture_date=self.root.now,
            authorities=(cas,) if cas else (),
        )
        return sign(device_payload(claims, uri or uri_of(number)), [self.signature])

    def write_authorities(self, folder: Path) -> tuple[Path, Path]:
        """Write root and CRL as PEM and DER, and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        certificate, crl = folder / "root.pem", folder / "root.crl"
        certificate.write_bytes(self.root.certificate.public_bytes(Encoding.PEM))
        crl.write_bytes(self.root.crl())
        return certificate, crl


def make_maker(name: str = "Example") -> Maker:
    """Return a manufacturer of its own."""
    root = root_authority(
        f"{name} Root",
        ec.generate_private_key(ec.SECP256R1()),
        serial=x509.random_serial_number() >> 96,
        revocation=Revocation.CRL,
        now=datetime.now(UTC),
    )
    signer = root.signer(f"{name} Tickets", ec.generate_private_key(ec.SECP256R1()))
    return Maker(root=root, signature=Signature(signer=signer, algorithm=Algorithm.ES256))


def uri_of(number: int) -> str:
    """Return the ProductInstanceUri of device ``number``."""
    return f"urn:example.com:pump:{number}"
