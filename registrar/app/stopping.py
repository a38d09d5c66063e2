"""Stopping an authority that can be trusted no more, and whom it concerns (T7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from registrar.app.causes import by_operator, now
from registrar.app.reverification import verify_again
from registrar.app.settings import Settings
from registrar.core.certificate import Certificate
from registrar.core.identity import ticket_trust
from registrar.core.valid_ticket import ValidTicket
from registrar.store import authorities, tickets
from registrar.store.enrolments import by_ticket
from registrar.store.store import Store

COLUMNS: Final = ("uri", "basis", "url", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """A Device that rests on the authority."""

    uri: str
    """ProductInstanceUri or CompositeInstanceUri."""

    basis: str
    """``ticket``: who signed its Ticket; ``certificate``: who issued its certificate."""

    url: str = ""
    """Empty where it was never onboarded."""

    state: str = ""

    def row(self) -> dict[str, str]:
        """Return the values of ``COLUMNS``."""
        return {"uri": self.uri, "basis": self.basis, "url": self.url, "state": self.state}


def stop(store: Store, settings: Settings, certificate: Certificate) -> list[Affected]:
    """Believe nothing any more that rests on the key of ``certificate``.

    Tickets that rest on it are withdrawn at once. Devices that were accepted stay accepted
    (OPC 10000-21 §9.2.12).

    Returns:
        Whom it concerns: of each Ticket that is withdrawn, or names the authority as issuer of
        its Device's certificate, the enrolments; one without url where there is none.
    """
    cause = by_operator()
    store.write_sync(lambda tx: authorities.stop(tx, certificate, cause=cause))
    withdrawn = verify_again(store, settings, now=now()).withdrawn
    naming = [one for one in tickets.all_of(store.reader) if _names(one, certificate)]
    return [*_affected(store, withdrawn, "ticket"), *_affected(store, naming, "certificate")]


def lift(store: Store, settings: Settings, certificate: Certificate) -> list[Affected]:
    """Take a stop back; what was withdrawn because of it is believed again."""
    cause = by_operator()
    store.write_sync(lambda tx: authorities.lift(tx, certificate, cause=cause))
    return list(_affected(store, verify_again(store, settings, now=now()).returned, "ticket"))


def _names(ticket: ValidTicket, certificate: Certificate) -> bool:
    named = ticket_trust([ticket])
    every = (*named.trusted_certificates, *named.issuer_certificates)
    return any(one.key_digest == certificate.key_digest for one in every)


def _affected(store: Store, found: Iterable[ValidTicket], basis: str) -> Iterator[Affected]:
    enrolments = by_ticket(store.reader)
    for ticket in found:
        rows = enrolments.get(ticket.payload_digest, [])
        for row in rows:
            yield Affected(uri=ticket.uri, basis=basis, url=row.url, state=row.state)
        if not rows:
            yield Affected(uri=ticket.uri, basis=basis)
