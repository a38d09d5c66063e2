"""Servers without security that answer as a test wants, or send bytes as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from asyncua import ua

from registrar.errors import RegistrarError
from registrar.ua.codec import decode_message, encode_message
from registrar.ua.events import HelloReceived, MessageReceived, OpenReceived
from registrar.ua.open_chunk import OpenContent, seal_plain
from registrar.ua.security_policy import NONE
from registrar.ua.server_channel import ServerChannel
from registrar.ua.transport import Acknowledge, encode_acknowledge
from registrar.wire import Client, ClientLimits
from tests.wire.raw import refusal_of

CHANNEL, TOKEN = 7, 1

Answer = Callable[["Liar", int, Any], bytes]


class Liar(asyncio.Protocol):
    """An unsecured Server that answers each request as a test wants."""

    def __init__(self, answer: Answer, opened_by: Any = None) -> None:
        self.channel = ServerChannel(channel_id=CHANNEL, identity_of=lambda _: None)
        self._answer = answer
        self._opened_by = opened_by
        self._tokens = 0
        self._transport: asyncio.WriteTransport | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        for event in self.channel.receive(data, now):
            self.write(self._reply(event, now))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)

    def write(self, data: bytes) -> None:
        """Send ``data``."""
        assert self._transport is not None
        self._transport.write(data)

    def _reply(self, event: object, now: float) -> bytes:
        if isinstance(event, HelloReceived):
            return self.channel.acknowledge()
        if isinstance(event, OpenReceived) and self._opened_by is not None:
            return seal_plain(
                NONE,
                channel_id=CHANNEL,
                content=OpenContent(
                    sequence_number=1, request_id=1, body=encode_message(self._opened_by)
                ),
            )
        if isinstance(event, OpenReceived):
            self._tokens += 1
            return self.channel.accept_open(
                self.channel.process_open(event),
                token_id=self._tokens,
                nonce=b"",
                created_at=datetime.now(UTC),
                now=now,
            )
        if isinstance(event, MessageReceived):
            return self._answer(self, event.request_id, decode_message(event.body))
        return b""

    def say(self, request_id: int, response: Any, handle: int) -> bytes:
        """Return ``response`` as a message for a request."""
        response.ResponseHeader.RequestHandle = handle
        response.ResponseHeader.Timestamp = datetime.now(UTC)
        now = asyncio.get_running_loop().time()
        return self.channel.send(request_id, encode_message(response), now)


@asynccontextmanager
async def lying(answer: Answer, opened_by: Any = None) -> AsyncIterator[str]:
    """Let a Liar listen; the value is its URL.

    Args:
        answer: to each request.
        opened_by: what its OPN holds in place of the response.
    """
    liars: list[Liar] = []

    def make() -> Liar:
        liars.append(Liar(answer, opened_by))
        return liars[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    async with server:
        yield f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*(liar.lost for liar in liars))


@asynccontextmanager
async def answering(*replies: bytes) -> AsyncIterator[str]:
    """Let a Server listen that sends ``replies``, one for each read, and then nothing."""

    handled: list[asyncio.Future[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handled.append(asyncio.get_running_loop().create_future())
        for reply in replies:
            await reader.read(65_536)
            writer.write(reply)
        with suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        handled[-1].set_result(None)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*handled)


def handle_of(request: Any) -> int:
    """Return the RequestHandle."""
    return int(request.RequestHeader.RequestHandle)


def acknowledge(size: int = 65_536) -> bytes:
    """Return an ACK with buffers of ``size`` bytes."""
    return encode_acknowledge(
        Acknowledge(
            receive_buffer_size=size,
            send_buffer_size=size,
            max_message_size=0,
            max_chunk_count=0,
        )
    )


def granting(lifetime_ms: int, channel: int = CHANNEL) -> ua.OpenSecureChannelResponse:
    """Return an OPN response with this lifetime."""
    token = ua.ChannelSecurityToken(
        ua.UInt32(channel), ua.UInt32(TOKEN), datetime.now(UTC), ua.UInt32(lifetime_ms)
    )
    return ua.OpenSecureChannelResponse(Parameters=ua.OpenSecureChannelResult(SecurityToken=token))


async def ask(answer: Answer, limits: ClientLimits | None = None) -> RegistrarError:
    """Return how GetEndpoints ends with a Server that answers so."""
    async with (
        lying(answer) as url,
        await Client.connect(url, limits=limits or ClientLimits()) as client,
    ):
        return await refusal_of(client.get_endpoints())
