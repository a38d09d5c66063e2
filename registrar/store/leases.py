"""Who may write about an enrolment: leases with fencing tokens, and engines that died.

A lease names its engine and has a fence that grows with every new lease of that enrolment; a
write with an older fence is refused. An engine holds a lock on a file of its own as long as its
process lives, however that ends, so its successor knows at once whose leases are free:

    registrar.db            the database
    registrar.db-engines/   a locked file for each engine that lives
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from registrar.core.enrolment import COMMANDS, State
from registrar.core.ports import Lease
from registrar.errors import Misuse, Reason, StoreUnavailable, Unavailable
from registrar.store import audit
from registrar.store.moments import to_stored
from registrar.store.transaction import Cause, Transaction

MAX_ENGINE_NAME: Final = 64

_LEASED: Final = "FROM enrolments WHERE id = ? AND lease_token = ? AND lease_owner != ''"


class EngineLock:
    """Tells everybody else on this machine that an engine lives; ends with its process."""

    def __init__(self, *, name: str, path: Path, descriptor: int) -> None:
        self.name = name
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, database: Path, name: str) -> Self:
        """Lock the file of the engine ``name``.

        Args:
            database: path of the database the engine works on.
            name: unique among all engines ever, letters and digits; random is best.

        Raises:
            StoreUnavailable: the file cannot be made, or another engine has this name.
            Misuse: ``name`` is no such name.
        """
        if not (name.isalnum() and name.isascii() and len(name) <= MAX_ENGINE_NAME):
            raise Misuse(f"an engine cannot be named {name[:80]!r}")
        path = _folder(database) / name
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"the lock of an engine cannot be made: {error}") from error
        if not _try_lock(descriptor):
            os.close(descriptor)
            raise StoreUnavailable(f"an engine named {name} is running")
        return cls(name=name, path=path, descriptor=descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let everybody know that the engine ended. Idempotent."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def take_over(tx: Transaction, database: Path, name: str, *, cause: Cause) -> int:
    """Register the engine ``name`` and free the leases of every engine that is dead.

    Engines that live keep theirs; those end by themselves or never.

    Returns:
        The number of enrolments that became free.
    """
    freed = 0
    for row in tx.query("SELECT id FROM engines WHERE id != ?", (name,)):
        if _lives(database, row["id"]):
            continue
        freed += _free_all(tx, row["id"])
        tx.change("DELETE FROM engines WHERE id = ?", (row["id"],))
    tx.change("INSERT OR IGNORE INTO engines (id, started) VALUES (?, ?)", (name, cause.stamp()))
    audit.append(tx, audit.Kind.LEASE, name, "engine_started", cause=cause)
    return freed


def leave(tx: Transaction, name: str) -> None:
    """Give back all that the engine ``name`` holds; for an orderly end, which nothing needs."""
    _free_all(tx, name)
    tx.change("DELETE FROM engines WHERE id = ?", (name,))


def claim(
    tx: Transaction,
    *,
    owner: str,
    now: datetime,
    ends: datetime,
    limit: int,
    states: Iterable[State] = COMMANDS,
) -> list[Lease]:
    """Take over at most ``limit`` enrolments that nobody works on, oldest change first.

    Args:
        owner: the engine that will work on them.
        now: a lease that ended by then is free.
        ends: when the new leases end by themselves.
        limit: how many at most.
        states: only those that stand there; by default where a command is due.
    """
    free = tx.query(
        "SELECT id FROM enrolments WHERE state IN (SELECT value FROM json_each(?))"
        " AND (lease_owner = '' OR lease_ends <= ?) ORDER BY updated, id LIMIT ?",
        (json.dumps(sorted(states)), to_stored(now), limit),
    )
    return [acquire(tx, row["id"], owner=owner, now=now, ends=ends) for row in free]


def acquire(
    tx: Transaction, enrolment_id: int, *, owner: str, now: datetime, ends: datetime
) -> Lease:
    """Take one enrolment; every older lease of it is void from now on.

    Raises:
        Unavailable: another engine holds it.
        Misuse: there is no such enrolment.
    """
    row = take(tx, enrolment_id, owner=owner, now=now, ends=ends)
    return Lease(enrolment_id=enrolment_id, fence=row["lease_token"])


def take(
    tx: Transaction, enrolment_id: int, *, owner: str, now: datetime, ends: datetime
) -> sqlite3.Row:
    """Do what ``acquire`` does, and return the enrolment with the new lease in it."""
    rows = tx.query(
        "UPDATE enrolments SET lease_owner = ?1, lease_ends = ?2, lease_token = lease_token + 1"
        " WHERE id = ?3 AND (lease_owner IN ('', ?1) OR lease_ends <= ?4) RETURNING *",
        (owner, to_stored(ends), enrolment_id, to_stored(now)),
    )
    if not rows:
        raise _held(tx, enrolment_id)
    return rows[0]


def renew(tx: Transaction, leases: Iterable[Lease], *, ends: datetime) -> list[Lease]:
    """Let ``leases`` end later; return those that still hold."""
    stamp = to_stored(ends)
    return [
        lease
        for lease in leases
        if tx.change(
            "UPDATE enrolments SET lease_ends = ? WHERE id = ? AND lease_token = ?"
            " AND lease_owner != ''",
            (stamp, lease.enrolment_id, lease.fence),
        )
    ]


def release(tx: Transaction, lease: Lease) -> None:
    """Give the enrolment back; does nothing where somebody else has it by now."""
    tx.change(
        "UPDATE enrolments SET lease_owner = '', lease_ends = 0 WHERE id = ? AND lease_token = ?",
        (lease.enrolment_id, lease.fence),
    )


def check_lease(tx: Transaction, lease: Lease) -> None:
    """Make sure that ``lease`` is the newest of its enrolment; raises what ``leased`` does."""
    if not tx.query(f"SELECT 1 {_LEASED}", (lease.enrolment_id, lease.fence)):
        raise _held(tx, lease.enrolment_id)


def leased(tx: Transaction, lease: Lease) -> sqlite3.Row:
    """Return the enrolment of ``lease``, which must be the newest of it.

    Raises:
        Unavailable: somebody took it over, or it was given back.
        Misuse: there is no such enrolment.
    """
    rows = tx.query(f"SELECT * {_LEASED}", (lease.enrolment_id, lease.fence))
    if not rows:
        raise _held(tx, lease.enrolment_id)
    return rows[0]


def check_idle(tx: Transaction, enrolment_id: int, *, now: datetime) -> None:
    """Make sure that no engine works on an enrolment.

    Raises:
        Unavailable: an engine holds it.
        Misuse: there is no such enrolment.
    """
    rows = tx.query(
        "SELECT 1 FROM enrolments WHERE id = ? AND (lease_owner = '' OR lease_ends <= ?)",
        (enrolment_id, to_stored(now)),
    )
    if not rows:
        raise _held(tx, enrolment_id)


def _held(tx: Transaction, enrolment_id: int) -> Unavailable | Misuse:
    """Return the error that says why an enrolment cannot be written now."""
    rows = tx.query("SELECT lease_owner, lease_token FROM enrolments WHERE id = ?", (enrolment_id,))
    if not rows:
        return Misuse(f"there is no enrolment {enrolment_id}")
    owner = rows[0]["lease_owner"] or "nobody"
    return Unavailable(
        f"enrolment {enrolment_id} is held by {owner} with fence {rows[0]['lease_token']}",
        reason=Reason.BUSY,
    )


def _free_all(tx: Transaction, name: str) -> int:
    return tx.change(
        "UPDATE enrolments SET lease_owner = '', lease_ends = 0 WHERE lease_owner = ?"
        " AND lease_owner != ''",
        (name,),
    )


def _folder(database: Path) -> Path:
    return database.with_name(f"{database.name}-engines")


def _lives(database: Path, name: str) -> bool:
    """Tell whether some process holds the lock of ``name``; removes what the dead left."""
    path = _folder(database) / name
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreUnavailable(f"the lock of an engine cannot be read: {error}") from error
    try:
        if not _try_lock(descriptor):
            return True
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
