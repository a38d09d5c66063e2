"""What a hostile peer or network may do to a channel, and that it ends it."""

from __future__ import annotations

import os

import pytest
from asyncua import ua

from registrar.errors import (
    CertificateRejected,
    DecodingError,
    ProtocolViolation,
    RegistrarError,
    Rejected,
    SecurityChecksFailed,
    ServiceFailed,
)
from registrar.status import StatusCode
from registrar.ua import open_chunk, transport
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.channel import ChannelState, ClientChannel, ServerChannel
from registrar.ua.codec import encode_message
from registrar.ua.conversation import GRACE
from registrar.ua.events import ErrorReceived, OpenReceived, OpenRequested
from registrar.ua.limits import ChannelLimits
from registrar.ua.open_chunk import OpenContent
from registrar.ua.outward import HARMLESS_CERTIFICATE_ERRORS
from registrar.ua.security_policy import (
    AES128_SHA256_RSAOAEP,
    AES256_SHA256_RSAPSS,
    BASIC256SHA256,
    NONE,
    SecurityPolicy,
)
from tests.ua.pairing import (
    ALL,
    MOMENT,
    SECURED,
    URL,
    Mode,
    Pair,
    make_identity,
    make_pair,
    open_pair,
    plain_chunk,
)


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


@pytest.mark.clause("OPC 10000-6 §6.7.2")
def test_a_change_at_any_byte_of_an_open_request_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    pair.greet()
    data = pair.request_open()

    for at in range(len(data)):
        victim = make_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
        victim.greet()
        told = told_after(victim, flip(data, at))
        # Only a greater MessageSize may make us wait, and 8 KiB is its end; behind the message
        # header all failures are one (T15).
        assert told is not None or 4 <= at < 8
        assert at < 12 or told == StatusCode.BadSecurityChecksFailed


def told_after(pair: Pair, data: bytes) -> int | None:
    """Return what the client hears after an OPN that must not open the channel."""
    try:
        requested = take_open(pair, data)
    except Rejected as error:
        return heard(pair.server.error_message(error))
    assert requested is None
    return None


@pytest.mark.clause("OPC 10000-6 §6.7.2")
def test_a_change_at_any_byte_of_an_open_response_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(AES256_SHA256_RSAPSS, Mode.Sign, client, server)
    pair.greet()
    nonce = os.urandom(32)

    def client_waits() -> ClientChannel:
        victim = make_pair(AES256_SHA256_RSAPSS, Mode.Sign, client, server).client
        victim.hello()
        victim.receive(acknowledge, 0)
        victim.open_request(nonce=nonce, requested_lifetime_s=60, now=0, timestamp=MOMENT)
        return victim

    acknowledge = transport.encode_acknowledge(
        transport.Acknowledge(
            receive_buffer_size=65536, send_buffer_size=65536, max_message_size=0, max_chunk_count=0
        )
    )
    data = pair.answer_open(pair.request_open())
    step = 7
    for at in [*range(12), *range(12, len(data), step)]:
        victim = client_waits()
        try:
            events = victim.receive(flip(data, at), 0)
            if events:
                [received] = events
                assert isinstance(received, OpenReceived)
                victim.process_open(received)
                pytest.fail(f"byte {at} may be changed")
        except Rejected:
            assert victim.state is ChannelState.CLOSED
        else:
            assert 4 <= at < 8


@pytest.mark.clause("OPC 10000-6 §6.7.2")
@pytest.mark.parametrize(("policy", "mode"), SECURED)
def test_a_change_of_a_message_is_refused(
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    client: ApplicationIdentity,
    server: ApplicationIdentity,
) -> None:
    """The header byte by byte; what is encrypted byte by byte in test_symmetric."""
    for at in (*range(16), 16, 31, 40, -33, -32, -1):
        victim = open_pair(policy, mode, client, server)
        data = victim.client.send(victim.client.next_request_id(), b"a small request", 0)
        try:
            events = victim.server.receive(flip(data, at % len(data)), 0)
        except Rejected:
            assert victim.server.state is ChannelState.CLOSED
        else:
            assert events == []
            assert 4 <= at < 8


# State machine


@pytest.mark.clause("OPC 10000-6 §7.1.2.2")
@pytest.mark.parametrize("kind", [b"OPN", b"MSG", b"CLO", b"ACK", b"ERR", b"RHE", b"XXX"])
def test_a_server_takes_nothing_before_hello(
    kind: bytes, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(NONE, Mode.None_, client, server)

    with pytest.raises(ProtocolViolation):
        pair.server.receive(transport.HEADER.pack(kind, b"F", 100), 0)

    assert pair.server.state is ChannelState.CLOSED


@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize("kind", [b"HEL", b"MSG", b"CLO", b"ACK"])
def test_a_server_takes_nothing_but_open_before_the_channel_is_open(
    kind: bytes, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(NONE, Mode.None_, client, server)
    pair.greet()

    with pytest.raises(ProtocolViolation):
        pair.server.receive(transport.HEADER.pack(kind, b"F", 100), 0)


@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize("kind", [b"MSG", b"ACK", b"HEL", b"CLO"])
def test_a_client_takes_nothing_but_open_before_the_channel_is_open(
    kind: bytes, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(NONE, Mode.None_, client, server)
    pair.greet()
    pair.request_open()

    with pytest.raises(ProtocolViolation):
        pair.client.receive(transport.HEADER.pack(kind, b"F", 100), 0)


def test_a_client_takes_no_open_it_did_not_ask_for(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(NONE, Mode.None_, client, server)
    pair.greet()
    answer = pair.answer_open(pair.request_open())
    pair.finish_open(answer)

    with pytest.raises(ProtocolViolation):
        pair.client.receive(answer, 0)


@pytest.mark.parametrize("kind", [b"OPNC", b"OPNA", b"CLOC", b"MSGX", b"ERRC"])
@pytest.mark.clause("OPC 10000-6 §6.7.2.2")
def test_only_messages_have_chunks(
    kind: bytes, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(NONE, Mode.None_, client, server)

    with pytest.raises(ProtocolViolation):
        pair.server.receive(plain_chunk(kind, 2, 1, b""), 0)


# Channel, token, sequence, request


@pytest.mark.clause("OPC 10000-6 §6.7.2")
@pytest.mark.parametrize(
    ("chunk", "status"),
    [
        (plain_chunk(b"MSGF", 2, 1, b"", channel_id=8), StatusCode.BadTcpSecureChannelUnknown),
        (plain_chunk(b"MSGF", 2, 1, b"", token_id=2), StatusCode.BadSecureChannelTokenUnknown),
        (plain_chunk(b"MSGF", 1, 1, b""), StatusCode.BadSequenceNumberInvalid),
        (plain_chunk(b"MSGF", 3, 1, b""), StatusCode.BadSequenceNumberInvalid),
        (plain_chunk(b"MSGF", 0, 1, b""), StatusCode.BadSequenceNumberInvalid),
    ],
)
def test_a_wrong_number_ends_the_channel(
    chunk: bytes, status: StatusCode, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(NONE, Mode.None_, client, server)

    with pytest.raises(ProtocolViolation) as caught:
        pair.server.receive(chunk, 0)

    assert caught.value.status is status
    assert pair.server.state is ChannelState.CLOSED
    told = heard(pair.server.error_message(caught.value))
    # A wrong sequence number is for the log alone.
    secret = status is StatusCode.BadSequenceNumberInvalid
    assert told == (StatusCode.BadSecurityChecksFailed if secret else status)


@pytest.mark.clause("OPC 10000-6 §6.7.2.4")
def test_a_replayed_message_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    data = pair.client.send(pair.client.next_request_id(), b"once", 0)
    pair.server.receive(data, 0)

    with pytest.raises(Rejected):
        pair.server.receive(data, 0)


def test_a_response_to_a_request_nobody_made_ends_the_channel(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    request_id = pair.request(b"?")

    with pytest.raises(ProtocolViolation):
        pair.client.receive(pair.server.send(request_id + 1, b"!", 0), 0)


def test_a_second_response_to_one_request_ends_the_channel(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(NONE, Mode.None_, client, server)
    request_id = pair.request(b"?")
    pair.respond(request_id, b"!")

    with pytest.raises(ProtocolViolation):
        pair.client.receive(pair.server.send(request_id, b"!", 0), 0)


# Renewal


@pytest.mark.clause("OPC 10000-4 §5.6.2")
@pytest.mark.parametrize(("policy", "mode"), ALL)
def test_renewal_changes_the_token_and_nothing_else(
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    client: ApplicationIdentity,
    server: ApplicationIdentity,
) -> None:
    pair = open_pair(policy, mode, client, server)
    assert pair.client.renew_at == 45

    for token_id in range(2, 6):
        opened = pair.open(now=45.0 * (token_id - 1))
        pair.exchange(b"x", now=45.0 * (token_id - 1))
        assert opened.renewed
        assert (opened.channel_id, opened.token_id) == (7, token_id)


@pytest.mark.clause("OPC 10000-4 §5.6.2")
def test_the_old_token_serves_until_the_new_one_is_used(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    before = pair.client.send(pair.client.next_request_id(), b"before", 0)
    renewal = pair.request_open(now=45)
    [_] = pair.server.receive(before, 45)
    answer = pair.answer_open(renewal, 45)
    # The server answers with the old token, because the client may not know the new one yet.
    late = pair.server.send(2, b"late", 45)
    pair.finish_open(answer, 45)
    [_] = pair.client.receive(late, 45)
    assert [token.token_id for token in pair.server._conversation.tokens] == [1, 2]

    pair.exchange(b"with the new token", 45)

    assert [token.token_id for token in pair.server._conversation.tokens] == [2]
    assert [token.token_id for token in pair.client._conversation.tokens] == [2]


def test_many_renewals_without_a_message_keep_two_tokens(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.Sign, client, server)
    request_id = pair.request(b"?")
    for _ in range(4):
        pair.open()

    pair.respond(request_id, b"!")

    assert len(pair.server._conversation.tokens) == 2


@pytest.mark.clause("OPC 10000-4 §5.6.2")
@pytest.mark.parametrize(("late_s", "taken"), [(-0.001, True), (0, True), (0.001, False)])
def test_a_token_is_over_a_quarter_after_its_lifetime(
    late_s: float, taken: bool, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.Sign, client, server)
    data = pair.client.send(pair.client.next_request_id(), b"x", 0)
    now = 60 * GRACE + late_s

    if taken:
        assert len(pair.server.receive(data, now)) == 1
        pair.client.send(pair.client.next_request_id(), b"x", now)
        return
    with pytest.raises(ProtocolViolation):
        pair.server.receive(data, now)
    with pytest.raises(ProtocolViolation):
        pair.client.send(pair.client.next_request_id(), b"x", now)


@pytest.mark.clause("OPC 10000-6 §6.7.4")
def test_a_renewal_keeps_certificate_policy_and_mode(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    stranger = make_identity(2048, "stranger")
    for policy, mode, identity in (
        (AES128_SHA256_RSAOAEP, Mode.Sign, client),
        (BASIC256SHA256, Mode.SignAndEncrypt, client),
        (BASIC256SHA256, Mode.Sign, stranger),
        (NONE, Mode.None_, client),
    ):
        pair = open_pair(BASIC256SHA256, Mode.Sign, client, server)
        data = forge_open(policy, mode, identity, server, channel_id=7, sequence=2, renew=True)
        with pytest.raises(SecurityChecksFailed) as caught:
            take_open(pair, data)
        assert heard(pair.server.error_message(caught.value)) == 0x80130000


# The content of an OPN


def forge_open(
    policy: SecurityPolicy,
    mode: int,
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
    parameters.SecurityMode = mode  # type: ignore[assignment]
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


@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_a_client_nonce_has_the_exact_length(
    size: int, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    data = forge_open(BASIC256SHA256, Mode.Sign, client, server, nonce=bytes(size))

    with pytest.raises(SecurityChecksFailed) as caught:
        take_open(greeted(client, server), data)

    assert caught.value.status is StatusCode.BadNonceInvalid


@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"mode": 0}, StatusCode.BadSecurityModeRejected),
        ({"mode": 1}, StatusCode.BadSecurityModeRejected),
        ({"mode": 4}, StatusCode.BadSecurityModeRejected),
        ({"renew": True}, StatusCode.BadRequestTypeInvalid),
        ({"version": 1}, StatusCode.BadProtocolVersionUnsupported),
        ({"channel_id": 7}, StatusCode.BadTcpSecureChannelUnknown),
        ({"body": b""}, StatusCode.BadDecodingError),
        ({"body": encode_message(ua.ReadRequest())}, StatusCode.BadTcpMessageTypeInvalid),
    ],
)
def test_the_log_has_the_reason_and_the_peer_has_not(
    changes: dict[str, object],
    status: StatusCode,
    client: ApplicationIdentity,
    server: ApplicationIdentity,
) -> None:
    pair = greeted(client, server)
    data = forge_open(
        **{  # type: ignore[arg-type]
            "policy": BASIC256SHA256,
            "mode": 2,
            "identity": client,
            "server": server,
            **changes,
        }
    )

    with pytest.raises(Rejected) as caught:
        take_open(pair, data)

    assert caught.value.status is status
    assert heard(pair.server.error_message(caught.value)) == 0x80130000


@pytest.mark.clause("OPC 10000-6 §6.7.2.3")
def test_a_receiver_without_the_certificate_refuses(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = greeted(client, server)
    other = make_identity(2048, "other server")

    with pytest.raises(SecurityChecksFailed) as caught:
        take_open(pair, forge_open(BASIC256SHA256, Mode.Sign, client, other))

    assert caught.value.status is StatusCode.BadCertificateInvalid
    assert pair.server.private_key_operations == 0


def test_our_own_certificate_is_refused_as_the_peer(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = greeted(client, server)

    with pytest.raises(SecurityChecksFailed):
        take_open(pair, forge_open(BASIC256SHA256, Mode.Sign, server, server))
    with pytest.raises(SecurityChecksFailed):
        make_pair(BASIC256SHA256, Mode.Sign, server, server)

    assert pair.server.private_key_operations == 0


def test_a_copied_certificate_without_its_key_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    thief = ApplicationIdentity(
        certificate=client.certificate, private_key=make_identity(2048, "thief").private_key
    )
    pair = greeted(client, server)

    with pytest.raises(SecurityChecksFailed):
        take_open(pair, forge_open(BASIC256SHA256, Mode.Sign, thief, server))


@pytest.mark.clause("OPC 10000-6 §6.7.4")
def test_a_policy_that_is_not_allowed_costs_no_private_operation(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    channel = ServerChannel(
        channel_id=7,
        identity_of={server.thumbprint: server}.get,
        policies=(AES256_SHA256_RSAPSS,),
    )
    pair = Pair(make_pair(BASIC256SHA256, Mode.Sign, client, server).client, channel)
    pair.greet()

    with pytest.raises(SecurityChecksFailed) as caught:
        take_open(pair, pair.request_open())

    assert caught.value.status is StatusCode.BadSecurityPolicyRejected
    assert channel.private_key_operations == 0


def test_failed_blocks_cost_as_many_operations_as_good_ones(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = greeted(client, server)
    data = pair.request_open()

    for at in (-1, -257, -300):
        victim = greeted(client, server)
        with pytest.raises(SecurityChecksFailed):
            take_open(victim, flip(data, len(data) + at))
        assert victim.server.private_key_operations == 2


@pytest.mark.clause("OPC 10000-4 §6.1.3")
@pytest.mark.parametrize("status", sorted(StatusCode))
def test_a_peer_hears_only_harmless_certificate_errors(
    status: StatusCode, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = greeted(client, server)
    take_open(pair, pair.request_open())

    data = pair.server.error_message(CertificateRejected("inner detail", status=status))

    harmless = status in HARMLESS_CERTIFICATE_ERRORS
    assert heard(data) == (status if harmless else StatusCode.BadSecurityChecksFailed)
    assert b"inner" not in data


def test_what_follows_an_open_waits_until_it_is_answered(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    renewal = pair.request_open(now=45)
    request = pair.client.send(pair.client.next_request_id(), b"waits", 45)
    [received] = pair.server.receive(renewal + request, 45)
    assert isinstance(received, OpenReceived)
    assert pair.server.receive(b"", 45) == []

    pair.accept_open(pair.server.process_open(received), 45)
    events = pair.server.receive(b"", 45)

    assert len(events) == 1


def test_a_flood_behind_an_open_is_bounded(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    limits = ChannelLimits(receive_buffer_size=8192)
    pair = open_pair(BASIC256SHA256, Mode.Sign, client, server, server_limits=limits)
    pair.server.receive(pair.request_open(), 0)

    pair.server.receive(bytes(2 * 8192), 0)
    with pytest.raises(ProtocolViolation):
        pair.server.receive(b"x", 0)


# What a hostile server may answer


def answered(
    client: ApplicationIdentity, server: ApplicationIdentity, message: object, **changes: int
) -> Pair:
    """Return a pair whose client waits, fed with an OPN that holds ``message``."""
    pair = greeted(client, server)
    pair.request_open()
    content = OpenContent(
        sequence_number=1,
        request_id=changes.get("request_id", 1),
        body=encode_message(message),
    )
    data = open_chunk.seal(
        BASIC256SHA256,
        identity=server,
        receiver_key=client.private_key.public_key(),
        receiver_thumbprint=client.thumbprint,
        channel_id=changes.get("channel_id", 7),
        content=content,
    )
    [received] = pair.client.receive(data, 0)
    assert isinstance(received, OpenReceived)
    pair.client.process_open(received)
    return pair


def open_response(**changes: int | bytes) -> ua.OpenSecureChannelResponse:
    """Return a response that is right but for ``changes``."""
    response = ua.OpenSecureChannelResponse()
    token = response.Parameters.SecurityToken
    token.ChannelId = ua.UInt32(int(changes.get("channel", 7)))
    token.TokenId = ua.UInt32(1)
    token.RevisedLifetime = ua.UInt32(int(changes.get("lifetime", 60_000)))
    nonce = changes.get("nonce", bytes(range(32)))
    response.Parameters.ServerNonce = ua.ByteString(nonce) if isinstance(nonce, bytes) else None
    return response


def test_a_lifetime_is_never_longer_than_asked_for(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = answered(client, server, open_response(lifetime=0xFFFF_FFFF))

    assert pair.client.expires_at == 60


@pytest.mark.clause("OPC 10000-4 §5.6.2")
@pytest.mark.parametrize(
    ("changes", "frame"),
    [
        ({"nonce": b""}, {}),
        ({"nonce": bytes(31)}, {}),
        ({"nonce": bytes(33)}, {}),
        ({"lifetime": 0}, {}),
        ({"lifetime": 1}, {}),
        ({"channel": 0}, {"channel_id": 0}),
        ({"channel": 8}, {}),
        ({}, {"channel_id": 8}),
        ({}, {"request_id": 2}),
    ],
)
def test_an_absurd_open_response_is_refused(
    changes: dict[str, int | bytes],
    frame: dict[str, int],
    client: ApplicationIdentity,
    server: ApplicationIdentity,
) -> None:
    with pytest.raises(Rejected):
        answered(client, server, open_response(**changes), **frame)


def test_a_fault_instead_of_an_open_response_is_reported_as_one(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    fault = ua.ServiceFault()
    fault.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(StatusCode.BadTcpServerTooBusy))

    with pytest.raises(ServiceFailed) as caught:
        answered(client, server, fault)

    assert caught.value.status is StatusCode.BadTcpServerTooBusy


def test_another_message_instead_of_an_open_response_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    with pytest.raises(ProtocolViolation):
        answered(client, server, ua.ReadResponse())


def test_an_answer_by_another_server_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = greeted(client, server)
    impostor = make_pair(BASIC256SHA256, Mode.Sign, client, make_identity(2048, "impostor"))
    impostor.greet()
    answer = impostor.answer_open(impostor.request_open())
    pair.request_open()
    with pytest.raises(SecurityChecksFailed):
        pair.client.receive(answer, 0)


@pytest.mark.parametrize("certificate", [b"", b"\x30", b"\x30\x82\xff\xff", b"\x30\x03abc", b"abc"])
def test_a_server_certificate_that_is_none_is_refused(
    certificate: bytes, client: ApplicationIdentity
) -> None:
    with pytest.raises(SecurityChecksFailed):
        ClientChannel(
            endpoint_url=URL,
            policy=BASIC256SHA256,
            mode=Mode.Sign,
            identity=client,
            server_certificate=certificate,
        )


def test_an_error_before_the_channel_is_open_is_an_event(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(NONE, Mode.None_, client, server)
    pair.client.hello()
    error = DecodingError("x", status=StatusCode.BadTcpEndpointUrlInvalid)

    events = pair.client.receive(pair.server.error_message(error), 0)

    assert events == [
        ErrorReceived(StatusCode.BadTcpEndpointUrlInvalid, "BadTcpEndpointUrlInvalid")
    ]


@pytest.mark.parametrize("bits", [1024, 2047, 4160])
def test_keys_outside_the_range_of_the_policy_are_refused(
    bits: int, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    odd = make_identity(bits, "odd")

    with pytest.raises(RegistrarError):
        make_pair(BASIC256SHA256, Mode.Sign, client, odd)
    with pytest.raises(RegistrarError):
        make_pair(BASIC256SHA256, Mode.Sign, odd, server)
    with pytest.raises(SecurityChecksFailed):
        take_open(greeted(client, server), forge_open(BASIC256SHA256, Mode.Sign, odd, server))


def test_a_policy_our_own_key_does_not_fit_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    short = make_identity(1024, "short")
    channel = ServerChannel(channel_id=7, identity_of={short.thumbprint: short}.get)
    pair = Pair(make_pair(BASIC256SHA256, Mode.Sign, client, server).client, channel)
    pair.greet()

    with pytest.raises(SecurityChecksFailed):
        take_open(pair, forge_open(BASIC256SHA256, Mode.Sign, client, short))
