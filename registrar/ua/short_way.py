"""The short way of a client's exchanges: a request and its response of one chunk each.

Most exchanges are of this kind. The checks are those of ``Conversation`` in the same order, without
an object for each step; whatever else comes or goes is left to the long way.
Source: OPC 10000-6 §6.7.2.
"""

from __future__ import annotations

from collections.abc import Container

from registrar.errors import MessageTooLarge, ProtocolViolation
from registrar.native import compiled
from registrar.status import StatusCode
from registrar.ua.sequence_numbers import ReceiveSequence, SendSequence
from registrar.ua.symmetric import CHUNK_HEADER, SEQUENCE_HEADER, ChunkSecurity

_WHOLE = b"MSGF"
_LEAST_CHUNK = CHUNK_HEADER.size + SEQUENCE_HEADER.size


@compiled
class ShortWay:
    """Whole requests and responses under the one token of a channel.

    Args:
        sealing, opening: the keys of the token.
        sends, receives: the sequence numbers, which the long way goes on with.
        expires_at: monotonic seconds.
        unfinished: RequestIds of messages of which some chunks came.
        receive_size: bytes of a chunk we take.
        receive_message_size: bytes of a message we take.
        send_size: bytes of a request that fits into one chunk.
        outstanding: RequestIds that wait for a response; changed here.
        max_outstanding: how many may.
    """

    __slots__ = (
        "_channel_id",
        "_expires_at",
        "_max_outstanding",
        "_opening",
        "_outstanding",
        "_receive_message_size",
        "_receive_size",
        "_receives",
        "_sealing",
        "_send_size",
        "_sends",
        "_token_id",
        "_unfinished",
    )

    def __init__(
        self,
        *,
        channel_id: int,
        token_id: int,
        expires_at: float,
        sealing: ChunkSecurity,
        opening: ChunkSecurity,
        sends: SendSequence,
        receives: ReceiveSequence,
        unfinished: Container[int],
        receive_size: int,
        receive_message_size: int,
        send_size: int,
        outstanding: set[int],
        max_outstanding: int,
    ) -> None:
        self._channel_id = channel_id
        self._token_id = token_id
        self._expires_at = expires_at
        self._sealing = sealing
        self._opening = opening
        self._sends = sends
        self._receives = receives
        self._unfinished = unfinished
        self._receive_size = receive_size
        self._receive_message_size = receive_message_size
        self._send_size = send_size
        self._outstanding = outstanding
        self._max_outstanding = max_outstanding

    def send(self, request_id: int, body: bytes, now: float) -> bytes | None:
        """Return the chunk of a request; None, with nothing changed, where it takes another way."""
        if (
            len(body) > self._send_size
            or now > self._expires_at
            or len(self._outstanding) >= self._max_outstanding
        ):
            return None
        sequence = self._sends.take()
        chunk = self._sealing.seal(
            _WHOLE, self._channel_id, self._token_id, sequence, request_id, body
        )
        self._outstanding.add(request_id)
        return chunk

    def receive(self, data: bytes, now: float) -> tuple[int, bytes] | None:
        """Return RequestId and message; None, with nothing changed, where ``data`` is not one.

        Raises:
            ProtocolViolation, SecurityChecksFailed, MessageTooLarge: as the long way.
        """
        size = len(data)
        if not _LEAST_CHUNK <= size <= self._receive_size or now > self._expires_at:
            return None
        if CHUNK_HEADER.unpack_from(data) != (_WHOLE, size, self._channel_id, self._token_id):
            return None
        if self._unfinished:
            return None
        sequence_number, request_id, body = self._opening.open(data)
        self._receives.check(sequence_number)
        if request_id not in self._outstanding:
            raise ProtocolViolation(f"a response to request {request_id}, which nobody made")
        if len(body) > self._receive_message_size:
            raise MessageTooLarge(
                f"a message of {len(body)} bytes, at most {self._receive_message_size} are allowed",
                status=StatusCode.BadTcpMessageTooLarge,
            )
        self._outstanding.remove(request_id)
        return request_id, body
