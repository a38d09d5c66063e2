"""What a peer of a Listener says and hears: bytes become requests, answers become bytes.

bytes ──channel──▶ events ──▶ a request: served, answered ──▶ bytes
                     └──────▶ anything else: the connection's

Requests are taken up only while the peer takes their answers and not too many of them run; it is
read from only while its requests can be taken up.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from registrar.errors import DecodingError, MessageTooLarge, Misuse, RegistrarError
from registrar.native import compiled
from registrar.status import StatusCode
from registrar.ua.codec import decode_message, encode_response, read_request_handle
from registrar.ua.events import ChannelState, Event, MessageReceived
from registrar.ua.server_channel import ServerChannel
from registrar.wire.context import Context
from registrar.wire.exchanges import FROM_1601_TO_1970_US
from registrar.wire.limits import ServerLimits
from registrar.wire.methods import is_awaitable


class Owner(Protocol):
    """The connection whose traffic it is."""

    def make_context(self) -> Context:
        """Return what its requests are served in; asked once."""

    def charge(self, size: int) -> None:
        """Count the ``size`` bytes that are kept now of what is not complete."""

    def handle(self, event: Event) -> None:
        """Take an event that is no request."""

    def wait_for(self, request_id: int, handle: int, answer: Awaitable[Any]) -> None:
        """Send what ``answer`` becomes; until then the request counts as ``running``."""

    def fault(self, request_id: int, handle: int, error: Exception) -> None:
        """Answer a request with a ServiceFault."""

    def unsent(self, request_id: int, response: Any, handle: int, error: RegistrarError) -> None:
        """Take note that a response could not be sent."""

    def refuse(self, error: RegistrarError) -> None:
        """End the connection."""


@compiled
class Traffic:
    """Between the transport of one connection, its channel and the services."""

    __slots__ = (
        "_channel",
        "_charged",
        "_context",
        "_drain_handle",
        "_limits",
        "_loop",
        "_owner",
        "_serve",
        "events",
        "is_closed",
        "is_doomed",
        "is_opening",
        "is_reading",
        "is_stuck",
        "max_response_size",
        "running",
        "transport",
    )

    def __init__(
        self,
        owner: Owner,
        channel: ServerChannel,
        *,
        serve: Callable[[Context, Any], Any],
        limits: ServerLimits,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Wait for the peer.

        Args:
            serve: answers a request, see ``services``.
        """
        self._owner: Owner | None = owner
        self._channel = channel
        self._serve = serve
        self._limits = limits
        self._loop = loop
        self._context: Context | None = None
        self._drain_handle: asyncio.Handle | None = None
        self.transport: asyncio.Transport | None = None
        self.events: deque[Event] = deque()
        """Not yet taken up."""
        self._charged = 0
        """Bytes that are kept of what is not complete."""
        self.running = 0
        """Requests whose answers are waited for."""
        self.max_response_size = 0
        """Bytes of the body of a response, 0 for no limit."""
        self.is_reading = True
        self.is_opening = False
        """Whether an OPN is worked on."""
        self.is_stuck = False
        """Whether the peer does not read."""
        self.is_doomed = False
        """Whether nothing more is taken up."""
        self.is_closed = False
        """Whether the connection is lost."""

    @property
    def owner(self) -> Owner:
        """Whose traffic it is.

        Raises:
            Misuse: ``let_go`` was called.
        """
        if self._owner is None:
            raise Misuse("the connection was lost")
        return self._owner

    def take(self, data: bytes) -> None:
        """Take bytes of the peer."""
        if self.is_doomed:
            return
        try:
            events = self._channel.receive(data, self._loop.time())
            size = self._channel.unfinished_size
            if size != self._charged:
                self._charged = size
                self.owner.charge(size)
        except RegistrarError as error:
            self.owner.refuse(error)
            return
        if events:
            self.events += events
            self.drain()
        else:
            self.flow()

    def drain(self) -> None:
        """Handle what has arrived, as long as the peer takes the answers and others are served."""
        self._drain_handle = None
        left = self._limits.requests_per_turn
        while self.events and not self._is_held:
            if not left:
                if self._drain_handle is None:
                    self._drain_handle = self._loop.call_soon(self.drain)
                break
            left -= 1
            event = self.events.popleft()
            try:
                if isinstance(event, MessageReceived):
                    self._take_up(event)
                else:
                    self.owner.handle(event)
            except RegistrarError as error:
                self.owner.refuse(error)
        self.flow()

    def flow(self) -> None:
        """Read from the peer only while its requests can be taken up.

        While its first OPN is worked on a peer has nothing to say: reading ends where it says
        something all the same, which saves the others three system calls.
        """
        may_read = not (self.events or self._is_held) or self._is_awaiting
        if may_read is self.is_reading:
            return
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self.is_reading = may_read
        if may_read:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def send(
        self, request_id: int, response: Any, handle: int, status: int = StatusCode.Good
    ) -> None:
        """Send a response, whose ResponseHeader gets this RequestHandle and ServiceResult."""
        if self.is_closed or self._has_failed:
            return
        try:
            moment_us = time.time_ns() // 1000 + FROM_1601_TO_1970_US
            body = encode_response(response, (moment_us, handle, status))
            if self.max_response_size and len(body) > self.max_response_size:
                raise MessageTooLarge(f"a response of {len(body)} bytes")
            data = self._channel.send(request_id, body, self._loop.time())
        except RegistrarError as error:
            self.owner.unsent(request_id, response, handle, error)
        else:
            self.write(data)

    def write(self, data: bytes) -> None:
        """Write unless the connection is closing."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def let_go(self) -> None:
        """Take note that the connection is lost; nothing of it waits for a collector."""
        self.is_closed = True
        self.events.clear()
        if self._drain_handle is not None:
            self._drain_handle.cancel()
        self._owner = self._context = self.transport = None

    @property
    def _is_held(self) -> bool:
        """Whether no request may be taken up now."""
        return (
            self.is_opening
            or self.is_stuck
            or self.is_doomed
            or self.running >= self._limits.outstanding_requests
        )

    @property
    def _has_failed(self) -> bool:
        """Whether an OPN was refused in a thread; why is said as soon as the loop hears of it."""
        return self.is_opening and self._channel.state is ChannelState.CLOSED

    @property
    def _is_awaiting(self) -> bool:
        """Whether the first OPN is worked on and nothing came after it."""
        channel = self._channel
        return channel.state is ChannelState.OPENING and not channel.unfinished_size

    def _take_up(self, event: MessageReceived) -> None:
        if self.is_closed:  # nobody is left to answer
            return
        owner, request_id, handle = self.owner, event.request_id, 0
        if self._context is None:
            self._context = owner.make_context()
        try:
            request = decode_message(event.body, self._limits.decoder)
        except DecodingError as error:
            owner.fault(request_id, read_request_handle(event.body), error)
            return
        try:
            header = getattr(request, "RequestHeader", None)
            if header is None:
                raise DecodingError("a response is no request")
            handle = header.RequestHandle
            answer = self._serve(self._context, request)
        except Exception as error:  # a request ends here
            owner.fault(request_id, handle, error)
            return
        if is_awaitable(answer):
            self.running += 1
            owner.wait_for(request_id, handle, answer)
        else:
            self.send(request_id, answer, handle)
