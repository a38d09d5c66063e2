"""Whose request is served next, where more have arrived than can be served at once."""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Protocol

from registrar.wire.key_queue import REST


class Waiting(Protocol):
    """Who waits for a turn."""

    def serve(self) -> None:
        """Serve one request, and ask for the next turn if there is another."""


class Turns:
    """Lets the connections of a Listener have their requests served in rotation.

    Those with a Session have a rotation of their own, every other turn, so that no crowd of
    strangers stands before them. However many wait, the loop is not held for longer than
    ``turn_s`` and a request, and hears of new connections in between.
    """

    __slots__ = (
        "_handle",
        "_has_arrivals",
        "_is_known_next",
        "_known",
        "_loop",
        "_strangers",
        "_turn_s",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, turn_s: float) -> None:
        self._loop = loop
        self._turn_s = turn_s
        self._strangers: deque[Waiting] = deque()
        self._known: deque[Waiting] = deque()
        self._is_known_next = True
        self._handle: asyncio.Handle | None = None
        self._has_arrivals = False

    def wait(self, one: Waiting, is_known: bool) -> None:
        """Let ``one`` serve after all of its kind that wait already; it must not wait yet."""
        (self._known if is_known else self._strangers).append(one)
        if self._handle is None:
            self._handle = self._loop.call_soon(self._take_turn)

    def make_way(self) -> None:
        """Rest before the next turn: a connection was accepted, and others may wait for it."""
        self._has_arrivals = True

    def _take_turn(self) -> None:
        end = perf_counter() + self._turn_s
        try:
            while self._known or self._strangers:
                self._take().serve()
                if perf_counter() >= end:
                    break
        finally:
            is_done = not (self._known or self._strangers)
            self._handle = None if is_done else self._loop.call_soon(self._rest, REST)

    def _take(self) -> Waiting:
        """Return who is next; one must wait."""
        if not self._strangers or (self._known and self._is_known_next):
            self._is_known_next = False
            return self._known.popleft()
        self._is_known_next = True
        return self._strangers.popleft()

    def _rest(self, turns: int) -> None:
        """Let the loop accept connections as long as some come, for a few turns, then go on."""
        if turns and self._has_arrivals:
            self._has_arrivals = False
            self._handle = self._loop.call_soon(self._rest, turns - 1)
        else:
            self._take_turn()
