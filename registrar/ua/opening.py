"""What both ends do when an OPN comes or goes."""

from __future__ import annotations

from datetime import datetime

from asyncua import ua
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from registrar.errors import Misuse
from registrar.status import StatusCode
from registrar.ua import open_chunk
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.certificates import thumbprint_of
from registrar.ua.conversation import Conversation, Token
from registrar.ua.events import ChannelState, OpenReceived
from registrar.ua.open_chunk import OpenContent
from registrar.ua.security_policy import SecurityPolicy


def check_security(
    policy: SecurityPolicy, mode: ua.MessageSecurityMode, identity: ApplicationIdentity | None
) -> None:
    """Check what our own side chose.

    Raises:
        Misuse: policy, mode and identity do not fit together.
    """
    if policy.is_none is not (mode == ua.MessageSecurityMode.None_):
        raise Misuse(f"the mode {mode} with the policy {policy.name}")
    if policy.is_none:
        return
    if identity is None:
        raise Misuse(f"the policy {policy.name} needs an identity")
    if not policy.allows_key(identity.key_bits):
        raise Misuse(f"our key has {identity.key_bits} bits, {policy.name} does not allow that")


def request_header(timestamp: datetime) -> ua.RequestHeader:
    """Return the header of a request of the channel itself."""
    return ua.RequestHeader(Timestamp=timestamp)


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
