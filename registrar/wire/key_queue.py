"""Private-key work in fair, bounded turns, so that the event loop stays responsive.

An operation with a key of 2048 bits takes 0.3 ms: it runs on the loop, in turns of at most
0.5 ms. A longer key takes several times as long and goes to a small pool of threads, because
``cryptography`` releases the GIL. Each address has its own row and they are served in rotation;
who floods us waits for himself (threat-model 5.2).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from registrar.errors import Misuse, Reason, Unavailable
from registrar.status import StatusCode

T = TypeVar("T")

MAX_INLINE_BITS = 2048
MAX_PER_ADDRESS = 1_024
MAX_TOTAL = 16_384
MAX_THREADS = 8


class KeyQueue:
    """Runs jobs of one event loop; share it among the Listeners or Clients of a process.

    Args:
        per_address: jobs one address may have waiting.
        total: jobs that may wait at all.
        turn_s: how long the loop works on jobs before it serves others.
        threads: threads for keys longer than 2048 bits.
    """

    __slots__ = (
        "_counts",
        "_drain_handle",
        "_per_address",
        "_pool",
        "_rows",
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
        self._rows: OrderedDict[str, deque[tuple[Callable[[], Any], asyncio.Future[Any]]]]
        self._rows = OrderedDict()
        self._counts: dict[str, int] = {}
        self._waiting = 0
        self._pool: ThreadPoolExecutor | None = None
        self._drain_handle: asyncio.Handle | None = None

    def submit(self, address: str, key_bits: int, work: Callable[[], T]) -> asyncio.Future[T]:
        """Return the future of ``work()``.

        Raises:
            Unavailable: too many jobs wait, for this address or at all.
        """
        count = self._counts.get(address, 0)
        if count >= self._per_address or self._waiting >= self._total:
            raise Unavailable(
                f"{count} of {self._per_address} jobs of one address wait,"
                f" {self._waiting} of {self._total} in all",
                reason=Reason.BUSY,
                status=StatusCode.BadTcpServerTooBusy,
            )
        loop = asyncio.get_running_loop()
        self._counts[address] = count + 1
        self._waiting += 1
        if key_bits > MAX_INLINE_BITS:
            future: asyncio.Future[T] = asyncio.ensure_future(
                loop.run_in_executor(self._threads_of(), work)
            )
        else:
            future = loop.create_future()
            self._rows.setdefault(address, deque()).append((work, future))
            if self._drain_handle is None:
                self._drain_handle = loop.call_soon(self._drain, loop)
        future.add_done_callback(partial(self._count_down, address))
        return future

    def close(self) -> None:
        """Let the threads end."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        end = perf_counter() + self._turn_s
        self._drain_handle = None
        while self._rows:
            address, row = self._rows.popitem(last=False)
            work, future = row.popleft()
            if row:
                self._rows[address] = row
            if future.cancelled():
                continue
            try:
                result = work()
            except Exception as error:  # the job ends here; its future carries the error on
                future.set_exception(error)
            else:
                future.set_result(result)
            if perf_counter() >= end:
                break
        if self._rows:
            self._drain_handle = loop.call_soon(self._drain, loop)

    def _count_down(self, address: str, _: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        left = self._counts[address] - 1
        if left:
            self._counts[address] = left
        else:
            del self._counts[address]

    def _threads_of(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="keys")
        return self._pool
