"""Every order of up to three messages over TCP: our Server hears them, and our Client.

The tables are those of ``tests.ua.orders``. What follows the end of a connection comes along with
the message that ends it, so that it is there to be taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from itertools import count

import pytest
from asyncua import ua

from registrar.errors import Reason, ServiceFailed
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.codec import encode_message
from registrar.ua.events import (
    CloseReceived,
    ErrorReceived,
    HelloReceived,
    MessageReceived,
    OpenRequested,
)
from registrar.ua.open_chunk import OpenContent, seal_plain
from registrar.ua.security_policy import NONE
from registrar.ua.transport import HEADER
from registrar.wire import Client
from tests.ua.orders import (
    BESIDE,
    CLIENT,
    REFUSED,
    SERVER,
    Outcome,
    Table,
    What,
    expected,
    orders,
)
from tests.ua.pairing import Mode, forge_open, heard, plain_chunk
from tests.wire.lying import CHANNEL, TOKEN, granting
from tests.wire.outcomes import GONE, VIOLATION, told
from tests.wire.plant import Plant
from tests.wire.raw import refusal_of

PATIENCE_S = 2
CLOSED = "closed"

REPLIES: Mapping[What, What] = {
    HelloReceived.__name__: "ACK",
    OpenRequested.__name__: "OPN",
    MessageReceived.__name__: "MSG",
    CloseReceived.__name__: CLOSED,
    ErrorReceived.__name__: CLOSED,
}
"""What a Server says, by the event; a refusal is its status."""


class Stranger:
    """A client without manners."""

    def __init__(
        self,
        identities: tuple[ApplicationIdentity, ApplicationIdentity],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._identities = identities
        self._reader, self._writer = reader, writer
        self._sequence = count(1)
        self._channel_id = self._tokens = 0

    def say(self, messages: tuple[str, ...]) -> None:
        """Say ``messages`` at once."""
        self._writer.write(b"".join(BESIDE.get(one) or self._bytes(one) for one in messages))

    async def hear(self) -> What:
        """Return the kind of the next reply, the status of an ERR, or that it is over."""
        try:
            header = await self._reader.readexactly(HEADER.size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return CLOSED
        kind, _, size = HEADER.unpack(header)
        body = await self._reader.readexactly(size - HEADER.size)
        if kind == b"ERR":
            return StatusCode(heard(header + body))
        if kind == b"OPN":
            self._channel_id = int.from_bytes(body[:4], "little")
            self._tokens += 1
        return str(kind.decode())

    def _bytes(self, message: str) -> bytes:
        if message in {"MSG", "CLO"}:
            body = encode_message(ua.FindServersRequest())
            return plain_chunk(
                f"{message}F".encode(),
                next(self._sequence),
                9,
                body,
                channel_id=self._channel_id,
                token_id=self._tokens,
            )
        return forge_open(
            NONE,
            Mode.None_,
            *self._identities,
            channel_id=self._channel_id if message == "renewal" else 0,
            sequence=next(self._sequence),
            renew=message == "renewal",
        )


async def replies_to(stranger: Stranger, order: tuple[str, ...]) -> list[What]:
    """Say ``order``, each when the one before was answered; return the answers."""
    replies: list[What] = []
    for at, (state, _) in enumerate(expected(SERVER, "start", order)):
        is_last = state == CLOSED
        stranger.say(order[at:] if is_last else order[at : at + 1])
        replies.append(await stranger.hear())
        if is_last:
            break
    return replies


@pytest.mark.slow
@pytest.mark.clause("threat-model 5.2")
async def test_every_order_of_a_clients_messages(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    tried = 0
    for order in orders(SERVER):
        reader, writer = await asyncio.open_connection("127.0.0.1", plant.listener.port)
        stranger = Stranger((client_identity, plant.identities[0]), reader, writer)
        async with asyncio.timeout(PATIENCE_S):
            replies = await replies_to(stranger, order)
            if replies[-1] not in REPLIES.values():
                assert await stranger.hear() == CLOSED
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)

        wanted = [what for _, what in expected(SERVER, "start", order)]
        assert replies == [REPLIES.get(what, what) for what in wanted[: len(replies)]], order
        tried += 1

    assert tried == 8 + 8**2 + 8**3


UNASKED: Table = {**CLIENT, "open": {**CLIENT["open"], "renewal": REFUSED}}
"""A Client renews by its clock alone, so here it never does."""


class Host:
    """A server without manners."""

    def __init__(self) -> None:
        self.order: tuple[str, ...] = ()
        self.is_done = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say ``order``, each message when the Client has said something, and end."""
        with suppress(ConnectionError):
            await self._say_all(reader, writer)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        self.is_done.set()

    async def _say_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sequence, answers = count(1), count(1)
        for at, (state, _) in enumerate(expected(UNASKED, "greeted", self.order)):
            await reader.read(65_536)
            is_last = state == CLOSED
            messages = self.order[at:] if is_last else self.order[at : at + 1]
            writer.write(b"".join(self._bytes(one, sequence, answers) for one in messages))
            if is_last:
                while await reader.read(65_536):
                    pass
                return
        await reader.read(65_536)

    def _bytes(self, message: str, sequence: count[int], answers: count[int]) -> bytes:
        if message in BESIDE:
            return BESIDE[message]
        if message in {"MSG", "CLO"}:
            response, number = ua.FindServersResponse(), next(answers)
            response.ResponseHeader.RequestHandle = ua.UInt32(number)
            body = encode_message(response)
            return plain_chunk(
                f"{message}F".encode(), next(sequence), number + 1, body, token_id=TOKEN
            )
        content = OpenContent(
            sequence_number=next(sequence),
            request_id=1 if message == "OPN" else 99,
            body=encode_message(granting(60_000)),
        )
        return seal_plain(NONE, channel_id=CHANNEL, content=content)


def end_of(outcomes: list[Outcome]) -> object:
    """Return what a Client is told at the end, where the connection outlives the order as well."""
    for _, what in outcomes:
        if isinstance(what, StatusCode):
            return VIOLATION
        if what == ErrorReceived.__name__:
            return ServiceFailed, StatusCode.BadTcpInternalError, Reason.PROTOCOL_VIOLATION
    return GONE


@pytest.mark.slow
@pytest.mark.clause("T24")
async def test_every_order_of_a_servers_messages() -> None:
    tried, host = 0, Host()
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    url = f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    answered: list[object] = []

    async def converse() -> None:
        async with await Client.connect(url) as client:
            while True:
                answered.append(await client.find_servers())

    async with server:
        for host.order in orders(UNASKED):
            answered.clear()
            host.is_done.clear()
            async with asyncio.timeout(PATIENCE_S):
                error = await refusal_of(converse())
                await host.is_done.wait()

            outcomes = expected(UNASKED, "greeted", host.order)
            assert told(error) == end_of(outcomes), host.order
            whats = [what for _, what in outcomes]
            assert len(answered) == whats.count(MessageReceived.__name__), host.order
            tried += 1

    assert tried == 9 + 9**2 + 9**3
