"""The stages of a connection before it is in use, and how long each may last."""

from __future__ import annotations

import asyncio
from itertools import takewhile
from typing import Protocol

from registrar.errors import TimedOut
from registrar.wire.limits import ServerLimits


class Guest(Protocol):
    """A connection in a stage."""

    def expired(self, error: TimedOut) -> None:
        """Take note that the stage lasted too long."""


class Stage:
    """Connections that wait for the same thing, each as long; one timer serves them all.

    A connection that does not wait long costs no timer of its own, only its place in the row.
    """

    __slots__ = ("_duration_s", "_ends", "_loop", "_timer", "_what")

    def __init__(self, loop: asyncio.AbstractEventLoop, what: str, duration_s: float) -> None:
        self._loop = loop
        self._what = what
        self._duration_s = duration_s
        self._ends: dict[Guest, float] = {}
        """When their time is over; who came first ends first."""
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, guest: Guest) -> None:
        """Let ``guest``, who is not in this stage, wait from now on."""
        ends_at = self._ends[guest] = self._loop.time() + self._duration_s
        if self._timer is None:
            self._timer = self._loop.call_at(ends_at, self._expire)

    def leave(self, guest: Guest) -> None:
        """Let ``guest`` wait no more."""
        self._ends.pop(guest, None)

    def close(self) -> None:
        """Give the timer back to the loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        now = self._loop.time()
        for guest, _ in [*takewhile(lambda one: one[1] <= now, self._ends.items())]:
            del self._ends[guest]
            # Each in a call of its own, so that none depends on the others.
            self._loop.call_soon(guest.expired, TimedOut(f"no {self._what} in time"))
        first = next(iter(self._ends.values()), None)
        self._timer = self._loop.call_at(first, self._expire) if first is not None else None


class Stages:
    """What the connections of a Listener wait for."""

    __slots__ = ("hello", "open", "session")

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: ServerLimits) -> None:
        self.hello = Stage(loop, "HEL", limits.hello_s)
        self.open = Stage(loop, "OPN", limits.open_s)
        self.session = Stage(loop, "an activated Session", limits.session_s)

    def close(self) -> None:
        """Give the timers back to the loop."""
        for stage in (self.hello, self.open, self.session):
            stage.close()
