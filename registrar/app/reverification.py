"""Verifying Tickets again after the lists changed that made them believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from registrar.app.causes import by_operator, now
from registrar.app.settings import Settings
from registrar.app.tickets import ticket_policy
from registrar.core.valid_ticket import Route, ValidTicket
from registrar.core.verify import TicketVerifier
from registrar.errors import TicketInvalid
from registrar.store import ticket_trust
from registrar.store import trust as stored_trust
from registrar.store.store import Store
from registrar.store.transaction import Transaction


def verify_again(store: Store, settings: Settings) -> tuple[int, int]:
    """Verify every Ticket that was believed because of other authorities or CRLs than today's.

    Returns:
        How many are believed on, and how many were withdrawn with their reason remembered.
    """
    authorities = stored_trust.ticket_authorities(store.reader)
    verifier = TicketVerifier(authorities, policy=ticket_policy(settings))
    renewed = withdrawn = 0
    while page := ticket_trust.outdated(store.reader, authorities.digest):
        for route in Route:
            of_route = [ticket for ticket in page if ticket.route is route]
            verdicts = verifier.verify_all(
                [ticket.document for ticket in of_route], route=route, now=now()
            )
            _keep(store, of_route, verdicts)
            good = sum(isinstance(verdict, ValidTicket) for verdict in verdicts)
            renewed += good
            withdrawn += len(verdicts) - good
    return renewed, withdrawn


def _keep(
    store: Store, tickets: Sequence[ValidTicket], verdicts: Sequence[ValidTicket | TicketInvalid]
) -> None:
    cause = by_operator(detail="the Ticket authorities changed")

    def change(tx: Transaction) -> None:
        for ticket, verdict in zip(tickets, verdicts, strict=True):
            if isinstance(verdict, ValidTicket):
                ticket_trust.renew(tx, verdict, cause=cause)
            else:
                why = replace(cause, reason=verdict.reason, detail=f"withdrawn: {verdict}")
                ticket_trust.withdraw(tx, ticket, verdict, cause=why)

    store.write_sync(change)
