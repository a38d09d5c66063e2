"""News from other processes for a campaign that runs: appended there, taken in here.

``Store.data_version`` tells cheaply that something changed at all; numbers never come twice, so
a reader remembers the last one it saw, and news waits for the next campaign if there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from registrar.errors import Reason, Unavailable
from registrar.store.moments import from_stored, to_stored
from registrar.store.transaction import Readable, Transaction

MAX_WAITING: Final = 100_000
"""Messages that wait; more are refused."""

MAX_PAGE: Final = 1_000
"""Messages in one answer."""


class News(StrEnum):
    """What a message is about."""

    TICKETS = "tickets"
    """Tickets were registered; the payload is one URI they mention, or empty for many."""

    SOFTWARE = "software"
    """A software report came; the payload is the ProductInstanceUri."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One piece of news."""

    id: int
    kind: News
    payload: str
    created: datetime


def append(tx: Transaction, kind: News, payload: str, *, now: datetime) -> None:
    """Leave a message; the change it tells of belongs into the same transaction.

    Raises:
        Unavailable: ``MAX_WAITING`` messages wait already.
    """
    # The span of the numbers is read from both ends of the index; counting would visit all.
    span: int = tx.query(
        "SELECT coalesce((SELECT max(id) FROM inbox) - (SELECT min(id) FROM inbox) + 1, 0)"
    )[0][0]
    if span >= MAX_WAITING:
        raise Unavailable(f"{span} messages wait in the inbox", reason=Reason.BUSY)
    tx.change(
        "INSERT INTO inbox (kind, payload, created) VALUES (?, ?, ?)",
        (kind, payload, to_stored(now)),
    )


def waiting(reader: Readable, *, after: int = 0) -> list[Message]:
    """Return at most ``MAX_PAGE`` messages with numbers above ``after``, oldest first."""
    rows = reader.query("SELECT * FROM inbox WHERE id > ? ORDER BY id LIMIT ?", (after, MAX_PAGE))
    return [
        Message(
            id=row["id"],
            kind=News(row["kind"]),
            payload=row["payload"],
            created=from_stored(row["created"]),
        )
        for row in rows
    ]


def take(tx: Transaction, upto: int) -> int:
    """Remove the messages with numbers up to ``upto``; return how many there were."""
    return tx.change("DELETE FROM inbox WHERE id <= ?", (upto,))
