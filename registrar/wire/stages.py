"""The stage a connection is in, and how long it may stay there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

from registrar.errors import TimedOut


class StageTimer:
    """Calls ``expired`` when a stage lasted too long; one timer, set again only when it fires."""

    __slots__ = ("_ends_at", "_expired", "_fires_at", "_loop", "_stage", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, expired: Callable[[TimedOut], None]
    ) -> None:
        self._loop = loop
        self._expired: Callable[[TimedOut], None] | None = expired
        self._stage = ""
        self._ends_at: float | None = None
        self._fires_at = inf
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, stage: str, duration_s: float) -> None:
        """Wait for ``stage``, at most ``duration_s``; replaces what was waited for."""
        self._stage = stage
        ends_at = self._ends_at = self._loop.time() + duration_s
        if ends_at < self._fires_at:
            if self._timer is not None:
                self._timer.cancel()
            self._fire_at(ends_at)

    def leave(self) -> None:
        """Wait for nothing."""
        self._ends_at = None

    def cancel(self) -> None:
        """Give the timer back to the loop, for good, and forget who was to be called."""
        self._ends_at = self._expired = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire_at(self, when: float) -> None:
        self._timer, self._fires_at = self._loop.call_at(when, self._fire), when

    def _fire(self) -> None:
        self._timer, self._fires_at = None, inf
        if self._ends_at is None:
            return
        if self._loop.time() < self._ends_at:
            self._fire_at(self._ends_at)
        elif self._expired is not None:
            self._expired(TimedOut(f"no {self._stage} in time"))
