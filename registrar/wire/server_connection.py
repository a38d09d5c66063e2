"""One TCP connection of a Listener: stages, channel, requests, back-pressure.

accept ──HEL──▶ greeted ──OPN──▶ open ──ActivateSession──▶ in use
   5 s            10 s             30 s                     TCP keep-alive
too late, or anything that cannot come now: ERR, closed; nobody else notices
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar, cast

from asyncua import ua

from registrar.errors import (
    DecodingError,
    MessageTooLarge,
    RegistrarError,
    SecurityChecksFailed,
    ServiceFailed,
    TimedOut,
    Unavailable,
)
from registrar.status import StatusCode
from registrar.ua.codec import decode_message, encode_response, make, read_request_handle
from registrar.ua.events import (
    ChannelState,
    CloseReceived,
    ErrorReceived,
    Event,
    HelloReceived,
    MessageAborted,
    MessageReceived,
    OpenReceived,
    OpenRequested,
)
from registrar.ua.security_policy import NONE
from registrar.ua.server_channel import ServerChannel
from registrar.wire.context import Context
from registrar.wire.exchanges import FROM_1601_TO_1970_US
from registrar.wire.host import Host
from registrar.wire.key_queue import MAX_INLINE_BITS
from registrar.wire.methods import is_awaitable
from registrar.wire.peers import Peer
from registrar.wire.services import serve
from registrar.wire.stages import Stage

T = TypeVar("T")


class ServerConnection(asyncio.Protocol):
    """A peer's connection; the ``Channel`` of the services."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._limits = host.limits
        self._channel = ServerChannel(
            channel_id=host.next_channel_id(),
            identity_of=host.application.identity,
            limits=host.limits.channel,
        )
        self._channel.bound_messages(self._limits.early_message_size)
        self._transport: asyncio.Transport | None = None
        self._events: deque[Event] = deque()
        self._drain_handle: asyncio.Handle | None = None
        self._running = 0
        self._most_running = host.limits.outstanding_requests
        self._is_reading = True
        self._is_opening = False
        self._is_stuck = False
        self._is_doomed = False
        self._tokens = 0
        self._charged = 0
        self._stages = host.stages
        self._stage: Stage | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self.address = ""
        self.endpoint_url = ""
        self.peer = Peer(
            address="", policy=NONE, mode=ua.MessageSecurityMode.None_, certificate=None
        )
        self.max_response_size = 0
        self.is_closed = False
        self._context: Context | None = None

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the peer in, unless there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        peer_name = transport.get_extra_info("peername")
        self.address = str(peer_name[0]) if peer_name else ""
        self.peer.address = self.address
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_size)
        try:
            self._host.joined(self)
        except Unavailable as error:
            self._refuse(error)
            return
        self._enter(self._stages.hello)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self.is_closed = True
        self._events.clear()
        self._enter(None)
        for timer in (self._write_timer, self._drain_handle):
            if timer is not None:
                timer.cancel()
        self._charge(0)
        self._host.sessions.lose(self)
        self._host.left(self)
        # Nothing of it waits for the collector of cycles.
        self._transport = self._context = None

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        if self._is_doomed:
            return
        try:
            events = self._channel.receive(data, self._loop.time())
            size = self._channel.unfinished_size
            if size != self._charged:
                self._charge(size)
        except RegistrarError as error:
            self._refuse(error)
            return
        if events:
            self._events += events
            self._drain()
        else:
            self._flow()

    def eof_received(self) -> bool:
        """Close our side as well."""
        return False

    def pause_writing(self) -> None:
        """Stop reading while the peer does not read; drop it if it goes on so."""
        self._is_stuck = True
        self._flow()
        self._write_timer = self._loop.call_later(self._limits.write_s, self._drop_slow)

    def resume_writing(self) -> None:
        """Go on."""
        self._is_stuck = False
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if self._transport is not None and self._transport.is_closing():
            self._abort_later(self._transport)  # what is left has its time as well
        self._drain()

    # Its stage calls this

    def expired(self, error: TimedOut) -> None:
        """End the connection, since its stage lasted too long."""
        self._refuse(error)

    def _enter(self, stage: Stage | None) -> None:
        """Go on to ``stage``, or to where nothing is waited for."""
        if self._stage is not None:
            self._stage.leave(self)
        self._stage = stage
        if stage is not None:
            stage.enter(self)

    # Services call these

    def work(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Run ``job`` as private-key work of this peer."""
        bits = self.peer.identity.key_bits if self.peer.identity is not None else 0
        return self._host.keys.submit(self.address, bits, job)

    def sessions_changed(self) -> None:
        """Watch the peer again if no Session uses this channel, and not if one does."""
        if self.is_closed:
            return
        if self._host.sessions.serves(self):
            self._enter(None)
            self._channel.bound_messages(self._limits.channel.max_message_size)
        else:
            self._enter(self._stages.session)
            self._channel.bound_messages(self._limits.early_message_size)
        self._host.watch_sessions()

    # The Listener calls this

    def drop(self, *, after_response: bool) -> None:
        """End the connection: after the responses to come if asked for, else at once."""
        transport = self._transport
        if transport is None or self.is_closed:
            return
        self._is_doomed = True
        self._events.clear()
        if not after_response:
            transport.abort()
        elif not self._running:
            self._loop.call_soon(self._close)

    def _charge(self, size: int) -> None:
        """Charge the Listener for ``size`` bytes in place of what was charged before."""
        more, self._charged = size - self._charged, size
        self._host.charge(more)

    def _drop_slow(self) -> None:
        self._host.refused(self.address, TimedOut("the peer does not read what we write"))
        if self._transport is not None:
            self._transport.abort()

    # Events

    def _drain(self) -> None:
        """Handle what has arrived, as long as the peer takes the answers and others are served."""
        self._drain_handle = None
        events, left = self._events, self._limits.requests_per_turn
        while events and not self._is_held:
            if not left:
                if self._drain_handle is None:
                    self._drain_handle = self._loop.call_soon(self._drain)
                break
            left -= 1
            event = events.popleft()
            try:
                HANDLERS[type(event)](self, event)
            except RegistrarError as error:
                self._refuse(error)
        self._flow()

    @property
    def _is_held(self) -> bool:
        """Whether no request may be taken up now."""
        return (
            self._is_opening
            or self._is_stuck
            or self._is_doomed
            or self._running >= self._most_running
        )

    @property
    def _has_failed(self) -> bool:
        """Whether an OPN was refused in a thread; why is said as soon as the loop hears of it."""
        return self._is_opening and self._channel.state is ChannelState.CLOSED

    @property
    def _is_awaiting(self) -> bool:
        """Whether the first OPN is worked on and nothing came after it."""
        channel = self._channel
        return channel.state is ChannelState.OPENING and not channel.unfinished_size

    def _flow(self) -> None:
        """Read from the peer only while its requests can be taken up.

        While its first OPN is worked on a peer has nothing to say: reading ends where it says
        something all the same, which saves the others three system calls.
        """
        may_read = not (self._events or self._is_held) or self._is_awaiting
        if may_read is self._is_reading:
            return
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._is_reading = may_read
        if may_read:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _on_hello(self, event: HelloReceived) -> None:
        self.endpoint_url = event.hello.endpoint_url
        self._write(self._channel.acknowledge())
        self._enter(self._stages.open)

    def _on_message(self, event: MessageReceived) -> None:
        if self.is_closed:  # nobody is left to answer
            return
        context = self._context
        if context is None:
            context = self._context = self._make_context()
        try:
            request = decode_message(event.body, self._limits.decoder)
        except DecodingError as error:
            self._fault(event.request_id, read_request_handle(event.body), error)
            return
        header = getattr(request, "RequestHeader", None)
        if header is None:
            self._fault(event.request_id, 0, DecodingError("a response is no request"))
            return
        handle = header.RequestHandle
        try:
            answer = serve(context, request)
        except Exception as error:  # a request ends here
            self._fault(event.request_id, handle, error)
            return
        if is_awaitable(answer):
            self._running += 1
            self._host.run(self._answer_later(event.request_id, handle, answer))
        else:
            self._send(event.request_id, answer, handle)

    def _make_context(self) -> Context:
        host = self._host
        return Context(
            application=host.application,
            sessions=host.sessions,
            limits=host.limits,
            channel=self,
            clock=self._loop.time,
        )

    async def _answer_later(self, request_id: int, handle: int, answer: Awaitable[Any]) -> None:
        try:
            response = await answer
        except Exception as error:  # a task ends here
            self._running -= 1
            self._fault(request_id, handle, error)
        else:
            self._running -= 1
            self._send(request_id, response, handle)
        if self._is_doomed:
            if not self._running:
                self._close()
        elif not self.is_closed:
            self._drain()

    def _on_abort(self, _: MessageAborted) -> None:
        """The peer gave up a request: nothing to do."""

    def _on_close(self, _: CloseReceived) -> None:
        self._close()

    def _on_error(self, _: ErrorReceived) -> None:
        self._close()

    # OPN

    def _on_open(self, event: OpenReceived) -> None:
        self._is_opening = True
        job = partial(self._channel.process_open, event)
        self._private(event.key_bits, job, self._on_requested)

    def _on_requested(self, requested: OpenRequested) -> None:
        """Decide about trust, then answer: our signature comes last (T14)."""
        created_at = datetime.now(UTC)
        peer = self._decide(requested, created_at)
        if peer.certificate is not None:
            self._host.keys.remember(self.address)
        self._tokens += 1
        accept = partial(
            self._channel.accept_open,
            requested,
            token_id=self._tokens,
            nonce=os.urandom(requested.policy.nonce_size),
            created_at=created_at,
            now=self._loop.time(),
        )
        bits = peer.identity.key_bits if peer.identity is not None else 0
        if requested.renewal:  # on the loop, or a response would overtake the OPN and its number
            bits = min(bits, MAX_INLINE_BITS)
        self._private(bits, accept, partial(self._on_accepted, peer, requested))

    def _decide(self, requested: OpenRequested, now: datetime) -> Peer:
        """Return the peer whose channel may open.

        Raises:
            RegistrarError: no endpoint has this policy and mode, or the peer is not trusted.
        """
        peer = self.peer
        if not requested.renewal:
            peer = Peer(
                address=self.address,
                policy=requested.policy,
                mode=requested.mode,
                certificate=requested.peer_certificate,
                chain=requested.peer_chain,
                identity=requested.identity,
            )
        if peer.policy is not NONE:
            if not self._offers(peer.policy.uri, peer.mode):
                raise SecurityChecksFailed(
                    f"no endpoint has {peer.policy.name} and {peer.mode.name}",
                    status=StatusCode.BadSecurityPolicyRejected,
                )
            self._host.application.admit(peer, now)
        return peer

    def _offers(self, policy_uri: str, mode: ua.MessageSecurityMode) -> bool:
        for endpoint in self._host.application.endpoints(self.endpoint_url):
            if endpoint.SecurityPolicyUri == policy_uri and endpoint.SecurityMode == mode:
                return True
        return False

    def _on_accepted(self, peer: Peer, requested: OpenRequested, data: bytes) -> None:
        self._is_opening = False
        self._write(data)
        if not requested.renewal:
            self.peer = peer
            self._enter(self._stages.session)
        if self._channel.unfinished_size:
            self._events += self._channel.receive(b"", self._loop.time())
        if self._events or not self._is_reading:
            self._drain()

    def _private(self, bits: int, job: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run ``job`` as private-key work where it is some, then hand its result on."""
        if bits:
            work = partial(self._while_needed, job)
            self._host.keys.hand_over(self.address, bits, work, partial(self._settle, then))
        else:
            then(job())

    def _while_needed(self, job: Callable[[], T]) -> T | None:
        """Spare the work for a peer that is gone; the number of an OPN not sent would be missed."""
        return None if self.is_closed or self._is_doomed else job()

    def _settle(self, then: Callable[[T], None], result: T | None, error: Exception | None) -> None:
        if self.is_closed or self._is_doomed:
            return
        try:
            if error is not None:
                raise error
            then(cast(T, result))
        except Exception as failure:  # a job ends here
            self._refuse(_translated(failure))

    # Answers

    def _fault(self, request_id: int, handle: int, error: Exception) -> None:
        translated = _translated(error)
        self._host.refused(self.address, translated)
        self._send(request_id, make(ua.ServiceFault, None), handle, translated.status)

    def _send(
        self, request_id: int, response: Any, handle: int, status: int = StatusCode.Good
    ) -> None:
        if self.is_closed or self._has_failed:
            return
        try:
            moment_us = time.time_ns() // 1000 + FROM_1601_TO_1970_US
            body = encode_response(response, (moment_us, handle, status))
            if self.max_response_size and len(body) > self.max_response_size:
                raise MessageTooLarge(f"a response of {len(body)} bytes")
            data = self._channel.send(request_id, body, self._loop.time())
        except MessageTooLarge as error:
            if isinstance(response, ua.ServiceFault):
                self._refuse(error)
            else:
                failed = ServiceFailed(str(error), status=StatusCode.BadResponseTooLarge)
                self._fault(request_id, handle, failed)
        except RegistrarError as error:
            self._refuse(error)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _refuse(self, error: RegistrarError) -> None:
        """Tell the peer what it may hear of ``error`` and close the connection."""
        if self._transport is None or self._transport.is_closing():  # it was told already
            return
        self._host.refused(self.address, error)
        self._write(self._channel.error_message(error))
        self._is_doomed = True
        self._events.clear()
        self._close()

    def _close(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.close()
        if self._write_timer is None:
            self._abort_later(transport)

    def _abort_later(self, transport: asyncio.Transport) -> None:
        self._write_timer = self._loop.call_later(self._limits.write_s, transport.abort)


def _translated(error: Exception) -> RegistrarError:
    """Return what may be told of ``error``; one of ours says itself, another is a fault of ours."""
    if isinstance(error, RegistrarError):
        return error
    return RegistrarError(f"internal error: {type(error).__name__}: {error}")


HANDLERS: Mapping[type[Event], Callable[[ServerConnection, Any], None]] = MappingProxyType(
    {
        HelloReceived: ServerConnection._on_hello,
        OpenReceived: ServerConnection._on_open,
        MessageReceived: ServerConnection._on_message,
        MessageAborted: ServerConnection._on_abort,
        CloseReceived: ServerConnection._on_close,
        ErrorReceived: ServerConnection._on_error,
    }
)
"""What a Server does on each event; it is never told of the others."""
