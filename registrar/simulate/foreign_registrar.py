"""Another site's Registrar, for the Devices that are already owned when ours comes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from registrar.simulate.certificate_group import Slot
from registrar.simulate.device import Device
from registrar.simulate.keys import KeyPool
from registrar.simulate.manufacturer import CertificateAuthority, Revocation, root_authority
from registrar.simulate.peer_trust import TrustListContent

SERIAL = 200
"""Begins the serials of the foreign site; those of the makers are smaller."""


@dataclass(frozen=True, slots=True)
class ForeignRegistrar:
    """A site with one CA, and Devices that are its own."""

    authority: CertificateAuthority
    keys: KeyPool

    @property
    def trust_list(self) -> TrustListContent:
        """What it pushes to every Device."""
        return TrustListContent(
            trusted_certificates=(self.authority.der,), trusted_crls=(self.authority.crl(),)
        )

    def take(self, device: Device) -> None:
        """Make ``device`` its own, applications included."""
        uris = device.configuration.application_uris
        slots = []
        for uri in uris:
            key = self.keys.take()
            certificate = self.authority.application(uri, key.public_key(), host=device.host)
            slots.append(Slot(certificate=certificate, key=key))
        device.provision(self.trust_list, slots)


def foreign_registrar(keys: KeyPool, now: datetime) -> ForeignRegistrar:
    """Return the Registrar of a site that is not ours."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = root_authority(
        "Neighbouring Site CA", key, serial=SERIAL, revocation=Revocation.NOWHERE, now=now
    )
    return ForeignRegistrar(authority, keys)
