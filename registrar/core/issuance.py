"""One certificate's way from the ledger to the Device, as a table.

    reserved ─▶ signed ─▶ delivered ─▶ confirmed
        └──────────┴──────────┴────────────┴─────▶ revoked

``reserved`` holds serial and to-be-signed bytes before the CA key is used, so no certificate
can exist that the ledger does not hold. An issuance belongs to one application of one Device,
one CertificateGroup and one CertificateType.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from registrar.errors import Misuse


class IssuanceState(StrEnum):
    """How far a certificate has come."""

    RESERVED = "reserved"
    SIGNED = "signed"
    DELIVERED = "delivered"
    """UpdateCertificate was called; whether it is in force is not yet known."""
    CONFIRMED = "confirmed"
    """Read back from the Device after ApplyChanges."""
    REVOKED = "revoked"
    """Closed: it is on the next CRL and never counted active."""


_NEXT: Mapping[IssuanceState, frozenset[IssuanceState]] = {
    IssuanceState.RESERVED: frozenset({IssuanceState.SIGNED, IssuanceState.REVOKED}),
    IssuanceState.SIGNED: frozenset({IssuanceState.DELIVERED, IssuanceState.REVOKED}),
    IssuanceState.DELIVERED: frozenset(
        {IssuanceState.DELIVERED, IssuanceState.CONFIRMED, IssuanceState.REVOKED}
    ),
    IssuanceState.CONFIRMED: frozenset({IssuanceState.REVOKED}),
    IssuanceState.REVOKED: frozenset(),
}

ACTIVE = frozenset(IssuanceState) - {IssuanceState.REVOKED}
"""At most one issuance per application, group and type is in one of these."""


def advance(state: IssuanceState, to: IssuanceState) -> IssuanceState:
    """Return ``to`` if it may follow ``state``.

    Raises:
        Misuse: the step is not in the table.
    """
    if to not in _NEXT[state]:
        raise Misuse(f"an issuance cannot go from {state} to {to}")
    return to
