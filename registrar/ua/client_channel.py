"""The client's end of a SecureChannel; ``channel`` draws the order of calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from asyncua import ua
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from registrar.errors import (
    Misuse,
    ProtocolViolation,
    RegistrarError,
    SecurityChecksFailed,
    ServiceFailed,
)
from registrar.native import compiled
from registrar.status import StatusCode, is_bad, name_of
from registrar.ua import open_chunk, transport
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.certificates import public_key_of, split_chain
from registrar.ua.chunk import Chunk
from registrar.ua.codec import decode_message
from registrar.ua.conversation import GRACE, Conversation, make_token
from registrar.ua.events import (
    Acknowledged,
    ChannelOpened,
    ChannelState,
    ErrorReceived,
    Event,
    MessageAborted,
    MessageReceived,
    OpenReceived,
)
from registrar.ua.limits import (
    MAX_ACKNOWLEDGE_SIZE,
    MAX_BUFFER_SIZE,
    MAX_ERROR_SIZE,
    MAX_OPEN_SIZE,
    ChannelLimits,
)
from registrar.ua.open_chunk import OpenHeader
from registrar.ua.opening import (
    check_security,
    close_request,
    open_content,
    open_request,
    seal_open,
    settle,
    status_of,
)
from registrar.ua.outward import encode_outward
from registrar.ua.security_policy import NONE, SecurityPolicy
from registrar.ua.sequence_numbers import RequestIds

_None = ua.MessageSecurityMode.None_
_ERR = {b"ERR": MAX_ERROR_SIZE}
MAX_LIFETIME_S = 4_294_967
"""The longest a UInt32 of milliseconds can ask for."""

RENEW_AFTER = 0.75
"""A client renews when this much of the lifetime has passed (OPC 10000-4 §5.6.2)."""

CLIENT_EXPECTS: Mapping[ChannelState, Mapping[bytes, int]] = MappingProxyType(
    {
        ChannelState.START: {},
        ChannelState.GREETED: {b"ACK": MAX_ACKNOWLEDGE_SIZE, **_ERR},
        ChannelState.ACKNOWLEDGED: _ERR,
        ChannelState.OPENING: {b"OPN": MAX_OPEN_SIZE, **_ERR},
        ChannelState.OPEN: {b"MSG": MAX_BUFFER_SIZE, b"OPN": MAX_OPEN_SIZE, **_ERR},
        ChannelState.CLOSED: {},
    }
)
"""Which message types may come in a state, and their longest chunk in bytes; in OPEN the
negotiated buffer size holds as well."""


@compiled
class ClientChannel:
    """The client's end. See the picture above for the order of calls."""

    __slots__ = (
        "_conversation",
        "_endpoint_url",
        "_identity",
        "_nonce",
        "_open_request_id",
        "_opened_at",
        "_outstanding",
        "_requested_lifetime_s",
        "expires_at",
        "next_request_id",
        "peer_certificate",
        "peer_chain",
        "peer_key",
        "private_key_operations",
        "renew_at",
    )

    def __init__(
        self,
        *,
        endpoint_url: str,
        policy: SecurityPolicy = NONE,
        mode: ua.MessageSecurityMode = _None,
        identity: ApplicationIdentity | None = None,
        server_certificate: bytes | None = None,
        limits: ChannelLimits = ChannelLimits(),  # noqa: B008 - a frozen value
        first_sequence_number: int | None = None,
    ) -> None:
        """Prepare a channel to the holder of ``server_certificate`` (leaf or chain).

        Raises:
            Misuse: policy, mode and identity do not fit together.
            SecurityChecksFailed: the server's certificate is not usable, or is our own (T14).
        """
        check_security(policy, mode, identity)
        self._conversation = Conversation(
            limits,
            expected=CLIENT_EXPECTS,
            handlers={
                b"ACK": self._on_acknowledge,
                b"OPN": self._on_open,
                b"MSG": self._on_message,
                b"ERR": self._on_error,
            },
            first_sequence_number=first_sequence_number,
        )
        self._conversation.use_policy(policy, mode)
        self._endpoint_url = endpoint_url
        self._identity = None if policy.is_none else identity
        self.peer_key: RSAPublicKey | None = None
        self.peer_certificate: bytes | None = None
        self.peer_chain: tuple[bytes, ...] = ()
        if not policy.is_none:
            chain = split_chain(server_certificate or b"")
            self.peer_certificate, self.peer_chain = chain[0], chain[1:]
            self.peer_key = public_key_of(chain[0], policy)
            if identity is not None and chain[0] == identity.certificate:
                raise SecurityChecksFailed("the server shows our own certificate")
        self._nonce = b""
        self._open_request_id: int | None = None
        self._opened_at = 0.0
        self._requested_lifetime_s = 0.0
        self.next_request_id = RequestIds().take
        """Returns a RequestId that no outstanding request has; never 0."""
        self._outstanding: set[int] = set()
        self.private_key_operations = 0
        self.renew_at: float | None = None
        """Monotonic seconds at which to send the next ``open_request``."""
        self.expires_at: float | None = None
        """Monotonic seconds at which the token is over."""

    @property
    def state(self) -> ChannelState:
        """Where the channel stands."""
        return self._conversation.state

    @property
    def policy(self) -> SecurityPolicy:
        """Its SecurityPolicy."""
        return self._conversation.policy

    @property
    def mode(self) -> ua.MessageSecurityMode:
        """Its SecurityMode."""
        return self._conversation.mode

    @property
    def tokens(self) -> Mapping[int, float]:
        """Until when it takes which token, monotonic seconds by TokenId; the older first."""
        return {token.token_id: token.expires_at for token in self._conversation.tokens}

    @property
    def channel_id(self) -> int:
        """Its SecureChannelId; 0 before it is open."""
        return self._conversation.channel_id

    @property
    def outstanding(self) -> int:
        """Requests without a response."""
        return len(self._outstanding)

    @property
    def unfinished_size(self) -> int:
        """Bytes that are kept of chunks and messages which are not complete."""
        return self._conversation.unfinished_size

    def bound_messages(self, size: int) -> None:
        """Take messages of at most ``size`` bytes from now on, and never more than the limits."""
        self._conversation.bound_messages(size)

    def hello(self) -> bytes:
        """Return the HEL to send first."""
        if self.state is not ChannelState.START:
            raise Misuse(f"HEL on a channel that is {self.state}")
        self._conversation.enter(ChannelState.GREETED)
        hello = transport.offer(self._conversation.limits, self._endpoint_url)
        return transport.encode_hello(hello)

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes of the server in and return what happened.

        After ``OpenReceived`` the rest stays buffered; once the OPN is processed, call again with
        no data.

        Raises:
            Rejected: the server broke a rule; the channel is closed.
        """
        return self._conversation.receive(data, now)

    def receive_response(self, data: bytes, now: float) -> tuple[int, bytes] | None:
        """Return RequestId and message where ``data`` is one whole response; else None.

        Beside ``receive``, which has to take what this gives back, and with the same errors.
        """
        if not self._conversation.is_one_message(data, now):
            return None
        for event in self.receive(data, now):
            if isinstance(event, MessageReceived):
                return event.request_id, event.body
        raise Misuse("a whole message that completes none")

    def open_request(
        self, *, nonce: bytes, requested_lifetime_s: float, now: float, timestamp: datetime
    ) -> bytes:
        """Return the OPN that opens the channel or, when it is open, renews its token.

        Costs one private-key operation.

        Args:
            nonce: fresh random bytes, ``policy.nonce_size`` of them.
            timestamp: the wall clock, for the RequestHeader.
        """
        conversation, policy = self._conversation, self.policy
        renewal = self.state is ChannelState.OPEN
        if not renewal and self.state is not ChannelState.ACKNOWLEDGED:
            raise Misuse(f"OPN on a channel that is {self.state}")
        if len(nonce) != policy.nonce_size or self._open_request_id is not None:
            raise Misuse("OPN with a wrong nonce, or before the last one was answered")
        if not 0 <= requested_lifetime_s <= MAX_LIFETIME_S:
            raise Misuse(f"a lifetime of {requested_lifetime_s} s")
        body = open_request(
            timestamp,
            renewal=renewal,
            mode=self.mode,
            nonce=nonce,
            lifetime_s=requested_lifetime_s,
        )
        self._nonce, self._opened_at = nonce, now
        self._requested_lifetime_s = requested_lifetime_s
        self._open_request_id = self.next_request_id()
        if not renewal:
            conversation.enter(ChannelState.OPENING)
        self.private_key_operations += not policy.is_none
        return seal_open(
            conversation,
            identity=self._identity,
            peer_certificate=self.peer_certificate,
            peer_key=self.peer_key,
            request_id=self._open_request_id,
            body=body,
        )

    def process_open(self, received: OpenReceived) -> ChannelOpened:
        """Check the server's OPN and take the new token into use; CPU only.

        Raises:
            ServiceFailed: the server answered with a fault.
            Rejected: the response is not what the server we know may send.
        """
        try:
            return self._process_open(received)
        except RegistrarError:
            self._conversation.enter(ChannelState.CLOSED)
            raise

    def send(self, request_id: int, body: bytes, now: float) -> bytes:
        """Return the chunks of a request.

        Raises:
            MessageTooLarge: beyond the server's limits; nothing was used up.
            Misuse: more than ``max_outstanding`` requests wait for their response.
        """
        if len(self._outstanding) >= self._conversation.limits.max_outstanding:
            raise Misuse(f"more than {len(self._outstanding)} outstanding requests")
        status = StatusCode.BadRequestTooLarge
        data = self._conversation.write(b"MSG", request_id, body, now, status)
        self._outstanding.add(request_id)
        return data

    def close_message(self, *, now: float, timestamp: datetime) -> bytes:
        """Return the CLO; after it the channel is closed. There is no response."""
        body, status = close_request(timestamp), StatusCode.BadRequestTooLarge
        data = self._conversation.write(b"CLO", self.next_request_id(), body, now, status)
        self._conversation.enter(ChannelState.CLOSED)
        return data

    def error_message(self, error: RegistrarError) -> bytes:
        """Return the ERR for ``error`` and close the channel."""
        self._conversation.enter(ChannelState.CLOSED)
        return encode_outward(error, opening=self._open_request_id is not None)

    # What comes from the server

    def _on_acknowledge(self, chunk: Chunk, now: float) -> Acknowledged:
        acknowledge = transport.decode_acknowledge(chunk.data[transport.HEADER.size :])
        conversation = self._conversation
        conversation.negotiated = transport.negotiate(conversation.limits, acknowledge)
        conversation.enter(ChannelState.ACKNOWLEDGED)
        return Acknowledged(acknowledge)

    def _on_open(self, chunk: Chunk, now: float) -> OpenReceived:
        if self._open_request_id is None:
            raise ProtocolViolation("an OPN that was not asked for")
        header = open_chunk.parse_header(chunk.data)
        identity, blocks = self._identity, 0
        if header.policy is not self.policy:
            raise SecurityChecksFailed(f"OPN with the policy {header.policy.name}")
        if identity is not None and self.peer_key is not None:
            shown = header.sender_certificate
            if shown != self.peer_certificate and split_chain(shown)[0] != self.peer_certificate:
                raise SecurityChecksFailed("OPN with another certificate than the endpoint's")
            if header.receiver_thumbprint != identity.thumbprint:
                raise SecurityChecksFailed("OPN for another receiver")
            blocks = open_chunk.count_blocks(
                header,
                chunk.data,
                our_bits=identity.key_bits,
                peer_bits=self.peer_key.key_size,
            )
        self._conversation.open_pending = True
        return OpenReceived(
            header=header,
            chunk=chunk.data,
            identity=identity,
            peer_chain=(self.peer_certificate, *self.peer_chain) if self.peer_certificate else (),
            peer_key=self.peer_key,
            private_operations=blocks,
        )

    def _process_open(self, received: OpenReceived) -> ChannelOpened:
        conversation = self._conversation
        self.private_key_operations += received.private_operations
        content = open_content(received)
        conversation.receive_sequence.check(content.sequence_number)
        if content.request_id != self._open_request_id:
            raise ProtocolViolation(f"an OPN for request {content.request_id}")
        response = decode_message(content.body)
        if not isinstance(response, ua.OpenSecureChannelResponse | ua.ServiceFault):
            raise ProtocolViolation(f"an OPN that holds a {type(response).__name__}")
        result = response.ResponseHeader.ServiceResult.value
        if is_bad(result):
            raise ServiceFailed("OpenSecureChannel failed", status=status_of(result))
        if isinstance(response, ua.ServiceFault):
            raise ProtocolViolation(f"an OPN that holds a ServiceFault of {name_of(result)}")
        return self._use(received.header, response.Parameters)

    def _use(self, header: OpenHeader, result: ua.OpenSecureChannelResult) -> ChannelOpened:
        conversation, granted = self._conversation, result.SecurityToken
        renewed = self.state is ChannelState.OPEN
        nonce = result.ServerNonce or b""
        if len(nonce) != self.policy.nonce_size and not self.policy.is_none:
            raise SecurityChecksFailed(
                f"a server nonce of {len(nonce)} bytes", status=StatusCode.BadNonceInvalid
            )
        expected_id = conversation.channel_id if renewed else granted.ChannelId
        if not granted.ChannelId or not expected_id == granted.ChannelId == header.channel_id:
            raise ProtocolViolation(
                f"channel {granted.ChannelId} in an OPN for {header.channel_id}",
                status=StatusCode.BadTcpSecureChannelUnknown,
            )
        if any(token.token_id == granted.TokenId for token in conversation.tokens):
            raise ProtocolViolation(f"token {granted.TokenId} was given before")
        lifetime_s = min(granted.RevisedLifetime / 1000, self._requested_lifetime_s)
        if lifetime_s < conversation.limits.min_token_lifetime_s:
            raise ProtocolViolation(f"a token for {granted.RevisedLifetime} ms")
        conversation.channel_id = granted.ChannelId
        self.renew_at = self._opened_at + RENEW_AFTER * lifetime_s
        self.expires_at = self._opened_at + lifetime_s
        token = make_token(
            self.policy,
            self.mode,
            token_id=granted.TokenId,
            expires_at=self._opened_at + GRACE * lifetime_s,
            our_nonce=self._nonce,
            peer_nonce=nonce,
        )
        settle(conversation, token, send_with_it=True)
        self._open_request_id = None
        return ChannelOpened(
            channel_id=granted.ChannelId,
            token_id=granted.TokenId,
            lifetime_s=lifetime_s,
            renewed=renewed,
        )

    def _on_message(self, chunk: Chunk, now: float) -> MessageReceived | MessageAborted | None:
        conversation = self._conversation
        request_id, body = conversation.open_chunk(chunk, now)
        self._check_outstanding(request_id)
        event = conversation.add_chunk(chunk, request_id, body)
        if event is not None:
            self._outstanding.discard(request_id)
        return event

    def _check_outstanding(self, request_id: int) -> None:
        if request_id not in self._outstanding:
            raise ProtocolViolation(f"a response to request {request_id}, which nobody made")

    def _on_error(self, chunk: Chunk, now: float) -> ErrorReceived:
        return self._conversation.on_error(chunk, now)
