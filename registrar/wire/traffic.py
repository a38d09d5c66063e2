"""What a peer of a Listener says and hears: bytes become requests, answers become bytes.

bytes ──channel──▶ events ──▶ a request: served, answered ──▶ bytes
                     └──────▶ anything else: the connection's

Requests are taken up in turns, while the peer takes their answers and not too many of them run; it
is read from only while its requests can be taken up.
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
from registrar.wire.turns import Turns

EVENT_SIZE = 256
"""Bytes that a request takes beside its body, until it is taken up."""


class Owner(Protocol):
    """The connection whose traffic it is."""

    def make_context(self) -> Context:
        """Return what its requests are served in; asked once."""

    def charge(self, size: int) -> None:
        """Count the ``size`` bytes that are kept now of what was not taken up."""

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
        "_events",
        "_is_waiting",
        "_limits",
        "_loop",
        "_owner",
        "_serve",
        "_turns",
        "_waiting_size",
        "is_closed",
        "is_doomed",
        "is_known",
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
        turns: Turns,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Wait for the peer.

        Args:
            serve: answers a request, see ``services``.
            turns: of the Listener.
        """
        self._owner: Owner | None = owner
        self._channel = channel
        self._serve = serve
        self._limits = limits
        self._loop = loop
        self._context: Context | None = None
        self._turns = turns
        self._is_waiting = False
        self.transport: asyncio.Transport | None = None
        self._events: deque[Event] = deque()
        """Not yet taken up."""
        self._waiting_size = 0
        """Bytes of the requests among them."""
        self._charged = 0
        """Bytes that are kept of what is not complete."""
        self.running = 0
        """Requests whose answers are waited for."""
        self.max_response_size = 0
        """Bytes of the body of a response, 0 for no limit."""
        self.is_known = False
        """Whether the peer has a Session."""
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
        """Take bytes of the peer; of what came before, if ``data`` is empty."""
        if self.is_doomed:
            return
        try:
            events = self._channel.receive(data, self._loop.time())
        except RegistrarError as error:
            self.owner.refuse(error)
            return
        for event in events:
            if isinstance(event, MessageReceived):
                self._waiting_size += len(event.body) + EVENT_SIZE
        self._events += events
        self.drain()

    def drain(self) -> None:
        """Handle what has arrived, as long as the peer takes the answers.

        A peer with a Session has one request served at once; all others wait for their turn.
        """
        if not self._is_waiting:
            self._go_on(self.is_known)
        self._settle()

    def serve(self) -> None:
        """Have the turn that was waited for."""
        self._is_waiting = False
        if not self.is_closed:
            self._go_on(True)
            self._settle()

    def doom(self) -> None:
        """Take up nothing more."""
        self.is_doomed = True
        self._events.clear()
        self._waiting_size = 0

    def flow(self) -> None:
        """Read from the peer only while its requests can be taken up.

        While its first OPN is worked on a peer has nothing to say: reading ends where it says
        something all the same, which saves the others three system calls.
        """
        may_read = not (self._events or self._is_held) or self._is_awaiting
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
        self._events.clear()
        self._owner = self._context = self.transport = None

    def _go_on(self, may_serve: bool) -> None:
        """Handle what has arrived up to the first request, and that if it may be served now."""
        while self._events and not self._is_held:
            event = self._events[0]
            if isinstance(event, MessageReceived) and not may_serve:
                if not self._is_waiting:  # it may already, by what an OPN brought along
                    self._is_waiting = True
                    self._turns.wait(self, self.is_known)
                return
            self._events.popleft()
            try:
                if isinstance(event, MessageReceived):
                    may_serve = False
                    self._waiting_size -= len(event.body) + EVENT_SIZE
                    self._take_up(event)
                else:
                    self.owner.handle(event)
            except RegistrarError as error:
                self.owner.refuse(error)

    def _settle(self) -> None:
        """Read from the peer or do not, and account for what is kept of it."""
        self.flow()
        size = self._channel.unfinished_size + self._waiting_size
        if size != self._charged and not self.is_doomed:
            self._charged = size
            self.owner.charge(size)

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
