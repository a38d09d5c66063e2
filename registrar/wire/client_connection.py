"""One TCP connection of a Client: SecureChannel, outstanding requests, budgets.

    HEL ─▶ ACK ─▶ OPN ─▶ OPN ─▶ (MSG ⇄ MSG)* ─▶ CLO
    └──────── connect_s ─────┘   └ request_s each, total_s and total_size in all

One timer serves all waits. What the peer sends that nobody asked for ends the connection.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from registrar.errors import (
    ProtocolViolation,
    Reason,
    RegistrarError,
    ServiceFailed,
    TimedOut,
    Unavailable,
)
from registrar.status import StatusCode, is_bad, name_of
from registrar.ua.client_channel import ClientChannel
from registrar.ua.codec import decode_message, encode_message
from registrar.ua.events import (
    Acknowledged,
    ChannelOpened,
    ErrorReceived,
    Event,
    MessageAborted,
    MessageReceived,
    OpenReceived,
)
from registrar.wire.key_queue import KeyQueue
from registrar.wire.limits import ClientLimits

Response = TypeVar("Response")
T = TypeVar("T")

BUSY = frozenset(
    {
        StatusCode.BadTcpServerTooBusy,
        StatusCode.BadTcpNotEnoughResources,
        StatusCode.BadServerTooBusy,
        StatusCode.BadTooManySessions,
        StatusCode.BadMaxConnectionsReached,
        StatusCode.BadShutdown,
        StatusCode.BadServerHalted,
    }
)
"""A peer that says one of these can be asked again later."""

DENIED = frozenset(
    {
        StatusCode.BadUserAccessDenied,
        StatusCode.BadSecurityModeInsufficient,
        StatusCode.BadSecurityChecksFailed,
        StatusCode.BadCertificateUntrusted,
        StatusCode.BadIdentityTokenRejected,
        StatusCode.BadIdentityTokenInvalid,
        StatusCode.BadUserSignatureInvalid,
    }
)
"""A peer that says one of these does not want us."""


def known_status(status: int) -> StatusCode:
    """Return ``status`` without its lower bits; BadUnexpectedError for one nobody knows."""
    try:
        return StatusCode(status & 0xFFFF0000)
    except ValueError:
        return StatusCode.BadUnexpectedError if is_bad(status) else StatusCode.Good


def failure_of(status: int, what: str) -> RegistrarError:
    """Return the error for a bad ``status`` that a peer gave to ``what``."""
    code = known_status(status)
    message = f"{what} failed: {name_of(status)}"
    if code in BUSY:
        return Unavailable(message, reason=Reason.BUSY, status=code)
    reason = Reason.ACCESS_DENIED if code in DENIED else None
    return ServiceFailed(message, reason=reason, status=code)


class ClientConnection(asyncio.Protocol):
    """A channel over a socket; ``opened`` is done when requests may be sent."""

    def __init__(
        self, channel: ClientChannel, *, key_bits: int, limits: ClientLimits, keys: KeyQueue
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._key_bits = key_bits
        self._limits = limits
        self._keys = keys
        self._transport: asyncio.Transport | None = None
        self._pending: dict[int, tuple[asyncio.Future[Any], type, float, int]] = {}
        self._error: RegistrarError | None = None
        self._ends_at = self._loop.time() + limits.total_s
        self._tick_at = 0.0
        self._tick: asyncio.TimerHandle | None = None
        self._renewing = False
        self._handle = 0
        self._address = ""
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.exchanges = 0
        self.bytes_sent = 0
        self.bytes_received = 0

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say HEL."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        self._write(self._channel.hello())

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        self.bytes_received += len(data)
        if self.bytes_received > self._limits.total_size:
            self.fail(ProtocolViolation(f"the peer sent more than {self._limits.total_size} bytes"))
            return
        try:
            response = self._channel.receive_response(data, self._loop.time())
        except RegistrarError as error:
            self.fail(error)
            return
        if response is None:
            self._receive(data)
        else:
            self._answer(*response)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what still waits."""
        self._break(
            Unavailable(
                f"the peer closed the connection{f': {exc}' if exc else ''}",
                status=StatusCode.BadConnectionClosed,
            )
        )
        if not self.closed.done():
            self.closed.set_result(None)

    # Clients call these

    def exchange(
        self, request: Any, expected: type[Response], patience_s: float | None = None
    ) -> asyncio.Future[Response]:
        """Send ``request`` and return the future of its response.

        Args:
            patience_s: how long to wait; None for ``request_s``, the longest there is.

        Raises:
            ServiceFailed: the peer answered with a bad status.
            ProtocolViolation: it answered with something else.
            TimedOut, Unavailable: it did not answer.
        """
        if self._error is not None:
            raise self._error
        if self.exchanges >= self._limits.total_requests:
            raise ProtocolViolation(
                f"more than {self._limits.total_requests} requests on one connection"
            )
        self.exchanges += 1
        self._handle += 1
        header = request.RequestHeader
        header.RequestHandle = self._handle
        header.Timestamp = datetime.now(UTC)
        header.TimeoutHint = int(self._limits.request_s * 1000)
        body = encode_message(request)
        now = self._loop.time()
        request_id = self._channel.next_request_id()
        future: asyncio.Future[Response] = self._loop.create_future()
        deadline = now + min(patience_s or math.inf, self._limits.request_s)
        data = self._channel.send(request_id, body, now)
        self._pending[request_id] = (future, expected, deadline, self._handle)
        self._write(data)
        if deadline < self._tick_at:
            self._arm(deadline)
        return future

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
        self._break(Unavailable("the connection was closed", status=StatusCode.BadConnectionClosed))
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
                HANDLERS[type(event)](self, event)
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
        self._pause(True)
        self._private(lambda: self._channel.process_open(event), self._on_opened)

    def _on_opened(self, _: ChannelOpened) -> None:
        self._renewing = False
        self._pause(False)
        if not self.opened.done():
            self.opened.set_result(None)
        # No later than the first request can end, so that a request does not move the timer.
        now = self._loop.time()
        renew_at = self._channel.renew_at or self._ends_at
        self._arm(min(self._ends_at, renew_at, now + self._limits.request_s))
        self._receive(b"")

    def _on_message(self, event: MessageReceived) -> None:
        self._answer(event.request_id, event.body)

    def _answer(self, request_id: int, body: bytes) -> None:
        future, expected, _, handle = self._pending.pop(request_id)
        if future.done():  # nobody waits any more
            return
        try:
            message = decode_message(body, self._limits.decoder)
            header = getattr(message, "ResponseHeader", None)
            if header is None:
                raise ProtocolViolation(f"a {type(message).__name__} is no response")
            if header.RequestHandle != handle:
                raise ProtocolViolation(
                    f"a response to {header.RequestHandle} instead of request {handle}"
                )
            status = header.ServiceResult.value
            if is_bad(status):
                future.set_exception(failure_of(status, _service(expected)))
            elif type(message) is expected:
                future.set_result(message)
            else:
                raise ProtocolViolation(
                    f"a {type(message).__name__} instead of a {expected.__name__}"
                )
        except RegistrarError as error:
            future.set_exception(error)
            self.fail(error)

    def _on_abort(self, event: MessageAborted) -> None:
        future, expected, _, _ = self._pending.pop(event.request_id)
        if not future.done():
            future.set_exception(failure_of(event.status, _service(expected)))

    def _on_error(self, event: ErrorReceived) -> None:
        self.fail(failure_of(event.status, "the connection"))

    # Parts

    def _private(self, job: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run ``job`` as private-key work where it is some, and hand its result to ``then``."""

        def settle(future: asyncio.Future[T]) -> None:
            if future.cancelled() or self._error is not None:
                future.cancelled() or future.exception()
                return
            error = future.exception()
            if error is None:
                then(future.result())
            elif isinstance(error, RegistrarError):
                self.fail(error)
            else:
                self.fail(Unavailable(f"opening failed: {type(error).__name__}"))

        try:
            if self._key_bits:
                self.work(job).add_done_callback(settle)
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

    def _write(self, data: bytes) -> None:
        self.bytes_sent += len(data)
        if self._transport is not None:
            self._transport.write(data)

    def _break(self, error: RegistrarError) -> None:
        """Let everything that waits, and every later request, raise ``error``."""
        if self._error is None:
            self._error = error
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        pending, self._pending = self._pending, {}
        for future, _, _, _ in pending.values():
            if not future.done():
                future.set_exception(self._error)
        if not self.opened.done():
            self.opened.set_exception(self._error)
            # Whoever was to wait for it may have been cancelled; asyncio would complain.
            self.opened.exception()

    # Time

    def _arm(self, at: float) -> None:
        if self._tick is not None:
            self._tick.cancel()
        self._tick_at = at
        self._tick = self._loop.call_at(at, self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        now = self._loop.time()
        channel = self._channel
        if now >= self._ends_at:
            self.fail(TimedOut(f"the connection lasted longer than {self._limits.total_s} s"))
            return
        if channel.expires_at is not None and now >= channel.expires_at:
            self.fail(TimedOut("the token of the channel was not renewed in time"))
            return
        following = self._ends_at
        for future, expected, deadline, _ in self._pending.values():
            if future.done():
                continue
            if deadline > now:
                following = min(following, deadline)
            else:
                future.set_exception(TimedOut(f"no answer to {_service(expected)} in time"))
        following = min(following, self._renew(now))
        self._arm(following)

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


def _service(response: type) -> str:
    return response.__name__.removesuffix("Response")


HANDLERS: dict[type[Event], Callable[[ClientConnection, Any], None]] = {
    Acknowledged: ClientConnection._on_acknowledged,
    OpenReceived: ClientConnection._on_open,
    MessageReceived: ClientConnection._on_message,
    MessageAborted: ClientConnection._on_abort,
    ErrorReceived: ClientConnection._on_error,
}
"""What a Client does on each event; a missing one is never reported to Clients."""
