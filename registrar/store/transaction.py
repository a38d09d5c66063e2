"""What the functions of this room work on: a view to read, a transaction to change."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from registrar.store.moments import to_stored

Value = str | int | bytes | None
"""What a column holds and a bound parameter may be."""


class Readable(Protocol):
    """Anything that can be asked: a ``Reader``, a ``Snapshot`` or a ``Transaction``."""

    def query(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """Run one SELECT and return all its rows."""
        ...


class Snapshot:
    """Reads by one connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def query(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """Run one SELECT and return all its rows."""
        return self._connection.execute(sql, values).fetchall()


class Reader:
    """Reads what is committed; each query sees one consistent state.

    A connection that only reads forgets its pages with every commit of another, and reads them
    again. So the writer's own, which knows them, answers while nothing is under way there.

    Args:
        connection: cannot write.
        writer: of the same database.
        exclusive: whoever holds it may use ``writer``.
    """

    __slots__ = ("_connection", "_exclusive", "_writer")

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        writer: sqlite3.Connection,
        exclusive: threading.Lock,
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._exclusive = exclusive

    def query(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """Run one SELECT and return all its rows."""
        # What begins with SELECT cannot write, on whatever connection.
        if sql.startswith("SELECT ") and self._exclusive.acquire(blocking=False):
            try:
                if not self._writer.in_transaction:
                    return self._writer.execute(sql, values).fetchall()
            except sqlite3.OperationalError:
                pass  # such as busy: this connection does not wait, and the other one does
            finally:
                self._exclusive.release()
        return self._connection.execute(sql, values).fetchall()


class Transaction:
    """Reads and changes; everything done in it becomes durable together, or not at all."""

    __slots__ = ("_connection", "_later")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._later: dict[str, list[Sequence[Value]]] = {}

    def query(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """Run one SELECT (or a statement with RETURNING) and return all its rows."""
        return self._connection.execute(sql, values).fetchall()

    def change(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Run one INSERT, UPDATE or DELETE and return the number of rows it touched."""
        return self._connection.execute(sql, values).rowcount

    def insert(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Run one INSERT and return the rowid of the new row."""
        row = self._connection.execute(sql, values).lastrowid
        return row if row is not None else 0

    def change_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run one INSERT, UPDATE or DELETE for each of ``rows``."""
        self._connection.executemany(sql, rows)

    def change_later(self, sql: str, values: Sequence[Value]) -> None:
        """Run ``sql`` at the end, with all that was put off by the same ``sql``, in order.

        Until then no query of this transaction sees the change.
        """
        self._later.setdefault(sql, []).append(values)

    def finish(self) -> None:
        """Run what was put off. Whoever made the transaction calls it, before it is durable."""
        for sql, rows in self._later.items():
            self.change_many(sql, rows)


Change: TypeAlias = Callable[[Transaction], object]
"""What one transaction is to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Who changes something, when and why; stands in the audit entry of the change."""

    actor: str
    """The engine, a user of the command line, or the caller of a Method."""

    now: datetime
    """Timezone-aware."""

    reason: str = ""
    """A ``Reason`` code, empty for the ordinary course."""

    detail: str = ""
    """For people: the offending value and the limit it broke. Never a secret."""

    def stamp(self) -> int:
        """Return ``now`` as the database holds it."""
        return to_stored(self.now)
