"""The door to the database: one writer that groups commits, and reads beside it.

    event loop       write(f) write(g) ─┐          ┌─ f, g ─┐      answers
                                        ▼          │        ▼         ▲
    writer's thread               BEGIN IMMEDIATE ─┘     COMMIT ──────┘

All that arrives within some milliseconds becomes one group, so durability costs latency, not
throughput. A caller that got its answer got a durable one. The thread only waits: for the lock
and for the disk. The functions themselves run on the loop, some 30 µs each: on another thread every
statement would first wait for the interpreter's lock, which a busy loop holds for milliseconds.

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
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from registrar.errors import DecodingError, Misuse, RegistrarError, StoreUnavailable
from registrar.store.limits import StoreLimits
from registrar.store.schema import connect, create_file, prepare
from registrar.store.transaction import Snapshot, Transaction

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


LOOP_CHECK_S: Final = 0.05
"""How often the writer's thread looks whether the loop it waits for still runs, in seconds."""

_Group = tuple[list[_Job], Exception | None]
"""Jobs whose functions ran, and what keeps the whole group from being committed."""


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
        self._waiting: deque[_Job] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop a series of groups is under way for; None while nothing is."""
        self._turns: SimpleQueue[asyncio.AbstractEventLoop | None] = SimpleQueue()
        self._ran: SimpleQueue[_Group | None] = SimpleQueue()
        self._exclusive = threading.Lock()
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
        self._turns.put(None)
        self._ran.put(None)
        self._thread.join()
        while self._waiting:
            _settle_all(self._commit_here(self._take()))
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
            self._turns.put(loop)
        return await future

    def write_sync(self, function: Callable[[Transaction], T]) -> T:
        """Do the same as ``write`` where nothing else is under way; blocks.

        Raises:
            Misuse: called on the event loop while that loop is writing.
        """
        self._check_open()
        if self._loop is not None and self._loop is _running_loop():
            raise Misuse("write_sync on an event loop that is writing would never end")
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

    # --- on the writer's thread

    def _serve(self) -> None:
        """Begin and commit groups for whichever loop writes; until closed."""
        while (loop := self._turns.get()) is not None:
            self._gather()
            ran = self._let_run(loop, self._begin())
            if ran is None:
                self._end([], StoreUnavailable("the event loop ended"))
                continue
            self._end(*ran)
            self._post(loop, self._rest, ran[0])

    def _gather(self) -> None:
        """Let changes come together: a lone one soon goes on, a crowd goes on as one."""
        time.sleep(self._limits.gather_s)
        if len(self._waiting) > 1:
            time.sleep(self._limits.crowd_s)

    def _let_run(self, loop: asyncio.AbstractEventLoop, refusal: Exception | None) -> _Group | None:
        """Have the loop run the next group; None where the store closes.

        A loop that ended meanwhile runs nothing any more, and must not keep the lock.
        """
        turn = threading.Lock()
        is_posted = self._post(loop, self._run, turn, refusal)
        while is_posted:
            try:
                ran = self._ran.get(timeout=LOOP_CHECK_S)
            except Empty:
                if loop.is_running():
                    continue
            else:
                if ran is not None:
                    return ran
                if turn.acquire(blocking=False):
                    return None
                continue
            if turn.acquire(blocking=False):
                break
        group = self._take()
        return group, refusal or self._attempt_all(group, None)

    def _post(
        self, loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *values: object
    ) -> bool:
        try:
            loop.call_soon_threadsafe(callback, *values)
        except RuntimeError:  # closed: nobody waits there any more
            if self._loop is loop:
                self._loop = None
            return False
        return True

    def _begin(self) -> Exception | None:
        self._exclusive.acquire()
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

    # --- on the event loop

    def _run(self, turn: threading.Lock, refusal: Exception | None) -> None:
        """Run the functions of the next group.

        Whoever gets ``turn`` runs them: the loop, or the thread where the loop stood still.
        """
        if not turn.acquire(blocking=False):
            return
        group = self._take()
        ends = time.monotonic() + self._limits.group_s
        self._ran.put((group, refusal or self._attempt_all(group, ends)))

    def _rest(self, done: list[_Job]) -> None:
        """Answer the last group; go on where new functions came meanwhile."""
        _settle_all(done)
        if self._waiting and not self._closed and self._loop is not None:
            self._turns.put(self._loop)
        else:
            self._loop = None

    # --- wherever the group is

    def _take(self) -> list[_Job]:
        size = min(len(self._waiting), self._limits.max_group)
        return [self._waiting.popleft() for _ in range(size)]

    def _commit_here(self, group: list[_Job]) -> list[_Job]:
        """Commit ``group`` on the calling thread."""
        self._end(group, self._begin() or self._attempt_all(group, None))
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
