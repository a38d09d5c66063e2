"""The server's end of a SecureChannel; ``channel`` draws the order of calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType

from asyncua import ua

from registrar.errors import Misuse, ProtocolViolation, RegistrarError, SecurityChecksFailed
from registrar.native import compiled
from registrar.status import StatusCode
from registrar.ua import open_chunk, transport
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.certificates import public_key_of, split_chain, thumbprint_of
from registrar.ua.chunk import Chunk
from registrar.ua.codec import decode_message, encode_message
from registrar.ua.conversation import GRACE, Conversation, make_token
from registrar.ua.events import (
    ChannelState,
    CloseReceived,
    ErrorReceived,
    Event,
    HelloReceived,
    MessageAborted,
    MessageReceived,
    OpenReceived,
    OpenRequested,
)
from registrar.ua.limits import (
    MAX_BUFFER_SIZE,
    MAX_ERROR_SIZE,
    MAX_HELLO_SIZE,
    MAX_OPEN_SIZE,
    ChannelLimits,
)
from registrar.ua.opening import open_content, seal_open, settle
from registrar.ua.outward import encode_outward
from registrar.ua.security_policy import POLICIES, SecurityPolicy

_ERR = {b"ERR": MAX_ERROR_SIZE}
_MODES = frozenset(
    {
        ua.MessageSecurityMode.None_,
        ua.MessageSecurityMode.Sign,
        ua.MessageSecurityMode.SignAndEncrypt,
    }
)
_KINDS = ua.SecurityTokenRequestType

SERVER_EXPECTS: Mapping[ChannelState, Mapping[bytes, int]] = MappingProxyType(
    {
        ChannelState.START: {b"HEL": MAX_HELLO_SIZE},
        ChannelState.GREETED: {},
        ChannelState.ACKNOWLEDGED: {b"OPN": MAX_OPEN_SIZE, **_ERR},
        ChannelState.OPENING: {},
        ChannelState.OPEN: {
            b"MSG": MAX_BUFFER_SIZE,
            b"OPN": MAX_OPEN_SIZE,
            b"CLO": MAX_OPEN_SIZE,
            **_ERR,
        },
        ChannelState.CLOSED: {},
    }
)
"""Which message types may come in a state, and their longest chunk in bytes; in OPEN the
negotiated buffer size holds as well."""


@compiled
class ServerChannel:
    """The server's end. It finds out who calls; whether it is trusted is decided elsewhere."""

    __slots__ = (
        "_conversation",
        "_hello",
        "_identity_of",
        "_in_open",
        "_policies",
        "channel_id",
        "identity",
        "peer_certificate",
        "peer_chain",
        "private_key_operations",
    )

    def __init__(
        self,
        *,
        channel_id: int,
        identity_of: Callable[[bytes], ApplicationIdentity | None],
        policies: Collection[SecurityPolicy] = tuple(POLICIES.values()),
        limits: ChannelLimits = ChannelLimits(),  # noqa: B008 - a frozen value
        first_sequence_number: int | None = None,
    ) -> None:
        """Prepare a channel.

        Args:
            channel_id: not 0, and of no other open channel of this server.
            identity_of: finds which of our identities has this SHA-1 thumbprint.
            policies: the ones a client may open the channel with.
        """
        if not channel_id:
            raise Misuse("SecureChannelId 0")
        self.channel_id = channel_id
        self._identity_of = identity_of
        self._policies = policies
        self._conversation = Conversation(
            limits,
            expected=SERVER_EXPECTS,
            handlers={
                b"HEL": self._on_hello,
                b"OPN": self._on_open,
                b"MSG": self._on_message,
                b"CLO": self._on_close,
                b"ERR": self._on_error,
            },
            first_sequence_number=first_sequence_number,
        )
        self._hello: transport.Hello | None = None
        self._in_open = False
        self.identity: ApplicationIdentity | None = None
        """Ours, which the client chose by its thumbprint."""
        self.peer_certificate: bytes | None = None
        self.peer_chain: tuple[bytes, ...] = ()
        self.private_key_operations = 0

    @property
    def state(self) -> ChannelState:
        """Where the channel stands."""
        return self._conversation.state

    @property
    def policy(self) -> SecurityPolicy:
        """Its SecurityPolicy; None before it is open."""
        return self._conversation.policy

    @property
    def mode(self) -> ua.MessageSecurityMode:
        """Its SecurityMode."""
        return self._conversation.mode

    @property
    def tokens(self) -> Mapping[int, float]:
        """Until when it takes which token, monotonic seconds by TokenId; the older first."""
        return {token.token_id: token.expires_at for token in self._conversation.tokens}

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes of the client in and return what happened.

        After ``OpenReceived`` the rest stays buffered; once the OPN is accepted, call again with
        no data.

        Raises:
            Rejected: the client broke a rule; send ``error_message`` and close the socket.
        """
        return self._conversation.receive(data, now)

    @property
    def unfinished_size(self) -> int:
        """Bytes that are kept of chunks and messages which are not complete."""
        return self._conversation.unfinished_size

    def bound_messages(self, size: int) -> None:
        """Take messages of at most ``size`` bytes from now on, and never more than the limits."""
        self._conversation.bound_messages(size)

    def acknowledge(self) -> bytes:
        """Return the ACK that answers HEL."""
        conversation = self._conversation
        if self._hello is None or conversation.state is not ChannelState.GREETED:
            raise Misuse(f"ACK on a channel that is {conversation.state}")
        conversation.negotiated = transport.negotiate(conversation.limits, self._hello)
        conversation.enter(ChannelState.ACKNOWLEDGED)
        return transport.encode_acknowledge(transport.answer(conversation.limits, self._hello))

    def process_open(self, received: OpenReceived) -> OpenRequested:
        """Decrypt an OPN and check it; CPU only, ``received.private_operations`` operations.

        Raises:
            Rejected: the client broke a rule, or does not hold the key of its certificate.
        """
        try:
            return self._process_open(received)
        except RegistrarError:
            self._conversation.enter(ChannelState.CLOSED)
            raise

    def accept_open(
        self,
        requested: OpenRequested,
        *,
        token_id: int,
        nonce: bytes,
        created_at: datetime,
        now: float,
    ) -> bytes:
        """Return the OPN that opens the channel or renews its token; one private-key operation.

        Call it once the peer is trusted.

        Args:
            token_id: none that this channel has had.
            nonce: fresh random bytes, ``policy.nonce_size`` of them.
            created_at: the wall clock.
        """
        conversation, policy, mode = self._conversation, requested.policy, requested.mode
        if len(nonce) != policy.nonce_size or not conversation.open_pending:
            raise Misuse("OPN with a wrong nonce, or without a request")
        if any(token.token_id == token_id for token in conversation.tokens):
            raise Misuse(f"token {token_id} was given before")
        if not requested.renewal:
            self.identity = requested.identity
            self.peer_certificate = requested.peer_certificate
            self.peer_chain = requested.peer_chain
            conversation.policy, conversation.mode = policy, mode
            conversation.channel_id = self.channel_id
        lifetime_s = self._lifetime(requested.requested_lifetime_s)
        token = make_token(
            policy,
            mode,
            token_id=token_id,
            expires_at=now + GRACE * lifetime_s,
            our_nonce=nonce,
            peer_nonce=requested.client_nonce,
        )
        response = _open_response(
            requested,
            ua.ChannelSecurityToken(self.channel_id, token_id, created_at, int(lifetime_s * 1000)),
            nonce,
        )
        self.private_key_operations += not policy.is_none
        data = seal_open(
            conversation,
            identity=requested.identity,
            peer_certificate=requested.peer_certificate,
            peer_key=requested.peer_key,
            request_id=requested.request_id,
            body=encode_message(response),
        )
        settle(conversation, token, send_with_it=False)
        self._in_open = False
        return data

    def send(self, request_id: int, body: bytes, now: float) -> bytes:
        """Return the chunks of a response.

        Raises:
            MessageTooLarge: beyond the client's limits, with the status BadResponseTooLarge;
                nothing was used up, a ServiceFault may follow.
        """
        status = StatusCode.BadResponseTooLarge
        return self._conversation.write(b"MSG", request_id, body, now, status)

    def abort(self, request_id: int, *, status: StatusCode, now: float, reason: str = "") -> bytes:
        """Return the chunk that takes a response back whose first chunks were sent."""
        return self._conversation.abort(request_id, status, reason, now)

    def error_message(self, error: RegistrarError) -> bytes:
        """Return the ERR for ``error``, with what the client may hear, and close the channel."""
        self._conversation.enter(ChannelState.CLOSED)
        return encode_outward(error, opening=self._in_open)

    # What comes from the client

    def _on_hello(self, chunk: Chunk, now: float) -> HelloReceived:
        self._hello = transport.decode_hello(chunk.data[transport.HEADER.size :])
        self._conversation.enter(ChannelState.GREETED)
        return HelloReceived(self._hello)

    def _on_open(self, chunk: Chunk, now: float) -> OpenReceived:
        """Check what costs nothing, before any key is used."""
        self._in_open = True
        conversation = self._conversation
        header = open_chunk.parse_header(chunk.data)
        renewal = conversation.state is ChannelState.OPEN
        if header.channel_id != (self.channel_id if renewal else 0):
            raise ProtocolViolation(
                f"OPN for channel {header.channel_id}",
                status=StatusCode.BadTcpSecureChannelUnknown,
            )
        if header.policy not in self._policies:
            raise SecurityChecksFailed(
                f"the policy {header.policy.name} is not allowed here",
                status=StatusCode.BadSecurityPolicyRejected,
            )
        received = OpenReceived(
            header=header,
            chunk=chunk.data,
            identity=None,
            peer_chain=(),
            peer_key=None,
            private_operations=0,
        )
        if not header.policy.is_none:
            received = self._identify(header, chunk)
        if renewal:
            self._check_renewal(received)
        else:
            conversation.enter(ChannelState.OPENING)
        conversation.open_pending = True
        return received

    def _identify(self, header: open_chunk.OpenHeader, chunk: Chunk) -> OpenReceived:
        identity = self._identity_of(header.receiver_thumbprint)
        if identity is None or not header.policy.allows_key(identity.key_bits):
            raise SecurityChecksFailed(
                f"no usable certificate has the thumbprint {header.receiver_thumbprint.hex()}",
                status=StatusCode.BadCertificateInvalid,
            )
        chain = split_chain(header.sender_certificate)
        if self._identity_of(thumbprint_of(chain[0])) is not None:
            raise SecurityChecksFailed("the client shows our own certificate")
        key = public_key_of(chain[0], header.policy)
        blocks = open_chunk.count_blocks(
            header, chunk.data, our_bits=identity.key_bits, peer_bits=key.key_size
        )
        return OpenReceived(
            header=header,
            chunk=chunk.data,
            identity=identity,
            peer_chain=chain,
            peer_key=key,
            private_operations=blocks,
        )

    def _check_renewal(self, received: OpenReceived) -> None:
        leaf = received.peer_chain[0] if received.peer_chain else None
        if (
            received.header.policy is not self.policy
            or leaf != self.peer_certificate
            or received.identity is not self.identity
        ):
            raise SecurityChecksFailed("a renewal with another certificate or policy")

    def _process_open(self, received: OpenReceived) -> OpenRequested:
        conversation = self._conversation
        if not conversation.open_pending:
            raise Misuse("no OPN is pending")
        self.private_key_operations += received.private_operations
        content = open_content(received)
        renewal = conversation.state is ChannelState.OPEN
        if not renewal:
            conversation.use_policy(received.header.policy, conversation.mode)
        conversation.receive_sequence.check(content.sequence_number)
        request = decode_message(content.body)
        if not isinstance(request, ua.OpenSecureChannelRequest):
            raise ProtocolViolation(f"an OPN that holds a {type(request).__name__}")
        nonce = self._check_request(request.Parameters, received.header.policy, renewal=renewal)
        return OpenRequested(
            renewal=renewal,
            policy=received.header.policy,
            mode=request.Parameters.SecurityMode,
            identity=received.identity,
            peer_certificate=received.peer_chain[0] if received.peer_chain else None,
            peer_chain=received.peer_chain[1:],
            peer_key=received.peer_key,
            client_nonce=nonce,
            requested_lifetime_s=request.Parameters.RequestedLifetime / 1000,
            request_id=content.request_id,
            request_handle=request.RequestHeader.RequestHandle,
        )

    def _check_request(
        self, wanted: ua.OpenSecureChannelParameters, policy: SecurityPolicy, *, renewal: bool
    ) -> bytes:
        """Check the fields of a request that verified; return the client's nonce."""
        mode, nonce = wanted.SecurityMode, wanted.ClientNonce or b""
        if self._hello is None or wanted.ClientProtocolVersion != self._hello.protocol_version:
            raise ProtocolViolation(
                f"protocol version {wanted.ClientProtocolVersion} after another in HEL",
                status=StatusCode.BadProtocolVersionUnsupported,
            )
        if wanted.RequestType != (_KINDS.Renew if renewal else _KINDS.Issue):
            raise ProtocolViolation(
                f"request type {wanted.RequestType}", status=StatusCode.BadRequestTypeInvalid
            )
        if mode not in _MODES or policy.is_none is not (mode == ua.MessageSecurityMode.None_):
            raise SecurityChecksFailed(
                f"the mode {mode} with the policy {policy.name}",
                status=StatusCode.BadSecurityModeRejected,
            )
        if renewal and mode != self.mode:
            raise SecurityChecksFailed("a renewal with another mode")
        if policy.is_none:
            return b""
        if len(nonce) != policy.nonce_size:
            raise SecurityChecksFailed(
                f"a client nonce of {len(nonce)} bytes", status=StatusCode.BadNonceInvalid
            )
        return nonce

    def _lifetime(self, requested_s: float) -> float:
        """Return the lifetime we grant; 0 asks for the longest."""
        limits = self._conversation.limits
        if not requested_s:
            return limits.max_token_lifetime_s
        return min(max(requested_s, limits.min_token_lifetime_s), limits.max_token_lifetime_s)

    def _on_message(self, chunk: Chunk, now: float) -> MessageReceived | MessageAborted | None:
        request_id, body = self._conversation.open_chunk(chunk, now)
        return self._conversation.add_chunk(chunk, request_id, body)

    def _on_close(self, chunk: Chunk, now: float) -> CloseReceived:
        self._conversation.open_chunk(chunk, now)
        self._conversation.enter(ChannelState.CLOSED)
        return CloseReceived()

    def _on_error(self, chunk: Chunk, now: float) -> ErrorReceived:
        return self._conversation.on_error(chunk, now)


def _open_response(
    requested: OpenRequested, token: ua.ChannelSecurityToken, nonce: bytes
) -> ua.OpenSecureChannelResponse:
    return ua.OpenSecureChannelResponse(
        ResponseHeader=ua.ResponseHeader(
            Timestamp=token.CreatedAt, RequestHandle=requested.request_handle
        ),
        Parameters=ua.OpenSecureChannelResult(SecurityToken=token, ServerNonce=nonce or None),
    )
