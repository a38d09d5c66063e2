"""Whose a device is that does not want us.

A device that another Registrar has configured shows a DCA Certificate which our ledger does not
hold (OPC 10000-21 §7.3). It is never accepted; this only finds the reason that helps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from registrar.core.certificate import Certificate
from registrar.errors import Reason, Rejected, Unavailable
from registrar.onboarding.endpoints import Offer, looks_operational
from registrar.store import issuances
from registrar.store.store import Store

DOUBTFUL = frozenset({Reason.ENDPOINTS_ALTERED, Reason.ACCESS_DENIED, Reason.KEY_NOT_PROVEN})
"""What the work of another Registrar looks like while it is going on."""

_FIRST_WAIT_S = 0.05


async def look_again(
    error: Rejected,
    *,
    url: str,
    look: Callable[[], Awaitable[Offer]],
    seen: Offer | None,
    store: Store,
    settle_s: float,
) -> Rejected | Unavailable:
    """Return ``error``, or what explains it better: that somebody else is or was at work.

    A device that denies us may have its owner's TrustList already and not yet the certificate
    that names the owner, so it is asked again for a while.

    Args:
        error: why the device was about to be refused.
        url: as the operator named it, for messages.
        look: reads the endpoints.
        seen: what the device offered before; None where that is not known.
        store: with the ledger.
        settle_s: how long a denial may wait for its explanation.
    """
    if error.reason not in DOUBTFUL:
        return error
    patience_s = settle_s if error.reason is Reason.ACCESS_DENIED else 0.0
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            offer = await look()
        except Unavailable as away:
            return away
        except Rejected:
            return error
        owner = foreign_owner(offer, store)
        if owner is not None:
            return already_owned(url, owner, str(error.reason))
        if seen is not None and _names(offer) != _names(seen):
            message = f"{url}: {error.reason}: what the device offers changes while it is read"
            return Unavailable(message, reason=Reason.BUSY, subject=url)
        if patience_s <= 0:
            return error
        await asyncio.sleep(wait_s)
        patience_s -= wait_s
        wait_s *= 2


def _names(offer: Offer) -> set[str]:
    return {certificate.thumbprint for certificate in offer.certificates}


def foreign_owner(offer: Offer, store: Store) -> Certificate | None:
    """Return the operational certificate of ``offer`` that is not in our ledger, if any."""
    for certificate in offer.certificates:
        if looks_operational(certificate) and not _is_ours(certificate, store):
            return certificate
    return None


def _is_ours(certificate: Certificate, store: Store) -> bool:
    return issuances.find(store.reader, certificate.der) is not None


def already_owned(url: str, owner: Certificate, act: str) -> Rejected:
    """Return the refusal that names the owner's certificate."""
    return Rejected(
        f"{url}: {act}: another Registrar owns the device; it shows the certificate of subject "
        f"{owner.subject[:80]!r}, issued by {owner.issuer[:80]!r}, serial number "
        f"{owner.serial_number:x}, thumbprint {owner.thumbprint}",
        reason=Reason.ALREADY_OWNED,
        subject=url,
    )


def describe(certificates: Iterable[Certificate]) -> str:
    """Name certificates in a message."""
    return ", ".join(f"{one.subject[:80]!r} ({one.thumbprint[:16]})" for one in certificates)
