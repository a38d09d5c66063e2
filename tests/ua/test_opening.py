"""What an OPN may hold, and what its sender hears when it may not."""

from __future__ import annotations

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
from registrar.ua import open_chunk
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.channel import ClientChannel, ServerChannel
from registrar.ua.codec import encode_message
from registrar.ua.events import ErrorReceived, OpenReceived
from registrar.ua.limits import ChannelLimits
from registrar.ua.open_chunk import OpenContent
from registrar.ua.outward import HARMLESS_CERTIFICATE_ERRORS
from registrar.ua.security_policy import (
    AES256_SHA256_RSAPSS,
    BASIC256SHA256,
    NONE,
)
from tests.ua.pairing import (
    URL,
    Mode,
    Pair,
    flip,
    forge_open,
    greeted,
    heard,
    make_identity,
    make_pair,
    open_pair,
    take_open,
)


@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_a_client_nonce_has_the_exact_length(
    size: int, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    data = forge_open(BASIC256SHA256, Mode.Sign, client, server, nonce=bytes(size))

    with pytest.raises(SecurityChecksFailed) as caught:
        take_open(greeted(client, server), data)

    assert caught.value.status is StatusCode.BadNonceInvalid


@pytest.mark.clause("T15")
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


@pytest.mark.clause("T14")
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


@pytest.mark.clause("T15")
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


@pytest.mark.clause("T15")
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


def test_a_fault_without_a_failure_is_no_answer_to_an_open(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    with pytest.raises(ProtocolViolation):
        answered(client, server, ua.ServiceFault())


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


@pytest.mark.parametrize("bits", [1024, 2047])
def test_keys_shorter_than_the_policy_allows_are_refused(
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
