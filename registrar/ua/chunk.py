"""From a stream of bytes to chunks, and from chunks to messages (OPC 10000-6 §6.7.2, §7.1.2.2).

    bytes ──▶ ChunkReader ──▶ Chunk ──▶ (the channel removes security) ──▶ MessageAssembler ──▶ body

Both bound their memory before they keep anything: the size in a header is compared with the
limit before a byte of the body stays, and an unfinished message is charged against the limits
that were negotiated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registrar.errors import ChunkTooLarge, MessageTooLarge, ProtocolViolation
from registrar.status import StatusCode
from registrar.ua.limits import MAX_BUFFER_SIZE, ChannelLimits
from registrar.ua.transport import HEADER

FINAL = b"F"
INTERMEDIATE = b"C"
ABORT = b"A"

MIN_CHUNK_SIZE = HEADER.size


@dataclass(slots=True)
class Chunk:
    """One chunk as it came, header included."""

    message_type: bytes
    chunk_type: bytes
    data: bytes


class ChunkReader:
    """Feed bytes, take chunks. After an error the reader must be discarded.

    ``expect`` says which message types may come now, and how long a chunk of each may be.
    """

    __slots__ = ("_at", "_buffer", "_expected", "max_chunk_size")

    def __init__(self, expected: Mapping[bytes, int]) -> None:
        self._expected = expected
        self.max_chunk_size = MAX_BUFFER_SIZE
        """Bytes; what was negotiated, for chunks of every type."""
        self._buffer: bytes | bytearray = b""
        self._at = 0

    def expect(self, expected: Mapping[bytes, int]) -> None:
        """From now on take only these message types, up to these sizes in bytes."""
        self._expected = expected

    @property
    def buffered(self) -> int:
        """Bytes that are kept and do not make a chunk yet, or were not taken yet."""
        return len(self._buffer) - self._at

    def feed(self, data: bytes) -> None:
        """Take ``data`` in; ``next`` gives the chunks."""
        if not self._buffer:
            self._buffer = data  # mostly one chunk, which ``next`` then gives without a copy
            return
        # A bytearray, because adding to one does not copy what it holds.
        if isinstance(self._buffer, bytes):
            self._buffer = bytearray(self._buffer)
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def next(self) -> Chunk | None:
        """Return the next complete chunk, or None.

        Raises:
            ProtocolViolation: a chunk of this type cannot come now.
            ChunkTooLarge: its header announces more than is allowed; nothing was awaited.
        """
        buffer, at = self._buffer, self._at
        available = len(buffer) - at
        if available < 8:
            return None
        message_type, chunk_type, size = HEADER.unpack_from(buffer, at)
        limit = self._expected.get(message_type)
        if limit is None:
            raise ProtocolViolation(f"a chunk of type {message_type!r} cannot come now")
        limit = min(limit, self.max_chunk_size)
        if size > limit:
            raise ChunkTooLarge(
                f"{message_type.decode()} chunk of {size} bytes, at most {limit} are allowed"
            )
        if size < MIN_CHUNK_SIZE:
            raise ProtocolViolation(f"{message_type.decode()} chunk of {size} bytes")
        if chunk_type != FINAL and (message_type != b"MSG" or chunk_type not in b"CA"):
            raise ProtocolViolation(f"{message_type.decode()} chunk marked {chunk_type!r}")
        if available < size:
            return None
        end = at + size
        if end == len(buffer):
            self._buffer, self._at = b"", 0
        else:
            self._at = end
        view = buffer if isinstance(buffer, bytes) else memoryview(buffer)
        return Chunk(message_type, chunk_type, bytes(view[at:end]))  # all of bytes is no copy


class MessageAssembler:
    """Put the chunks of messages together; messages may interleave by RequestId.

    Bounded by ``max_message_size`` and ``max_chunk_count`` for each message, by
    ``max_partial_messages`` unfinished ones, and by ``max_message_size`` for all of them.
    """

    __slots__ = ("_limits", "_size", "_sizes", "max_message_size", "parts")

    def __init__(self, limits: ChannelLimits) -> None:
        self._limits = limits
        self.max_message_size = limits.max_message_size
        """Bytes; may be changed between chunks."""
        self.parts: dict[int, list[bytes]] = {}
        """Of each unfinished message by its RequestId."""
        self._sizes: dict[int, int] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes of all unfinished messages."""
        return self._size

    def add(self, request_id: int, body: bytes, *, final: bool) -> bytes | None:
        """Add the body of a chunk; return the message it completes, or None.

        Raises:
            MessageTooLarge: a limit would be passed; nothing of the chunk was kept.
        """
        if final:
            return self.finish(request_id, body)
        parts = self.parts.get(request_id)
        if parts is None:
            self._check_size(len(body))
            limit = self._limits.max_partial_messages
            if len(self.parts) >= limit:
                raise self._too_large("another unfinished message", limit)
            parts = self.parts[request_id] = []
            self._sizes[request_id] = 0
        self._charge(request_id, parts, body, final=False)
        return None

    def finish(self, request_id: int, body: bytes) -> bytes:
        """Return the message that the ``body`` of a last chunk completes.

        Raises:
            MessageTooLarge: a limit would be passed; nothing of the chunk was kept.
        """
        parts = self.parts.get(request_id)
        if parts is None:
            self._check_size(len(body))
            return body
        self._charge(request_id, parts, body, final=True)
        self.discard(request_id)
        return b"".join(parts)

    def _check_size(self, size: int) -> None:
        if size > self.max_message_size:
            raise self._too_large(f"{size} bytes", self.max_message_size)

    def discard(self, request_id: int) -> None:
        """Forget what came of a message."""
        if self.parts.pop(request_id, None) is not None:
            self._size -= self._sizes.pop(request_id)

    def _charge(self, request_id: int, parts: list[bytes], body: bytes, *, final: bool) -> None:
        limits = self._limits
        chunks = len(parts) + (1 if final else 2)
        if chunks > limits.max_chunk_count:
            raise self._too_large(f"{chunks} chunks or more", limits.max_chunk_count)
        size = self._size + len(body)
        self._check_size(size)
        parts.append(body)
        self._size = size
        self._sizes[request_id] += len(body)

    @staticmethod
    def _too_large(what: str, limit: int) -> MessageTooLarge:
        return MessageTooLarge(
            f"a message of {what}, at most {limit} are allowed",
            status=StatusCode.BadTcpMessageTooLarge,
        )
