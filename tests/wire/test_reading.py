"""When a Server reads from a peer: not beyond what it can take up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.client_channel import ClientChannel
from registrar.ua.events import OpenReceived
from registrar.ua.security_policy import BASIC256SHA256
from registrar.wire.server_connection import ServerConnection
from tests.wire.plant import ENCRYPT, Plant


class Pipe(asyncio.Transport):
    """A transport that keeps what is written, and whether it is read from."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 4711)})
        self.written: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_read = True

    def write(self, data: Any) -> None:
        self.written.put_nowait(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


class Opening:
    """A Client's channel up to its OPN, and the Server's connection by hand."""

    def __init__(self, plant: Plant, identity: ApplicationIdentity) -> None:
        self.pipe = Pipe()
        self.server = ServerConnection(plant.listener)
        self.client = ClientChannel(
            endpoint_url=plant.url,
            policy=BASIC256SHA256,
            mode=ENCRYPT,
            identity=identity,
            server_certificate=plant.identities[0].certificate,
        )

    async def greet(self) -> None:
        """Say HEL."""
        self.server.connection_made(self.pipe)
        self.server.data_received(self.client.hello())
        self.client.receive(await self.pipe.written.get(), 0)

    def ask(self) -> None:
        """Send an OPN."""
        self.server.data_received(
            self.client.open_request(
                nonce=os.urandom(32), requested_lifetime_s=60, now=0, timestamp=datetime.now(UTC)
            )
        )

    async def open(self) -> None:
        """Take the answer to an OPN in."""
        [event] = self.client.receive(await self.pipe.written.get(), 0)
        assert isinstance(event, OpenReceived)
        self.client.process_open(event)


@pytest.fixture
async def opening(plant: Plant, client_identity: ApplicationIdentity) -> AsyncIterator[Opening]:
    """Return a channel that was greeted."""
    opening = Opening(plant, client_identity)
    await opening.greet()
    yield opening
    opening.server.connection_lost(None)


async def test_a_peer_that_waits_for_its_first_token_is_read_from(opening: Opening) -> None:
    opening.ask()
    assert opening.pipe.is_read

    await opening.open()
    assert opening.pipe.is_read


async def test_a_peer_that_does_not_wait_is_read_once(opening: Opening) -> None:
    opening.ask()
    opening.server.data_received(b"MSG")
    assert not opening.pipe.is_read

    await opening.open()
    assert opening.pipe.is_read


async def test_a_peer_that_renews_is_not_read_from(opening: Opening) -> None:
    opening.ask()
    await opening.open()

    opening.ask()
    assert not opening.pipe.is_read

    await opening.open()
    assert opening.pipe.is_read
