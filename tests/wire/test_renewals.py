"""What happens to a channel while its token is renewed with a key that is worked on in a thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import get_ident
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from registrar.errors import SecurityChecksFailed, ServiceFailed, Unavailable
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.client_channel import ClientChannel
from registrar.ua.security_policy import BASIC256SHA256
from registrar.wire import ClientLimits, KeyQueue
from registrar.wire.client_connection import ClientConnection
from registrar.wire.key_queue import MAX_INLINE_BITS
from registrar.wire.server_connection import ServerConnection
from registrar.wire.unfinished import UnfinishedMessages
from tests.ua.pairing import flip
from tests.wire.memory import Clock, Transport, join, turns
from tests.wire.plant import COUNTER, ENCRYPT, WAIT, Plant
from tests.wire.raw import RawClient

LONG_BITS = 2 * MAX_INLINE_BITS
LIFETIME_S = 20.0


@dataclass
class NotingKey:
    """A private key that notes which threads work with it."""

    key: Any
    threads: list[int] = field(default_factory=list)

    @property
    def key_size(self) -> int:
        return int(self.key.key_size)

    def public_key(self) -> RSAPublicKey:
        public: RSAPublicKey = self.key.public_key()
        return public

    def sign(self, *arguments: Any) -> bytes:
        self.threads.append(get_ident())
        return bytes(self.key.sign(*arguments))

    def decrypt(self, *arguments: Any) -> bytes:
        self.threads.append(get_ident())
        return bytes(self.key.decrypt(*arguments))


async def test_a_client_renews_on_the_loop_however_long_its_key(
    plant: Plant, client_identity: ApplicationIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its requests go on meanwhile; it opens in a thread, since nobody uses the channel yet."""
    clock, key = Clock(monkeypatch), NotingKey(client_identity.private_key)
    shown: Any = key
    channel = ClientChannel(
        endpoint_url=plant.url,
        policy=BASIC256SHA256,
        mode=ENCRYPT,
        identity=ApplicationIdentity(certificate=client_identity.certificate, private_key=shown),
        server_certificate=plant.identities[0].certificate,
    )
    client = ClientConnection(
        channel,
        address="127.0.0.1",
        key_bits=LONG_BITS,
        limits=ClientLimits(token_lifetime_s=LIFETIME_S),
        keys=KeyQueue(),
        unfinished=UnfinishedMessages(),
    )
    join(client, ServerConnection(plant.listener))
    await client.opened
    assert key.threads
    assert get_ident() not in key.threads

    key.threads.clear()
    await clock.pass_by(0.8 * LIFETIME_S)

    assert key.threads == [get_ident()] * 3  # one signature, two blocks
    assert len(channel.tokens) == 2
    client.fail(Unavailable("the test is over"))


class Held:
    """Keys that work when a test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Any], Callable[[Any, Exception | None], None]]] = []

    def hand_over(
        self,
        address: str,
        key_bits: int,
        work: Callable[[], Any],
        done: Callable[[Any, Exception | None], None],
    ) -> None:
        self.jobs.append((work, done))


class Hearing(asyncio.Protocol):
    """A peer that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)


@pytest.mark.clause("T15")
async def test_a_response_does_not_hide_why_a_renewal_was_refused(
    plant: Plant, client_identity: ApplicationIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread has closed the channel, and a Method ends before the loop hears of it."""
    client, connection = RawClient(plant, client_identity), ServerConnection(plant.listener)
    join(client.connection, connection)
    await client.connection.opened
    created = await client.create()
    await client.activate(created.AuthenticationToken, created.ServerNonce)
    waiting = client.connection.call(COUNTER, WAIT, ())
    await turns()
    held, now = Held(), asyncio.get_running_loop().time()
    monkeypatch.setattr(plant.listener, "keys", held)
    renewal = client.channel.open_request(
        nonce=os.urandom(32), requested_lifetime_s=60, now=now, timestamp=datetime.now(UTC)
    )
    connection.data_received(flip(renewal, len(renewal) - 1))
    [(work, done)] = held.jobs
    with pytest.raises(SecurityChecksFailed) as refused:
        work()

    plant.gate.set()
    await turns()
    done(None, refused.value)
    await turns()

    assert plant.listener.refusals == {StatusCode.BadSecurityChecksFailed: 1}
    with pytest.raises(ServiceFailed) as told:
        await waiting
    assert told.value.status is StatusCode.BadSecurityChecksFailed


@pytest.mark.clause("T25: threat-model 5.2")
@pytest.mark.parametrize("is_gone", [False, True], ids=["stays", "is-gone"])
async def test_no_key_works_for_a_peer_that_is_gone(
    plant: Plant,
    client_identity: ApplicationIdentity,
    monkeypatch: pytest.MonkeyPatch,
    is_gone: bool,
) -> None:
    key = NotingKey(plant.identities[0].private_key)
    shown: Any = key
    certificate = plant.identities[0].certificate
    plant.identities = (ApplicationIdentity(certificate=certificate, private_key=shown),)
    held, client = Held(), RawClient(plant, client_identity)
    monkeypatch.setattr(plant.listener, "keys", held)
    connection, peer = ServerConnection(plant.listener), Hearing()
    connection.connection_made(Transport(connection, peer))
    connection.data_received(client.channel.hello())
    await turns()
    now = asyncio.get_running_loop().time()
    client.channel.receive(peer.heard[0], now)
    connection.data_received(
        client.channel.open_request(
            nonce=os.urandom(32), requested_lifetime_s=60, now=now, timestamp=datetime.now(UTC)
        )
    )
    [(work, done)] = held.jobs

    if is_gone:
        connection.connection_lost(None)
    requested = work()
    if is_gone:
        done(requested, None)

    assert len(key.threads) == (0 if is_gone else 2)
    assert len(held.jobs) == 1
    if not is_gone:
        connection.connection_lost(None)
