"""A relay between Client and Server: it forwards chunks whole, in pieces, or only the first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

HEADER_SIZE = 8
NEVER = 1 << 30

Cut = Callable[[bytes], Iterable[bytes]]
"""Returns the pieces in which a chunk is forwarded, each a write of its own."""


def whole(chunk: bytes) -> Iterable[bytes]:
    """Forward a chunk as it came."""
    return (chunk,)


def byte_by_byte(chunk: bytes) -> Iterable[bytes]:
    """Break a chunk at every boundary at once."""
    return (chunk[at : at + 1] for at in range(len(chunk)))


def broken_at(place: int) -> Cut:
    """Break each chunk once, after ``place`` bytes."""
    return lambda chunk: filter(None, (chunk[:place], chunk[place:]))


@dataclass(kw_only=True)
class Relay:
    """What goes through a port, to another port of the loopback.

    Args:
        to: the other port.
        cut: how a chunk is broken.
        most: chunks of both directions that are forwarded; then both connections are reset.
    """

    to: int
    cut: Cut = whole
    most: int = NEVER
    port: int = 0
    forwarded: list[str] = field(default_factory=list)
    """Direction and MessageType of each chunk, ``>HEL`` or ``<ACK``."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward both directions of one connection until either ends."""
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.to)
        directions = [
            asyncio.create_task(self._forward(">", reader, other_writer)),
            asyncio.create_task(self._forward("<", other_reader, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            for one in (writer, other_writer):
                one.transport.abort()

    async def _forward(
        self, sign: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header = await reader.readexactly(HEADER_SIZE)
                size = int.from_bytes(header[4:8], "little")
                chunk = header + await reader.readexactly(size - HEADER_SIZE)
                if len(self.forwarded) == self.most:
                    return
                self.forwarded.append(sign + chunk[:3].decode())
                for piece in self.cut(chunk):
                    writer.write(piece)
                    await asyncio.sleep(0)  # the receiver reads it before the next one comes


@asynccontextmanager
async def relaying(to: int, *, cut: Cut = whole, most: int = NEVER) -> AsyncIterator[Relay]:
    """Run a relay to the port ``to``."""
    relay = Relay(to=to, cut=cut, most=most)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    async with server:
        yield relay
