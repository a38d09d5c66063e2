"""One TCP connection of a Listener: its stages, its channel, and what is not a request.

accept ──HEL──▶ greeted ──OPN──▶ open ──ActivateSession──▶ in use
   5 s            10 s             30 s                     TCP keep-alive
too late, or anything that cannot come now: ERR, closed; nobody else notices
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar, cast

from asyncua import ua

from registrar.errors import (
    MessageTooLarge,
    RegistrarError,
    SecurityChecksFailed,
    ServiceFailed,
    TimedOut,
    Unavailable,
)
from registrar.status import StatusCode
from registrar.ua.codec import make
from registrar.ua.events import (
    CloseReceived,
    ErrorReceived,
    Event,
    HelloReceived,
    MessageAborted,
    OpenReceived,
    OpenRequested,
)
from registrar.ua.security_policy import NONE
from registrar.ua.server_channel import ServerChannel
from registrar.wire.context import Context
from registrar.wire.host import Host
from registrar.wire.key_queue import MAX_INLINE_BITS
from registrar.wire.peers import Peer
from registrar.wire.services import serve
from registrar.wire.stages import Stage
from registrar.wire.traffic import Traffic

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
        self._traffic = Traffic(
            self,
            self._channel,
            serve=serve,
            limits=host.limits,
            turns=host.turns,
            loop=self._loop,
        )
        self._tokens = 0
        self._stages = host.stages
        self._stage: Stage | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self.address = ""
        self.endpoint_url = ""
        self.peer = Peer(
            address="", policy=NONE, mode=ua.MessageSecurityMode.None_, certificate=None
        )

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the peer in, unless there are too many."""
        made = self._traffic.transport = cast(asyncio.Transport, transport)
        peer_name = transport.get_extra_info("peername")
        self.address = str(peer_name[0]) if peer_name else ""
        self.peer.address = self.address
        made.set_write_buffer_limits(high=self._limits.write_buffer_size)
        try:
            self._host.joined(self)
        except Unavailable as error:
            self.refuse(error)
            return
        self._enter(self._stages.hello)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._enter(None)
        if self._write_timer is not None:
            self._write_timer.cancel()
        self.charge(0)
        self._traffic.is_closed = True
        self._host.sessions.lose(self)
        self._host.left(self)
        self._traffic.let_go()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        self._traffic.take(data)

    def eof_received(self) -> bool:
        """Close our side as well."""
        return False

    def pause_writing(self) -> None:
        """Stop reading while the peer does not read; drop it if it goes on so."""
        self._traffic.is_stuck = True
        self._traffic.flow()
        self._write_timer = self._loop.call_later(self._limits.write_s, self._drop_slow)

    def resume_writing(self) -> None:
        """Go on."""
        self._traffic.is_stuck = False
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        transport = self._traffic.transport
        if transport is not None and transport.is_closing():
            self._abort_later(transport)  # what is left has its time as well
        self._traffic.drain()

    # Its stage calls this

    def expired(self, error: TimedOut) -> None:
        """End the connection, since its stage lasted too long."""
        self.refuse(error)

    def _enter(self, stage: Stage | None) -> None:
        """Go on to ``stage``, or to where nothing is waited for."""
        if self._stage is not None:
            self._stage.leave(self)
        self._stage = stage
        if stage is not None:
            stage.enter(self)

    # Services call these

    @property
    def is_closed(self) -> bool:
        """Whether the connection is lost."""
        return self._traffic.is_closed

    @property
    def max_response_size(self) -> int:
        """Bytes of the body of a response, 0 for no limit."""
        return self._traffic.max_response_size

    @max_response_size.setter
    def max_response_size(self, size: int) -> None:
        self._traffic.max_response_size = size

    def work(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Run ``job`` as private-key work of this peer."""
        bits = self.peer.identity.key_bits if self.peer.identity is not None else 0
        return self._host.keys.submit(self.address, bits, job)

    def sessions_changed(self) -> None:
        """Watch the peer again if no Session uses this channel, and not if one does."""
        if self.is_closed:
            return
        self._traffic.is_known = self._host.sessions.serves(self)
        if self._traffic.is_known:
            self._enter(None)
            self._channel.bound_messages(self._limits.channel.max_message_size)
        else:
            self._enter(self._stages.session)
            self._channel.bound_messages(self._limits.early_message_size)
        self._host.watch_sessions()

    # The Listener calls this

    def drop(self, *, after_response: bool) -> None:
        """End the connection: after the responses to come if asked for, else at once."""
        traffic = self._traffic
        transport = traffic.transport
        if transport is None or traffic.is_closed:
            return
        traffic.doom()
        if not after_response:
            transport.abort()
        elif not traffic.running:
            self._loop.call_soon(self._close)

    # Its traffic calls these

    def charge(self, size: int) -> None:
        """Tell the Listener how many bytes are kept of what was not taken up."""
        self._host.unfinished.keep(self.refuse, size)

    def _drop_slow(self) -> None:
        self._host.refused(self.address, TimedOut("the peer does not read what we write"))
        if self._traffic.transport is not None:
            self._traffic.transport.abort()

    def handle(self, event: Event) -> None:
        """Take an event that is no request."""
        HANDLERS[type(event)](self, event)

    def _on_hello(self, event: HelloReceived) -> None:
        self.endpoint_url = event.hello.endpoint_url
        self._traffic.write(self._channel.acknowledge())
        self._enter(self._stages.open)

    def make_context(self) -> Context:
        """Return what the requests are served in."""
        host = self._host
        return Context(
            application=host.application,
            sessions=host.sessions,
            limits=host.limits,
            channel=self,
            clock=self._loop.time,
        )

    def wait_for(self, request_id: int, handle: int, answer: Awaitable[Any]) -> None:
        """Send what ``answer`` becomes."""
        self._host.run(self._answer_later(request_id, handle, answer))

    async def _answer_later(self, request_id: int, handle: int, answer: Awaitable[Any]) -> None:
        traffic = self._traffic
        try:
            response = await answer
        except Exception as error:  # a task ends here
            traffic.running -= 1
            self.fault(request_id, handle, error)
        else:
            traffic.running -= 1
            traffic.send(request_id, response, handle)
        if traffic.is_doomed:
            if not traffic.running:
                self._close()
        elif not traffic.is_closed:
            traffic.drain()

    def _on_abort(self, _: MessageAborted) -> None:
        """The peer gave up a request: nothing to do."""

    def _on_close(self, _: CloseReceived) -> None:
        self._close()

    def _on_error(self, _: ErrorReceived) -> None:
        self._close()

    # OPN

    def _on_open(self, event: OpenReceived) -> None:
        self._traffic.is_opening = True
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
        traffic = self._traffic
        traffic.is_opening = False
        traffic.write(data)
        if not requested.renewal:
            self.peer = peer
            self._enter(self._stages.session)
        if self._channel.unfinished_size:
            traffic.take(b"")
        elif not traffic.is_reading:
            traffic.drain()

    def _private(self, bits: int, job: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run ``job`` as private-key work where it is some, then hand its result on."""
        if bits:
            work = partial(self._while_needed, job)
            self._host.keys.hand_over(self.address, bits, work, partial(self._settle, then))
        else:
            then(job())

    def _while_needed(self, job: Callable[[], T]) -> T | None:
        """Spare the work for a peer that is gone; the number of an OPN not sent would be missed."""
        return None if self._traffic.is_closed or self._traffic.is_doomed else job()

    def _settle(self, then: Callable[[T], None], result: T | None, error: Exception | None) -> None:
        if self._traffic.is_closed or self._traffic.is_doomed:
            return
        try:
            if error is not None:
                raise error
            then(cast(T, result))
        except Exception as failure:  # a job ends here
            self.refuse(_translated(failure))

    # Answers

    def fault(self, request_id: int, handle: int, error: Exception) -> None:
        """Answer a request with a ServiceFault."""
        translated = _translated(error)
        self._host.refused(self.address, translated)
        fault = make(ua.ServiceFault, None)
        self._traffic.send(request_id, fault, handle, translated.status)

    def unsent(self, request_id: int, response: Any, handle: int, error: RegistrarError) -> None:
        """Answer with a fault where a response is too large; else end the connection."""
        if isinstance(error, MessageTooLarge) and not isinstance(response, ua.ServiceFault):
            failed = ServiceFailed(str(error), status=StatusCode.BadResponseTooLarge)
            self.fault(request_id, handle, failed)
        else:
            self.refuse(error)

    def refuse(self, error: RegistrarError) -> None:
        """Tell the peer what it may hear of ``error`` and close the connection."""
        traffic = self._traffic
        if traffic.transport is None or traffic.transport.is_closing():  # it was told already
            return
        self._host.refused(self.address, error)
        traffic.write(self._channel.error_message(error))
        traffic.doom()
        self._close()

    def _close(self) -> None:
        transport = self._traffic.transport
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
        MessageAborted: ServerConnection._on_abort,
        CloseReceived: ServerConnection._on_close,
        ErrorReceived: ServerConnection._on_error,
    }
)
"""What a Server does on each event that is no request; it is never told of the others."""
