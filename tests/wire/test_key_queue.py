"""Private-key work is fair, bounded and leaves the loop its time; threat-model 5.2."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import pytest

from registrar.errors import Misuse, Reason, SecurityChecksFailed, Unavailable
from registrar.wire import KeyQueue
from registrar.wire.key_queue import MAX_KNOWN, REST


async def test_addresses_are_served_in_rotation() -> None:
    queue = KeyQueue(turn_s=10)
    order: list[str] = []

    def job(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    futures = [queue.submit("flood", 2048, job(f"flood{number}")) for number in range(4)]
    futures += [queue.submit("other", 2048, job("other"))]
    await asyncio.gather(*futures)

    assert order == ["flood0", "other", "flood1", "flood2", "flood3"]


@pytest.mark.parametrize("key_bits", [2048, 4096])
async def test_who_was_let_in_before_waits_for_no_crowd(key_bits: int) -> None:
    """Strangers wait no longer than twice for it: every other job is theirs."""
    queue = KeyQueue(turn_s=10, threads=1)
    queue.remember("friend")
    order: list[str] = []

    def job(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    crowd = [f"crowd{number}" for number in range(5)]
    futures = [queue.submit(name, key_bits, job(name)) for name in crowd]
    futures += [queue.submit("friend", key_bits, job("friend")) for _ in range(2)]
    await asyncio.gather(*futures)
    queue.close()

    assert set(order) == {*crowd, "friend"}
    assert order.index("friend") <= 1
    assert order[:5].count("friend") == 2


async def test_a_crowd_takes_no_place_of_those_let_in_before() -> None:
    queue = KeyQueue(total=2)
    queue.remember("friend")
    futures = [queue.submit(name, 2048, _work) for name in ("a", "b")]

    with pytest.raises(Unavailable):
        queue.submit("c", 2048, _work)
    futures += [queue.submit("friend", 2048, _work)]
    await asyncio.gather(*futures)


async def test_only_so_many_are_remembered() -> None:
    queue = KeyQueue(total=1)
    queue.remember("first")
    for number in range(MAX_KNOWN):
        queue.remember(str(number))
    waiting = [queue.submit("stranger", 2048, _work)]

    with pytest.raises(Unavailable):
        queue.submit("first", 2048, _work)
    waiting += [queue.submit("0", 2048, _work)]
    await asyncio.gather(*waiting)


async def test_a_cancelled_job_of_a_thread_lets_the_next_go_on() -> None:
    queue = KeyQueue(threads=1)
    gate = threading.Event()
    done: list[int] = []
    running = queue.submit("a", 4096, gate.wait)
    waiting = queue.submit("a", 4096, lambda: done.append(1))
    after = queue.submit("a", 4096, lambda: done.append(2))

    running.cancel()
    waiting.cancel()
    gate.set()
    await after
    queue.close()

    assert done == [2]


@pytest.mark.parametrize(("accepts", "turns_each"), [(False, 1), (True, REST)])
async def test_the_loop_gets_its_turns(accepts: bool, turns_each: int) -> None:
    """One between two of the queue, some more as long as each brings a connection."""
    queue = KeyQueue(turn_s=0.000_001, per_address=100)
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1
        if accepts:
            queue.make_way()
        asyncio.get_running_loop().call_soon(count)

    asyncio.get_running_loop().call_soon(count)
    await asyncio.gather(*(queue.submit("a", 2048, _work) for _ in range(20)))

    assert 20 * turns_each <= turns < 20 * (turns_each + 2)


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


@pytest.mark.parametrize("key_bits", [2048, 4096])
async def test_a_cancelled_job_gives_its_place_back(key_bits: int) -> None:
    queue = KeyQueue(per_address=3, threads=1)
    gate = threading.Event()
    running = queue.submit("a", 4096, gate.wait)
    waiting = queue.submit("a", key_bits, _work)
    last = queue.submit("a", key_bits, _work)

    running.cancel()
    waiting.cancel()
    gate.set()
    await last
    await queue.submit("a", 4096, _work)  # behind the one that runs

    await asyncio.gather(*(queue.submit("a", 2048, _work) for _ in range(3)))
    queue.close()


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


async def test_a_thread_that_cannot_be_had_fails_its_job_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    queue, told = KeyQueue(threads=1, per_address=1), list[Exception | None]()
    with monkeypatch.context() as patch:
        patch.setattr(ThreadPoolExecutor, "submit", refuse)
        for _ in range(3):
            queue.hand_over("a", 4096, _work, lambda _, error: told.append(error))

    await queue.submit("a", 4096, _work)
    queue.close()

    assert [type(error) for error in told] == [RuntimeError] * 3


@pytest.mark.parametrize("key_bits", [2048, 4096])
async def test_who_hands_a_job_over_is_told_in_the_same_turn(key_bits: int) -> None:
    def fail() -> None:
        raise SecurityChecksFailed("padding")

    queue = KeyQueue()
    told: list[tuple[object, type | None]] = []

    def done(result: object, error: Exception | None) -> None:
        told.append((result, None if error is None else type(error)))

    queue.hand_over("a", key_bits, fail, done)
    queue.hand_over("a", key_bits, lambda: 1, done)
    await queue.submit("a", key_bits, _work)
    queue.close()

    assert told == [(None, SecurityChecksFailed), (1, None)]


async def test_who_is_told_may_give_another_job() -> None:
    queue = KeyQueue(per_address=1)
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def again(result: object, _: Exception | None) -> None:
        queue.hand_over("a", 2048, lambda: (result, 2), lambda result, _: told.set_result(result))

    queue.hand_over("a", 2048, lambda: 1, again)

    assert await told == (1, 2)


async def test_a_failure_of_who_is_told_stops_no_other_job() -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
    queue = KeyQueue()

    def fall(result: object, error: Exception | None) -> None:
        raise ValueError("of the one who is told")

    queue.hand_over("a", 2048, _work, fall)
    await queue.submit("a", 2048, _work)

    assert [type(one["exception"]) for one in complaints] == [ValueError]


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
