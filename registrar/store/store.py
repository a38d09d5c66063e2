"""The door to the database: one writer that groups commits, and reads beside it.

    await write(f) ─┐                 ┌ SAVEPOINT f RELEASE ┐
    await write(g) ─┼▶ queue ▶ BEGIN ─┼ SAVEPOINT g RELEASE ┼─ COMMIT ─▶ every caller at once
    write_sync(h)  ─┘                 └ SAVEPOINT h ROLLBACK┘   └ h alone learns of its error

All that arrives while the last commit syncs becomes the next group, so durability costs latency,
not throughput. A caller that got its answer got a durable one.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from registrar.errors import DecodingError, Misuse, RegistrarError, StoreUnavailable
from registrar.store.schema import connect, create_file, prepare
from registrar.store.transaction import Snapshot, Transaction

T = TypeVar("T")

MAX_PAGES: Final = 0xFFFFFFFE
"""SQLite's own maximum; with its pages of 4 KiB far more than any disk here."""

_FATAL: Final = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")
"""After these nobody knows what is on the disk; a second try could only hide it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """What the store takes on at most."""

    max_waiting: int = 16_384
    """Functions waiting for the writer; more are refused with ``StoreUnavailable``."""

    max_group: int = 512
    """Functions in one commit."""

    max_pages: int = MAX_PAGES
    """Size of the database in pages of 4 KiB."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_waiting <= 1_000_000:
            raise Misuse(f"max_waiting is {self.max_waiting}, not 1 to 1,000,000")
        if not 1 <= self.max_group <= 4_096:
            raise Misuse(f"max_group is {self.max_group}, not 1 to 4,096")
        if not 1 <= self.max_pages <= MAX_PAGES:
            raise Misuse(f"max_pages is {self.max_pages}, not 1 to {MAX_PAGES}")


@dataclass(slots=True)
class _Job:
    """A function that waits for the writer, and who waits for its answer."""

    function: Callable[[Transaction], Any]
    loop: asyncio.AbstractEventLoop | None
    future: asyncio.Future[Any] | Future[Any]
    result: Any = None
    error: RegistrarError | None = None


class Store:
    """One site's database, opened by one process; others may have it open too."""

    def __init__(
        self,
        *,
        path: Path,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        limits: StoreLimits,
    ) -> None:
        self.path = path
        self.reader = Snapshot(reader)
        """Reads what is committed, at once and without waiting for the writer."""
        self._limits = limits
        self._writer = writer
        self._reader = reader
        self._transaction = Transaction(writer)
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._broken = ""
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path | str, *, limits: StoreLimits = StoreLimits()) -> Self:
        """Open the database at ``path``, and make it if it is not there.

        Raises:
            StoreUnavailable: the file cannot be made, opened or understood.
        """
        path = Path(path)
        create_file(path)
        writer = connect(path)
        try:
            prepare(writer)
            writer.execute(f"PRAGMA max_page_count = {limits.max_pages}")
            reader = connect(path, read_only=True)
        except BaseException:
            writer.close()
            raise
        return cls(path=path, writer=writer, reader=reader, limits=limits)

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
        """Commit what waits, then close. Idempotent; whoever writes afterwards is refused."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._writer.close()
        self._reader.close()

    async def write(self, function: Callable[[Transaction], T]) -> T:
        """Run ``function`` in a transaction and return its result once that is durable.

        ``function`` runs on the writer's thread, so it only works on its transaction and on
        values. If it raises, all it did is undone. A cancelled caller does not stop it.

        Raises:
            RegistrarError: what ``function`` raised.
            StoreUnavailable: too many wait, the disk is full or failing, or the store is closed.
            Misuse: ``function`` failed otherwise, or broke a constraint of the tables.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._submit(_Job(function, loop, future))
        return await future

    def write_sync(self, function: Callable[[Transaction], T]) -> T:
        """Do the same as ``write`` where there is no event loop; blocks."""
        future: Future[T] = Future()
        self._submit(_Job(function, None, future))
        return future.result()

    def data_version(self) -> int:
        """Return a number that differs after any commit, of this process or another."""
        version: int = self._reader.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _submit(self, job: _Job) -> None:
        with self._gate:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._broken:
                raise StoreUnavailable(self._broken)
            if self._queue.qsize() >= self._limits.max_waiting:
                raise StoreUnavailable(f"more than {self._limits.max_waiting} changes wait")
            self._queue.put(job)

    def _run(self) -> None:
        """Be the writer: collect a group, commit it, tell everybody; until closed."""
        is_open = True
        while is_open:
            group, is_open = self._collect()
            if group:
                self._commit(group)
                _answer(group)

    def _collect(self) -> tuple[list[_Job], bool]:
        group: list[_Job] = []
        entry = self._queue.get()
        while entry is not None:
            group.append(entry)
            if len(group) >= self._limits.max_group:
                return group, True
            try:
                entry = self._queue.get_nowait()
            except Empty:
                return group, True
        return group, False

    def _commit(self, group: list[_Job]) -> None:
        try:
            if self._broken:
                raise StoreUnavailable(self._broken)
            self._writer.execute("BEGIN IMMEDIATE")
            for job in group:
                self._attempt(job)
            self._writer.execute("COMMIT")
        except (sqlite3.Error, StoreUnavailable) as error:
            self._abandon(group, error)

    def _attempt(self, job: _Job) -> None:
        """Run one function; undo it alone if it fails.

        Raises:
            sqlite3.Error: the failure took the whole transaction with it.
        """
        self._writer.execute("SAVEPOINT one")
        try:
            job.result = job.function(self._transaction)
        except Exception as error:  # the caller's task ends here, not the writer's
            job.error = _translated(error)
            if _is_fatal(error):
                raise
            if not self._writer.in_transaction:
                raise job.error from error
            self._writer.execute("ROLLBACK TO one")
        self._writer.execute("RELEASE one")

    def _abandon(self, group: list[_Job], error: sqlite3.Error | StoreUnavailable) -> None:
        """Undo the whole group; nothing of it was acknowledged yet."""
        message = f"nothing was stored: {error}"
        if _is_fatal(error):
            self._broken = f"the database failed and stays closed: {error}"
        if self._writer.in_transaction:
            try:
                self._writer.execute("ROLLBACK")
            except sqlite3.Error as second:
                self._broken = f"the database failed and stays closed: {second}"
        for job in group:
            job.result = None
            job.error = job.error or StoreUnavailable(message)


def _is_fatal(error: Exception) -> bool:
    name: str = getattr(error, "sqlite_errorname", "")
    return name.startswith(_FATAL)


def _translated(error: Exception) -> RegistrarError:
    """Return ``error`` as one of ours, so that callers need to know no other kind."""
    if isinstance(error, RegistrarError):
        return error
    if isinstance(error, UnicodeEncodeError):
        return DecodingError("a text holds half of a surrogate pair and cannot be stored")
    if isinstance(error, sqlite3.OperationalError) or _is_fatal(error):
        return StoreUnavailable(f"nothing was stored: {error}")
    ours = Misuse(f"a change failed: {type(error).__name__}: {error}")
    ours.__cause__ = error
    return ours


def _answer(group: list[_Job]) -> None:
    """Hand every result to its caller, in one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in group:
        if job.loop is None:
            _settle(job)
        else:
            by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, jobs)
        except RuntimeError:
            continue  # the loop is closed; nobody waits any more


def _settle_all(jobs: list[_Job]) -> None:
    for job in jobs:
        _settle(job)


def _settle(job: _Job) -> None:
    if job.future.done():
        return
    if job.error is not None:
        job.future.set_exception(job.error)
    else:
        job.future.set_result(job.result)
