"""The requests of one connection, each until its response; what comes must be what was asked for.

ask: encode ─▶ chunk ─▶ write                  future
hear: TCP ─▶ chunk ─▶ decode ─▶ which request? ──▶ │
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence, Sized
from typing import Any, TypeAlias, TypeVar

from asyncua import ua

from registrar.errors import ProtocolViolation, Reason, RegistrarError, ServiceFailed, Unavailable
from registrar.native import compiled
from registrar.status import StatusCode, is_bad, name_of
from registrar.ua.client_channel import ClientChannel
from registrar.ua.codec import RequestHead, decode_response, encode_call, encode_request
from registrar.ua.limits import DecoderLimits

Item = TypeVar("Item")
Response = TypeVar("Response")
Waiting: TypeAlias = tuple[
    asyncio.Future[Any], type, float, int, ua.NodeId | None, list[Any] | None
]
"""Future, class of the response, deadline, RequestHandle, the Method of a single Call, and what the
response may hold again."""

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

FROM_1601_TO_1970_US = 11_644_473_600_000_000

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
    """Return the error for the ``status`` with which a peer ended ``what``; it has to be bad."""
    code = known_status(status)
    message = f"{what} failed: {name_of(status)}"
    if not is_bad(status):
        return ProtocolViolation(f"{message}, which is no failure")
    if code in BUSY:
        return Unavailable(message, reason=Reason.BUSY, status=code)
    reason = Reason.ACCESS_DENIED if code in DENIED else None
    return ServiceFailed(message, reason=reason, status=code)


def service_of(response: type) -> str:
    """Return the name of the service that ``response`` answers, for people."""
    return response.__name__.removesuffix("Response")


def as_many(asked: Sized, answered: list[Item] | None) -> list[Item]:
    """Return the results of a service, one for each operation.

    Raises:
        ProtocolViolation: another number of results.
    """
    results = answered or []
    if len(results) != len(asked):
        raise ProtocolViolation(
            f"{len(results)} results for {len(asked)} operations",
            status=StatusCode.BadUnknownResponse,
        )
    return results


def settle_call(
    future: asyncio.Future[list[ua.Variant]], response: Any, method_id: ua.NodeId
) -> None:
    """Give ``future`` what the one Method of a CallResponse gave, or its failure."""
    try:
        (result,) = as_many((method_id,), response.Results)
        if is_bad(result.StatusCode.value):
            raise failure_of(result.StatusCode.value, f"method {method_id.to_string()}")
    except RegistrarError as error:  # the Method failed; the connection goes on
        future.set_exception(error)
    else:
        future.set_result(list(result.OutputArguments or ()))


def _write_nowhere(_: object) -> None:
    """While there is no connection."""


@compiled
class Exchanges:
    """Requests that wait for their response.

    Args:
        channel: what makes chunks of messages and messages of chunks.
        loop: the one the futures belong to.
        patience_s: how long a request may wait, which the Server is told as well.
        most: requests on this connection.
        most_bytes: bytes of the peer on this connection.
        decoder: limits of a response.
        failure: returns the error for a bad status of a service.
        wake: is told when a request is to end before ``wakes_at``.
    """

    __slots__ = (
        "_channel",
        "_decoder",
        "_failure",
        "_loop",
        "_most",
        "_most_bytes",
        "_patience_s",
        "_wake",
        "bytes_received",
        "bytes_sent",
        "count",
        "token",
        "waiting",
        "wakes_at",
        "write",
    )

    def __init__(
        self,
        channel: ClientChannel,
        loop: asyncio.AbstractEventLoop,
        *,
        patience_s: float,
        most: int,
        most_bytes: int,
        decoder: DecoderLimits,
        failure: Callable[[int, str], RegistrarError],
        wake: Callable[[float], None],
    ) -> None:
        self._channel = channel
        self._loop = loop
        self._patience_s = patience_s
        self._most = most
        self._most_bytes = most_bytes
        self._decoder = decoder
        self._failure = failure
        self._wake: Callable[[float], object] = wake
        self.wakes_at = 0.0
        """Monotonic seconds at which requests without an answer are looked for."""
        self.write: Callable[[bytes], object] = _write_nowhere
        """Takes the chunks of a request."""
        self.token: ua.NodeId | None = None
        """AuthenticationToken of every request."""
        self.count = 0
        """Requests made, answered or not."""
        self.bytes_sent = 0
        self.bytes_received = 0
        self.waiting: dict[int, Waiting] = {}
        """By RequestId."""

    def ask(
        self,
        request: Any,
        expected: type[Response],
        patience_s: float | None,
        again: list[Any] | None = None,
    ) -> asyncio.Future[Response]:
        """Send ``request`` and return the future of its response.

        Args:
            request: its RequestHeader does not count.
            patience_s: how long it may wait; None, and no more, for what all may.
            again: structures the response may hold again, as they were decoded before.

        Raises:
            ProtocolViolation: more requests than one connection may have.
            MessageTooLarge, Misuse: it cannot be sent.
        """
        body = encode_request(request, self._next_head())
        return self._send(body, expected, patience_s, None, again)

    def call(
        self,
        object_id: ua.NodeId,
        method_id: ua.NodeId,
        arguments: Sequence[ua.Variant],
    ) -> asyncio.Future[list[ua.Variant]]:
        """Call a Method and return the future of its output arguments; else as ``ask``."""
        body = encode_call(self._next_head(), object_id, method_id, arguments)
        return self._send(body, ua.CallResponse, None, method_id, None)

    def _next_head(self) -> RequestHead:
        if self.count >= self._most:
            raise ProtocolViolation(f"more than {self._most} requests on one connection")
        self.count += 1
        moment_us = time.time_ns() // 1000 + FROM_1601_TO_1970_US
        return self.token, moment_us, self.count, int(self._patience_s * 1000)

    def _send(
        self,
        body: bytes,
        expected: type,
        patience_s: float | None,
        method_id: ua.NodeId | None,
        again: list[Any] | None,
    ) -> asyncio.Future[Any]:
        request_id, now = self._channel.next_request_id(), self._loop.time()
        chunks = self._channel.send(request_id, body, now)
        future: asyncio.Future[Any] = self._loop.create_future()
        limit = self._patience_s
        deadline = now + (limit if patience_s is None else min(patience_s, limit))
        self.waiting[request_id] = (future, expected, deadline, self.count, method_id, again)
        self.bytes_sent += len(chunks)
        self.write(chunks)
        if deadline < self.wakes_at:
            self._wake(deadline)
        return future

    def let_go(self) -> None:
        """Forget who sends and who is told: the connection is lost."""
        self.write = self._wake = _write_nowhere

    def hear(self, data: bytes) -> bool:
        """Take ``data`` if it is one whole response; False where it takes the long way.

        Raises:
            ProtocolViolation: the peer sent more than it may on one connection.
            Rejected: as ``answer``, or the channel refused the chunk.
        """
        self.bytes_received += len(data)
        if self.bytes_received > self._most_bytes:
            raise ProtocolViolation(f"the peer sent more than {self._most_bytes} bytes")
        response = self._channel.receive_response(data, self._loop.time())
        if response is None:
            return False
        self.answer(*response)
        return True

    def answer(self, request_id: int, body: bytes) -> None:
        """Settle the future of the request that ``body`` answers.

        Raises:
            Rejected: no response, of another type, or to another request; the future has it too.
        """
        future, expected, _, handle, method_id, again = self.waiting.pop(request_id)
        if future.done():  # nobody waits any more
            return
        try:
            told, status, message = decode_response(body, self._decoder, again)
            if told is None:
                raise ProtocolViolation(f"a {type(message).__name__} is no response")
            if told != handle:
                raise ProtocolViolation(f"a response to {told} instead of request {handle}")
            kind = type(message)
            bad = is_bad(status)
            if kind is not expected and not (bad and kind is ua.ServiceFault):
                raise ProtocolViolation(f"a {kind.__name__} instead of a {expected.__name__}")
            if bad:
                future.set_exception(self._failure(status, service_of(expected)))
            elif method_id is None:
                future.set_result(message)
            else:
                settle_call(future, message, method_id)
        except RegistrarError as error:
            future.set_exception(error)
            raise
