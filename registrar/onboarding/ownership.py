"""Whose a device is that does not want us.

A device that another Registrar has configured shows a DCA Certificate which our ledger does not
hold (OPC 10000-21 §7.3). It is never accepted; this only finds the reason that helps.
"""

from __future__ import annotations

from collections.abc import Iterable

from registrar.core.certificate import Certificate
from registrar.errors import Reason, Rejected
from registrar.onboarding.endpoints import Offer, looks_operational
from registrar.store import issuances
from registrar.store.store import Store


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
