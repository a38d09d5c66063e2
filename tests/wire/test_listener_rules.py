"""Rules of a Listener that an honest exchange does not show; threat-model 4 and 5.2."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from registrar.status import StatusCode
from registrar.ua.client_channel import ClientChannel
from registrar.ua.events import OpenReceived
from registrar.ua.transport import ErrorMessage, encode_error
from tests.wire.plant import Plant
from tests.wire.test_listener import socket_to

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
