"""Believed Tickets, found by the URIs they mention, and a memory of refused ones.

A Ticket is known by the digest of its payload: the same one under more signatures is the same
Ticket, and its documents are merged (OPC 10000-21 §6.2; ambiguity Q25 of our reading).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from registrar.core.jws import JwsLimits, TicketType
from registrar.core.valid_ticket import Route, ValidTicket
from registrar.errors import TicketInvalid
from registrar.store import audit
from registrar.store.authorities import Quota
from registrar.store.moments import from_stored, to_stored
from registrar.store.transaction import Cause, Readable, Transaction

MAX_FOUND: Final = 256
"""Tickets returned for one Device: its own and those of the Composites around it."""

MAX_REJECTED: Final = 100_000
"""Refused Tickets remembered; the oldest are forgotten."""

MAX_PAGE: Final = 1_000
"""Tickets in one page of a listing; a Ticket takes some 5 KB."""

MAX_SIGNATURES: Final = JwsLimits().signatures
"""Signatures kept of one Ticket, as many as a document may have."""

MAX_URI: Final = 1_024
"""Characters of a claimed URI that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedTicket:
    """A Ticket that was refused: whom it claims to describe, and why it is not believed."""

    id: int
    uri: str
    """As the Ticket claims it; empty where it was unreadable. Not to be believed."""

    reason: str
    detail: str
    digest: str
    """SHA-256 of the document, hexadecimal."""

    at: datetime


def put(tx: Transaction, ticket: ValidTicket, *, cause: Cause) -> bool:
    """Store one believed Ticket and return whether anything changed; see ``put_all``.

    Raises:
        TicketInvalid: as many Tickets rest on its authority as may (T7).
    """
    (result,) = put_all(tx, [(ticket, cause.detail)], cause=cause)
    if isinstance(result, TicketInvalid):
        raise result
    return result


def put_all(
    tx: Transaction, believed: Sequence[tuple[ValidTicket, str]], *, cause: Cause
) -> list[bool | TicketInvalid]:
    """Store believed Tickets; do nothing for those that are there with their signatures already.

    Args:
        believed: Tickets, each with where it came from, for the audit.
        cause: who, when, why.

    Returns:
        Of each Ticket, in their order, whether anything changed, or why it is not stored: as many
        Tickets rest on its authority as may (T7).
    """
    known = _known(tx, [ticket.payload_digest for ticket, _ in believed])
    stored = frozenset(known)
    written: dict[str, ValidTicket] = {}
    quota = Quota.read(tx)
    results: list[bool | TicketInvalid] = []
    for ticket, origin in believed:
        former = known.get(ticket.payload_digest)
        merged = merge(former, ticket) if former else ticket
        if former and merged.document == former.document and merged.route is former.route:
            results.append(False)
        elif not former and (refusal := quota.refusal(merged)):
            results.append(refusal)
        else:
            quota.count(former, merged)
            known[merged.payload_digest] = written[merged.payload_digest] = merged
            _note(tx, merged, "signed_again" if former else "registered", cause, origin)
            results.append(True)
    _insert(tx, [one for digest, one in written.items() if digest not in stored], cause.stamp())
    for digest in stored & written.keys():
        _update(tx, written[digest], cause)
    tx.change_many(
        "INSERT OR IGNORE INTO ticket_members (member, composite) VALUES (?, ?)",
        (pair for one in written.values() for pair in _memberships(one)),
    )
    return results


def _known(tx: Transaction, digests: Sequence[str]) -> dict[str, ValidTicket]:
    rows = tx.query(
        "SELECT digest, document, evidence FROM tickets"
        " WHERE digest IN (SELECT value FROM json_each(?))",
        (json.dumps(digests),),
    )
    return {row["digest"]: _ticket(row) for row in rows}


def _insert(tx: Transaction, fresh: Sequence[ValidTicket], stamp: int) -> None:
    tx.change_many(
        "DELETE FROM withdrawn_tickets WHERE digest = ?", ((one.payload_digest,) for one in fresh)
    )
    tx.change_many(
        "INSERT INTO tickets (digest, kind, uri, authority, trust_digest, good_until,"
        " document, evidence, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                one.payload_digest,
                one.ticket.type,
                one.uri,
                one.authority,
                one.trust_digest,
                to_stored(one.good_until),
                one.document,
                one.evidence,
                stamp,
                stamp,
            )
            for one in fresh
        ),
    )


def _update(tx: Transaction, ticket: ValidTicket, cause: Cause) -> None:
    tx.change(
        "UPDATE tickets SET document = ? WHERE digest = ?",
        (ticket.document, ticket.payload_digest),
    )
    set_evidence(tx, ticket, cause=cause)


def set_evidence(tx: Transaction, ticket: ValidTicket, *, cause: Cause) -> None:
    """Keep what makes a stored Ticket believed now."""
    tx.change(
        "UPDATE tickets SET authority = ?, trust_digest = ?, good_until = ?, evidence = ?,"
        " updated = ? WHERE digest = ?",
        (
            ticket.authority,
            ticket.trust_digest,
            to_stored(ticket.good_until),
            ticket.evidence,
            cause.stamp(),
            ticket.payload_digest,
        ),
    )


def _memberships(ticket: ValidTicket) -> Iterator[tuple[str, str]]:
    """Yield who is part of which Composite, by Composite Ticket or by ``opc-uri``."""
    for composite in ticket.composite_uris:
        yield ticket.uri, composite
    if ticket.is_composite:
        for member in ticket.mentions:
            if member != ticket.uri:
                yield member, ticket.uri


def _note(tx: Transaction, ticket: ValidTicket, event: str, cause: Cause, origin: str) -> None:
    what = f"{ticket.uri} by {ticket.signer} ({ticket.signer_subject}), {ticket.route}"
    detail = f"{origin}; {what}" if origin else what
    audit.append(tx, audit.Kind.TICKET, ticket.payload_digest, event, cause=cause, detail=detail)
    for outcome in ticket.outcomes:
        for finding in outcome.suppressed if outcome.reason is None else ():
            check, _, passed = finding.partition(": ")
            audit.append(
                tx,
                audit.Kind.TICKET,
                ticket.payload_digest,
                f"suppressed_{check}",
                cause=cause,
                detail=f"signer {outcome.signer}: {passed}",
            )


def merge(known: ValidTicket, new: ValidTicket) -> ValidTicket:
    """Return one Ticket with the signatures of both, each once, at most ``MAX_SIGNATURES``.

    Both must have the same payload. What a good signature once proved is kept.
    """
    document = json.loads(known.document)
    entries = list(document["signatures"])
    outcomes = list(known.outcomes)
    seen = {(entry["protected"], entry["signature"]) for entry in entries}
    for entry, outcome in zip(json.loads(new.document)["signatures"], new.outcomes, strict=True):
        if (entry["protected"], entry["signature"]) not in seen and len(entries) < MAX_SIGNATURES:
            entries.append(entry)
            outcomes.append(outcome)
    if len(entries) == len(known.outcomes):
        return replace(known, route=_stronger(known, new))
    latest = max(known, new, key=lambda ticket: ticket.signer_not_after)
    return replace(
        known,
        document=json.dumps({**document, "signatures": entries}, separators=(",", ":")),
        route=_stronger(known, new),
        signer=latest.signer,
        signer_subject=latest.signer_subject,
        signer_not_after=latest.signer_not_after,
        authority=latest.authority,
        good_until=latest.good_until,
        composite_uris=tuple(dict.fromkeys((*known.composite_uris, *new.composite_uris))),
        validated_at=new.validated_at,
        trust_digest=new.trust_digest,
        outcomes=tuple(outcomes),
    )


def _stronger(known: ValidTicket, new: ValidTicket) -> Route:
    """Return out-of-band if either came that way; such Tickets are searched first (§7.1)."""
    return Route.OUT_OF_BAND if Route.OUT_OF_BAND in (known.route, new.route) else known.route


def tickets_for(reader: Readable, uris: Iterable[str]) -> list[ValidTicket]:
    """Return the Tickets of ``uris`` and of every Composite around them, up to the outermost.

    Args:
        uris: the URIs of a Device's certificates; unknown ones are ignored.

    Returns:
        At most ``MAX_FOUND``, in the order they were registered.
    """
    wanted = sorted(set(uris))
    if not wanted:
        return []
    rows = reader.query(
        "SELECT t.document, t.evidence FROM"
        " (WITH RECURSIVE known (uri) AS (SELECT value FROM json_each(?)"
        " UNION SELECT m.composite FROM known CROSS JOIN ticket_members m ON m.member = known.uri"
        " LIMIT ?) SELECT uri FROM known) CROSS JOIN tickets t USING (uri)"
        " ORDER BY t.id LIMIT ?",
        (json.dumps(wanted), MAX_FOUND + len(wanted), MAX_FOUND),
    )
    return [_ticket(row) for row in rows]


def get(reader: Readable, payload_digest: str) -> ValidTicket | None:
    """Return the Ticket of that digest, or None."""
    rows = reader.query(
        "SELECT document, evidence FROM tickets WHERE digest = ?", (payload_digest,)
    )
    return _ticket(rows[0]) if rows else None


def page(reader: Readable, *, after: int = 0) -> tuple[list[ValidTicket], int]:
    """Return at most ``MAX_PAGE`` Tickets and what to pass as ``after`` for the next page."""
    rows = reader.query(
        "SELECT id, document, evidence FROM tickets WHERE id > ? ORDER BY id LIMIT ?",
        (after, MAX_PAGE),
    )
    return [_ticket(row) for row in rows], rows[-1]["id"] if rows else after


def all_of(reader: Readable) -> Iterator[ValidTicket]:
    """Yield every Ticket, in the order they were registered, a page in memory at a time."""
    after = 0
    while True:
        found, after = page(reader, after=after)
        if not found:
            return
        yield from found


def newest(reader: Readable) -> int:
    """Return the number of the Ticket registered last, 0 before the first; it only grows."""
    number: int = reader.query(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tickets'"
    )[0][0]
    return number


def devices_after(reader: Readable, number: int, *, limit: int) -> list[tuple[int, str]]:
    """Return number and ProductInstanceUri of Device Tickets registered after ``number``.

    The documents are not read; at most ``limit`` are returned, in the order of registration.
    """
    rows = reader.query(
        "SELECT id, uri FROM tickets WHERE id > ? AND kind = ? ORDER BY id LIMIT ?",
        (number, TicketType.DEVICE_IDENTITY, limit),
    )
    return [(row["id"], row["uri"]) for row in rows]


def count(reader: Readable) -> int:
    """Return how many Tickets are stored."""
    number: int = reader.query("SELECT count(*) FROM tickets")[0][0]
    return number


def _ticket(row: sqlite3.Row) -> ValidTicket:
    return ValidTicket.rebuild(row["document"], row["evidence"])


def remember_rejected(tx: Transaction, *, uri: str, document: str | bytes, cause: Cause) -> None:
    """Remember that a Ticket was refused, so that a Device without one can be told why.

    Args:
        uri: whom it claims to describe; empty if unknown.
        document: as it came; only its digest is kept.
        cause: its ``reason`` and ``detail`` say why.
    """
    data = document.encode("utf-8", "replace") if isinstance(document, str) else document
    digest = hashlib.sha256(data).hexdigest()
    # Names come from an untrusted document: half a surrogate pair cannot be stored.
    uri = uri.encode("utf-8", "replace").decode()[:MAX_URI]
    detail = cause.detail.encode("utf-8", "replace").decode()[: audit.MAX_DETAIL]
    number = tx.query(
        "INSERT INTO rejected_tickets (uri, reason, detail, digest, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (uri, digest, reason) DO UPDATE SET at = excluded.at RETURNING id",
        (uri, cause.reason, detail, digest, cause.stamp()),
    )[0]["id"]
    tx.change("DELETE FROM rejected_tickets WHERE id <= ?", (number - MAX_REJECTED,))
    audit.append(tx, audit.Kind.TICKET, digest, "rejected", cause=cause, detail=detail)


def rejected_for(reader: Readable, uris: Iterable[str]) -> list[RejectedTicket]:
    """Return the refused Tickets that claim one of ``uris``, the newest first."""
    rows = reader.query(
        "SELECT r.* FROM json_each(?) u JOIN rejected_tickets r ON r.uri = u.value"
        " ORDER BY r.at DESC, r.id DESC LIMIT ?",
        (json.dumps(sorted(set(uris))), MAX_FOUND),
    )
    return [_rejected(row) for row in rows]


def rejected_page(reader: Readable, *, after: int = 0) -> list[RejectedTicket]:
    """Return at most ``MAX_PAGE`` refused Tickets whose ``id`` follows ``after``."""
    rows = reader.query(
        "SELECT * FROM rejected_tickets WHERE id > ? ORDER BY id LIMIT ?", (after, MAX_PAGE)
    )
    return [_rejected(row) for row in rows]


def _rejected(row: sqlite3.Row) -> RejectedTicket:
    return RejectedTicket(
        id=row["id"],
        uri=row["uri"],
        reason=row["reason"],
        detail=row["detail"],
        digest=row["digest"],
        at=from_stored(row["at"]),
    )
