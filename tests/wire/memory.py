"""Connections without a socket, and time that passes only when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

TURNS = 50
"""Of the loop: more than any exchange between the two ends takes."""


async def turns() -> None:
    """Let the loop do all there is to do now."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class Clock:
    """The time of the running loop, and the timers that are set on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        self._timers: list[tuple[object, asyncio.TimerHandle]] = []
        call_at = loop.call_at

        def note(when: float, callback: Callable[..., object], *args: Any, **more: Any) -> object:
            timer = call_at(when, callback, *args, **more)
            self._timers.append((getattr(callback, "__self__", None), timer))
            return timer

        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(loop, "call_at", note)

    async def pass_by(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        self.now += seconds
        await turns()

    def armed(self, owner: object) -> int:
        """Count the timers that are still to call a method of ``owner``."""
        return sum(
            whose is owner and not timer.cancelled() and timer.when() > self.now
            for whose, timer in self._timers
        )


class Transport(asyncio.Transport):
    """One end; what is written comes to the other in the next turn of the loop.

    Args:
        own: who writes.
        peer: who reads it.
    """

    def __init__(self, own: asyncio.Protocol, peer: asyncio.Protocol) -> None:
        super().__init__()
        self._own = own
        self._peer = peer
        self._is_closing = False
        self.is_aborted = False
        self.is_paused = False
        """Whether its owner asked for no more; what comes is given to it nevertheless."""
        self.broken = ""
        """The name of a method that fails."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._fail("write")
        asyncio.get_running_loop().call_soon(self._peer.data_received, bytes(data))

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self._is_closing = True
        if not self.is_aborted:
            self.is_aborted = True
            asyncio.get_running_loop().call_soon(self._own.connection_lost, None)

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self._fail("resume_reading")
        self.is_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing: what is written is sent."""

    def _fail(self, name: str) -> None:
        if name == self.broken:
            raise OSError(name)


def join(client: asyncio.Protocol, server: asyncio.Protocol) -> Transport:
    """Connect both and return the end of ``client``."""
    near, far = Transport(client, server), Transport(server, client)
    server.connection_made(far)
    client.connection_made(near)
    return near
