"""What a Listener does with sluggards, nonsense and peers without security; threat-model 5.2."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from asyncua import ua

from registrar.errors import Reason, ServiceFailed
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.codec import encode_message
from registrar.wire import Client, ServerLimits
from tests.wire.plant import (
    COUNTER,
    ECHO,
    LIMITS,
    Plant,
    Server,
    open_session,
    string,
)
from tests.wire.raw import HELLO, RawClient, error_in, hello, refusal_of, socket_to

T25 = pytest.mark.clause("T25: threat-model 5.2")

# Stages


@T25
async def test_a_peer_that_does_not_say_hello_is_cut(build: Server) -> None:
    async with build(ServerLimits(hello_s=0.02)) as plant, socket_to(plant) as (reader, _):
        answer = await reader.read()

    assert error_in(answer) == StatusCode.BadTimeout


@T25
async def test_a_peer_that_says_half_a_hello_is_cut(build: Server) -> None:
    async with build(ServerLimits(hello_s=0.02)) as plant, socket_to(plant) as (reader, writer):
        writer.write(HELLO[:-1])
        answer = await reader.read()

    assert error_in(answer) == StatusCode.BadTimeout


@T25
async def test_a_peer_that_opens_no_channel_is_cut(build: Server) -> None:
    async with build(ServerLimits(open_s=0.02)) as plant, socket_to(plant) as (reader, writer):
        writer.write(HELLO)
        answer = await reader.read()

    assert answer.startswith(b"ACKF")
    assert error_in(answer) == StatusCode.BadTimeout


@T25
async def test_a_channel_without_a_session_is_cut(
    build: Server, client_identity: ApplicationIdentity
) -> None:
    async with build(ServerLimits(session_s=0.05)) as plant:
        async with RawClient(plant, client_identity) as client:
            await client.create()  # not activated
            await client.connection.closed

        assert len(plant.listener.sessions) == 0


@T25
async def test_a_channel_with_a_session_is_not_cut(
    build: Server, client_identity: ApplicationIdentity
) -> None:
    limits = ServerLimits(session_s=0.2)
    async with build(limits) as plant, await open_session(plant, client_identity) as client:
        async with RawClient(plant, client_identity) as other:
            await other.connection.closed  # opened later, cut first

        assert await client.call(COUNTER, ECHO, string("still here"))


@T25
async def test_a_channel_whose_session_ended_is_cut(
    build: Server, client_identity: ApplicationIdentity
) -> None:
    limits = ServerLimits(session_s=0.05)
    async with build(limits) as plant, RawClient(plant, client_identity) as client:
        created = await client.create()
        token = created.AuthenticationToken
        await client.activate(token, created.ServerNonce)
        await client.ask(ua.CloseSessionRequest(), ua.CloseSessionResponse, token)

        await client.connection.closed


# Nonsense


TYPE_INVALID, TOO_LARGE = StatusCode.BadTcpMessageTypeInvalid, StatusCode.BadTcpMessageTooLarge


@pytest.mark.parametrize(
    ("nonsense", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", TYPE_INVALID),
        (bytes(64), TYPE_INVALID),
        (b"\xff" * 64, TYPE_INVALID),
        (b"MSGF" + struct.pack("<I", 24) + bytes(16), TYPE_INVALID),
        (b"OPNF" + struct.pack("<I", 0xFFFFFFFF), TYPE_INVALID),
        (b"HELF" + struct.pack("<I", 0x7FFFFFFF), TOO_LARGE),
        (HELLO + HELLO, TYPE_INVALID),
        (HELLO + b"MSGF" + struct.pack("<IIIII", 28, 0, 0, 1, 1) + b"0000", TYPE_INVALID),
        (hello(8_191, 65_536), StatusCode.BadTcpNotEnoughResources),
        (hello(65_536, 8_191), StatusCode.BadTcpNotEnoughResources),
    ],
    ids=[
        *("http", "zeros", "ones", "early-msg", "early-opn", "huge-hel", "hel-twice", "msg-first"),
        *("receives-little", "sends-little"),
    ],
)
async def test_unknown_bytes_close_their_own_connection_alone(
    plant: Plant, client_identity: ApplicationIdentity, nonsense: bytes, status: StatusCode
) -> None:
    async with await open_session(plant, client_identity) as client:
        async with socket_to(plant) as (reader, writer):
            writer.write(nonsense)
            answer = await reader.read()

        assert error_in(answer) == status
        assert await client.call(COUNTER, ECHO, string("undisturbed"))
    assert plant.listener.refusals == {status: 1}


async def test_an_open_that_announces_gigabytes_is_not_waited_for(plant: Plant) -> None:
    async with socket_to(plant) as (reader, writer):
        writer.write(HELLO)
        assert (await reader.read(65_536)).startswith(b"ACKF")
        writer.write(b"OPNF" + struct.pack("<I", 0xFFFFFFFF))

        assert error_in(await reader.read()) == TOO_LARGE


async def test_a_stranger_hears_nothing_of_what_we_trust(
    plant: Plant, stranger: ApplicationIdentity
) -> None:
    with pytest.raises(ServiceFailed) as caught:
        await Client.connect(plant.url, security=plant.security(stranger))

    assert caught.value.status is StatusCode.BadSecurityChecksFailed
    assert caught.value.reason is Reason.ACCESS_DENIED
    assert plant.listener.refusals == {StatusCode.BadCertificateUntrusted: 1}


@pytest.mark.clause("T11: OPC 10000-4 §5.5.4")
async def test_a_policy_no_endpoint_has_is_refused(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    security = plant.security(client_identity)
    plant.policies = ()

    with pytest.raises(ServiceFailed):
        await Client.connect(plant.url, security=security)

    assert plant.listener.refusals == {StatusCode.BadSecurityPolicyRejected: 1}


@T25
@pytest.mark.parametrize(("more", "is_taken"), [(-1, True), (0, True), (1, False)])
async def test_a_stranger_sends_only_short_messages(
    build: Server, client_identity: ApplicationIdentity, more: int, is_taken: bool
) -> None:
    limit = 9_000
    request = ua.FindServersRequest()
    empty = len(encode_message(request))
    request.Parameters.ServerUris = ["u" * (limit - empty - 4 + more)]
    async with build(LIMITS(early_message_size=limit)) as plant:
        async with RawClient(plant, None) as stranger:
            asking = stranger.ask(request, ua.FindServersResponse)
            if is_taken:
                assert await asking
            else:
                assert (await refusal_of(asking)).status is StatusCode.BadTcpMessageTooLarge
        async with await open_session(plant, client_identity) as client:
            assert await client.call(COUNTER, ECHO, string("e" * 2 * limit))


# What an unsecured peer may do


SECURED = [
    ua.CreateSessionRequest,
    ua.ActivateSessionRequest,
    ua.CloseSessionRequest,
    ua.ReadRequest,
    ua.WriteRequest,
    ua.BrowseRequest,
    ua.BrowseNextRequest,
    ua.TranslateBrowsePathsToNodeIdsRequest,
    ua.CallRequest,
]


@pytest.mark.clause("threat-model 5.3")
@pytest.mark.parametrize("kind", SECURED, ids=lambda kind: kind.__name__)
async def test_an_unsecured_peer_finds_endpoints_and_nothing_else(
    plant: Plant, kind: type[Any]
) -> None:
    request = kind()
    async with RawClient(plant, None) as client:
        error = await refusal_of(client.ask(request, ua.ServiceFault))
        endpoints = await client.ask(ua.GetEndpointsRequest(), ua.GetEndpointsResponse)

    assert error.status is StatusCode.BadSecurityModeInsufficient
    assert endpoints.Endpoints
    assert plant.listener.refusals == {StatusCode.BadSecurityModeInsufficient: 1}
    assert not len(plant.listener.sessions)


@pytest.mark.parametrize("secured", [False, True])
async def test_an_open_is_no_request_of_a_service(
    plant: Plant, client_identity: ApplicationIdentity, secured: bool
) -> None:
    """It comes in a chunk of its own kind alone."""
    async with RawClient(plant, client_identity if secured else None) as client:
        request = ua.OpenSecureChannelRequest()
        error = await refusal_of(client.ask(request, ua.OpenSecureChannelResponse))

    assert error.status is StatusCode.BadServiceUnsupported
