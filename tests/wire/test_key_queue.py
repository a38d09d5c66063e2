"""Private-key work is fair, bounded and leaves the loop its time; threat-model 5.2."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from time import perf_counter

import pytest

from registrar.errors import Misuse, Reason, SecurityChecksFailed, Unavailable
from registrar.wire import KeyQueue


async def test_addresses_are_served_in_rotation() -> None:
    queue = KeyQueue(turn_s=10)
    order: list[str] = []

    def job(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    futures = [queue.submit("flood", 2048, job(f"flood{number}")) for number in range(4)]
    futures += [queue.submit("other", 2048, job("other"))]
    await asyncio.gather(*futures)

    assert order == ["flood0", "other", "flood1", "flood2", "flood3"]


async def test_the_loop_gets_its_turn() -> None:
    queue = KeyQueue(turn_s=0.000_001, per_address=100)
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(count)

    asyncio.get_running_loop().call_soon(count)
    await asyncio.gather(*(queue.submit("a", 2048, _work) for _ in range(20)))

    assert turns >= 20


def _work() -> None:
    end = perf_counter() + 0.000_01
    while perf_counter() < end:
        pass


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("name", ["per_address", "total"])
async def test_only_so_many_jobs_wait(name: str, size: int) -> None:
    make: Callable[..., KeyQueue] = KeyQueue
    queue = make(**{name: 3})
    futures = [queue.submit("a", 2048, _work) for _ in range(min(size, 3))]

    if size > 3:
        with pytest.raises(Unavailable) as caught:
            queue.submit("a", 2048, _work)
        assert caught.value.reason is Reason.BUSY
    await asyncio.gather(*futures)
    await queue.submit("a", 2048, _work)


@pytest.mark.parametrize(("key_bits", "in_thread"), [(2048, False), (2049, True), (4096, True)])
async def test_long_keys_go_to_a_thread(key_bits: int, in_thread: bool) -> None:
    queue = KeyQueue()

    worker = await queue.submit("a", key_bits, threading.get_ident)

    assert (worker != threading.get_ident()) is in_thread
    queue.close()


@pytest.mark.parametrize("key_bits", [2048, 4096])
async def test_a_failed_job_fails_alone(key_bits: int) -> None:
    def fail() -> None:
        raise SecurityChecksFailed("padding")

    queue = KeyQueue()
    failed, fine = queue.submit("a", key_bits, fail), queue.submit("a", key_bits, lambda: 1)

    with pytest.raises(SecurityChecksFailed):
        await failed
    assert await fine == 1
    queue.close()


async def test_a_cancelled_job_is_not_done() -> None:
    queue = KeyQueue()
    done: list[int] = []
    future = queue.submit("a", 2048, lambda: done.append(1))

    future.cancel()
    await queue.submit("a", 2048, lambda: done.append(2))

    assert done == [2]


@pytest.mark.parametrize(
    "arguments", [{"per_address": 0}, {"total": 0}, {"total": 10**9}, {"threads": 100}]
)
def test_limits_have_hard_maxima(arguments: dict[str, int]) -> None:
    make: Callable[..., KeyQueue] = KeyQueue

    with pytest.raises(Misuse):
        make(**arguments)
