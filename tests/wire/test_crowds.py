"""How many a Listener serves, and that each has a turn; threat-model 5.2."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime

import pytest
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.errors import Reason, Unavailable
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.client_channel import ClientChannel
from registrar.ua.codec import encode_message
from registrar.ua.events import OpenReceived
from registrar.ua.limits import ChannelLimits
from registrar.ua.symmetric import PlainChunks
from registrar.wire import Client, ServerLimits
from registrar.wire.traffic import EVENT_SIZE
from tests.wire.plant import (
    COUNTER,
    ECHO,
    LIMITS,
    WAIT,
    Plant,
    Server,
    open_session,
    string,
)
from tests.wire.raw import RawClient, refusal_of

T25 = pytest.mark.clause("T25: threat-model 5.2")


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


class Turns:
    """Counts the turns of the loop, and notes the one in which each GetEndpoints is served."""

    def __init__(self, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
        self._plant, self._answer = plant, plant.endpoints
        self._number = 0
        self.served: list[int] = []
        self.kept: list[int] = []
        """Bytes the Listener was charged for then."""
        monkeypatch.setattr(plant, "endpoints", self._note)

    def _note(self, url: str) -> list[ua.EndpointDescription]:
        self.served.append(self._number)
        self.kept.append(self._plant.listener.unfinished.size)
        return self._answer(url)

    async def until(self, count: int) -> None:
        """Wait until so many were served."""
        async with asyncio.timeout(5):
            while len(self.served) < count:
                await asyncio.sleep(0)
                self._number += 1


@T25
async def test_a_peer_with_many_requests_lets_others_have_their_turn(
    build: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn is so short that there is time for one; those that wait are charged for."""
    count = 7
    async with build(ServerLimits(turn_s=1e-9)) as plant:
        turns = Turns(plant, monkeypatch)
        sock, requests = await ask_for_endpoints(plant, count)
        with sock:
            await asyncio.get_running_loop().sock_sendall(sock, requests)
            await turns.until(count)
            await asyncio.sleep(0)
            assert plant.listener.unfinished.size == 0

    assert turns.served == sorted(set(turns.served))
    size = len(requests) // count - len(PlainChunks().seal(b"MSGF", 1, 1, 1, 1, b"")) + EVENT_SIZE
    assert turns.kept == [number * size for number in range(count, 0, -1)]


@T25
async def test_peers_with_many_requests_have_their_turns_by_rotation(
    build: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, loop = 20, asyncio.get_running_loop()
    async with build(ServerLimits(turn_s=1e-9)) as plant, AsyncExitStack() as stack:
        turns = Turns(plant, monkeypatch)
        for _ in range(2):
            sock, requests = await ask_for_endpoints(plant, count)
            await loop.sock_sendall(stack.enter_context(sock), requests)
        async with await Client.connect(plant.url) as last:
            asking = asyncio.ensure_future(last.get_endpoints())
            await turns.until(2 * count)
            assert asking.done(), "it did not wait for the others to have all theirs"
            await asking


@T25
async def test_a_client_with_a_session_has_every_other_turn(
    build: Server, client_identity: ApplicationIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, own, loop = 20, 8, asyncio.get_running_loop()
    async with (
        build(ServerLimits(turn_s=1e-9)) as plant,
        await open_session(plant, client_identity) as client,
        AsyncExitStack() as stack,
    ):
        turns = Turns(plant, monkeypatch)
        for _ in range(5):
            sock, requests = await ask_for_endpoints(plant, count)
            await loop.sock_sendall(stack.enter_context(sock), requests)
        before = len(turns.served)
        asking = [asyncio.ensure_future(client.get_endpoints()) for _ in range(own)]
        await asyncio.wait(asking)

        assert len(turns.served) <= before + 2 * own + 4


@T25
async def test_methods_that_end_together_bring_no_more_turns(
    build: Server, client_identity: ApplicationIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, count = 5, 30
    limits = ServerLimits(outstanding_requests=running, turn_s=1e-9)
    async with build(limits) as plant, await open_session(plant, client_identity) as client:
        turns = Turns(plant, monkeypatch)
        methods = [asyncio.ensure_future(client.call(COUNTER, WAIT)) for _ in range(running)]
        others = [asyncio.ensure_future(client.get_endpoints()) for _ in range(count)]
        async with asyncio.timeout(5):
            while plant.calls.count("waiting") < running:  # noqa: ASYNC110 (they wait for the gate)
                await asyncio.sleep(0)
        assert turns.served == []
        plant.gate.set()
        await turns.until(count)
        await asyncio.gather(*methods, *others)

    assert max(Counter(turns.served).values()) <= 2, "the first at once, and one by its turn"


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
