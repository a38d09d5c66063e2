"""What a service works on: the channel a request came by, and the Server behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from registrar.wire.application import Application
from registrar.wire.limits import ServerLimits
from registrar.wire.peers import Peer
from registrar.wire.sessions import SessionTable

T = TypeVar("T")


class Channel(Protocol):
    """The connection a request came by."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""

    @property
    def endpoint_url(self) -> str:
        """What the Client said in HEL."""

    max_response_size: int
    """Bytes of a response body, 0 for no limit; what the Session asked for."""

    def work(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Run ``job`` as private-key work."""

    def sessions_changed(self) -> None:
        """Take note that a Session of this channel was activated, moved away or ended."""

    @property
    def is_closed(self) -> bool:
        """Whether the connection is lost."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a service works on; one for all requests of a channel."""

    application: Application
    sessions: SessionTable
    limits: ServerLimits
    channel: Channel
    clock: Callable[[], float]

    @property
    def now(self) -> float:
        """The time in monotonic seconds."""
        return self.clock()
