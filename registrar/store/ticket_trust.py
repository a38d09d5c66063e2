"""Tickets that were believed because of trust lists that have changed since.

Whoever loses a Ticket authority, or learns of a revoked signer, must not go on believing what
that one signed (OPC 10000-21 §6.4). The engine's owner verifies such Tickets again; here stands
which they are, and what becomes of them.
"""

from __future__ import annotations

from registrar.core.valid_ticket import ValidTicket
from registrar.errors import TicketInvalid
from registrar.store import audit
from registrar.store.tickets import MAX_PAGE, remember_rejected
from registrar.store.transaction import Cause, Readable, Transaction


def outdated(reader: Readable, trust_digest: str) -> list[ValidTicket]:
    """Return at most ``MAX_PAGE`` Tickets that were verified against other authorities.

    Args:
        reader: of the store.
        trust_digest: ``TrustList.digest`` of the Ticket authorities as they are now.
    """
    rows = reader.query(
        "SELECT document, evidence FROM tickets"
        " WHERE json_extract(evidence, '$.trust_digest') < ?1"
        " OR json_extract(evidence, '$.trust_digest') > ?1 LIMIT ?2",
        (trust_digest, MAX_PAGE),
    )
    return [ValidTicket.rebuild(row["document"], row["evidence"]) for row in rows]


def renew(tx: Transaction, ticket: ValidTicket, *, cause: Cause) -> None:
    """Keep that a Ticket was verified again, with what made it believed now."""
    tx.change(
        "UPDATE tickets SET evidence = ?, updated = ? WHERE digest = ?",
        (ticket.evidence, cause.stamp(), ticket.payload_digest),
    )
    audit.append(tx, audit.Kind.TICKET, ticket.payload_digest, "verified_again", cause=cause)


def withdraw(tx: Transaction, ticket: ValidTicket, error: TicketInvalid, *, cause: Cause) -> None:
    """Stop believing a Ticket, and remember why, as if it came today.

    Args:
        tx: the transaction.
        ticket: as it was believed.
        error: why it is not any more.
        cause: with the reason and detail of ``error``.
    """
    tx.change("DELETE FROM tickets WHERE digest = ?", (ticket.payload_digest,))
    audit.append(tx, audit.Kind.TICKET, ticket.payload_digest, "withdrawn", cause=cause)
    remember_rejected(
        tx, uri=error.claimed_uri or ticket.uri, document=ticket.document, cause=cause
    )
