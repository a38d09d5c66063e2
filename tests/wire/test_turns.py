"""In which order requests that wait are served, and how long in a row; threat-model 5.2."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from registrar.wire import turns as module
from registrar.wire.key_queue import REST
from registrar.wire.turns import Turns

T25 = pytest.mark.clause("T25: threat-model 5.2")


class Loop:
    """Runs what is due soon, one turn after another."""

    def __init__(self) -> None:
        self._soon: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def call_soon(self, callback: Callable[..., None], *arguments: Any) -> object:
        """Call it in the next turn."""
        self._soon.append((callback, arguments))
        return object()

    def turn(self) -> int:
        """Have a turn; return how much was due."""
        due, self._soon = self._soon, []
        for callback, arguments in due:
            callback(*arguments)
        return len(due)


class Peer:
    """Waits for so many turns, and notes each."""

    def __init__(self, name: str, turns: Turns, served: list[str], count: int = 1) -> None:
        self._name, self._turns, self._served, self._left = name, turns, served, count
        turns.wait(self, self.is_known)

    @property
    def is_known(self) -> bool:
        """Whether it has a Session."""
        return self._name.isupper()

    def serve(self) -> None:
        """Have a turn."""
        self._served.append(self._name)
        self._left -= 1
        if self._left:
            self._turns.wait(self, self.is_known)


@pytest.fixture
def loop() -> Loop:
    return Loop()


def turns_of(loop: Loop, turn_s: float) -> Turns:
    return Turns(cast(asyncio.AbstractEventLoop, loop), turn_s)


@T25
@pytest.mark.parametrize(
    ("peers", "order"),
    [("ab", "abababab"), ("aB", "BaBaBaBa"), ("abC", "CaCbCaCbabab"), ("AB", "ABABABAB")],
)
def test_who_waits_is_served_by_rotation(loop: Loop, peers: str, order: str) -> None:
    served: list[str] = []
    turns = turns_of(loop, 60)
    for name in peers:
        Peer(name, turns, served, count=4)

    assert loop.turn() == 1
    assert "".join(served) == order
    assert loop.turn() == 0


@T25
def test_a_turn_is_over_after_its_time(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(module, "perf_counter", lambda: next(clock))
    served: list[str] = []
    Peer("a", turns_of(loop, 3), served, count=7)

    for expected in (3, 6, 7, 7):
        loop.turn()
        assert len(served) == expected


@T25
def test_it_rests_as_long_as_connections_come_but_not_for_ever(loop: Loop) -> None:
    served: list[str] = []
    turns = turns_of(loop, 0)
    Peer("a", turns, served, count=3)

    loop.turn()
    for _ in range(REST):
        turns.make_way()
        loop.turn()
        assert len(served) == 1
    turns.make_way()
    loop.turn()
    assert len(served) == 2
    loop.turn()  # of what came since
    assert len(served) == 2
    loop.turn()
    assert len(served) == 3


@T25
def test_a_peer_that_fails_leaves_others_their_turn(loop: Loop) -> None:
    served: list[str] = []
    turns = turns_of(loop, 0)

    class Broken:
        def serve(self) -> None:
            raise ValueError

    turns.wait(Broken(), False)
    Peer("b", turns, served)

    with pytest.raises(ValueError, match=r"^$"):
        loop.turn()
    loop.turn()
    assert served == ["b"]
