"""A CertificateGroup of a Device: its TrustList, its certificates and its pending keys.

Source: OPC 10000-12 §7.8.3, §7.8.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from asyncua import ua
from cryptography.hazmat.primitives.asymmetric import rsa

from registrar.simulate.peer_trust import TrustListContent

RSA_SHA256 = 12560
"""RsaSha256ApplicationCertificateType, the one CertificateType pretended Devices have."""

NEVER = datetime(1601, 1, 1, tzinfo=UTC)
"""DateTime.MinValue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A certificate in force with its private key."""

    certificate: bytes
    key: rsa.RSAPrivateKey


@dataclass(slots=True, eq=False, kw_only=True)
class CertificateGroup:
    """One DefaultApplicationGroup; empty on a factory-new Device (part21 §9.3.1)."""

    node: ua.NodeId
    trust_list_node: ua.NodeId
    trust_list: TrustListContent = field(default_factory=TrustListContent)
    updated: datetime = NEVER
    """When the TrustList was last changed."""
    slots: dict[int, Slot] = field(default_factory=dict)
    """By CertificateType; an empty slot is absent."""
    pending_keys: dict[int, rsa.RSAPrivateKey] = field(default_factory=dict)
    """The one new key of each slot, until a certificate for it is applied (§7.10.10)."""

    @property
    def certificate_types(self) -> tuple[int, ...]:
        """The slots it has, full or empty."""
        return (RSA_SHA256,)

    @property
    def is_provisioned(self) -> bool:
        """Whether both TrustList and certificate are in force."""
        return bool(self.trust_list) and bool(self.slots)

    def reset(self) -> None:
        """Return to the state of a factory-new Device."""
        self.trust_list = TrustListContent()
        self.updated = NEVER
        self.slots.clear()
        self.pending_keys.clear()
