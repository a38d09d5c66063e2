"""The state machines of both roles as targets: what a peer says, and what comes of it.

The compiled and the Python channel hear the same and have to do the same, on a channel without
security and on a secured one.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from inspect import unwrap
from typing import TypeVar

from asyncua import ua

from registrar.errors import RegistrarError, Rejected, ServiceFailed
from registrar.ua import transport
from registrar.ua.client_channel import ClientChannel
from registrar.ua.codec import encode_message
from registrar.ua.events import (
    Acknowledged,
    ChannelState,
    Event,
    HelloReceived,
    MessageReceived,
    OpenReceived,
)
from registrar.ua.limits import MIN_BUFFER_SIZE, ChannelLimits
from registrar.ua.open_chunk import OpenContent, seal_plain
from registrar.ua.security_policy import NONE
from registrar.ua.server_channel import ServerChannel
from registrar.ua.symmetric import PlainChunks
from tests.fuzz.pieces import PIECES, cut, first_bytes, is_encrypted, split
from tests.fuzz.securing import (
    CLIENT_NONCE,
    NUMBERED,
    POLICY,
    SERVER_NONCE,
    Ends,
    ends,
    mode_of,
    request_id_of,
    secure,
)
from tests.ua.pairing import Mode

Channel = TypeVar("Channel", type[ServerChannel], type[ClientChannel])
Says = Callable[[Mode], Iterator[bytes]]

CHANNEL, TOKEN = 7, 1
URL = "opc.tcp://device:4840"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = ChannelLimits(
    receive_buffer_size=MIN_BUFFER_SIZE, max_message_size=2 * MIN_BUFFER_SIZE, max_chunk_count=4
)


def read_as_server(data: bytes) -> str:
    """What a Client sends opens a channel, is a message or ends the channel; nothing else."""
    return str(_both(_serve, ServerChannel, cut(data), None)[-1])


def read_as_secured_server(data: bytes) -> str:
    """What a Client with keys says does so as well, and what is spoiled on its way is refused."""
    both = ends(encrypted=is_encrypted(data))
    transcript = _both(_serve, ServerChannel, cut(secure(data, from_client=True)), both)
    _check_heard(transcript, data)
    return str(transcript[-1])


def _serve(make: type[ServerChannel], parts: Sequence[bytes], both: Ends | None) -> Transcript:
    identities = {} if both is None else {both.server.thumbprint: both.server}
    channel = make(channel_id=CHANNEL, identity_of=identities.get, limits=LIMITS)
    tokens = iter(range(1, 1 << 16))

    def take(event: Event) -> bytes:
        if isinstance(event, HelloReceived):
            return channel.acknowledge()
        if isinstance(event, OpenReceived):
            requested = channel.process_open(event)
            answer = channel.accept_open(
                requested,
                token_id=next(tokens),
                nonce=SERVER_NONCE[: requested.policy.nonce_size],
                created_at=MOMENT,
                now=0,
            )
            return answer if requested.policy is NONE else b""  # it is encrypted at random
        if isinstance(event, MessageReceived):
            return channel.send(event.request_id, b"answer", 0)
        return b""

    return _converse(channel, parts, take)


def read_as_client(data: bytes) -> str:
    """What a Server sends opens the channel, answers a request or ends the channel."""
    return str(_both(_ask, ClientChannel, cut(data), None)[-1])


def read_as_secured_client(data: bytes) -> str:
    """What a Server with keys says does so as well, and what is spoiled on its way is refused."""
    both = ends(encrypted=is_encrypted(data))
    transcript = _both(_ask, ClientChannel, cut(secure(data, from_client=False)), both)
    _check_heard(transcript, data)
    return str(transcript[-1])


def _ask(make: type[ClientChannel], parts: Sequence[bytes], both: Ends | None) -> Transcript:
    if both is None:
        channel, nonce = make(endpoint_url=URL, limits=LIMITS), b""
    else:
        nonce = CLIENT_NONCE
        channel = make(
            endpoint_url=URL,
            policy=POLICY,
            mode=both.mode,
            identity=both.client,
            server_certificate=both.server.certificate,
            limits=LIMITS,
        )
    channel.hello()

    def take(event: Event) -> bytes:
        if isinstance(event, Acknowledged):
            request = channel.open_request(
                nonce=nonce, requested_lifetime_s=60, now=0, timestamp=MOMENT
            )
            return b"" if both else request  # it is encrypted at random
        if isinstance(event, OpenReceived):
            channel.process_open(event)
            return b"".join(
                channel.send(channel.next_request_id(), b"request", 0) for _ in range(3)
            )
        return b""

    return _converse(channel, parts, take)


Transcript = list[object]
"""Events, answers and states in their order, at the end how far it got."""


def _both(
    talk: Callable[[Channel, Sequence[bytes], Ends | None], Transcript],
    make: Channel,
    parts: Sequence[bytes],
    both: Ends | None,
) -> Transcript:
    """Let the compiled and the Python channel hear the same; they have to do the same."""
    transcript = talk(make, parts, both)
    assert transcript == talk(unwrap(make), parts, both)
    return transcript


def _check_heard(transcript: Transcript, data: bytes) -> None:
    """What was taken behind a signature is what the peer with the keys said."""
    said: defaultdict[int, bytes] = defaultdict(bytes)
    for chunk in split(data[1:]):
        said[request_id_of(chunk)] += chunk[NUMBERED:]
    for event in transcript:
        if isinstance(event, MessageReceived):
            assert event.body in said[event.request_id]


def _converse(
    channel: ServerChannel | ClientChannel, parts: Sequence[bytes], take: Callable[[Event], bytes]
) -> Transcript:
    """Feed ``parts``; a channel that ended stays so, and keeps less than its limits."""
    said: Transcript = []
    progress = [channel.state]

    def hear(part: bytes) -> None:
        while events := channel.receive(part, 0):
            part = b""
            for event in events:
                said.append(event)
                if channel.state is not ChannelState.CLOSED:
                    said.append(take(event))
                    progress.append(channel.state)
        kept = channel.unfinished_size
        assert kept <= LIMITS.max_message_size + 2 * MIN_BUFFER_SIZE
        said.append((channel.state, kept))

    refusal = _refusal(hear, parts)
    if refusal is None:
        return [*said, dict(channel.tokens), f"{channel.state}"]
    said.append((type(refusal), refusal.status, refusal.reason, str(refusal)))
    error_message = channel.error_message(refusal)
    assert error_message.startswith(b"ERR")
    assert channel.state is ChannelState.CLOSED
    assert channel.receive(b"".join(parts), 0) == []
    return [*said, error_message, f"{progress[-1]}, {type(refusal).__name__}"]


def _refusal(hear: Callable[[bytes], None], parts: Sequence[bytes]) -> RegistrarError | None:
    try:
        for part in parts:
            hear(part)
    except (Rejected, ServiceFailed) as error:
        return error
    return None


def _open(message: object, sequence: int, channel_id: int) -> bytes:
    content = OpenContent(sequence_number=sequence, request_id=1, body=encode_message(message))
    return seal_plain(NONE, channel_id=channel_id, content=content)


def _said(kind: bytes, sequence: int, request_id: int, body: bytes) -> bytes:
    return PlainChunks().seal(kind, CHANNEL, TOKEN, sequence, request_id, body)


def _open_request(mode: Mode) -> ua.OpenSecureChannelRequest:
    request = ua.OpenSecureChannelRequest()
    request.Parameters.SecurityMode = mode
    if mode is not Mode.None_:
        request.Parameters.ClientNonce = ua.ByteString(CLIENT_NONCE)
    return request


def client_says(mode: Mode) -> Iterator[bytes]:
    """Return what a Client says, not yet secured."""
    renewal = _open_request(mode)
    renewal.Parameters.RequestType = ua.SecurityTokenRequestType.Renew
    yield transport.encode_hello(transport.offer(LIMITS, URL))
    yield _open(_open_request(mode), 1, 0)
    yield _said(b"MSGF", 2, 2, b"request")
    yield _said(b"MSGC", 3, 3, b"begun") + _said(b"MSGF", 4, 3, b"ended")
    yield _said(b"MSGC", 5, 4, b"begun") + _said(b"MSGA", 6, 4, struct.pack("<Ii", 1, -1))
    yield _open(renewal, 7, CHANNEL)
    yield _said(b"MSGF", 8, 5, b"request")
    yield _said(b"CLOF", 9, 6, b"")


def server_says(mode: Mode) -> Iterator[bytes]:
    """Return what a Server says, not yet secured."""
    token = ua.ChannelSecurityToken(ua.UInt32(CHANNEL), ua.UInt32(TOKEN), MOMENT, ua.UInt32(60_000))
    response = ua.OpenSecureChannelResponse(
        Parameters=ua.OpenSecureChannelResult(SecurityToken=token)
    )
    if mode is not Mode.None_:
        response.Parameters.ServerNonce = ua.ByteString(SERVER_NONCE)
    hello = transport.Hello(
        receive_buffer_size=65_536,
        send_buffer_size=65_536,
        max_message_size=0,
        max_chunk_count=0,
        endpoint_url=URL,
    )
    yield transport.encode_acknowledge(transport.answer(LIMITS, hello))
    yield _open(response, 1, CHANNEL)
    yield _said(b"MSGF", 2, 2, b"answer")
    yield _said(b"MSGC", 3, 3, b"begun") + _said(b"MSGF", 4, 3, b"ended")
    yield _said(b"MSGA", 5, 4, struct.pack("<Ii", 1, -1))
    yield transport.encode_error(transport.ErrorMessage(error=0x80820000, reason="over"))


def streams(says: Says) -> tuple[bytes, ...]:
    """Return the conversation up to each message, in each size of pieces."""
    return tuple(
        bytes([size]) + stream for size in range(len(PIECES)) for stream in _up_to(says(Mode.None_))
    )


def secured_streams(says: Says) -> tuple[bytes, ...]:
    """Return those that open a channel, for each mode, whole and to be spoiled."""
    return tuple(
        bytes([first]) + stream
        for first in first_bytes()
        for stream in [*_up_to(says(mode_of(encrypted=is_encrypted(bytes([first])))))][1:]
    )


def _up_to(messages: Iterator[bytes]) -> Iterator[bytes]:
    stream = b""
    for message in messages:
        stream += message
        yield stream
