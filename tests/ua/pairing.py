"""Both ends of a channel back to back in memory, each testing the other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from registrar.ua import open_chunk, transport
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.channel import ClientChannel, ServerChannel
from registrar.ua.codec import encode_message
from registrar.ua.events import (
    Acknowledged,
    ChannelOpened,
    Event,
    HelloReceived,
    MessageReceived,
    OpenReceived,
    OpenRequested,
)
from registrar.ua.limits import ChannelLimits
from registrar.ua.open_chunk import OpenContent
from registrar.ua.security_policy import (
    AES128_SHA256_RSAOAEP,
    AES256_SHA256_RSAPSS,
    BASIC256SHA256,
    NONE,
    SecurityPolicy,
)
from registrar.ua.symmetric import PlainChunks

Mode = ua.MessageSecurityMode
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
URL = "opc.tcp://device.example:4840"
LIMITS = ChannelLimits()
SECURED = [
    (policy, mode)
    for policy in (BASIC256SHA256, AES128_SHA256_RSAOAEP, AES256_SHA256_RSAPSS)
    for mode in (Mode.Sign, Mode.SignAndEncrypt)
]
ALL = [(NONE, Mode.None_), *SECURED]


def make_identity(bits: int, name: str, chain: tuple[bytes, ...] = ()) -> ApplicationIdentity:
    """Make a self-signed certificate with a fresh key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1000 + len(name))
        .not_valid_before(MOMENT - timedelta(days=1))
        .not_valid_after(MOMENT + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    return ApplicationIdentity(certificate=der, private_key=key, chain=chain)


@dataclass
class Pair:
    """A client and a server, and how to let them talk."""

    client: ClientChannel
    server: ServerChannel
    token_id: int = 0

    def greet(self) -> None:
        """Exchange HEL and ACK."""
        [hello] = self.server.receive(self.client.hello(), 0)
        assert isinstance(hello, HelloReceived)
        [acknowledged] = self.client.receive(self.server.acknowledge(), 0)
        assert isinstance(acknowledged, Acknowledged)

    def request_open(self, now: float = 0, lifetime_s: float = 60) -> bytes:
        """Return the client's OPN."""
        return self.client.open_request(
            nonce=os.urandom(self.client.policy.nonce_size),
            requested_lifetime_s=lifetime_s,
            now=now,
            timestamp=MOMENT,
        )

    def accept_open(self, requested: OpenRequested, now: float = 0) -> bytes:
        """Return the server's OPN."""
        self.token_id += 1
        return self.server.accept_open(
            requested,
            token_id=self.token_id,
            nonce=os.urandom(requested.policy.nonce_size),
            created_at=MOMENT,
            now=now,
        )

    def answer_open(self, data: bytes, now: float = 0) -> bytes:
        """Let the server take an OPN and answer it."""
        [received] = self.server.receive(data, now)
        assert isinstance(received, OpenReceived)
        return self.accept_open(self.server.process_open(received), now)

    def finish_open(self, data: bytes, now: float = 0) -> ChannelOpened:
        """Let the client take the server's OPN."""
        [received] = self.client.receive(data, now)
        assert isinstance(received, OpenReceived)
        return self.client.process_open(received)

    def open(self, now: float = 0, lifetime_s: float = 60) -> ChannelOpened:
        """Open the channel or renew its token."""
        return self.finish_open(self.answer_open(self.request_open(now, lifetime_s), now), now)

    def request(self, body: bytes, now: float = 0) -> int:
        """Send a request to the server, which must take it; return its RequestId."""
        request_id = self.client.next_request_id()
        events = self.server.receive(self.client.send(request_id, body, now), now)
        assert events == [MessageReceived(request_id, body)]
        return request_id

    def respond(self, request_id: int, body: bytes, now: float = 0) -> None:
        """Send a response to the client, which must take it."""
        events = self.client.receive(self.server.send(request_id, body, now), now)
        assert events == [MessageReceived(request_id, body)]

    def exchange(self, body: bytes, now: float = 0) -> None:
        """Send a request and the same bytes back."""
        self.respond(self.request(body, now), body, now)


def make_pair(
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    client: ApplicationIdentity,
    server: ApplicationIdentity,
    *,
    client_limits: ChannelLimits = LIMITS,
    server_limits: ChannelLimits = LIMITS,
    first_sequence_number: int | None = None,
    others: tuple[ApplicationIdentity, ...] = (),
) -> Pair:
    """Make both ends; nothing was sent yet."""
    return Pair(
        ClientChannel(
            endpoint_url=URL,
            policy=policy,
            mode=mode,
            identity=client,
            server_certificate=server.sender_certificate,
            limits=client_limits,
            first_sequence_number=first_sequence_number,
        ),
        ServerChannel(
            channel_id=7,
            identity_of={identity.thumbprint: identity for identity in (server, *others)}.get,
            limits=server_limits,
            first_sequence_number=first_sequence_number,
        ),
    )


def open_pair(
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    client: ApplicationIdentity,
    server: ApplicationIdentity,
    *,
    client_limits: ChannelLimits = LIMITS,
    server_limits: ChannelLimits = LIMITS,
    first_sequence_number: int | None = None,
) -> Pair:
    """Make both ends and open the channel."""
    pair = make_pair(
        policy,
        mode,
        client,
        server,
        client_limits=client_limits,
        server_limits=server_limits,
        first_sequence_number=first_sequence_number,
    )
    pair.greet()
    pair.open()
    return pair


def feed(channel: ClientChannel | ServerChannel, data: bytes, step: int) -> list[Event]:
    """Feed ``data`` in pieces of ``step`` bytes."""
    events: list[Event] = []
    for at in range(0, len(data), step):
        events += channel.receive(data[at : at + step], 0)
    return events


def plain_chunk(
    kind: bytes,
    sequence: int,
    request_id: int,
    body: bytes,
    *,
    channel_id: int = 7,
    token_id: int = 1,
) -> bytes:
    """Return a chunk without security, for a channel that ``open_pair`` opened."""
    return PlainChunks().seal(kind, channel_id, token_id, sequence, request_id, body)


def flip(data: bytes, at: int) -> bytes:
    """Return ``data`` with one bit changed in the byte at ``at``."""
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def heard(data: bytes) -> int:
    """Return the status in an ERR chunk."""
    return transport.decode_error(data[transport.HEADER.size :]).error


def take_open(pair: Pair, data: bytes) -> OpenRequested | None:
    """Let the server take an OPN; None if it still waits for bytes."""
    events = pair.server.receive(data, 0)
    if not events:
        return None
    [received] = events
    assert isinstance(received, OpenReceived)
    return pair.server.process_open(received)


def forge_open(
    policy: SecurityPolicy,
    mode: Any,
    identity: ApplicationIdentity,
    server: ApplicationIdentity,
    *,
    channel_id: int = 0,
    sequence: int = 1,
    renew: bool = False,
    nonce: bytes = bytes(32),
    version: int = 0,
    body: bytes | None = None,
) -> bytes:
    """Return an OPN as a client might make it that does not keep the rules."""
    kind = ua.SecurityTokenRequestType
    request = ua.OpenSecureChannelRequest()
    parameters = request.Parameters
    parameters.ClientProtocolVersion = ua.UInt32(version)
    parameters.RequestType = kind.Renew if renew else kind.Issue
    parameters.SecurityMode = mode
    parameters.ClientNonce = ua.ByteString(nonce)
    parameters.RequestedLifetime = ua.UInt32(60_000)
    content = OpenContent(
        sequence_number=sequence,
        request_id=1,
        body=encode_message(request) if body is None else body,
    )
    if policy.is_none:
        return open_chunk.seal_plain(policy, channel_id=channel_id, content=content)
    return open_chunk.seal(
        policy,
        identity=identity,
        receiver_key=server.private_key.public_key(),
        receiver_thumbprint=server.thumbprint,
        channel_id=channel_id,
        content=content,
    )


def greeted(client: ApplicationIdentity, server: ApplicationIdentity) -> Pair:
    """Return a pair that waits for the first OPN."""
    pair = make_pair(BASIC256SHA256, Mode.Sign, client, server)
    pair.greet()
    return pair
