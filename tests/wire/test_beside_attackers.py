"""64 healthy peers beside each kind of attacker: all are served, each attacker is refused.

What the attackers cost in time is a benchmark's question (``benchmarks.listener``); here stand
outcomes and counts.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest

from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import BASIC256SHA256
from registrar.ua.transport import HEADER
from registrar.wire import Client, ServerLimits
from tests.wire.plant import COUNTER, ECHO, Plant, string
from tests.wire.raw import HELLO

HEALTHY = 64
CALLS = 5
ATTACKERS = 30
ACKNOWLEDGE_SIZE = 28
LIMITS = ServerLimits(hello_s=2, open_s=2, sessions_per_address=HEALTHY)
"""Time enough for 64 honest peers at once on a slow machine."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def garbage_open(plant: Plant) -> bytes:
    """Return an OPN in the name of a trusted Client whose two blocks decrypt to nothing."""
    (certificate,) = plant.trusted
    uri = BASIC256SHA256.uri.encode()
    fields = (uri, certificate, plant.identities[0].thumbprint)
    header = b"".join(struct.pack("<i", len(one)) + one for one in fields)
    body = struct.pack("<I", 0) + header + b"\x5a" * 512
    return HEADER.pack(b"OPN", b"F", HEADER.size + len(body)) + body


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send a byte at each turn of the loop, and never the last."""
    for at in range(len(data) - 1):
        writer.write(data[at : at + 1])
        await asyncio.sleep(0)


def saying(*messages: bytes) -> Callable[[Plant, Streams], Awaitable[None]]:
    """Return an attacker that says this and waits."""

    async def attack(_: Plant, streams: Streams) -> None:
        streams[1].write(b"".join(messages))

    return attack


async def slowly(_: Plant, streams: Streams) -> None:
    """Never complete a HEL."""
    await drip(streams[1], HELLO)


async def with_garbage(plant: Plant, streams: Streams) -> None:
    """Cost a private-key operation."""
    streams[1].write(HELLO)
    await streams[0].readexactly(ACKNOWLEDGE_SIZE)
    streams[1].write(garbage_open(plant))


ATTACKS: dict[str, tuple[Callable[[Plant, Streams], Awaitable[None]], StatusCode]] = {
    "silent": (saying(), StatusCode.BadTimeout),
    "slowloris": (slowly, StatusCode.BadTimeout),
    "half-open": (saying(HELLO), StatusCode.BadTimeout),
    "hello-twice": (saying(HELLO * 50), StatusCode.BadTcpMessageTypeInvalid),
    "oversize": (saying(HEADER.pack(b"HEL", b"F", 2**31)), StatusCode.BadTcpMessageTooLarge),
    "garbage-open": (with_garbage, StatusCode.BadSecurityChecksFailed),
}


@pytest.mark.slow
@pytest.mark.clause("T25: threat-model 5.2")
@pytest.mark.clause("threat-model 7")
@pytest.mark.parametrize("what", ATTACKS)
async def test_64_healthy_peers_are_served_beside_an_attacker(
    server_identity: ApplicationIdentity, client_identity: ApplicationIdentity, what: str
) -> None:
    attack, status = ATTACKS[what]
    trusted = [client_identity.certificate]
    async with Plant(server_identity, trusted=trusted, limits=LIMITS) as plant:

        async def assault(number: int) -> None:
            streams = await asyncio.open_connection(
                "127.0.0.1", plant.listener.port, local_addr=(f"127.0.1.{1 + number}", 0)
            )
            try:
                await attack(plant, streams)
                await streams[0].read()  # to the end, which the Server makes
            except ConnectionError:
                pass
            finally:
                streams[1].close()

        async def work(number: int) -> int:
            client = await Client.connect(
                plant.url,
                security=plant.security(client_identity),
                local_host=f"127.0.2.{1 + number}",
            )
            async with client:
                await client.create_session()
                for turn in range(CALLS):
                    (answer,) = await client.call(COUNTER, ECHO, string(f"{number} {turn}"))
                    assert answer.Value == f"{number} {turn}"
            return CALLS

        attackers = [asyncio.ensure_future(assault(number)) for number in range(ATTACKERS)]
        served = await asyncio.gather(*map(work, range(HEALTHY)), return_exceptions=True)
        async with asyncio.timeout(30):
            await asyncio.gather(*attackers)

        assert [one for one in served if isinstance(one, BaseException)] == []
        assert served == [CALLS] * HEALTHY
        assert plant.listener.refusals == {status: ATTACKERS}
        assert plant.listener.unfinished.size == 0
