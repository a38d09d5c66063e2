"""The door to the database: one writer that groups commits, and reads beside it.

    event loop       write(f) write(g) ─▶ BEGIN IMMEDIATE, f, g ─┐      answers
                                                                 ▼         ▲
    writer's thread                                           COMMIT ──────┘

All that arrives within some milliseconds becomes one group, so durability costs latency, not
throughput. A caller that got its answer got a durable one. The thread only waits for the disk.
Everything else runs on the loop, some 30 µs each: on another thread every statement would first
wait for the interpreter's lock, which a busy loop holds for milliseconds.

Functions seldom fail, so a group runs as one; where one of it fails, all is undone and the group
runs again, each function in a savepoint of its own. Savepoints cost a third of what functions do.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from registrar.errors import DecodingError, Misuse, RegistrarError, StoreUnavailable
from registrar.store.limits import StoreLimits
from registrar.store.schema import BUSY_TIMEOUT_S, connect, create_file, prepare
from registrar.store.transaction import Reader, Transaction

T = TypeVar("T")

_FATAL: Final = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")
"""After these nobody knows what is on the disk; a second try could only hide it."""


@dataclass(slots=True)
class _Job:
    """A function that waits for the writer, and who waits for its answer."""

    function: Callable[[Transaction], Any]
    future: asyncio.Future[Any] | None
    result: Any = None
    error: RegistrarError | None = None


LOCK_RETRY_S: Final = 0.005
"""Between two attempts to begin while another process is writing."""

_Run = tuple[asyncio.AbstractEventLoop, list[_Job], Exception | None]
"""Jobs whose functions ran on a loop, and what keeps the whole group from being committed."""


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
        self._exclusive = threading.Lock()
        self.reader = Reader(reader, writer=writer, exclusive=self._exclusive)
        """Reads what is committed, at once and without waiting for the writer."""
        self._limits = limits
        self._writer = writer
        self._reader = reader
        self._waiting: deque[_Job] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop a series of groups is under way for; None while nothing is."""
        self._ran: SimpleQueue[_Run | None] = SimpleQueue()
        self._is_careful = False
        """Whether the next group is one of which a function failed."""
        self._closed = False
        self._broken = ""
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path | str, *, limits: StoreLimits | None = None) -> Self:
        """Open the database at ``path``, and make it if it is not there.

        Raises:
            StoreUnavailable: the file cannot be made, opened or understood.
        """
        path, limits = Path(path), limits or StoreLimits()
        create_file(path)
        writer = connect(path)
        try:
            prepare(writer)
            writer.execute(f"PRAGMA max_page_count = {limits.max_pages}")
            # Nobody may be held up by another process here: who begins waits in a better way.
            writer.execute("PRAGMA busy_timeout = 0")
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
        if self._closed:
            return
        self._closed = True
        with self._exclusive:  # the group under way is the last of its loop
            pass
        while self._waiting:
            for job in self._commit_here(self._take()):
                if job.future is not None:
                    self._post(job.future.get_loop(), _settle_all, [job])
        self._ran.put(None)
        self._thread.join()
        self._writer.close()
        self._reader.close()

    async def write(self, function: Callable[[Transaction], T]) -> T:
        """Run ``function`` in a transaction and return its result once that is durable.

        ``function`` only works on its transaction and on values, and briefly: it runs on the
        event loop. If it raises, all it did is undone. Where another one of its group raises, it
        is undone too and runs again. A cancelled caller does not stop it.

        Raises:
            RegistrarError: what ``function`` raised.
            StoreUnavailable: too many wait, the disk is full or failing, or the store is closed.
            Misuse: ``function`` failed otherwise, or broke a constraint of the tables.
        """
        loop = asyncio.get_running_loop()
        self._check_open()
        if self._loop not in (None, loop) and not self._loop.is_closed():
            raise Misuse("another event loop is writing to this store")
        if len(self._waiting) >= self._limits.max_waiting:
            raise StoreUnavailable(f"more than {self._limits.max_waiting} changes wait")
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Job(function, future))
        if self._loop is not loop:
            self._loop = loop
            self._gather(loop)
        return await future

    def write_sync(self, function: Callable[[Transaction], T]) -> T:
        """Do the same as ``write`` where nothing else is under way; blocks.

        Raises:
            Misuse: called on the event loop while that loop is writing.
        """
        self._check_open()
        if self._loop is not None and self._loop is _running_loop():
            raise Misuse("write_sync on an event loop that is writing would hold it up")
        (job,) = self._commit_here([_Job(function, None)])
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def data_version(self) -> int:
        """Return a number that differs after any commit, of this process or another."""
        version: int = self._reader.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._broken:
            raise StoreUnavailable(self._broken)

    # --- on the event loop

    def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let changes come together: a lone one soon goes on, a crowd goes on as one."""
        loop.call_later(self._limits.gather_s, self._gathered, loop)

    def _gathered(self, loop: asyncio.AbstractEventLoop) -> None:
        wait_s = self._limits.crowd_s if len(self._waiting) > 1 else 0.0
        loop.call_later(wait_s, self._run, loop, time.monotonic() + wait_s + BUSY_TIMEOUT_S)

    def _run(self, loop: asyncio.AbstractEventLoop, patient_until: float) -> None:
        """Run the next group as soon as nobody else is writing."""
        if self._exclusive.acquire(blocking=False):
            if self._closed:  # whoever closes commits what waits
                self._exclusive.release()
                return
            refusal = self._begin()
            if not _is_busy(refusal) or time.monotonic() > patient_until:
                self._run_group(loop, refusal)
                return
            self._exclusive.release()
        loop.call_later(LOCK_RETRY_S, self._run, loop, patient_until)

    def _run_group(self, loop: asyncio.AbstractEventLoop, refusal: Exception | None) -> None:
        group = self._take()
        failure: Exception | None = StoreUnavailable("it was interrupted")
        try:
            ends = time.monotonic() + self._limits.group_s
            failure = refusal or self._attempt_all(group, ends)
        finally:
            self._ran.put((loop, group, failure))

    def _rest(self, done: list[_Job]) -> None:
        """Answer the last group; go on where new functions came meanwhile."""
        _settle_all(done)
        if self._waiting and not self._closed and self._loop is not None:
            self._gather(self._loop)
        else:
            self._loop = None

    # --- on the writer's thread

    def _serve(self) -> None:
        """Make durable what ran on a loop, and tell that loop; until closed."""
        while (ran := self._ran.get()) is not None:
            loop, group, failure = ran
            self._end(group, failure)
            self._post(loop, self._rest, group)

    def _post(
        self,
        loop: asyncio.AbstractEventLoop,
        callback: Callable[[list[_Job]], None],
        jobs: list[_Job],
    ) -> None:
        try:
            loop.call_soon_threadsafe(callback, jobs)
        except RuntimeError:  # closed: nobody waits there any more
            if self._loop is loop:
                self._loop = None

    # --- wherever the group is

    def _begin(self) -> Exception | None:
        """Begin a transaction; return why there is none."""
        try:
            if self._broken:
                raise StoreUnavailable(self._broken)
            self._writer.execute("BEGIN IMMEDIATE")
        except (sqlite3.Error, StoreUnavailable) as error:
            return error
        return None

    def _end(self, group: list[_Job], failure: Exception | None) -> None:
        """Make the group durable, or undo it whole, and let others write."""
        try:
            if failure is None:
                self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            failure = error
        if failure is not None:
            self._abandon(group, failure)
        self._exclusive.release()

    def _take(self) -> list[_Job]:
        size = min(len(self._waiting), self._limits.max_group)
        return [self._waiting.popleft() for _ in range(size)]

    def _commit_here(self, group: list[_Job]) -> list[_Job]:
        """Commit ``group`` on the calling thread, which waits until nobody else is writing."""
        patient_until = time.monotonic() + BUSY_TIMEOUT_S
        failure: Exception | None = StoreUnavailable("it was interrupted")
        self._exclusive.acquire()
        try:
            while _is_busy(refusal := self._begin()) and time.monotonic() < patient_until:
                time.sleep(LOCK_RETRY_S)
            failure = refusal or self._attempt_all(group, None)
        finally:
            self._end(group, failure)
        return group

    def _put_back(self, group: list[_Job], start: int) -> None:
        """Move the jobs of ``group`` from ``start`` on to the front of the queue."""
        self._waiting.extendleft(reversed(group[start:]))
        del group[start:]

    def _attempt_all(self, group: list[_Job], ends: float | None) -> Exception | None:
        """Run the functions; those too late for the group go back to the front of the queue.

        All go back where one of several failed, and the next group keeps them apart.
        """
        is_careful, self._is_careful = self._is_careful, False
        together = Transaction(self._writer)
        try:
            for number, job in enumerate(group):
                if number and ends is not None and time.monotonic() > ends:
                    self._put_back(group, number)
                    break
                if is_careful:
                    self._attempt_apart(job)
                else:
                    job.result = job.function(together)
            together.finish()
        except Exception as error:  # the callers' tasks end here, not the writer's
            if is_careful or _is_fatal(error):
                return error
            if len(group) == 1:
                group[0].error = _translated(error)
            else:
                self._is_careful = True
                self._put_back(group, 0)
            return error
        return None

    def _attempt_apart(self, job: _Job) -> None:
        """Run one function; undo it alone if it fails.

        Raises:
            sqlite3.Error, RegistrarError: the failure takes the whole transaction with it.
        """
        self._writer.execute("SAVEPOINT one")
        transaction = Transaction(self._writer)
        try:
            job.result = job.function(transaction)
            transaction.finish()
        except Exception as error:
            job.error = _translated(error)
            if _is_fatal(error):
                raise
            if not self._writer.in_transaction:
                raise job.error from error
            self._writer.execute("ROLLBACK TO one")
        self._writer.execute("RELEASE one")

    def _abandon(self, group: list[_Job], error: Exception) -> None:
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
    return _name(error).startswith(_FATAL)


def _is_busy(error: Exception | None) -> bool:
    """Tell whether another process is writing."""
    return _name(error).startswith("SQLITE_BUSY")


def _name(error: Exception | None) -> str:
    name: str = getattr(error, "sqlite_errorname", "")
    return name


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


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _settle_all(jobs: list[_Job]) -> None:
    for job in jobs:
        future = job.future
        if future is None or future.done() or future.get_loop().is_closed():
            continue
        if job.error is not None:
            future.set_exception(job.error)
        else:
            future.set_result(job.result)
