"""What a Listener does with strangers, crowds, sluggards and nonsense; threat-model 5.2, 5.3."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.errors import Misuse, Reason, ServiceFailed, Unavailable
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.client_channel import ClientChannel
from registrar.ua.codec import encode_message
from registrar.ua.events import OpenReceived
from registrar.ua.limits import ChannelLimits
from registrar.wire import Client, ServerLimits
from registrar.wire.limits import SERVER_MAXIMA
from tests.wire.plant import (
    COUNTER,
    ECHO,
    RESTART,
    WAIT,
    Plant,
    open_session,
    string,
)
from tests.wire.raw import HELLO, RawClient, refusal_of

T25 = pytest.mark.clause("T25: threat-model 5.2")

Server = Callable[[ServerLimits], Plant]
LIMITS: Callable[..., ServerLimits] = ServerLimits


@pytest.fixture
def build(server_identity: ApplicationIdentity, client_identity: ApplicationIdentity) -> Server:
    """Return a maker of Servers with other limits."""
    return lambda limits: Plant(
        server_identity, trusted=[client_identity.certificate], limits=limits
    )


@asynccontextmanager
async def socket_to(
    plant: Plant,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect without any protocol."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plant.listener.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def error_in(answer: bytes) -> int:
    """Return the status of the ERR that ends ``answer``."""
    at = answer.index(b"ERRF")
    (status,) = struct.unpack_from("<I", answer, at + 8)
    return int(status)


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


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(64),
        b"\xff" * 64,
        b"MSGF" + struct.pack("<I", 24) + bytes(16),
        b"OPNF" + struct.pack("<I", 0xFFFFFFFF),
        b"HELF" + struct.pack("<I", 0x7FFFFFFF),
        HELLO + HELLO,
        HELLO + b"MSGF" + struct.pack("<IIIII", 28, 0, 0, 1, 1) + b"0000",
    ],
    ids=["http", "zeros", "ones", "early-msg", "huge-opn", "huge-hel", "hel-twice", "msg-first"],
)
async def test_unknown_bytes_close_their_own_connection_alone(
    plant: Plant, client_identity: ApplicationIdentity, nonsense: bytes
) -> None:
    async with await open_session(plant, client_identity) as client:
        async with socket_to(plant) as (reader, writer):
            writer.write(nonsense)
            answer = await reader.read()

        assert error_in(answer) & 0x80000000
        assert await client.call(COUNTER, ECHO, string("undisturbed"))
    assert plant.listener.refusals.total() == 1


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


@T25
@pytest.mark.parametrize(("limit", "peers"), [(8_999, 2), (9_000, 3), (9_001, 3)])
async def test_what_all_peers_leave_unfinished_is_bounded(
    build: Server, limit: int, peers: int
) -> None:
    begun = struct.pack("<4sI", b"HELF", 4_000).ljust(3_000, b"\0")
    async with build(LIMITS(unfinished_size=limit)) as plant:
        async with AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(socket_to(plant)) for _ in range(3)]
            for number, (_, writer) in enumerate(sockets):
                writer.write(begun)
                await charged(plant, 3_000 * (number + 1))
            refused = plant.listener.refusals[StatusCode.BadTcpNotEnoughResources]
            assert refused == 3 - peers
        await charged(plant, 0)
        async with RawClient(plant, None) as later:
            assert await later.ask(ua.FindServersRequest(), ua.FindServersResponse)


async def charged(plant: Plant, size: int) -> None:
    """Wait until the Listener was charged for ``size`` bytes, or refused a peer for them."""
    async with asyncio.timeout(5):
        while plant.listener.unfinished_size != size:
            if size and plant.listener.refusals[StatusCode.BadTcpNotEnoughResources]:
                return
            await asyncio.sleep(0)


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
async def test_a_response_is_no_request(
    plant: Plant, client_identity: ApplicationIdentity, secured: bool
) -> None:
    """The codec knows both roles; the Server answers requests alone."""
    async with RawClient(plant, client_identity if secured else None) as client:
        request = ua.OpenSecureChannelRequest()
        error = await refusal_of(client.ask(request, ua.OpenSecureChannelResponse))

    assert error.status is StatusCode.BadServiceUnsupported


# Crowds


@T25
@pytest.mark.parametrize("name", ["connections", "connections_per_address"])
async def test_there_are_only_so_many_connections(build: Server, name: str) -> None:
    limit = 3
    async with build(LIMITS(**{name: limit})) as plant, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(await Client.connect(plant.url)) for _ in range(limit)
        ]

        with pytest.raises(Unavailable) as caught:
            await Client.connect(plant.url)
        assert caught.value.reason is Reason.BUSY

        await clients[0].close()
        async with await Client.connect(plant.url):
            assert plant.listener.connections == limit


@T25
@pytest.mark.parametrize("name", ["sessions", "sessions_per_address"])
async def test_there_are_only_so_many_sessions(
    build: Server, client_identity: ApplicationIdentity, name: str
) -> None:
    limit = 3
    async with (
        build(LIMITS(**{name: limit})) as plant,
        RawClient(plant, client_identity) as client,
    ):
        for _ in range(limit):
            await client.create()

        error = await refusal_of(client.create())

        assert error.status is StatusCode.BadTooManySessions
        assert len(plant.listener.sessions) == limit


@T25
async def test_lost_sessions_of_a_peer_make_room_for_its_next(
    build: Server, client_identity: ApplicationIdentity
) -> None:
    async with build(ServerLimits(sessions=1)) as plant:
        async with RawClient(plant, client_identity) as lost:
            created = await lost.create()
            await lost.activate(created.AuthenticationToken, created.ServerNonce)
        async with RawClient(plant, client_identity) as client:
            await client.create()

        assert plant.closed[0].id == created.SessionId


@T25
@pytest.mark.parametrize("count", [2, 3, 4])
async def test_a_request_has_only_so_many_operations(
    build: Server, client_identity: ApplicationIdentity, count: int
) -> None:
    limits = ServerLimits(operations_per_request=3)
    async with build(limits) as plant, await open_session(plant, client_identity) as client:
        read = client.read([(COUNTER, AttributeIds.BrowseName)] * count)

        if count <= 3:
            assert len(await read) == count
        else:
            error = await refusal_of(read)
            assert error.status is StatusCode.BadTooManyOperations


async def test_a_request_has_operations(plant: Plant, client_identity: ApplicationIdentity) -> None:
    async with await open_session(plant, client_identity) as client:
        for empty in (client.read([]), client.write([]), client.browse([]), client.call_all([])):
            assert (await refusal_of(empty)).status is StatusCode.BadNothingToDo


@T25
async def test_only_so_many_methods_run_at_once(
    build: Server, client_identity: ApplicationIdentity
) -> None:
    """Above the limit we stop reading; the requests wait in the peer's socket."""
    limits = ServerLimits(outstanding_requests=2)
    async with build(limits) as plant, await open_session(plant, client_identity) as client:
        waiting = [asyncio.ensure_future(client.call(COUNTER, WAIT)) for _ in range(3)]
        async with await open_session(plant, client_identity) as other:
            await other.call(COUNTER, ECHO, string("meanwhile"))

        assert plant.calls.count("waiting") == 2
        plant.gate.set()
        await asyncio.gather(*waiting)
        assert plant.calls.count("waiting") == 3


@T25
async def test_a_peer_that_does_not_read_is_dropped(
    build: Server, client_identity: ApplicationIdentity
) -> None:
    limits = ServerLimits(write_buffer_size=1_000, write_s=0.05)
    async with build(limits) as plant:
        async with await open_session(plant, client_identity) as healthy:
            await flood_without_reading(plant)

            assert await healthy.call(COUNTER, ECHO, string("fine"))
        assert plant.listener.refusals[StatusCode.BadTimeout] == 1


@T25
async def test_a_peer_with_many_requests_lets_others_have_their_turn(
    build: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, turn, turns, count = asyncio.get_running_loop(), 0, list[int](), 7
    async with build(ServerLimits(requests_per_turn=2)) as plant:
        answer = plant.endpoints

        def noting(url: str) -> list[ua.EndpointDescription]:
            turns.append(turn)
            return answer(url)

        monkeypatch.setattr(plant, "endpoints", noting)
        sock, requests = await ask_for_endpoints(plant, count)
        with sock:
            await loop.sock_sendall(sock, requests)
            async with asyncio.timeout(5):
                while len(turns) < count:
                    await asyncio.sleep(0)
                    turn += 1

    assert sorted(Counter(turns).values()) == [1, 2, 2, 2]


async def flood_without_reading(plant: Plant) -> None:
    """Ask for endpoints on an unsecured channel until we are cut, and read no answer."""
    loop = asyncio.get_running_loop()
    sock, requests = await ask_for_endpoints(plant, SERVER_WILL_NOT_TAKE)
    with sock, suppress(ConnectionError):
        async with asyncio.timeout(5):
            sending = asyncio.ensure_future(loop.sock_sendall(sock, requests))
            while plant.listener.connections > 1:  # noqa: ASYNC110 (a reader would not be slow)
                await asyncio.sleep(0)
            await sending


async def ask_for_endpoints(plant: Plant, count: int) -> tuple[socket.socket, bytes]:
    """Return the socket of an unsecured channel, and so many requests to send at once."""
    loop = asyncio.get_running_loop()
    channel = ClientChannel(endpoint_url=plant.url, limits=ChannelLimits(max_outstanding=count))
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", plant.listener.port))
    await loop.sock_sendall(sock, channel.hello())
    channel.receive(await loop.sock_recv(sock, 65_536), loop.time())
    opening = channel.open_request(
        nonce=b"", requested_lifetime_s=60, now=loop.time(), timestamp=datetime.now(UTC)
    )
    await loop.sock_sendall(sock, opening)
    (opened,) = channel.receive(await loop.sock_recv(sock, 65_536), loop.time())
    assert isinstance(opened, OpenReceived)
    channel.process_open(opened)
    body = encode_message(ua.GetEndpointsRequest())
    requests = [channel.send(channel.next_request_id(), body, loop.time()) for _ in range(count)]
    return sock, b"".join(requests)


SERVER_WILL_NOT_TAKE = 4_000
"""Requests; their answers are far more than the sockets hold."""


# The end


async def test_the_response_comes_before_the_cut(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    """As with ApplyChanges: the caller hears Good, then every channel ends."""
    async with (
        await open_session(plant, client_identity) as client,
        RawClient(plant, client_identity) as other,
    ):
        assert await client.call(COUNTER, RESTART) == []
        await other.connection.closed
        error = await refusal_of(client.call(COUNTER, ECHO, string("too late")))

    assert error.status is StatusCode.BadConnectionClosed
    assert plant.listener.connections == 0


async def test_a_running_method_is_answered_before_the_cut(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with await open_session(plant, client_identity) as client:
        waiting = asyncio.ensure_future(client.call(COUNTER, WAIT))
        async with await open_session(plant, client_identity) as other:
            await other.call(COUNTER, RESTART)
        plant.gate.set()

        assert await waiting == []


async def test_only_the_chosen_channels_are_dropped(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with (
        await open_session(plant, client_identity) as client,
        await Client.connect(plant.url) as unsecured,
    ):
        plant.listener.drop_channels(predicate=lambda peer: peer.certificate is None)

        assert (await refusal_of(unsecured.get_endpoints())).status
        assert await client.call(COUNTER, ECHO, string("kept"))


async def test_a_listener_starts_again_where_it_was(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    port = plant.listener.port
    client = await open_session(plant, client_identity)

    await plant.listener.close()
    await plant.listener.start("127.0.0.1", port)

    assert len(plant.closed) == 1
    assert len(plant.listener.sessions) == 0
    await client.close()
    async with await open_session(plant, client_identity) as again:
        assert await again.call(COUNTER, ECHO, string("back"))


async def test_an_address_in_use_is_told(
    plant: Plant, server_identity: ApplicationIdentity
) -> None:
    second = Plant(server_identity)

    with pytest.raises(Unavailable):
        await second.listener.start("127.0.0.1", plant.listener.port)


async def test_a_fault_of_the_application_is_one_status(
    plant: Plant, client_identity: ApplicationIdentity, caplog: pytest.LogCaptureFixture
) -> None:
    async with await open_session(plant, client_identity) as client:
        plant.has_bug = True
        error = await refusal_of(client.get_endpoints())
        await client.call(COUNTER, ECHO, string("goes on"))

    assert error.status is StatusCode.BadInternalError
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("name", sorted(SERVER_MAXIMA))
def test_every_limit_has_a_hard_maximum(name: str) -> None:
    maximum = SERVER_MAXIMA[name]
    assert getattr(LIMITS(**{name: maximum}), name) == maximum

    for wrong in (maximum + 1, 0, -1):
        with pytest.raises(Misuse):
            LIMITS(**{name: wrong})


async def test_what_came_in_at_the_last_moment_is_cancelled_from_within(build: Server) -> None:
    ended: list[str] = []

    async def method() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("method")

    async def answer(running: Coroutine[Any, Any, None]) -> None:
        await running

    async with build(LIMITS()) as plant:
        plant.listener.run(answer(method()))

    assert ended == ["method"]


async def test_an_address_in_use_is_said_with_a_way_out(build: Server) -> None:
    async with build(LIMITS()) as plant, build(LIMITS()) as other:
        await other.listener.close()

        with pytest.raises(Unavailable, match="cannot listen: Address already in use") as caught:
            await other.listener.start("127.0.0.1", plant.listener.port)

    assert caught.value.subject.startswith("127.0.0.1:")
    assert "choose another" in caught.value.next_action
