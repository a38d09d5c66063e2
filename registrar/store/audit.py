"""Who changed what, when and why: one entry a change, in the transaction of the change.

Entries are numbered without gaps, and triggers refuse to change or delete one. If an entry
cannot be written the change fails with it (threat model, ground rule 4). The entries of one
transaction are written together at its end: a step of a Device makes several.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from registrar.store.moments import from_stored
from registrar.store.transaction import Cause, Readable, Transaction

MAX_PAGE: Final = 10_000
"""Entries in one answer."""

MAX_DETAIL: Final = 1_000
"""Characters of a detail that are kept."""


class Kind(StrEnum):
    """What an entry is about."""

    ENROLMENT = "enrolment"
    ISSUANCE = "issuance"
    BINDING = "binding"
    APPLICATION = "application"
    TICKET = "ticket"
    TRUST = "trust"
    CRL = "crl"
    SOFTWARE = "software"
    LEASE = "lease"
    SITE = "site"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry of the trail."""

    sequence: int
    """1, 2, 3, … without gaps."""

    at: datetime
    actor: str
    kind: Kind
    subject: str
    """The number of an enrolment or issuance, else a URI, a digest or a name."""

    enrolment_id: int | None
    """The Device it concerns; None for what concerns none, or one not known by its URL."""

    event: str
    before: str
    """The state before, empty where there was none."""

    after: str
    reason: str
    detail: str


_INSERT: Final = (
    "INSERT INTO audit (at, actor, kind, subject, enrolment_id, event, state_before, state_after,"
    " reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def append(
    tx: Transaction,
    kind: Kind,
    subject: str | int,
    event: str,
    *,
    cause: Cause,
    enrolment_id: int | None = None,
    detail: str = "",
    before: str = "",
    after: str = "",
) -> None:
    """Write the entry of a change that this transaction makes, at the end of it.

    Args:
        kind: what ``subject`` is.
        subject: whom or what the change concerns.
        event: what happened, a word.
        cause: who, when, why.
        enrolment_id: the Device it concerns, if it concerns one that is enrolled.
        detail: instead of that of ``cause``.
        before: the state the change left, if it changed one.
        after: the state it led to.
    """
    # Plain texts: the driver asks of everything else, enums too, how to write it.
    tx.change_later(
        _INSERT,
        (
            cause.stamp(),
            cause.actor,
            str(kind),
            str(subject),
            enrolment_id,
            str(event),
            str(before),
            str(after),
            cause.reason,
            (detail or cause.detail)[:MAX_DETAIL],
        ),
    )


def entries(reader: Readable, *, kind: Kind | None = None, after: int = 0) -> list[AuditEntry]:
    """Return at most ``MAX_PAGE`` entries, oldest first, that follow number ``after``.

    Args:
        reader: of the store.
        kind: only about such subjects; None: all.
        after: the ``sequence`` of the last entry already seen.
    """
    rows = reader.query(
        "SELECT * FROM audit WHERE (?1 IS NULL OR kind = ?1) AND sequence > ?2"
        " ORDER BY sequence LIMIT ?3",
        (kind, after, MAX_PAGE),
    )
    return [_entry(row) for row in rows]


def of_device(reader: Readable, enrolment_id: int) -> list[AuditEntry]:
    """Return the first ``MAX_PAGE`` entries of one enrolment, oldest first."""
    rows = reader.query(
        "SELECT * FROM audit WHERE enrolment_id = ? ORDER BY sequence LIMIT ?",
        (enrolment_id, MAX_PAGE),
    )
    return [_entry(row) for row in rows]


def of_subject(reader: Readable, kind: Kind, subject: str) -> list[AuditEntry]:
    """Return the first ``MAX_PAGE`` entries of what belongs to no enrolment, oldest first."""
    rows = reader.query(
        "SELECT * FROM audit WHERE kind = ? AND subject = ? AND enrolment_id IS NULL"
        " ORDER BY sequence LIMIT ?",
        (kind, subject, MAX_PAGE),
    )
    return [_entry(row) for row in rows]


def _entry(row: sqlite3.Row) -> AuditEntry:
    return AuditEntry(
        sequence=row["sequence"],
        at=from_stored(row["at"]),
        actor=row["actor"],
        kind=Kind(row["kind"]),
        subject=row["subject"],
        enrolment_id=row["enrolment_id"],
        event=row["event"],
        before=row["state_before"],
        after=row["state_after"],
        reason=row["reason"],
        detail=row["detail"],
    )
