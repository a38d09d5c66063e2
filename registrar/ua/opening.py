"""What both ends do when an OPN comes or goes."""

from __future__ import annotations

import struct
from datetime import datetime

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from registrar.errors import Misuse
from registrar.status import StatusCode
from registrar.ua import open_chunk
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.binary import from_datetime
from registrar.ua.certificates import thumbprint_of
from registrar.ua.conversation import Conversation, Token
from registrar.ua.events import ChannelState, OpenReceived
from registrar.ua.open_chunk import OpenContent
from registrar.ua.security_policy import SecurityPolicy

_REQUEST = struct.Struct("<BBHHqIIiIHB")
"""Encoding id as a NodeId of four bytes, then a RequestHeader of null fields but its Timestamp:
AuthenticationToken, Timestamp, RequestHandle, ReturnDiagnostics, AuditEntryId, TimeoutHint,
AdditionalHeader. No object is made, since each conversation has four such requests."""

_UNSECURED = ua.MessageSecurityMode.None_
_OPEN_REQUEST = ObjectIds.OpenSecureChannelRequest_Encoding_DefaultBinary
_CLOSE_REQUEST = ObjectIds.CloseSecureChannelRequest_Encoding_DefaultBinary
_OPEN_FIELDS = struct.Struct("<IIIi")
"""ClientProtocolVersion, RequestType, SecurityMode, length of the ClientNonce."""
_UINT32 = struct.Struct("<I")


def check_security(
    policy: SecurityPolicy, mode: ua.MessageSecurityMode, identity: ApplicationIdentity | None
) -> None:
    """Check what our own side chose.

    Raises:
        Misuse: policy, mode and identity do not fit together.
    """
    if policy.is_none is not (mode == _UNSECURED):
        raise Misuse(f"the mode {mode} with the policy {policy.name}")
    if policy.is_none:
        return
    if identity is None:
        raise Misuse(f"the policy {policy.name} needs an identity")
    if not policy.allows_key(identity.key_bits):
        raise Misuse(f"our key has {identity.key_bits} bits, {policy.name} does not allow that")


def open_request(
    timestamp: datetime,
    *,
    renewal: bool,
    mode: ua.MessageSecurityMode,
    nonce: bytes,
    lifetime_s: float,
) -> bytes:
    """Return an encoded OpenSecureChannelRequest; an empty ``nonce`` is null."""
    kind = ua.SecurityTokenRequestType
    return (
        _request(_OPEN_REQUEST, timestamp)
        + _OPEN_FIELDS.pack(0, kind.Renew if renewal else kind.Issue, mode, len(nonce) or -1)
        + nonce
        + _UINT32.pack(int(lifetime_s * 1000))
    )


def close_request(timestamp: datetime) -> bytes:
    """Return an encoded CloseSecureChannelRequest."""
    return _request(_CLOSE_REQUEST, timestamp)


def _request(encoding_id: int, timestamp: datetime) -> bytes:
    return _REQUEST.pack(1, 0, encoding_id, 0, from_datetime(timestamp), 0, 0, -1, 0, 0, 0)


def open_content(received: OpenReceived) -> OpenContent:
    """Remove the security of an OPN.

    Raises:
        SecurityChecksFailed: it is not from the holder of the peer's key, or was changed.
    """
    if received.identity is None or received.peer_key is None:
        return open_chunk.open_plain(received.chunk, received.header)
    return open_chunk.open_sealed(
        received.chunk,
        received.header,
        identity=received.identity,
        sender_key=received.peer_key,
    )


def seal_open(
    conversation: Conversation,
    *,
    identity: ApplicationIdentity | None,
    peer_certificate: bytes | None,
    peer_key: RSAPublicKey | None,
    request_id: int,
    body: bytes,
) -> bytes:
    """Return an OPN with ``body``; one private-key operation unless there is no security."""
    policy, channel_id = conversation.policy, conversation.channel_id
    content = OpenContent(
        sequence_number=conversation.send_sequence.take(), request_id=request_id, body=body
    )
    if identity is None or peer_key is None or peer_certificate is None:
        return open_chunk.seal_plain(policy, channel_id=channel_id, content=content)
    return open_chunk.seal(
        policy,
        identity=identity,
        receiver_key=peer_key,
        receiver_thumbprint=thumbprint_of(peer_certificate),
        channel_id=channel_id,
        content=content,
    )


def settle(conversation: Conversation, token: Token, *, send_with_it: bool) -> None:
    """Take the token of an OPN into use and go on with what was buffered."""
    conversation.add_token(token, send_with_it=send_with_it)
    conversation.enter(ChannelState.OPEN)
    conversation.open_pending = False


def status_of(value: int) -> StatusCode:
    """Return ``value`` as a StatusCode; one nobody knows is BadUnexpectedError."""
    try:
        return StatusCode(value & 0xFFFF_0000)
    except ValueError:
        return StatusCode.BadUnexpectedError
