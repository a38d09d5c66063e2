"""Rules of a Listener that an honest exchange does not show; threat-model 4 and 5.2."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua

from registrar.errors import DecodingError, RegistrarError, SecurityChecksFailed
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.client_channel import ClientChannel
from registrar.ua.codec import decode_message, encode_message
from registrar.ua.events import MessageReceived, OpenReceived
from registrar.ua.transport import ErrorMessage, encode_error
from registrar.wire import Client, ClientLimits, KeyQueue, ServerLimits
from registrar.wire.server_connection import ServerConnection
from registrar.wire.sessions import SessionTable
from tests.wire.memory import Clock, Transport, join
from tests.wire.plant import COUNTER, ECHO, WAIT, Plant, string
from tests.wire.raw import RawClient, refusal_of, socket_to

T14 = pytest.mark.clause("T14")
T25 = pytest.mark.clause("T25: threat-model 5.2")

# The end


@pytest.mark.clause("OPC 10000-6 §7.1.4")
@pytest.mark.parametrize("last", ["ERR", "CLO"])
async def test_a_peer_that_ends_the_connection_is_not_answered(plant: Plant, last: str) -> None:
    now = asyncio.get_running_loop().time()
    async with socket_to(plant) as (reader, writer), asyncio.timeout(5):
        channel = await open_channel(plant, reader, writer)
        if last == "ERR":
            status = StatusCode.BadTcpInternalError
            writer.write(encode_error(ErrorMessage(error=status, reason="why")))
        else:
            writer.write(channel.close_message(now=now, timestamp=datetime.now(UTC)))

        assert await reader.read() == b""

    assert not plant.listener.refusals


async def open_channel(
    plant: Plant, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> ClientChannel:
    """Return an open channel without security."""
    now = asyncio.get_running_loop().time()
    channel = ClientChannel(endpoint_url=plant.url)
    writer.write(channel.hello())
    channel.receive(await reader.read(65_536), now)
    writer.write(
        channel.open_request(
            nonce=b"", requested_lifetime_s=60, now=now, timestamp=datetime.now(UTC)
        )
    )
    (opened,) = channel.receive(await reader.read(65_536), now)
    assert isinstance(opened, OpenReceived)
    channel.process_open(opened)
    return channel


# Private keys


@T14
@pytest.mark.parametrize(("is_trusted", "signatures"), [(True, 1), (False, 0)])
async def test_nothing_is_signed_for_a_stranger(
    plant: Plant,
    client_identity: ApplicationIdentity,
    stranger: ApplicationIdentity,
    is_trusted: bool,
    signatures: int,
) -> None:
    client = RawClient(plant, client_identity if is_trusted else stranger)
    connection = ServerConnection(plant.listener)
    channel = connection._channel
    join(client.connection, connection)
    await asyncio.wait([client.connection.opened], timeout=5)

    assert plant.admitted.is_set()
    assert (client.connection.opened.exception() is None) is is_trusted
    assert channel.private_key_operations == OPEN_BLOCKS + signatures


OPEN_BLOCKS = 2
"""Of a key with 2048 bits in the OPN of a Client: each is decrypted."""


class NotingKeys:
    """The queue of a Listener; it notes whose jobs it is given, and whom it is to know."""

    def __init__(self, keys: KeyQueue) -> None:
        self._keys = keys
        self.rows: list[str] = []
        self.known: list[str] = []
        self.make_way = keys.make_way

    def hand_over(self, address: str, *job: Any) -> None:
        self.rows.append(address)
        self._keys.hand_over(address, *job)

    def submit(self, address: str, *job: Any) -> asyncio.Future[Any]:
        self.rows.append(address)
        return self._keys.submit(address, *job)

    def remember(self, address: str) -> None:
        self.known.append(address)
        self._keys.remember(address)


@pytest.fixture
def keys(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> NotingKeys:
    """Return the queue that the Listener has from now on."""
    noting = NotingKeys(plant.listener.keys)
    monkeypatch.setattr(plant.listener, "keys", noting)
    return noting


@T25
async def test_an_address_is_known_once_its_peer_is_trusted(
    plant: Plant,
    keys: NotingKeys,
    client_identity: ApplicationIdentity,
    stranger: ApplicationIdentity,
) -> None:
    await refusal_of(Client.connect(plant.url, security=plant.security(stranger)))
    async with await Client.connect(plant.url):  # without security
        assert plant.admitted.is_set()
        assert keys.known == []

    async with await Client.connect(plant.url, security=plant.security(client_identity)):
        assert keys.known == ["127.0.0.1"]


@T25
async def test_each_peer_waits_in_a_row_of_its_own(
    plant: Plant, keys: NotingKeys, client_identity: ApplicationIdentity
) -> None:
    security = plant.security(client_identity)
    for host in ("127.0.0.2", "127.0.0.3"):
        keys.rows.clear()
        async with await Client.connect(plant.url, security=security, local_host=host) as client:
            assert keys.rows == [host] * 2  # reads the OPN, and answers it
            await client.create_session()
            assert keys.rows == [host] * 3  # signs for the Session


# Stages


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the time of the test."""
    return Clock(monkeypatch)


@T25
async def test_a_renewal_leaves_the_time_for_a_session_as_it_is(
    plant: Plant, clock: Clock, client_identity: ApplicationIdentity
) -> None:
    client = RawClient(plant, client_identity, limits=ClientLimits(token_lifetime_s=26))
    join(client.connection, ServerConnection(plant.listener))
    await client.connection.opened

    await clock.pass_by(20)  # the token is renewed after 19.5 s
    assert len(client.channel.tokens) == 2
    await clock.pass_by(9.9)
    assert not plant.listener.refusals
    await clock.pass_by(0.2)

    assert plant.listener.refusals == {StatusCode.BadTimeout: 1}


@T25
async def test_a_renewal_gives_a_channel_in_use_no_end(
    plant: Plant, clock: Clock, client_identity: ApplicationIdentity
) -> None:
    client = RawClient(plant, client_identity, limits=ClientLimits(token_lifetime_s=52))
    join(client.connection, ServerConnection(plant.listener))
    await client.connection.opened
    created = await client.create(timeout_s=3_600)
    await client.activate(created.AuthenticationToken, created.ServerNonce)

    await clock.pass_by(39.1)  # the token is renewed after 39 s
    assert len(client.channel.tokens) == 2
    await clock.pass_by(30.1)

    assert await client.read(created.AuthenticationToken)


# What is kept, and what is sent


@T25
@pytest.mark.parametrize(("used", "is_known"), [(2, True), (3, True), (4, False)])
def test_only_so_many_nonces_are_remembered(used: int, is_known: bool) -> None:
    limits = LIMITS(client_nonces=3)
    nonces = SessionTable(limits, random=os.urandom, closed=lambda _: None).nonces
    first, *_, last = (bytes([number]) * 32 for number in range(used))
    for number in range(used):
        nonces.use(bytes([number]) * 32)

    for nonce in [first, last] if is_known else [last]:
        with pytest.raises(SecurityChecksFailed) as caught:
            nonces.use(nonce)
        assert caught.value.status is StatusCode.BadNonceInvalid
    if not is_known:
        nonces.use(first)


LIMITS: Callable[..., ServerLimits] = ServerLimits


@pytest.mark.clause("OPC 10000-4 §5.7.2")
@pytest.mark.parametrize(("more", "is_sent"), [(-1, True), (0, True), (1, False)])
async def test_a_response_is_no_longer_than_its_client_takes(
    plant: Plant, client_identity: ApplicationIdentity, more: int, is_sent: bool
) -> None:
    limit = 40_000
    async with RawClient(plant, client_identity) as client:
        created = await client.create(max_response_size=limit)
        token = created.AuthenticationToken
        await client.activate(token, created.ServerNonce)
        empty = size_of(await client.ask(echo(""), ua.CallResponse, token))

        asking = client.ask(echo("e" * (limit - empty + more)), ua.CallResponse, token)
        if is_sent:
            assert size_of(await asking) == limit + more
        else:
            assert (await refusal_of(asking)).status is StatusCode.BadResponseTooLarge
            assert plant.listener.refusals == {StatusCode.BadResponseTooLarge: 1}
        assert await client.read(token)  # the channel goes on


async def test_a_client_that_takes_no_fault_either_is_cut(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with RawClient(plant, client_identity) as client:
        await refusal_of(client.create(max_response_size=1))
        async with asyncio.timeout(5):
            await client.connection.closed


def size_of(response: ua.CallResponse) -> int:
    """Return how many bytes the Server sent; a Client keeps no header of a good response."""
    response.ResponseHeader = ua.ResponseHeader()
    return len(encode_message(response))


def echo(text: str) -> ua.CallRequest:
    """Return the call of a Method that says ``text`` again."""
    request = ua.CallRequest()
    request.Parameters.MethodsToCall = [
        ua.CallMethodRequest(ObjectId=COUNTER, MethodId=ECHO, InputArguments=[string(text)])
    ]
    return request


@T25
async def test_tcp_keeps_an_accepted_connection_alive(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[asyncio.BaseTransport] = []
    made = ServerConnection.connection_made

    def note(connection: ServerConnection, transport: asyncio.BaseTransport) -> None:
        accepted.append(transport)
        made(connection, transport)

    monkeypatch.setattr(ServerConnection, "connection_made", note)
    async with await Client.connect(plant.url):
        (transport,) = accepted
        own = transport.get_extra_info("socket")

        assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


# The log


class Hearing(asyncio.Protocol):
    """A peer that takes what comes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)


@T25
async def test_a_bad_connection_is_counted_and_logged_once(
    plant: Plant, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Though it says more, and its time ends before it has read the ERR."""
    connection, peer = ServerConnection(plant.listener), Hearing()
    connection.connection_made(Transport(connection, peer))
    for _ in range(2):
        connection.data_received(b"GET / HTTP/1.1\r\n\r\n")
    await clock.pass_by(plant.listener.limits.hello_s)

    assert plant.listener.refusals.total() == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert [data[:4] for data in peer.heard] == [b"ERRF"]


@T25
async def test_a_refusal_is_counted_once_though_methods_still_run(
    plant: Plant, client_identity: ApplicationIdentity, clock: Clock
) -> None:
    client, connection = RawClient(plant, client_identity), ServerConnection(plant.listener)
    join(client.connection, connection)
    await client.connection.opened
    created = await client.create()
    await client.activate(created.AuthenticationToken, created.ServerNonce)
    waiting = [client.connection.call(COUNTER, WAIT, ()) for _ in range(3)]
    await clock.pass_by(0)

    connection.data_received(b"GET / HTTP/1.1\r\n\r\n")
    plant.gate.set()
    await clock.pass_by(0)

    assert plant.listener.refusals.total() == 1
    for answer in waiting:
        assert isinstance(await refusal_of(answer), RegistrarError)


@T25
@pytest.mark.parametrize("refusals", [6, 7, 8])
async def test_an_address_has_six_lines_a_minute(
    plant: Plant, clock: Clock, caplog: pytest.LogCaptureFixture, refusals: int
) -> None:
    for number in range(refusals):
        await clock.pass_by(59.9 if number == 1 else 0)
        plant.listener.refused("10.0.0.1", DecodingError("x"))

    assert lines_and_ends(caplog) == (6, min(refusals - 6, 1))
    await clock.pass_by(0.2)
    plant.listener.refused("10.0.0.1", DecodingError("x"))
    assert lines_and_ends(caplog) == (7, min(refusals - 6, 1))


@T25
@pytest.mark.parametrize("refusals", [120, 121, 122])
async def test_all_addresses_have_120_lines_a_minute(
    plant: Plant, clock: Clock, caplog: pytest.LogCaptureFixture, refusals: int
) -> None:
    for number in range(refusals):
        await clock.pass_by(59.9 if number == 1 else 0)
        plant.listener.refused(f"10.0.0.{number}", DecodingError("x"))

    assert lines_and_ends(caplog) == (120, min(refusals - 120, 1))
    await clock.pass_by(0.2)
    plant.listener.refused("10.0.0.1", DecodingError("x"))
    assert lines_and_ends(caplog) == (121, min(refusals - 120, 1))


def lines_and_ends(caplog: pytest.LogCaptureFixture) -> tuple[int, int]:
    """Return how many lines name a refusal, and how many say that there are no more."""
    ends = [record for record in caplog.records if "not logged for a minute" in record.getMessage()]
    return len(caplog.records) - len(ends), len(ends)


# Requests


async def test_an_encoded_response_is_refused_as_a_request(plant: Plant) -> None:
    """The codec knows both roles; the Server answers requests alone, and goes on."""
    loop, results = asyncio.get_running_loop(), list[int]()
    async with socket_to(plant) as (reader, writer), asyncio.timeout(5):
        channel = await open_channel(plant, reader, writer)
        for message in (ua.FindServersResponse(), ua.FindServersRequest()):
            body = encode_message(message)
            writer.write(channel.send(channel.next_request_id(), body, loop.time()))
            [answer] = channel.receive(await reader.read(65_536), loop.time())
            assert isinstance(answer, MessageReceived)
            results.append(decode_message(answer.body).ResponseHeader.ServiceResult.value)

    assert results == [StatusCode.BadDecodingError, StatusCode.Good]
    assert plant.listener.refusals == {StatusCode.BadDecodingError: 1}
