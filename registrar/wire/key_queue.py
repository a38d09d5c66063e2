"""Private-key work in fair, bounded turns, so that the event loop stays responsive.

An operation with a key of 2048 bits takes 0.3 ms: it runs on the loop, in turns of at most
0.5 ms. A longer key takes several times as long and goes to a small pool of threads, because
``cryptography`` releases the GIL; a thread gets its next job when it has done one, so that turns
hold there as well. Each address has its own row and they are served in rotation; who floods us
waits for himself. A flood from many addresses has many rows: those whom we have let in before are
served in a rotation of their own, every other time (threat-model 5.2).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from registrar.errors import Misuse, Reason, Unavailable
from registrar.native import compiled
from registrar.status import StatusCode

T = TypeVar("T")

MAX_INLINE_BITS = 2048
MAX_PER_ADDRESS = 1_024
MAX_TOTAL = 16_384
MAX_THREADS = 8

REST = 8
"""Turns of the loop between two turns of ours as long as connections come, of which libuv accepts
one in each: with none, those who came after 200 strangers waited 100 ms for their first answer,
with these 1 ms. Where nobody comes they took 3 % of the time."""

MAX_KNOWN = 4_096
"""Addresses remembered as let in before; the one that was longest not heard of goes first."""

Done = Callable[[Any, Exception | None], None]


@dataclass(slots=True)
class _Job:
    """Work, and who is told what it gave: a future, or ``done``."""

    work: Callable[[], Any]
    address: str
    is_known: bool
    future: asyncio.Future[Any] | None = None
    done: Done | None = None

    @property
    def is_given_up(self) -> bool:
        return self.future is not None and self.future.cancelled()


class _Row:
    """The jobs of one address."""

    __slots__ = ("address", "jobs")

    def __init__(self, address: str) -> None:
        self.address = address
        self.jobs: deque[_Job] = deque()


class _Rows:
    """Jobs of many addresses; ``take`` gives them in turn, every other one of a known address."""

    __slots__ = ("_by_address", "_turns", "is_known_next")

    def __init__(self) -> None:
        self._by_address: dict[tuple[str, bool], _Row] = {}
        self._turns: tuple[deque[_Row], deque[_Row]] = deque(), deque()
        """Rows of strangers and of known addresses, in the order they are served."""
        self.is_known_next = True

    def __bool__(self) -> bool:
        return bool(self._by_address)

    def add(self, job: _Job) -> None:
        key = job.address, job.is_known
        row = self._by_address.get(key)
        if row is None:
            row = self._by_address[key] = _Row(job.address)
            self._turns[job.is_known].append(row)
        row.jobs.append(job)

    def take(self) -> _Job:
        """Return the next job; there must be one."""
        is_known = self.is_known_next if self._turns[self.is_known_next] else not self.is_known_next
        rows = self._turns[is_known]
        self.is_known_next = not is_known
        row = rows.popleft()
        job = row.jobs.popleft()
        if row.jobs:
            rows.append(row)
        else:
            del self._by_address[row.address, is_known]
        return job


@compiled
class KeyQueue:
    """Runs jobs of one event loop; share it among the Listeners or Clients of a process.

    Args:
        per_address: jobs one address may have waiting.
        total: jobs that known addresses may have waiting, and that all others may.
        turn_s: how long the loop works on jobs before it serves others.
        threads: threads for keys longer than 2048 bits.
    """

    __slots__ = (
        "_busy_threads",
        "_counts",
        "_drain_handle",
        "_has_arrivals",
        "_known",
        "_long",
        "_per_address",
        "_pool",
        "_short",
        "_threads",
        "_total",
        "_turn_s",
        "_waiting",
    )

    def __init__(
        self, *, per_address: int = 16, total: int = 1_024, turn_s: float = 0.0005, threads: int = 2
    ) -> None:
        if not 0 < per_address <= MAX_PER_ADDRESS or not 0 < total <= MAX_TOTAL:
            raise Misuse(f"limits of {per_address} and {total} jobs")
        if not 0 < threads <= MAX_THREADS:
            raise Misuse(f"{threads} threads; at most {MAX_THREADS}")
        self._per_address = per_address
        self._total = total
        self._turn_s = turn_s
        self._threads = threads
        self._short, self._long = _Rows(), _Rows()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._counts: dict[str, int] = {}
        self._waiting = {True: 0, False: 0}
        self._has_arrivals = False
        self._busy_threads = 0
        self._pool: ThreadPoolExecutor | None = None
        self._drain_handle: asyncio.Handle | None = None

    def remember(self, address: str) -> None:
        """Serve ``address`` beside strangers from now on, since it has proven a key we trust."""
        self._known[address] = None
        self._known.move_to_end(address)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def make_way(self) -> None:
        """Rest before the next turn: a connection was accepted, and others may wait for it."""
        self._has_arrivals = True

    def submit(self, address: str, key_bits: int, work: Callable[[], T]) -> asyncio.Future[T]:
        """Return the future of ``work()``.

        Raises:
            Unavailable: too many jobs wait, for this address or at all.
        """
        loop = asyncio.get_running_loop()
        job = self._admit(address, work)
        job.future = loop.create_future()
        self._add(loop, job, key_bits)
        return job.future

    def hand_over(self, address: str, key_bits: int, work: Callable[[], Any], done: Done) -> None:
        """Call ``done`` with the result of ``work()`` or with what it raised, in the same turn.

        Raises:
            Unavailable: too many jobs wait, for this address or at all.
        """
        job = self._admit(address, work)
        job.done = done
        self._add(asyncio.get_running_loop(), job, key_bits)

    def _admit(self, address: str, work: Callable[[], Any]) -> _Job:
        count, is_known = self._counts.get(address, 0), address in self._known
        if count >= self._per_address or self._waiting[is_known] >= self._total:
            raise Unavailable(
                f"{count} of {self._per_address} jobs of one address wait,"
                f" {self._waiting[is_known]} of {self._total} in all",
                reason=Reason.BUSY,
                status=StatusCode.BadTcpServerTooBusy,
            )
        self._counts[address] = count + 1
        self._waiting[is_known] += 1
        return _Job(work, address, is_known)

    def _add(self, loop: asyncio.AbstractEventLoop, job: _Job, key_bits: int) -> None:
        if key_bits > MAX_INLINE_BITS:
            self._long.add(job)
            self._feed(loop)
        else:
            self._short.add(job)
            if self._drain_handle is None:
                self._drain_handle = loop.call_soon(self._drain, loop)

    def close(self) -> None:
        """Let the threads end."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Work for a turn; what comes meanwhile asks for none, since the handle still stands."""
        end = perf_counter() + self._turn_s
        try:
            while self._short:
                job = self._short.take()
                if job.is_given_up:
                    self._count_down(job)
                    continue
                try:
                    result = job.work()
                except Exception as error:  # the job ends here; who gave it is told the error
                    self._end(loop, job, None, error)
                else:
                    self._end(loop, job, result, None)
                if perf_counter() >= end:
                    break
        finally:
            self._drain_handle = loop.call_soon(self._rest, loop, REST) if self._short else None

    def _rest(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        """Let the loop accept connections as long as some come, for a few turns, then go on."""
        if turns and self._has_arrivals:
            self._has_arrivals = False
            self._drain_handle = loop.call_soon(self._rest, loop, turns - 1)
        else:
            self._drain(loop)

    def _feed(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give a job to each thread that has none."""
        while self._long and self._busy_threads < self._threads:
            job = self._long.take()
            if job.is_given_up:
                self._count_down(job)
                continue
            self._busy_threads += 1
            try:
                running = loop.run_in_executor(self._threads_of(), job.work)
            except Exception as error:  # no thread can be had
                self._busy_threads -= 1
                self._end(loop, job, None, error)
            else:
                running.add_done_callback(partial(self._fed, loop, job))

    def _fed(
        self, loop: asyncio.AbstractEventLoop, job: _Job, running: asyncio.Future[Any]
    ) -> None:
        self._busy_threads -= 1
        error = running.exception()
        if job.is_given_up:
            self._count_down(job)
        else:
            failure = error if error is None or isinstance(error, Exception) else Misuse(str(error))
            self._end(loop, job, None if error else running.result(), failure)
        self._feed(loop)

    def _end(
        self, loop: asyncio.AbstractEventLoop, job: _Job, result: Any, error: Exception | None
    ) -> None:
        self._count_down(job)
        if job.done is not None:
            try:
                job.done(result, error)
            except Exception as failure:  # of whoever gave the job; others go on
                loop.call_exception_handler({"message": "a job's end failed", "exception": failure})
        elif job.future is not None:
            if error is not None:
                job.future.set_exception(error)
            else:
                job.future.set_result(result)

    def _count_down(self, job: _Job) -> None:
        self._waiting[job.is_known] -= 1
        left = self._counts[job.address] - 1
        if left:
            self._counts[job.address] = left
        else:
            del self._counts[job.address]

    def _threads_of(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="keys")
        return self._pool
