"""The attacker of ``benchmarks.listener``: garbage OPN from all of 127/8, as fast as they are read.

Each connection comes from a random address, says HEL and an OPN whose header is right, with the
thumbprint of the Server and a certificate of the attacker's own, and whose two ciphertext blocks
are random: the dearest garbage there is. Says when the flood has begun, and ends with its standard
input.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import struct
import sys

import uvloop

from benchmarks.listener import SPARED, foreign_identity, spread
from registrar.ua.certificates import thumbprint_of
from registrar.ua.limits import ChannelLimits
from registrar.ua.security_policy import BASIC256SHA256
from registrar.ua.transport import encode_hello, offer
from registrar.wire.client_checks import parse_url
from registrar.wire.descriptors import raise_limit

BLOCKS = 512
"""Bytes of two blocks of an RSA-2048 key."""


def garbage(server_certificate: bytes) -> bytes:
    """Return an OPN whose header alone is right, without its ciphertext."""
    fields = (
        BASIC256SHA256.uri.encode(),
        foreign_identity("urn:benchmark:attacker").certificate,
        thumbprint_of(server_certificate),
    )
    header = b"".join(struct.pack("<i", len(field)) + field for field in fields)
    return struct.pack("<4sII", b"OPNF", 12 + len(header) + BLOCKS, 0) + header


class Flood:
    """Keeps ``at_once`` connections on the way."""

    def __init__(self, url: str, server_certificate: bytes) -> None:
        self._target = parse_url(url)
        self._hello = encode_hello(offer(ChannelLimits(), url))
        self._garbage = garbage(server_certificate)
        self._random = random.Random(1)

    async def run(self) -> None:
        """Send one garbage OPN after the other."""
        while True:
            address = spread(self._random.randrange(SPARED, 2**24 - 1))
            try:
                async with asyncio.timeout(10):
                    await self._send(address)
            except OSError:
                await asyncio.sleep(0.01)

    async def _send(self, address: str) -> None:
        reader, writer = await asyncio.open_connection(*self._target, local_addr=(address, 0))
        try:
            writer.write(self._hello)
            await reader.readexactly(28)
            writer.write(self._garbage + os.urandom(BLOCKS))
            await reader.read()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


async def main(url: str, server_certificate: str, at_once: str) -> None:
    """Flood until the standard input ends."""
    raise_limit()
    flood = Flood(url, bytes.fromhex(server_certificate))
    tasks = [asyncio.ensure_future(flood.run()) for _ in range(int(at_once))]
    print(json.dumps({"begun": True}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
