"""What both ends of a SecureChannel share: chunks, tokens, sequence numbers, limits.

    bytes ─▶ reader ─▶ chunk ─▶ token ─▶ decrypt ─▶ signature ─▶ padding ─▶ sequence ─▶ message

is the order of the checks (OPC 10000-6 §6.7.2); each may end the channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from asyncua import ua

from registrar.errors import (
    DecodingError,
    MessageTooLarge,
    Misuse,
    ProtocolViolation,
    RegistrarError,
)
from registrar.status import StatusCode
from registrar.ua.chunk import ABORT, FINAL, Chunk, ChunkReader, MessageAssembler
from registrar.ua.events import (
    ChannelState,
    ErrorReceived,
    Event,
    MessageAborted,
    MessageReceived,
)
from registrar.ua.limits import MAX_ERROR_SIZE, ChannelLimits
from registrar.ua.security_policy import NONE, SecurityPolicy
from registrar.ua.sequence_numbers import ReceiveSequence, SendSequence
from registrar.ua.symmetric import (
    CHUNK_HEADER,
    SEQUENCE_HEADER,
    ChunkSecurity,
    DerivedKeys,
    EncryptedChunks,
    PlainChunks,
    SignedChunks,
    derive_keys,
)
from registrar.ua.transport import (
    HEADER,
    ErrorMessage,
    Negotiated,
    decode_error,
    encode_error_body,
)

GRACE = 1.25
"""A token is taken until this much of its lifetime has passed (OPC 10000-4 §5.6.2)."""

_LEAST_CHUNK = CHUNK_HEADER.size + SEQUENCE_HEADER.size

KEPT_TOKENS = 2
"""The current token and the one before or after it."""

Handler = Callable[[Chunk, float], Event | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The keys of a SecurityToken, with their contexts."""

    token_id: int
    expires_at: float
    """Monotonic seconds; its grace time is over then."""

    sealing: ChunkSecurity = field(repr=False)
    opening: ChunkSecurity = field(repr=False)


def make_token(
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    *,
    token_id: int,
    expires_at: float,
    our_nonce: bytes,
    peer_nonce: bytes,
) -> Token:
    """Derive the keys of both directions (OPC 10000-6 §6.7.6)."""

    def security(secret: bytes, seed: bytes) -> ChunkSecurity:
        if mode == ua.MessageSecurityMode.None_:
            return PlainChunks()
        keys: DerivedKeys = derive_keys(policy, secret=secret, seed=seed)
        if mode == ua.MessageSecurityMode.Sign:
            return SignedChunks(policy, keys)
        return EncryptedChunks(policy, keys)

    return Token(
        token_id=token_id,
        expires_at=expires_at,
        sealing=security(peer_nonce, our_nonce),
        opening=security(our_nonce, peer_nonce),
    )


class Conversation:
    """One end of a connection; ``ClientChannel`` and ``ServerChannel`` give it its rules."""

    __slots__ = (
        "_assembler",
        "_expected",
        "_handlers",
        "_reader",
        "channel_id",
        "first_sequence_number",
        "limits",
        "mode",
        "negotiated",
        "open_pending",
        "policy",
        "receive_sequence",
        "send_sequence",
        "sending",
        "state",
        "tokens",
    )

    def __init__(
        self,
        limits: ChannelLimits,
        *,
        expected: Mapping[ChannelState, Mapping[bytes, int]],
        handlers: Mapping[bytes, Handler],
        first_sequence_number: int | None,
    ) -> None:
        self.limits = limits
        self.state = ChannelState.START
        self.policy = NONE
        self.mode = ua.MessageSecurityMode.None_
        self.channel_id = 0
        self.negotiated: Negotiated | None = None
        self.open_pending = False
        """An OPN is out for its private-key work; no chunk is taken until it is settled."""
        self.tokens: list[Token] = []
        self.sending: Token | None = None
        self.first_sequence_number = first_sequence_number
        self.send_sequence = SendSequence(legacy=True, first=first_sequence_number)
        self.receive_sequence = ReceiveSequence(legacy=True)
        self._assembler = MessageAssembler(limits)
        self._handlers = handlers
        self._expected = expected
        self._reader = ChunkReader(expected[ChannelState.START])

    # Receiving

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take ``data`` in and return what happened; after an error the channel is closed."""
        if self.state is ChannelState.CLOSED:
            return []
        try:
            return self._receive(data, now)
        except RegistrarError:
            self.enter(ChannelState.CLOSED)
            raise

    def _receive(self, data: bytes, now: float) -> list[Event]:
        reader = self._reader
        reader.feed(data)
        events: list[Event] = []
        while not self.open_pending:
            chunk = reader.next()
            if chunk is None:
                return events
            event = self._handlers[chunk.message_type](chunk, now)
            if event is not None:
                events.append(event)
            if self.state is ChannelState.CLOSED:
                return events
        if reader.buffered > 2 * self.limits.receive_buffer_size:
            raise ProtocolViolation("too many bytes before an OPN was answered")
        return events

    def is_one_message(self, data: bytes, now: float) -> bool:
        """Tell whether ``data`` is one chunk, by its header a whole message under the one token."""
        if (
            self.state is not ChannelState.OPEN
            or self.open_pending
            or self._reader.buffered
            or self._assembler.parts
            or self.negotiated is None
            or len(self.tokens) != 1
        ):
            return False
        [token] = self.tokens
        return (
            _LEAST_CHUNK <= len(data) <= self.negotiated.receive_chunk_size
            and now <= token.expires_at
            and CHUNK_HEADER.unpack_from(data)
            == (b"MSG" + FINAL, len(data), self.channel_id, token.token_id)
        )

    @property
    def unfinished_size(self) -> int:
        """Bytes that are kept of chunks and messages which are not complete."""
        return self._reader.buffered + self._assembler.size

    def bound_messages(self, size: int) -> None:
        """Take messages of at most ``size`` bytes from now on, and never more than the limits."""
        self._assembler.max_message_size = min(size, self.limits.max_message_size)

    def enter(self, state: ChannelState) -> None:
        """Go to ``state``; from now on only its message types are taken."""
        self.state = state
        self._reader.expect(self._expected[state])
        if self.negotiated is not None:
            self._reader.max_chunk_size = self.negotiated.receive_chunk_size

    def use_policy(self, policy: SecurityPolicy, mode: ua.MessageSecurityMode) -> None:
        """Fix policy and mode, and with them the rule of sequence numbers."""
        self.policy, self.mode = policy, mode
        legacy = policy.legacy_sequence_numbers
        self.send_sequence = SendSequence(legacy=legacy, first=self.first_sequence_number)
        self.receive_sequence = ReceiveSequence(legacy=legacy)

    def open_chunk(self, chunk: Chunk, now: float) -> tuple[int, bytes]:
        """Remove the security of a MSG or CLO; return RequestId and body.

        Raises:
            ProtocolViolation: channel, token or sequence number are wrong.
            SecurityChecksFailed: the chunk is not as its sender secured it.
        """
        data = chunk.data
        if len(data) < CHUNK_HEADER.size + SEQUENCE_HEADER.size:
            raise DecodingError(f"{chunk.message_type.decode()} chunk of {len(data)} bytes")
        _, _, channel_id, token_id = CHUNK_HEADER.unpack_from(data)
        if channel_id != self.channel_id:
            raise ProtocolViolation(
                f"SecureChannelId {channel_id}, this is {self.channel_id}",
                status=StatusCode.BadTcpSecureChannelUnknown,
            )
        token = self._token(token_id, now)
        sequence_number, request_id, body = token.opening.open(data)
        self.receive_sequence.check(sequence_number)
        if token is not self.tokens[0]:
            # The peer uses the new token, so the old one is over, for us as well.
            self.tokens = [token]
            self.sending = token
        return request_id, body

    def _token(self, token_id: int, now: float) -> Token:
        for token in self.tokens:
            if token.token_id == token_id:
                if now > token.expires_at:
                    raise ProtocolViolation(
                        f"token {token_id} expired {now - token.expires_at:.1f} s ago",
                        status=StatusCode.BadSecureChannelTokenUnknown,
                    )
                return token
        raise ProtocolViolation(
            f"token {token_id} is not one of this channel",
            status=StatusCode.BadSecureChannelTokenUnknown,
        )

    def add_chunk(
        self, chunk: Chunk, request_id: int, body: bytes
    ) -> MessageReceived | MessageAborted | None:
        """Add a chunk to its message; return what that completes."""
        if chunk.chunk_type == ABORT:
            self._assembler.discard(request_id)
            error = decode_error(body)
            return MessageAborted(request_id, error.error, error.reason)
        message = self._assembler.add(request_id, body, final=chunk.chunk_type == FINAL)
        return None if message is None else MessageReceived(request_id, message)

    def on_error(self, chunk: Chunk, now: float) -> ErrorReceived:
        """Take the ERR of the peer."""
        if len(chunk.data) > MAX_ERROR_SIZE:
            raise DecodingError(f"ERR of {len(chunk.data)} bytes")
        error = decode_error(chunk.data[HEADER.size :])
        self.enter(ChannelState.CLOSED)
        return ErrorReceived(error.error, error.reason)

    # Sending

    def add_token(self, token: Token, *, send_with_it: bool) -> None:
        """Take a new token beside the current one; older ones are forgotten."""
        self.tokens = [*self.tokens, token][-KEPT_TOKENS:]
        if send_with_it or self.sending is None:
            self.sending = token
        elif self.sending not in self.tokens:
            self.sending = self.tokens[0]

    def write(
        self, kind: bytes, request_id: int, body: bytes, now: float, too_large: StatusCode
    ) -> bytes:
        """Return all chunks of a message, ready to be sent.

        Raises:
            MessageTooLarge: beyond the peer's limits; nothing was used up.
        """
        token = self._sending_token(now)
        negotiated = self.negotiated
        if negotiated is None:
            raise Misuse("nothing was negotiated yet")
        size = token.sealing.body_size(negotiated.send_chunk_size)
        count = -(-len(body) // size) or 1
        if negotiated.send_message_size and len(body) > negotiated.send_message_size:
            raise MessageTooLarge(
                f"a message of {len(body)} bytes, the peer takes {negotiated.send_message_size}",
                status=too_large,
            )
        if negotiated.send_chunk_count and count > negotiated.send_chunk_count:
            raise MessageTooLarge(
                f"a message of {count} chunks, the peer takes {negotiated.send_chunk_count}",
                status=too_large,
            )
        if count == 1:
            return self._seal(token, kind + FINAL, request_id, body)
        chunks = [
            self._seal(token, kind + b"C", request_id, body[at : at + size])
            for at in range(0, size * (count - 1), size)
        ]
        chunks.append(self._seal(token, kind + FINAL, request_id, body[size * (count - 1) :]))
        return b"".join(chunks)

    def abort(self, request_id: int, status: StatusCode, reason: str, now: float) -> bytes:
        """Return the chunk that takes a message back."""
        body = encode_error_body(ErrorMessage(error=status, reason=reason))
        return self._seal(self._sending_token(now), b"MSGA", request_id, body)

    def _seal(self, token: Token, kind: bytes, request_id: int, body: bytes) -> bytes:
        sequence = self.send_sequence.take()
        return token.sealing.seal(kind, self.channel_id, token.token_id, sequence, request_id, body)

    def _sending_token(self, now: float) -> Token:
        token = self.sending
        if token is None or self.state is not ChannelState.OPEN:
            raise ProtocolViolation(
                f"the channel is {self.state}", status=StatusCode.BadSecureChannelClosed
            )
        if now > token.expires_at:
            raise ProtocolViolation(
                f"token {token.token_id} has expired", status=StatusCode.BadSecureChannelClosed
            )
        return token
