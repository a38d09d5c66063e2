"""Targets on the wire: the stream of chunks, the decoder, and the state machines of both roles.

Each takes arbitrary bytes and fails where something else than a refusal leaves our code, where
pieces mean something else than the whole, where compiled and Python coder or channel disagree, or
where more is kept than came. What it returns says how far the bytes got.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import unwrap
from typing import TypeVar

from asyncua import ua

from registrar.errors import Misuse, RegistrarError, Rejected, ServiceFailed
from registrar.ua import transport
from registrar.ua.chunk import Chunk, ChunkReader
from registrar.ua.client_channel import ClientChannel
from registrar.ua.codec import MESSAGES, encode_message
from registrar.ua.events import (
    Acknowledged,
    ChannelState,
    Event,
    HelloReceived,
    MessageReceived,
    OpenReceived,
)
from registrar.ua.limits import MIN_BUFFER_SIZE, ChannelLimits, DecoderLimits
from registrar.ua.open_chunk import OpenContent, seal_plain
from registrar.ua.security_policy import NONE
from registrar.ua.server_channel import ServerChannel
from registrar.ua.symmetric import PlainChunks
from tests.ua.codecs import COMPILED, PYTHON, result, seen
from tests.ua.samples import Sampler

Channel = TypeVar("Channel", type[ServerChannel], type[ClientChannel])

CHANNEL, TOKEN = 7, 1
URL = "opc.tcp://device:4840"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = ChannelLimits(
    receive_buffer_size=MIN_BUFFER_SIZE, max_message_size=2 * MIN_BUFFER_SIZE, max_chunk_count=4
)
DECODER = DecoderLimits(max_depth=20, max_elements=1_000)
PIECES = (1, 7, 0)
"""Bytes that arrive at once, 0 for a chunk as its header says; the first of an input chooses."""

EXPECTED = {b"HEL": 100, b"OPN": 200, b"MSG": 300, b"CLO": 50, b"ERR": 60}


@dataclass(frozen=True, slots=True, kw_only=True)
class WireTarget:
    """One reader."""

    read: Callable[[bytes], str]
    """Returns how far the bytes got."""
    seeds: tuple[bytes, ...]


def read_chunks(data: bytes) -> str:
    """Pieces make the same chunks, and the same refusal, as the whole."""
    whole, pieces = _chunks([data[1:]]), _chunks(_pieces(data))
    assert whole == pieces
    return f"{len(whole[0])} chunks, {whole[1]}"


def _chunks(parts: Sequence[bytes]) -> tuple[list[Chunk], str]:
    reader, chunks, fed = ChunkReader(EXPECTED), [], 0
    try:
        for part in parts:
            reader.feed(part)
            fed += len(part)
            while (chunk := reader.next()) is not None:
                chunks.append(chunk)
            assert reader.buffered == fed - sum(len(one.data) for one in chunks)
            assert reader.buffered < max(EXPECTED.values())
    except Rejected as error:
        return chunks, type(error).__name__
    return chunks, "waiting"


def read_message(data: bytes) -> str:
    """Both coders take or refuse the same; what is taken can be written and read again."""
    outcome = result(COMPILED.decode_message, data, DECODER)
    assert outcome == result(PYTHON.decode_message, data, DECODER)
    told = result(COMPILED.decode_response, data, DECODER)
    assert told == result(PYTHON.decode_response, data, DECODER)
    short = result(COMPILED.decode_call, data, DECODER)
    assert short in (seen(None), result(PYTHON.decode_call, data, DECODER))
    if isinstance(outcome, type):
        return outcome.__name__
    try:
        again = COMPILED.encode_message(COMPILED.decode_message(data, DECODER))
    except Misuse:  # it holds what may be received but not sent
        return "taken"
    assert result(COMPILED.decode_message, again, DECODER) == outcome
    return "taken"


def read_as_server(data: bytes) -> str:
    """What a Client sends opens a channel, is a message or ends the channel; nothing else."""
    return _both(_serve, ServerChannel, _pieces(data))


def _serve(make: type[ServerChannel], parts: Sequence[bytes]) -> Transcript:
    channel = make(channel_id=CHANNEL, identity_of=lambda _: None, limits=LIMITS)
    tokens = iter(range(1, 1 << 16))

    def take(event: Event) -> bytes:
        if isinstance(event, HelloReceived):
            return channel.acknowledge()
        if isinstance(event, OpenReceived):
            requested = channel.process_open(event)
            token = next(tokens)
            return channel.accept_open(
                requested, token_id=token, nonce=b"", created_at=MOMENT, now=0
            )
        if isinstance(event, MessageReceived):
            return channel.send(event.request_id, b"answer", 0)
        return b""

    return _converse(channel, parts, take)


def read_as_client(data: bytes) -> str:
    """What a Server sends opens the channel, answers a request or ends the channel."""
    return _both(_ask, ClientChannel, _pieces(data))


def _ask(make: type[ClientChannel], parts: Sequence[bytes]) -> Transcript:
    channel = make(endpoint_url=URL, limits=LIMITS)
    channel.hello()

    def take(event: Event) -> bytes:
        if isinstance(event, Acknowledged):
            return channel.open_request(nonce=b"", requested_lifetime_s=60, now=0, timestamp=MOMENT)
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
    talk: Callable[[Channel, Sequence[bytes]], Transcript], make: Channel, parts: Sequence[bytes]
) -> str:
    """Let the compiled and the Python channel hear the same; they have to do the same."""
    transcript = talk(make, parts)
    assert transcript == talk(unwrap(make), parts)
    return str(transcript[-1])


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


def _pieces(data: bytes) -> list[bytes]:
    """Cut an input as its first byte says; a peer waits for our answers between its chunks."""
    size, stream = PIECES[data[0] % len(PIECES)] if data else 1, data[1:]
    pieces, at = [], 0
    while at < len(stream):
        announced = int.from_bytes(stream[at + 4 : at + 8], "little")
        end = at + (size or max(announced, 1))
        pieces.append(stream[at:end])
        at = end
    return pieces


def _open(message: object, sequence: int, channel_id: int) -> bytes:
    content = OpenContent(sequence_number=sequence, request_id=1, body=encode_message(message))
    return seal_plain(NONE, channel_id=channel_id, content=content)


def _said(kind: bytes, sequence: int, request_id: int, body: bytes) -> bytes:
    return PlainChunks().seal(kind, CHANNEL, TOKEN, sequence, request_id, body)


def _client_says() -> Iterator[bytes]:
    request = ua.OpenSecureChannelRequest()
    request.Parameters.SecurityMode = ua.MessageSecurityMode.None_
    renewal = ua.OpenSecureChannelRequest()
    renewal.Parameters.SecurityMode = ua.MessageSecurityMode.None_
    renewal.Parameters.RequestType = ua.SecurityTokenRequestType.Renew
    yield transport.encode_hello(transport.offer(LIMITS, URL))
    yield _open(request, 1, 0)
    yield _said(b"MSGF", 2, 2, b"request")
    yield _said(b"MSGC", 3, 3, b"begun") + _said(b"MSGF", 4, 3, b"ended")
    yield _said(b"MSGC", 5, 4, b"begun") + _said(b"MSGA", 6, 4, struct.pack("<Ii", 1, -1))
    yield _open(renewal, 7, CHANNEL)
    yield _said(b"MSGF", 8, 5, b"request")
    yield _said(b"CLOF", 9, 6, b"")


def _server_says() -> Iterator[bytes]:
    token = ua.ChannelSecurityToken(ua.UInt32(CHANNEL), ua.UInt32(TOKEN), MOMENT, ua.UInt32(60_000))
    response = ua.OpenSecureChannelResponse(
        Parameters=ua.OpenSecureChannelResult(SecurityToken=token)
    )
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


def _streams(messages: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the conversation up to each message, in each size of pieces."""
    return tuple(
        bytes([size]) + b"".join(messages[:end])
        for size in range(len(PIECES))
        for end in range(1, len(messages) + 1)
    )


_CLIENT, _SERVER = tuple(_client_says()), tuple(_server_says())

WIRE_TARGETS: Mapping[str, WireTarget] = {
    "chunks": WireTarget(read=read_chunks, seeds=_streams(_CLIENT)),
    "decoder": WireTarget(
        read=read_message,
        seeds=tuple(encode_message(Sampler(3).instance(cls)) for cls in MESSAGES),
    ),
    "server": WireTarget(read=read_as_server, seeds=_streams(_CLIENT)),
    "client": WireTarget(read=read_as_client, seeds=_streams(_SERVER)),
}
