"""One row a Device: where it stands on its way, what is known of it, who may write.

Every arrow goes through ``core.enrolment.advance`` and has its audit entry in the same
transaction. A ``Lease`` names the worker: only the newest fence of an enrolment may write.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, TypedDict

from registrar.core.enrolment import ENDED, Event, State
from registrar.core.enrolment import advance as next_state
from registrar.core.ports import Lease
from registrar.errors import Misuse
from registrar.store import applications, audit, bindings, issuances
from registrar.store.leases import check_idle, check_lease, leased, take
from registrar.store.moments import from_stored
from registrar.store.transaction import Cause, Readable, Transaction

MAX_URL: Final = 2_048
"""Characters of a URL that becomes an enrolment."""

MAX_PAGE: Final = 100_000
"""Rows in one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRow:
    """An enrolment as it is stored."""

    id: int
    url: str
    state: State
    reason: str
    """A ``Reason`` code; empty in the ordinary course."""

    detail: str
    product_instance_uri: str
    serial_number: str
    manufacturer: str
    model: str
    software_revision: str
    software_wanted: str
    key_digest: str
    """SHA-256 of the proven SubjectPublicKeyInfo, hexadecimal."""

    identity_thumbprint: str
    """SHA-256 of the selected DeviceIdentity Certificate, hexadecimal."""

    ticket_digests: str
    """Of the Tickets that decided, separated by blanks, the Device's own first."""

    application_id: str
    attempts: int
    created: datetime
    updated: datetime
    lease_owner: str
    lease_token: int


class Columns(TypedDict, total=False):
    """What an arrow may write beside the state; a missing key leaves its column alone."""

    product_instance_uri: str
    serial_number: str
    manufacturer: str
    model: str
    software_revision: str
    software_wanted: str
    key_digest: str
    identity_thumbprint: str
    ticket_digests: str
    application_id: str


_WRITABLE: Final = frozenset(Columns.__annotations__)

_NOBODY: Final = {"lease_owner": "", "lease_ends": 0}
"""An arrow to an end gives the lease back: nobody works on the enrolment any more."""


def discover(tx: Transaction, urls: Iterable[str], *, cause: Cause) -> list[EnrolmentRow]:
    """Return the enrolments of ``urls`` in their order, making those that are new.

    Raises:
        Misuse: a URL is empty or longer than ``MAX_URL``; the caller checks first.
    """
    return [_discover(tx, url, cause) for url in urls]


def _discover(tx: Transaction, url: str, cause: Cause) -> EnrolmentRow:
    if not 0 < len(url) <= MAX_URL:
        raise Misuse(f"a URL of {len(url)} characters is not 1 to {MAX_URL}")
    stamp = cause.stamp()
    made = tx.query(
        "INSERT INTO enrolments (url, state, created, updated) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (url) DO NOTHING RETURNING *",
        (url, State.DISCOVERED, stamp, stamp),
    )
    if not made:
        (known,) = tx.query("SELECT * FROM enrolments WHERE url = ?", (url,))
        return _row(known)
    row = _row(made[0])
    audit.append(
        tx,
        audit.Kind.ENROLMENT,
        row.id,
        "discovered",
        cause=cause,
        enrolment_id=row.id,
        after=State.DISCOVERED,
    )
    return row


def acquire(
    tx: Transaction, enrolment_id: int, *, owner: str, now: datetime, ends: datetime
) -> tuple[Lease, EnrolmentRow]:
    """Take one enrolment as ``leases.acquire`` does, and return it as it stands."""
    row = _row(take(tx, enrolment_id, owner=owner, now=now, ends=ends))
    return Lease(enrolment_id=row.id, fence=row.lease_token), row


def advance_from(
    tx: Transaction,
    lease: Lease,
    seen: tuple[State, int],
    event: Event,
    *,
    cause: Cause,
    columns: Columns,
) -> State | None:
    """Go one arrow of an enrolment that need not be read, since nobody wrote since it was.

    Args:
        tx: the transaction.
        lease: of the enrolment.
        seen: its state, and when it was changed last, as the database holds it.
        event: what happened.
        cause: as with ``advance``.
        columns: as with ``advance``.

    Returns:
        The state it led to; None where the enrolment or its lease is not the one that was seen,
        and nothing was written: ``advance`` knows what to do or why it cannot be.

    Raises:
        Misuse: ``event`` cannot happen in the state that was seen.
    """
    before, updated = seen
    after = next_state(before, event)
    changes = _changes(after, cause, columns)
    is_written = tx.change(
        f"UPDATE enrolments SET {_assignments(tuple(changes))} WHERE id = ? AND lease_token = ?"  # noqa: S608
        " AND lease_owner != '' AND state = ? AND updated = ?",
        (*changes.values(), lease.enrolment_id, lease.fence, str(before), updated),
    )
    if not is_written:
        return None
    _note(tx, lease.enrolment_id, event, before, after, cause)
    return after


def advance(
    tx: Transaction,
    lease: Lease,
    event: Event,
    *,
    cause: Cause,
    columns: Columns | None = None,
) -> EnrolmentRow:
    """Go one arrow, and keep what was learned on the way.

    The reason and the detail of the enrolment become those of ``cause``.

    Raises:
        Unavailable: another worker took the enrolment over.
        Misuse: ``event`` cannot happen in the state it is in.
    """
    return _advance(tx, leased(tx, lease), event, cause, columns)


def advance_idle(
    tx: Transaction,
    enrolment_id: int,
    event: Event,
    *,
    cause: Cause,
    columns: Columns | None = None,
) -> EnrolmentRow:
    """Do the same for an operator, where no worker is at it.

    A Device that retires loses its name, its applications and its certificates with it.

    Raises:
        Unavailable: a worker holds the enrolment.
        Misuse: ``event`` cannot happen in the state it is in.
    """
    check_idle(tx, enrolment_id, now=cause.now)
    row = _advance(tx, _read(tx, enrolment_id), event, cause, columns)
    if event is Event.RETIRED:
        bindings.unbind(tx, enrolment_id, cause=cause)
        applications.forget(tx, enrolment_id, cause=cause)
        issuances.revoke_all(tx, enrolment_id, reason="cessationOfOperation", cause=cause)
    return row


def _advance(
    tx: Transaction, former: sqlite3.Row, event: Event, cause: Cause, columns: Columns | None
) -> EnrolmentRow:
    number, before = former["id"], State(former["state"])
    after = next_state(before, event)
    changes = _changes(after, cause, columns or Columns())
    tx.change(
        f"UPDATE enrolments SET {_assignments(tuple(changes))} WHERE id = ?",  # noqa: S608
        (*changes.values(), number),
    )
    _note(tx, number, event, before, after, cause)
    # Built here, because reading the row back would cost as much as writing it.
    known = dict(zip(former.keys(), former, strict=True))
    return _row({**known, **changes}.values())


def _changes(after: State, cause: Cause, learned: Columns) -> dict[str, Any]:
    """Return what an arrow writes, by column."""
    if not learned.keys() <= _WRITABLE:
        raise Misuse(f"no arrow writes {sorted(learned.keys() - _WRITABLE)}")
    return {
        "state": str(after),
        "reason": str(cause.reason),
        "detail": cause.detail[: audit.MAX_DETAIL],
        "updated": cause.stamp(),
        **(_NOBODY if after in ENDED else {}),
        # Sorted, so that the same columns make the same statement, which is parsed once.
        **dict(sorted(learned.items())),
    }


@cache
def _assignments(columns: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = ?" for name in columns)


def _note(
    tx: Transaction, number: int, event: Event, before: State, after: State, cause: Cause
) -> None:
    audit.append(
        tx,
        audit.Kind.ENROLMENT,
        number,
        event,
        cause=cause,
        enrolment_id=number,
        before=before,
        after=after,
    )


def count_attempt(tx: Transaction, lease: Lease) -> int:
    """Count one more attempt and return how many there were; no change of state, no entry."""
    check_lease(tx, lease)
    rows = tx.query(
        "UPDATE enrolments SET attempts = attempts + 1 WHERE id = ? RETURNING attempts",
        (lease.enrolment_id,),
    )
    attempts: int = rows[0]["attempts"]
    return attempts


def get(reader: Readable, enrolment_id: int) -> EnrolmentRow:
    """Return one enrolment.

    Raises:
        Misuse: there is none of that number.
    """
    return _row(_read(reader, enrolment_id))


def _read(reader: Readable, enrolment_id: int) -> sqlite3.Row:
    rows = reader.query("SELECT * FROM enrolments WHERE id = ?", (enrolment_id,))
    if not rows:
        raise Misuse(f"there is no enrolment {enrolment_id}")
    return rows[0]


def find(reader: Readable, name: str) -> list[EnrolmentRow]:
    """Return the enrolments whose URL, ProductInstanceUri or serial number is ``name``."""
    rows = reader.query(
        "SELECT * FROM enrolments WHERE url = ?1 OR product_instance_uri = ?1"
        " OR serial_number = ?1 ORDER BY id",
        (name,),
    )
    return [_row(row) for row in rows]


def at(reader: Readable, urls: Iterable[str]) -> list[EnrolmentRow]:
    """Return the enrolments there are of ``urls``, in no order."""
    rows = reader.query(
        "SELECT * FROM enrolments WHERE url IN (SELECT value FROM json_each(?))",
        (json.dumps(list(urls)),),
    )
    return [_row(row) for row in rows]


def by_uri(reader: Readable, product_instance_uri: str) -> list[EnrolmentRow]:
    """Return every enrolment that claims ``product_instance_uri``."""
    if not product_instance_uri:
        return []
    rows = reader.query(
        "SELECT * FROM enrolments WHERE product_instance_uri = ? AND product_instance_uri != ''"
        " ORDER BY id",
        (product_instance_uri,),
    )
    return [_row(row) for row in rows]


def by_ticket(reader: Readable) -> dict[str, list[EnrolmentRow]]:
    """Return the enrolments that rest on a Ticket, by the digest of each such Ticket."""
    found: dict[str, list[EnrolmentRow]] = {}
    for row in reader.query("SELECT * FROM enrolments WHERE ticket_digests != '' ORDER BY id"):
        for digest in row["ticket_digests"].split():
            found.setdefault(digest, []).append(_row(row))
    return found


def in_states(reader: Readable, states: Iterable[State], *, after: int = 0) -> list[EnrolmentRow]:
    """Return at most ``MAX_PAGE`` enrolments that stand in ``states`` and follow id ``after``."""
    rows = reader.query(
        "SELECT * FROM enrolments WHERE state IN (SELECT value FROM json_each(?))"
        " AND id > ? ORDER BY id LIMIT ?",
        (json.dumps(sorted(states)), after, MAX_PAGE),
    )
    return [_row(row) for row in rows]


def counts(reader: Readable) -> dict[State, int]:
    """Return how many enrolments stand in each state that has any."""
    rows = reader.query("SELECT state, count(*) AS number FROM enrolments GROUP BY state")
    return {State(row["state"]): row["number"] for row in rows}


def _row(row: Iterable[Any]) -> EnrolmentRow:
    # By position, in the order of the table: looking 20 columns up by name costs 5 µs.
    (
        number,
        url,
        state,
        reason,
        detail,
        product_instance_uri,
        serial_number,
        manufacturer,
        model,
        software_revision,
        software_wanted,
        key_digest,
        identity_thumbprint,
        ticket_digests,
        application_id,
        attempts,
        created,
        updated,
        lease_owner,
        lease_token,
        _lease_ends,
    ) = row
    return EnrolmentRow(
        id=number,
        url=url,
        state=State(state),
        reason=reason,
        detail=detail,
        product_instance_uri=product_instance_uri,
        serial_number=serial_number,
        manufacturer=manufacturer,
        model=model,
        software_revision=software_revision,
        software_wanted=software_wanted,
        key_digest=key_digest,
        identity_thumbprint=identity_thumbprint,
        ticket_digests=ticket_digests,
        application_id=application_id,
        attempts=attempts,
        created=from_stored(created),
        updated=from_stored(updated),
        lease_owner=lease_owner,
        lease_token=lease_token,
    )
