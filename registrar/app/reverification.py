"""Verifying Tickets again after lists or the clock took away what made them believed (R81)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from registrar.app.causes import by_operator
from registrar.app.settings import Settings
from registrar.app.tickets import ticket_policy
from registrar.core.valid_ticket import ValidTicket
from registrar.core.verify import TicketVerifier
from registrar.errors import TicketInvalid
from registrar.store import ticket_trust
from registrar.store import tickets as stored
from registrar.store import trust as stored_trust
from registrar.store.store import Store
from registrar.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverified:
    """What became of the Tickets that were verified again."""

    renewed: list[ValidTicket] = field(default_factory=list)
    withdrawn: list[ValidTicket] = field(default_factory=list)
    """No more believed; kept, so that other lists may give them their basis back."""

    returned: list[ValidTicket] = field(default_factory=list)
    """Withdrawn before, and believed again."""


def verify_again(store: Store, settings: Settings, *, now: datetime) -> Reverified:
    """Verify every Ticket whose authorities, CRLs or time are not those it was believed by.

    Args:
        store: the site's.
        settings: the site's.
        now: aware.
    """
    authorities = stored_trust.ticket_authorities(store.reader)
    verifier = TicketVerifier(authorities, policy=ticket_policy(settings))
    found = Reverified()
    while page := ticket_trust.outdated(store.reader, authorities.digest, now=now):
        _keep(store, page, verifier.verify_again(page, now=now), authorities.digest, found)
    while page := ticket_trust.withdrawn(store.reader, authorities.digest):
        _return(store, page, verifier.verify_again(page, now=now), authorities.digest, found)
    return found


_Verdicts = Sequence[ValidTicket | TicketInvalid]


def _keep(
    store: Store,
    tickets: Sequence[ValidTicket],
    verdicts: _Verdicts,
    trust_digest: str,
    found: Reverified,
) -> None:
    cause = by_operator(detail="the basis of belief changed")

    def change(tx: Transaction) -> None:
        for ticket, verdict in zip(tickets, verdicts, strict=True):
            if isinstance(verdict, ValidTicket):
                ticket_trust.renew(tx, verdict, cause=cause)
                found.renewed.append(verdict)
            else:
                why = replace(cause, reason=verdict.reason, detail=f"withdrawn: {verdict}")
                ticket_trust.withdraw(tx, ticket, verdict, trust_digest, cause=why)
                found.withdrawn.append(ticket)

    store.write_sync(change)


def _return(
    store: Store,
    tickets: Sequence[ValidTicket],
    verdicts: _Verdicts,
    trust_digest: str,
    found: Reverified,
) -> None:
    cause = by_operator(detail="the basis of belief came back")

    def change(tx: Transaction) -> None:
        for ticket, verdict in zip(tickets, verdicts, strict=True):
            ticket_trust.still_withdrawn(tx, ticket, trust_digest)
            with suppress(TicketInvalid):  # its authority has got its number of others meanwhile
                if isinstance(verdict, ValidTicket):
                    stored.put(tx, verdict, cause=cause)
                    found.returned.append(verdict)

    store.write_sync(change)
