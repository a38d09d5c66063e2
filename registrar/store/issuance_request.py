"""What the ledger is asked to reserve: one certificate of one application."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuanceRequest:
    """What is to be certified, and for whom."""

    enrolment_id: int | None
    """The Device; None for the site's own certificates."""

    application_uri: str
    certificate_group: str
    """Names the group, e.g. its NodeId as text."""

    certificate_type: str
    profile: str
    """Which profile the certificate follows."""

    issuer: str
    """Which CA signs."""

    key_digest: str
    """SHA-256 of the SubjectPublicKeyInfo, hexadecimal."""

    serial: int
    tbs: bytes
    """What will be signed, DER."""

    not_after: datetime
