"""Targets on the wire: the stream of chunks, the decoder, and the state machines of both roles.

Each takes arbitrary bytes and fails where something else than a refusal leaves our code, where
pieces mean something else than the whole, where compiled and Python coder or channel disagree, or
where more is kept than came. What it returns says how far the bytes got. On a secured channel the
bytes are what a peer wants to say: they are secured as it would, and some are spoiled after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from registrar.errors import Misuse, Rejected
from registrar.ua.chunk import Chunk, ChunkReader
from registrar.ua.codec import MESSAGES, encode_message
from registrar.ua.limits import DecoderLimits
from tests.fuzz.conversations import (
    client_says,
    read_as_client,
    read_as_secured_client,
    read_as_secured_server,
    read_as_server,
    secured_streams,
    server_says,
    streams,
)
from tests.fuzz.pieces import cut
from tests.ua.codecs import COMPILED, PYTHON, result, seen
from tests.ua.samples import Sampler

DECODER = DecoderLimits(max_depth=20, max_elements=1_000)
EXPECTED = {b"HEL": 100, b"OPN": 200, b"MSG": 300, b"CLO": 50, b"ERR": 60}


@dataclass(frozen=True, slots=True, kw_only=True)
class WireTarget:
    """One reader."""

    read: Callable[[bytes], str]
    """Returns how far the bytes got."""
    seeds: tuple[bytes, ...]


def read_chunks(data: bytes) -> str:
    """Pieces make the same chunks, and the same refusal, as the whole."""
    whole, pieces = _chunks([data[1:]]), _chunks(cut(data))
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


WIRE_TARGETS: Mapping[str, WireTarget] = {
    "chunks": WireTarget(read=read_chunks, seeds=streams(client_says)),
    "decoder": WireTarget(
        read=read_message,
        seeds=tuple(encode_message(Sampler(3).instance(cls)) for cls in MESSAGES),
    ),
    "server": WireTarget(read=read_as_server, seeds=streams(client_says)),
    "client": WireTarget(read=read_as_client, seeds=streams(server_says)),
    "secured-server": WireTarget(read=read_as_secured_server, seeds=secured_streams(client_says)),
    "secured-client": WireTarget(read=read_as_secured_client, seeds=secured_streams(server_says)),
}
