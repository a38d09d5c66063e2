"""The hostile Servers of ``benchmarks.beside``, a port each, in a process of their own.

All open a channel without security as they should; what they answer the first request with is
their attack. Says at which ports they listen, then serves until the standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import count

import uvloop
from asyncua import ua

from registrar.errors import RegistrarError
from registrar.ua.codec import encode_message
from registrar.ua.events import HelloReceived, MessageReceived, OpenReceived
from registrar.ua.server_channel import ServerChannel
from registrar.ua.symmetric import PlainChunks
from registrar.wire.limits import ClientLimits

CHANNEL, TOKEN = 7, 1
LIMITS = ClientLimits()
EMPTY = 50
"""Bytes of an endpoint that says nothing."""

LONGEST = PlainChunks().body_size(LIMITS.channel.receive_buffer_size)
"""Bytes of the body of one chunk."""


def endless(request_id: int, body: bytes) -> Iterator[bytes]:
    """Begin an answer and never end it."""
    for sequence in count(2):
        yield PlainChunks().seal(b"MSGC", CHANNEL, TOKEN, sequence, request_id, body)


def dripping(request_id: int) -> Iterator[bytes]:
    """Send the longest answer byte by byte, so that the loop is woken for each."""
    for chunk in endless(request_id, bytes(LONGEST)):
        yield from (chunk[at : at + 1] for at in range(len(chunk)))


def whole(request_id: int, response: object) -> Iterator[bytes]:
    """Answer by ``response``, in as many chunks as it takes."""
    body = encode_message(response)
    pieces = [body[at : at + LONGEST] for at in range(0, len(body), LONGEST)]
    for number, piece in enumerate(pieces, start=1):
        kind = b"MSGF" if number == len(pieces) else b"MSGC"
        yield PlainChunks().seal(kind, CHANNEL, TOKEN, 1 + number, request_id, piece)


def largest() -> ua.GetEndpointsResponse:
    """Return the answer that is the longest to decode of those that are taken."""
    most = LIMITS.decoder.max_elements
    url = "x" * (LIMITS.discovery_size // most - EMPTY - 1)
    response = ua.GetEndpointsResponse(Endpoints=[ua.EndpointDescription(EndpointUrl=url)] * most)
    response.ResponseHeader.RequestHandle = 1
    return response


ATTACKS: Mapping[str, Callable[[int], Iterable[bytes]]] = {
    "silent": lambda _: (),
    "garbage": lambda _: (os.urandom(LONGEST),),
    "another_type": partial(whole, response=ua.FindServersResponse()),
    "endless": partial(endless, body=bytes(LONGEST)),
    "endless_crumbs": partial(endless, body=b""),
    "dripping": dripping,
    "largest_answer": partial(whole, response=largest()),
}


async def serve(
    attack: Callable[[int], Iterable[bytes]],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Open a channel, and attack when something is asked."""
    loop = asyncio.get_running_loop()
    channel = ServerChannel(channel_id=CHANNEL, identity_of=lambda _: None)
    try:
        while data := await reader.read(65_536):
            for event in channel.receive(data, loop.time()):
                if isinstance(event, HelloReceived):
                    writer.write(channel.acknowledge())
                elif isinstance(event, OpenReceived):
                    writer.write(
                        channel.accept_open(
                            channel.process_open(event),
                            token_id=TOKEN,
                            nonce=b"",
                            created_at=datetime.now(UTC),
                            now=loop.time(),
                        )
                    )
                elif isinstance(event, MessageReceived):
                    for piece in attack(event.request_id):
                        writer.write(piece)
                        await writer.drain()
                        await asyncio.sleep(0)
    except (ConnectionError, RegistrarError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Listen, say where, and serve until the standard input ends."""
    ports = {}
    for name, attack in ATTACKS.items():
        server = await asyncio.start_server(partial(serve, attack), "127.0.0.1", 0)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    uvloop.run(main())
