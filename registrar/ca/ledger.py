"""What the CAs of a site need from its ledger, said by their side."""

from __future__ import annotations

from typing import Protocol

from registrar.ca.authority import Prepared


class Ledger(Protocol):
    """Remembers, durably, before a call returns. ``store`` can be made to fit."""

    def reserve(self, name: str, issuer: str, key_digest: str, prepared: Prepared) -> None:
        """Hold serial and to-be-signed bytes of one of the site's own certificates.

        Args:
            name: which one: ``root``, ``applications``, ``dca`` or ``own``.
            issuer: the CA that will sign, by its name.
            key_digest: SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
            prepared: what will be signed.
        """
        ...

    def record_signed(self, prepared: Prepared, certificate: bytes) -> None:
        """Hold the signed certificate, DER."""
        ...

    def next_crl_number(self, issuer: str, at_least: int) -> int:
        """Return a CRLNumber above every one before, and not below ``at_least``."""
        ...

    def publish_crl(self, issuer: str, der: bytes) -> None:
        """Hold the CRL that is in force from now on, DER."""
        ...
