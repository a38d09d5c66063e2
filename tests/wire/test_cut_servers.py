"""A Server ends or resets the connection at each stage of its conversation with our Client.

    HEL ─▶ ACK ─▶ OPN ─▶ OPN ─▶ GetEndpoints ─▶ response
       ╳    ╳  ╳       ╳    ╳  ╳            ╳      ╳

F6: whatever waits is told at once that the peer is gone; ``test_cut_clients`` is the other side.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from asyncua import ua

from registrar.ua.codec import encode_message
from registrar.ua.open_chunk import OpenContent, seal_plain
from registrar.ua.security_policy import NONE
from registrar.ua.symmetric import PlainChunks
from registrar.wire import Client, ClientLimits
from tests.wire.lying import CHANNEL, TOKEN, acknowledge, granting
from tests.wire.outcomes import GONE, told
from tests.wire.raw import refusal_of

PATIENT = ClientLimits(connect_s=5, request_s=5)

OPENED, ASKED = 2, 3
"""Replies with which the channel is open, and with which the first request is answered."""


def replies() -> list[bytes]:
    """Return what a Server says to HEL, OPN and the first GetEndpoints."""
    response = ua.GetEndpointsResponse()
    response.ResponseHeader.RequestHandle = ua.UInt32(1)
    opened = OpenContent(sequence_number=1, request_id=1, body=encode_message(granting(60_000)))
    return [
        acknowledge(),
        seal_plain(NONE, channel_id=CHANNEL, content=opened),
        PlainChunks().seal(b"MSGF", CHANNEL, TOKEN, 2, 2, encode_message(response)),
    ]


@asynccontextmanager
async def ending(whole: int, part: float | None, *, reset: bool) -> AsyncIterator[str]:
    """Let a Server listen that gives so many replies, a part of the next, and ends.

    Args:
        part: 0 to end once the next request came; None to end before it comes.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = replies()
        for reply in script[:whole]:
            await reader.read(65_536)
            writer.write(reply)
        if part is not None:
            await reader.read(65_536)
            writer.write(script[whole][: int(part * len(script[whole]))])
        if reset:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.clause("F6")
@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize(
    ("whole", "part"),
    [
        pytest.param(0, None, id="before-HEL"),
        pytest.param(0, 0, id="before-ACK"),
        pytest.param(0, 0.2, id="in-the-header-of-ACK"),
        pytest.param(0, 0.9, id="inside-ACK"),
        pytest.param(1, None, id="after-ACK"),
        pytest.param(1, 0, id="before-OPN"),
        pytest.param(1, 0.05, id="in-the-header-of-OPN"),
        pytest.param(1, 0.9, id="inside-OPN"),
        pytest.param(2, None, id="after-OPN"),
        pytest.param(2, 0, id="before-a-response"),
        pytest.param(2, 0.05, id="in-the-header-of-a-response"),
        pytest.param(2, 0.9, id="inside-a-response"),
        pytest.param(3, None, id="after-a-response"),
    ],
)
async def test_F6_a_server_that_ends_the_connection_is_gone_at_once(
    whole: int, part: float | None, reset: bool
) -> None:
    reached = 0

    async def converse(url: str) -> None:
        nonlocal reached
        async with await Client.connect(url, limits=PATIENT) as client:
            reached = OPENED
            await client.get_endpoints()
            reached = ASKED
            await client.get_endpoints()

    async with ending(whole, part, reset=reset) as url, asyncio.timeout(2):
        error = await refusal_of(converse(url))

    assert told(error) == GONE
    assert reached == (whole if whole >= OPENED else 0)
