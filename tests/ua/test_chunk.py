"""Chunks are cut from the stream and joined to messages, within their limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import ChunkTooLarge, DecodingError, MessageTooLarge, ProtocolViolation
from registrar.ua.chunk import Chunk, ChunkReader, MessageAssembler
from registrar.ua.limits import ChannelLimits
from registrar.ua.transport import HEADER

EXPECTED = {b"MSG": 9000, b"OPN": 8192}


def make_chunk(body: bytes, kind: bytes = b"MSG", mark: bytes = b"F") -> bytes:
    """Return a chunk with a header only as HEL has it."""
    return HEADER.pack(kind, mark, HEADER.size + len(body)) + body


def read(reader: ChunkReader) -> list[Chunk]:
    """Return all chunks that are complete."""
    chunks = []
    while (chunk := reader.next()) is not None:
        chunks.append(chunk)
    return chunks


@given(
    bodies=st.lists(st.binary(max_size=50), max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_any_fragmentation_gives_the_same_chunks(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(make_chunk(body) for body in bodies)
    reader = ChunkReader(EXPECTED)
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})

    chunks = []
    start = 0
    for end in ends:
        reader.feed(stream[start:end])
        chunks += read(reader)
        start = end

    assert [chunk.data for chunk in chunks] == [make_chunk(body) for body in bodies]
    assert reader.buffered == 0


@pytest.mark.clause("OPC 10000-6 §7.1.2.2")
@pytest.mark.parametrize(("size", "fits"), [(8999, True), (9000, True), (9001, False)])
def test_a_chunk_is_refused_by_its_header_alone(size: int, fits: bool) -> None:
    reader = ChunkReader(EXPECTED)
    reader.feed(HEADER.pack(b"MSG", b"F", size))

    if fits:
        assert reader.next() is None
        return
    with pytest.raises(ChunkTooLarge):
        reader.next()


@pytest.mark.parametrize("size", [0, 7])
def test_a_chunk_shorter_than_its_header_is_refused(size: int) -> None:
    reader = ChunkReader(EXPECTED)
    reader.feed(HEADER.pack(b"MSG", b"F", size))

    with pytest.raises(ProtocolViolation):
        reader.next()


@pytest.mark.parametrize("kind", [b"HEL", b"\0\0\0", b"msg"])
def test_unexpected_types_are_refused(kind: bytes) -> None:
    reader = ChunkReader(EXPECTED)
    reader.feed(HEADER.pack(kind, b"F", 20))

    with pytest.raises(ProtocolViolation):
        reader.next()


@given(data=st.binary(max_size=80))
def test_arbitrary_bytes_raise_only_rejections(data: bytes) -> None:
    reader = ChunkReader(EXPECTED)
    reader.feed(data)
    try:
        read(reader)
    except (DecodingError, ProtocolViolation):
        return


def test_a_new_expectation_holds_for_what_is_buffered() -> None:
    reader = ChunkReader({b"HEL": 100})
    reader.feed(make_chunk(b"x", b"HEL") + make_chunk(b"y", b"OPN"))
    assert reader.next() is not None

    reader.expect(EXPECTED)
    chunk = reader.next()

    assert chunk is not None
    assert chunk.message_type == b"OPN"


@pytest.mark.clause("OPC 10000-6 §7.1.2.3")
@pytest.mark.parametrize(("last", "fits"), [(3999, True), (4000, True), (4001, False)])
def test_the_size_of_a_message_is_bounded(last: int, fits: bool) -> None:
    assembler = MessageAssembler(ChannelLimits(max_message_size=12_000))
    assembler.add(1, bytes(8000), final=False)

    if fits:
        assert assembler.add(1, bytes(last), final=True) == bytes(8000 + last)
        assert assembler.size == 0
        return
    with pytest.raises(MessageTooLarge):
        assembler.add(1, bytes(last), final=True)


@pytest.mark.parametrize(("size", "fits"), [(8191, True), (8192, True), (8193, False)])
def test_the_size_of_a_message_in_one_chunk_is_bounded(size: int, fits: bool) -> None:
    assembler = MessageAssembler(ChannelLimits(max_message_size=8192))

    if fits:
        assert assembler.add(1, bytes(size), final=True) == bytes(size)
        return
    with pytest.raises(MessageTooLarge):
        assembler.add(1, bytes(size), final=True)


@pytest.mark.clause("OPC 10000-6 §7.1.2.3")
@pytest.mark.parametrize(("chunks", "fits"), [(2, True), (3, True), (4, False)])
def test_the_chunks_of_a_message_are_bounded(chunks: int, fits: bool) -> None:
    assembler = MessageAssembler(ChannelLimits(max_chunk_count=3))

    def add_all() -> bytes | None:
        for _ in range(chunks - 1):
            assembler.add(1, b"x", final=False)
        return assembler.add(1, b"x", final=True)

    if fits:
        assert add_all() == b"x" * chunks
        return
    with pytest.raises(MessageTooLarge):
        add_all()


def test_endless_empty_chunks_are_bounded() -> None:
    assembler = MessageAssembler(ChannelLimits(max_chunk_count=100))

    for _ in range(99):
        assembler.add(1, b"", final=False)

    with pytest.raises(MessageTooLarge):
        assembler.add(1, b"", final=False)


@pytest.mark.parametrize(("count", "fits"), [(2, True), (3, True), (4, False)])
def test_unfinished_messages_are_bounded_in_number(count: int, fits: bool) -> None:
    assembler = MessageAssembler(ChannelLimits(max_partial_messages=3))
    for request_id in range(count - 1):
        assembler.add(request_id, b"x", final=False)

    if fits:
        assembler.add(count, b"x", final=False)
        return
    with pytest.raises(MessageTooLarge):
        assembler.add(count, b"x", final=False)
    assert assembler.add(count, b"x", final=True) == b"x"


def test_unfinished_messages_are_bounded_in_size_together() -> None:
    assembler = MessageAssembler(ChannelLimits(max_message_size=10_000))
    assembler.add(1, bytes(6000), final=False)

    with pytest.raises(MessageTooLarge):
        assembler.add(2, bytes(6000), final=False)
    assembler.discard(1)
    assembler.discard(2)

    assert assembler.size == 0
    assert assembler.add(3, bytes(6000), final=False) is None
