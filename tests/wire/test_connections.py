"""What renews or ends a connection while something else is under way, at both ends."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import ua

from registrar.errors import RegistrarError, TimedOut, Unavailable
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.client_channel import ClientChannel
from registrar.wire import ClientLimits, KeyQueue
from registrar.wire.client_connection import MAX_CRUMBS, REST_S, ClientConnection
from registrar.wire.server_connection import ServerConnection
from registrar.wire.unfinished import UnfinishedMessages
from tests.wire.certificates import make_identity
from tests.wire.lying import Liar, handle_of
from tests.wire.memory import TURNS, Clock, Transport, join, turns
from tests.wire.plant import COUNTER, SERVER_URI, WAIT, Plant
from tests.wire.raw import RawClient

LIMITS = ClientLimits(token_lifetime_s=10)
RENEWED_S = 7.5
"""Of these ten seconds have passed when the token is renewed."""

HOST = "device"
SHORT, LONG = 2048, 4096
"""Bits of keys that work on the loop and in a thread."""

BEFORE = 2
"""Crumbs before the first response: ACK, and that a Liar has nothing to say."""


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the time of the test."""
    return Clock(monkeypatch)


@pytest.fixture(scope="session")
def long_identity() -> ApplicationIdentity:
    """Return that of a Server whose key works in a thread."""
    return make_identity(SERVER_URI, key_bits=3072)


def connection(key_bits: int = 0, keys: KeyQueue | None = None) -> ClientConnection:
    """Return an unsecured end of a Client; the queue takes its work for that of such a key."""
    channel = ClientChannel(endpoint_url=f"opc.tcp://{HOST}", limits=LIMITS.channel)
    return ClientConnection(
        channel,
        address=HOST,
        key_bits=key_bits,
        limits=LIMITS,
        keys=keys or KeyQueue(),
        unfinished=UnfinishedMessages(),
    )


def ask(client: ClientConnection, patience_s: float | None = None) -> asyncio.Future[Any]:
    """Send a request."""
    return client.exchange(ua.FindServersRequest(), ua.FindServersResponse, patience_s)


def answer(liar: Liar, number: int, request: Any) -> bytes:
    """Answer as an honest Server."""
    return liar.say(number, ua.FindServersResponse(), handle_of(request))


def in_threads(
    monkeypatch: pytest.MonkeyPatch, *, ends: Callable[[asyncio.Future[Any], Any], object]
) -> None:
    """Let threads do their job at once, and ``ends`` say when the loop hears of the result."""
    loop = asyncio.get_running_loop()

    def run(_: object, job: Callable[[], Any]) -> asyncio.Future[Any]:
        running = loop.create_future()
        ends(running, job())
        return running

    monkeypatch.setattr(loop, "run_in_executor", run)


def later(running: asyncio.Future[Any], result: object, wait: int = 10) -> None:
    """End a job of a thread after some turns of the loop."""
    loop = asyncio.get_running_loop()
    if wait:
        loop.call_soon(later, running, result, wait - 1)
    else:
        running.set_result(result)


# Renewals


@pytest.mark.clause("OPC 10000-6 §6.7.2.4")
async def test_a_request_does_not_overtake_the_renewal_of_a_long_key(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number would come before that of the OPN, and the Server end the channel."""
    in_threads(monkeypatch, ends=later)
    client = connection(LONG)
    join(client, Liar(answer))
    await client.opened

    await clock.pass_by(RENEWED_S - 0.1)
    clock.now += 0.2
    asked = []
    for _ in range(5):
        asked.append(ask(client))
        await asyncio.sleep(0)
    await turns()

    assert [type(one.result()) for one in asked if one.done()] == [ua.FindServersResponse] * 5


@pytest.mark.clause("OPC 10000-6 §6.7.2.4")
async def test_a_response_does_not_overtake_the_renewal_of_a_long_key(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    client_identity: ApplicationIdentity,
    long_identity: ApplicationIdentity,
) -> None:
    """That of a Method that ends while the Server signs."""
    in_threads(monkeypatch, ends=later)
    loop = asyncio.get_running_loop()
    async with Plant(long_identity, trusted=[client_identity.certificate]) as plant:
        client, waiting = await about_to_renew(plant, client_identity, clock)
        monkeypatch.setattr(plant, "admit", lambda *_: loop.call_soon(plant.gate.set))
        await clock.pass_by(0.2)

        assert await waiting == []
        assert len(client.channel.tokens) == 2


@pytest.mark.parametrize("job", [1, 2], ids=["reading", "answering"])
async def test_an_opn_is_not_answered_on_a_connection_refused_meanwhile(
    plant: Plant,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    client_identity: ApplicationIdentity,
    job: int,
) -> None:
    """Nor is it decided about; the Method that runs is answered."""
    client, waiting = await about_to_renew(plant, client_identity, clock)
    plant.admitted.clear()
    keys, numbers = plant.listener.keys, itertools.count(1)

    def hand_over(*work: Any) -> None:
        if next(numbers) == job:
            plant.listener.drop_channels()
        keys.hand_over(*work)

    queue = SimpleNamespace(hand_over=hand_over, remember=keys.remember)
    monkeypatch.setattr(plant.listener, "keys", queue)
    await clock.pass_by(0.2)

    assert plant.admitted.is_set() is (job == 2)
    assert len(client.channel.tokens) == 1
    plant.gate.set()
    assert await waiting == []


async def about_to_renew(
    plant: Plant, identity: ApplicationIdentity, clock: Clock
) -> tuple[RawClient, asyncio.Future[list[ua.Variant]]]:
    """Return a Client just before it renews its token, and the call of a Method that runs."""
    client = RawClient(plant, identity, limits=LIMITS)
    join(client.connection, ServerConnection(plant.listener))
    await client.connection.opened
    created = await client.create()
    await client.activate(created.AuthenticationToken, created.ServerNonce)
    await clock.pass_by(RENEWED_S - 0.1)
    waiting = client.connection.call(COUNTER, WAIT, ())
    await turns()
    return client, waiting


async def test_a_renewal_does_not_put_off_the_end_of_a_request(clock: Clock) -> None:
    client = connection()
    join(client, Liar(lambda *_: b""))
    await client.opened

    await clock.pass_by(RENEWED_S - 0.1)
    asked = ask(client, patience_s=1)
    await clock.pass_by(0.2)  # renewed
    await clock.pass_by(0.7)
    assert not asked.done()
    await clock.pass_by(0.2)

    assert isinstance(asked.exception(), TimedOut)


async def test_no_timer_is_left_where_a_renewal_cannot_begin(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue of keys has no place for it, so the connection ends within the timer's call."""
    keys = KeyQueue(per_address=1)
    client = connection(SHORT, keys)
    join(client, Liar(answer))
    await client.opened
    assert clock.armed(client) == 1

    in_threads(monkeypatch, ends=lambda *_: None)
    keys.hand_over(HOST, LONG, lambda: None, lambda *_: None)
    await clock.pass_by(RENEWED_S)

    with pytest.raises(Unavailable) as caught:
        ask(client)
    assert caught.value.status is StatusCode.BadTcpServerTooBusy
    assert clock.armed(client) == 0


# Single bytes


async def test_a_server_that_sends_single_bytes_is_read_now_and_then(clock: Clock) -> None:
    """So that they add up; what they make is taken as it is."""
    held: list[bytes] = []
    client = connection()
    transport = join(client, Liar(partial(hold, held)))
    await client.opened
    asked = ask(client)
    await turns()

    rests = 0
    for byte in held[0]:
        client.data_received(bytes((byte,)))
        if transport.is_paused:
            rests += 1
            await clock.pass_by(0.9 * REST_S)
            assert transport.is_paused
            await clock.pass_by(0.2 * REST_S)
            assert not transport.is_paused

    assert isinstance(asked.result(), ua.FindServersResponse)
    assert rests == (len(held[0]) + BEFORE) // MAX_CRUMBS > 0


@pytest.mark.parametrize("renews", [False, True])
async def test_after_a_rest_nothing_is_read_before_a_renewal_is_settled(
    clock: Clock, renews: bool
) -> None:
    keys = KeyQueue(turn_s=0)  # a job each turn
    client = connection(SHORT, keys)
    crowd: list[asyncio.Future[None]] = []

    class Late(Liar):
        """Says nothing before others give a lot of work to our keys."""

        def data_received(self, data: bytes) -> None:
            if client.opened.done():
                crowd.extend(keys.submit(str(one), SHORT, lambda: None) for one in range(4 * TURNS))
            super().data_received(data)

    transport = join(client, Late(answer))
    await client.opened

    await clock.pass_by(RENEWED_S if renews else 0)
    assert transport.is_paused is renews
    for _ in range(MAX_CRUMBS):
        client.data_received(b"")
    assert transport.is_paused
    await clock.pass_by(2 * REST_S)

    assert transport.is_paused is renews
    await asyncio.gather(*crowd)
    await turns()
    assert not transport.is_paused


def hold(held: list[bytes], liar: Liar, number: int, request: Any) -> bytes:
    """Keep the answer back."""
    held.append(answer(liar, number, request))
    return b""


# The end


@pytest.mark.parametrize("broken", ["write", "resume_reading"])
async def test_an_error_after_the_work_of_a_key_ends_the_connection(
    clock: Clock, broken: str
) -> None:
    """The first OPN cannot be sent, or reading not go on after a renewal."""
    client = connection(SHORT)
    transport = join(client, Liar(answer))
    transport.broken = broken
    await clock.pass_by(0)
    await clock.pass_by(RENEWED_S)

    with pytest.raises(RegistrarError, match="opening failed: OSError"):
        ask(client)
    assert transport.is_aborted
    assert client.opened.done()


async def test_a_peer_that_reads_a_little_cannot_hold_a_closing_connection(
    plant: Plant, clock: Clock
) -> None:
    connection = ServerConnection(plant.listener)
    transport = Transport(connection, asyncio.Protocol())
    connection.connection_made(transport)
    connection.pause_writing()
    await clock.pass_by(plant.listener.limits.hello_s)
    assert transport.is_closing()

    connection.resume_writing()
    await clock.pass_by(plant.listener.limits.write_s - 0.1)
    assert not transport.is_aborted
    await clock.pass_by(0.2)

    assert transport.is_aborted
    assert plant.listener.connections == 0
