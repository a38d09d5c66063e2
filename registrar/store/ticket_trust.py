"""Tickets that were believed because of trust lists that have changed since.

Whoever loses a Ticket authority, or learns of a revoked signer, must not go on believing what
that one signed (OPC 10000-21 §6.4). The engine's owner verifies such Tickets again; here stands
which they are, and what becomes of them.
"""

from __future__ import annotations

from datetime import datetime

from registrar.core.valid_ticket import ValidTicket
from registrar.errors import TicketInvalid
from registrar.store import audit
from registrar.store.moments import to_stored
from registrar.store.tickets import MAX_PAGE, remember_rejected, set_evidence
from registrar.store.transaction import Cause, Readable, Transaction


def outdated(reader: Readable, trust_digest: str, *, now: datetime) -> list[ValidTicket]:
    """Return at most ``MAX_PAGE`` Tickets whose basis is another or has passed (R81).

    Args:
        reader: of the store.
        trust_digest: ``TrustList.digest`` of the Ticket authorities as they are now.
        now: aware.
    """
    return _page(
        reader,
        "SELECT document, evidence FROM tickets WHERE trust_digest != ? OR good_until < ? LIMIT ?",
        (trust_digest, to_stored(now), MAX_PAGE),
    )


def withdrawn(reader: Readable, trust_digest: str) -> list[ValidTicket]:
    """Return at most ``MAX_PAGE`` Tickets that lost their basis under other lists than today's.

    They were believed once; the list that came since may give their basis back.
    """
    return _page(
        reader,
        "SELECT document, evidence FROM withdrawn_tickets WHERE trust_digest != ? LIMIT ?",
        (trust_digest, MAX_PAGE),
    )


def _page(reader: Readable, query: str, arguments: tuple[str | int, ...]) -> list[ValidTicket]:
    rows = reader.query(query, arguments)
    return [ValidTicket.rebuild(row["document"], row["evidence"]) for row in rows]


def renew(tx: Transaction, ticket: ValidTicket, *, cause: Cause) -> None:
    """Keep that a Ticket was verified again, with what made it believed now."""
    set_evidence(tx, ticket, cause=cause)
    audit.append(tx, audit.Kind.TICKET, ticket.payload_digest, "verified_again", cause=cause)


def withdraw(
    tx: Transaction, ticket: ValidTicket, error: TicketInvalid, trust_digest: str, *, cause: Cause
) -> None:
    """Stop believing a Ticket, and remember why, as if it came today.

    Devices that were accepted because of it are not touched (OPC 10000-21 §9.2.12).

    Args:
        tx: the transaction.
        ticket: as it was believed.
        error: why it is not any more.
        trust_digest: of the lists that say so; under others it is asked again.
        cause: with the reason and detail of ``error``.
    """
    tx.change(
        "INSERT INTO withdrawn_tickets (digest, trust_digest, document, evidence)"
        " VALUES (?, ?, ?, ?)",
        (ticket.payload_digest, trust_digest, ticket.document, ticket.evidence),
    )
    tx.change("DELETE FROM tickets WHERE digest = ?", (ticket.payload_digest,))
    audit.append(tx, audit.Kind.TICKET, ticket.payload_digest, "withdrawn", cause=cause)
    remember_rejected(
        tx, uri=error.claimed_uri or ticket.uri, document=ticket.document, cause=cause
    )


def still_withdrawn(tx: Transaction, ticket: ValidTicket, trust_digest: str) -> None:
    """Keep that the lists of ``trust_digest`` were asked about a withdrawn Ticket."""
    tx.change(
        "UPDATE withdrawn_tickets SET trust_digest = ? WHERE digest = ?",
        (trust_digest, ticket.payload_digest),
    )
