"""Each connection has its own time in a stage, though one timer serves all."""

from __future__ import annotations

import asyncio

from registrar.errors import TimedOut
from registrar.wire.stages import Stage


class Waiting:
    """A guest that tells when its time is over."""

    def __init__(self) -> None:
        self.over = asyncio.get_running_loop().create_future()

    def expired(self, error: TimedOut) -> None:
        self.over.set_result((str(error), asyncio.get_running_loop().time()))


async def test_each_has_its_own_time() -> None:
    loop = asyncio.get_running_loop()
    stage, guests, begun = Stage(loop, "HEL", 0.02), [Waiting() for _ in range(3)], []
    for guest in guests:
        stage.enter(guest)
        begun.append(loop.time())
        await asyncio.wait([guest.over], timeout=0.005)

    for guest, begin in zip(guests, begun, strict=True):
        said, end = await guest.over
        assert said == "no HEL in time"
        assert end >= begin + 0.02


async def test_who_left_is_not_told_and_comes_again_as_the_last() -> None:
    loop = asyncio.get_running_loop()
    stage, left, again, last = Stage(loop, "HEL", 0.01), Waiting(), Waiting(), Waiting()
    for guest in (left, again, last):
        stage.enter(guest)
    stage.leave(left)
    stage.leave(left)
    stage.leave(again)
    stage.enter(again)
    await again.over

    assert last.over.done()
    assert not left.over.done()


async def test_a_fault_of_one_leaves_the_others_their_end() -> None:
    loop = asyncio.get_running_loop()
    stage, first, second = Stage(loop, "HEL", 0.01), Waiting(), Waiting()
    faults: list[object] = []
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
    first.over.set_result(None)  # so that it cannot be told
    stage.enter(first)
    stage.enter(second)
    await second.over
    loop.set_exception_handler(None)

    assert len(faults) == 1


async def test_a_closed_stage_ends_nobody() -> None:
    loop = asyncio.get_running_loop()
    stage, guest = Stage(loop, "HEL", 0.001), Waiting()
    stage.enter(guest)
    stage.close()

    _, waiting = await asyncio.wait([guest.over], timeout=0.01)
    assert waiting
