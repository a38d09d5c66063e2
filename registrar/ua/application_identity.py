"""Who we are on a channel: a certificate, its chain and the key to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationIdentity:
    """An application instance certificate with its private key, loaded once.

    Loading a key costs a hundred signatures, so an identity is made once and shared by all
    channels (design decision 2).
    """

    certificate: bytes
    """The leaf, DER."""

    private_key: RSAPrivateKey = field(repr=False)

    chain: tuple[bytes, ...] = ()
    """The issuers that are sent with the leaf, DER, nearest first."""

    thumbprint: bytes = field(init=False)
    """SHA-1 of the leaf, as ReceiverCertificateThumbprint carries it (OPC 10000-6 §6.7.2.3)."""

    sender_certificate: bytes = field(init=False, repr=False)
    """Leaf and issuers in a row, as SenderCertificate carries them."""

    key_bits: int = field(init=False)

    def __post_init__(self) -> None:
        thumbprint = hashlib.sha1(self.certificate, usedforsecurity=False).digest()
        object.__setattr__(self, "thumbprint", thumbprint)
        object.__setattr__(self, "sender_certificate", b"".join((self.certificate, *self.chain)))
        object.__setattr__(self, "key_bits", self.private_key.key_size)
