"""One TCP connection of a Client: SecureChannel, outstanding requests, budgets.

    HEL ─▶ ACK ─▶ OPN ─▶ OPN ─▶ (MSG ⇄ MSG)* ─▶ CLO
    └──────── connect_s ─────┘   └ request_s each, total_s and total_size in all

One timer serves all waits. What the peer sends that nobody asked for ends the connection.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeVar, cast

from asyncua import ua

from registrar.errors import (
    ConnectionClosed,
    RegistrarError,
    TimedOut,
    Unavailable,
)
from registrar.native import compiled
from registrar.status import StatusCode
from registrar.ua.client_channel import ClientChannel
from registrar.ua.events import (
    Acknowledged,
    ChannelOpened,
    ErrorReceived,
    Event,
    MessageAborted,
    MessageReceived,
    OpenReceived,
)
from registrar.wire.exchanges import Exchanges, Response, failure_of, service_of
from registrar.wire.key_queue import MAX_INLINE_BITS, KeyQueue
from registrar.wire.limits import ClientLimits
from registrar.wire.unfinished import UnfinishedMessages

T = TypeVar("T")

CRUMB_SIZE = 48
"""Bytes; what comes in fewer is a crumb. No response is as short."""

MAX_CRUMBS = 32
"""After so many the connection rests."""

REST_S = 0.002
"""How long it does not read then, so that single bytes add up instead of waking the loop."""


@compiled
class ClientConnection(asyncio.Protocol):
    """A channel over a socket; ``opened`` is done when requests may be sent.

    Args:
        channel: not yet used.
        address: of the peer, whose share of the queue of keys it uses.
        key_bits: of our key; 0 without security.
        limits: what the connection may cost.
        keys: for our private-key work.
        unfinished: what all connections that share it keep of answers not yet complete.
    """

    def __init__(
        self,
        channel: ClientChannel,
        *,
        address: str,
        key_bits: int,
        limits: ClientLimits,
        keys: KeyQueue,
        unfinished: UnfinishedMessages,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._key_bits = key_bits
        self._limits = limits
        self._keys = keys
        self._unfinished = unfinished
        self._kept = 0
        self._transport: asyncio.Transport | None = None
        self._exchanges = Exchanges(
            channel,
            self._loop,
            patience_s=limits.request_s,
            most=limits.total_requests,
            most_bytes=limits.total_size,
            decoder=limits.decoder,
            failure=failure_of,
            wake=self._arm,
        )
        self._error: RegistrarError | type[ConnectionClosed] | None = None
        self._ends_at = self._loop.time() + limits.total_s
        self._tick: asyncio.TimerHandle | None = None
        self._renewing = False
        self._holds = False
        self._crumbs = 0
        self._address = address
        self._connecting: asyncio.Task[Any] | None = None
        self._url = ""
        self._late: TimedOut | None = None
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say HEL."""
        self._transport = cast(asyncio.Transport, transport)
        self._exchanges.write = self._transport.write
        self._write(self._channel.hello())

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        try:
            if not self._exchanges.hear(data):
                self._receive(data)
        except RegistrarError as error:
            self.fail(error)
        if len(data) < CRUMB_SIZE:
            self._crumbs += 1
            if self._crumbs == MAX_CRUMBS:
                self._pause(True)
                self._loop.call_later(REST_S, self._read_on)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what still waits."""
        if self._error is None:
            self._break(
                Unavailable(
                    f"the peer closed the connection{f': {exc}' if exc else ''}",
                    status=StatusCode.BadConnectionClosed,
                )
            )
        if not self.closed.done():
            self.closed.set_result(None)
        if self._kept:
            self._unfinished.keep(self.fail, 0)
        # Nothing of it waits for the collector of cycles.
        self._transport = None
        self._exchanges.let_go()

    # Clients call these

    @property
    def token(self) -> ua.NodeId | None:
        """AuthenticationToken of every request."""
        return self._exchanges.token

    @token.setter
    def token(self, token: ua.NodeId | None) -> None:
        self._exchanges.token = token

    @property
    def exchanges(self) -> int:
        """Requests sent."""
        return self._exchanges.count

    @property
    def bytes_sent(self) -> int:
        """Bytes given to TCP."""
        return self._exchanges.bytes_sent

    @property
    def bytes_received(self) -> int:
        """Bytes taken from TCP."""
        return self._exchanges.bytes_received

    def exchange(
        self,
        request: Any,
        expected: type[Response],
        patience_s: float | None = None,
        again: list[Any] | None = None,
    ) -> asyncio.Future[Response]:
        """Send ``request`` and return the future of its response.

        Args:
            patience_s: how long to wait; None for ``request_s``, the longest there is.
            again: structures the response may hold again, as they were decoded before.

        Raises:
            ServiceFailed: the peer answered with a bad status.
            ProtocolViolation: it answered with something else.
            TimedOut, Unavailable: it did not answer.
        """
        if self._error is not None:
            raise self._error
        return self._exchanges.ask(request, expected, patience_s, again)

    def call(
        self,
        object_id: ua.NodeId,
        method_id: ua.NodeId,
        arguments: Sequence[ua.Variant],
    ) -> asyncio.Future[list[ua.Variant]]:
        """Call a Method and return the future of its output arguments.

        Raises:
            ServiceFailed: the Method or the service failed; ``status`` says how.
            ProtocolViolation, TimedOut, Unavailable: as ``exchange``.
        """
        try:
            if self._error is not None:
                raise self._error
            return self._exchanges.call(object_id, method_id, arguments)
        except RegistrarError as error:  # told when it is awaited, as all others are
            failed: asyncio.Future[list[ua.Variant]] = self._loop.create_future()
            failed.set_exception(error)
            return failed

    def hurry(self, task: asyncio.Task[Any] | None, url: str) -> None:
        """Give up ``url`` if ``task`` has not connected, or no channel is open, in ``connect_s``.

        A task that still waits for TCP then is cancelled, so it has to ask ``late``; and whatever
        it meets, it has to ``fail`` the connection before it goes on without it.
        """
        self._connecting, self._url = task, url
        self._arm(self._loop.time() + self._limits.connect_s)

    def late(self) -> TimedOut | None:
        """Return why the task of ``hurry`` was cancelled; None if it was from elsewhere too."""
        task, self._connecting = self._connecting, None
        if self._late is None or task is None or task.uncancel():
            return None
        return self._late

    def work(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Return the future of a job with our private key."""
        return self._keys.submit(self._address, self._key_bits, job)

    async def close(self) -> None:
        """Say CLO and end TCP, within ``close_s``; idempotent."""
        transport = self._transport
        if transport is None:
            return
        if self._error is None and self.opened.done() and not transport.is_closing():
            self._write(
                self._channel.close_message(now=self._loop.time(), timestamp=datetime.now(UTC))
            )
        self._break(ConnectionClosed)
        transport.close()
        if not self.closed.done():
            patience = self._loop.call_later(self._limits.close_s, transport.abort)
            await self.closed
            patience.cancel()

    def fail(self, error: RegistrarError) -> None:
        """End the connection because of ``error``; everything that waits raises it."""
        self._break(error)
        if self._transport is not None:
            self._transport.abort()

    # Events

    def _receive(self, data: bytes) -> None:
        try:
            for event in self._channel.receive(data, self._loop.time()):
                if self._error is not None:  # the event before ended the connection
                    return
                getattr(self, HANDLERS[type(event)])(event)
            size = self._channel.unfinished_size
            if size != self._kept:
                self._kept = size
                self._unfinished.keep(self.fail, size)
        except RegistrarError as error:
            self.fail(error)

    def _on_acknowledged(self, _: Acknowledged) -> None:
        self._open()

    def _open(self) -> None:
        """Ask for a channel, or for a new token of it."""
        channel = self._channel
        nonce = os.urandom(channel.policy.nonce_size)
        lifetime_s = self._limits.token_lifetime_s
        self._private(
            lambda: channel.open_request(
                nonce=nonce,
                requested_lifetime_s=lifetime_s,
                now=self._loop.time(),
                timestamp=datetime.now(UTC),
            ),
            self._write,
        )

    def _on_open(self, event: OpenReceived) -> None:
        if self._renewing:  # what comes before the first OPN is settled was not asked for
            self._holds = True
            self._pause(True)
        self._private(lambda: self._channel.process_open(event), self._on_opened)

    def _on_opened(self, _: ChannelOpened) -> None:
        if self._renewing:
            self._renewing = self._holds = False
            self._pause(False)
        if not self.opened.done():
            self.opened.set_result(None)
            self._connecting = None
        # No later than the first request can end, so that a request does not move the timer; and a
        # timer that ends earlier than need be is cheaper than another.
        now = self._loop.time()
        renew_at = self._channel.renew_at or self._ends_at
        at = min(self._ends_at, renew_at, now + self._limits.request_s)
        if self._tick is None or at < self._exchanges.wakes_at:
            self._arm(at)
        self._receive(b"")

    def _on_message(self, event: MessageReceived) -> None:
        self._exchanges.answer(event.request_id, event.body)

    def _on_abort(self, event: MessageAborted) -> None:
        future, expected, *_ = self._exchanges.waiting.pop(event.request_id)
        if not future.done():
            future.set_exception(failure_of(event.status, service_of(expected)))

    def _on_error(self, event: ErrorReceived) -> None:
        self.fail(failure_of(event.status, "the connection"))

    # Parts

    def _private(self, job: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run ``job`` as private-key work where it is some, and hand its result to ``then``.

        A renewal is worked on on the loop: a request would overtake an OPN that a thread signs,
        and its number, or be told that a channel is closed instead of why a thread closed it.
        """
        key_bits = min(self._key_bits, MAX_INLINE_BITS) if self._renewing else self._key_bits

        def settle(result: T, error: Exception | None) -> None:
            if self._error is not None:
                return
            try:
                if error is not None:
                    raise error
                then(result)
            except RegistrarError as failure:
                self.fail(failure)
            except Exception as failure:  # a job ends here
                self.fail(Unavailable(f"opening failed: {type(failure).__name__}"))

        try:
            if key_bits:
                self._keys.hand_over(self._address, key_bits, job, settle)
            else:
                then(job())
        except RegistrarError as error:
            self.fail(error)

    def _pause(self, pause: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if pause:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _read_on(self) -> None:
        self._crumbs = 0
        if not self._holds:
            self._pause(False)

    def _write(self, data: bytes) -> None:
        self._exchanges.bytes_sent += len(data)
        self._exchanges.write(data)

    def _break(self, error: RegistrarError | type[ConnectionClosed]) -> None:
        """Let everything that waits, and every later request, raise ``error``."""
        if self._error is None:
            self._error = error
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        for future, *_ in self._exchanges.waiting.values():
            if not future.done():
                future.set_exception(self._error)
        self._exchanges.waiting.clear()
        if not self.opened.done():
            self.opened.set_exception(self._error)
            # Whoever was to wait for it may have been cancelled; asyncio would complain.
            self.opened.exception()

    # Time

    def _arm(self, at: float) -> None:
        if self._tick is not None:
            self._tick.cancel()
        self._exchanges.wakes_at = at
        self._tick = self._loop.call_at(at, self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        if not self.opened.done():
            self._give_up()
            return
        now = self._loop.time()
        channel = self._channel
        if now >= self._ends_at:
            self.fail(TimedOut(f"the connection lasted longer than {self._limits.total_s} s"))
            return
        if channel.expires_at is not None and now >= channel.expires_at:
            self.fail(TimedOut("the token of the channel was not renewed in time"))
            return
        following = self._ends_at
        for future, expected, deadline, *_ in self._exchanges.waiting.values():
            if future.done():
                continue
            if deadline > now:
                following = min(following, deadline)
            else:
                future.set_exception(TimedOut(f"no answer to {service_of(expected)} in time"))
        following = min(following, self._renew(now))
        if self._error is None:
            self._arm(following)

    def _give_up(self) -> None:
        late = TimedOut(f"no channel within {self._limits.connect_s} s", subject=self._url)
        if self._transport is None and self._connecting is not None:
            self._late = late
            self._connecting.cancel()
        self.fail(late)

    def _renew(self, now: float) -> float:
        """Renew the token where it is time; return when to look again."""
        renew_at, expires_at = self._channel.renew_at, self._channel.expires_at
        if renew_at is None or expires_at is None:
            return self._ends_at
        if now < renew_at:
            return renew_at
        if not self._renewing:
            self._renewing = True
            self._open()
        return expires_at


HANDLERS: Mapping[type[Event], str] = MappingProxyType(
    {
        Acknowledged: "_on_acknowledged",
        OpenReceived: "_on_open",
        MessageReceived: "_on_message",
        MessageAborted: "_on_abort",
        ErrorReceived: "_on_error",
    }
)
"""What a Client does on each event; a missing one is never reported to Clients."""
