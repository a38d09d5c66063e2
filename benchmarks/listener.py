"""What does a Listener bear: ten thousand channels, fifteen thousand idle peers, a flood?

And what does a Client bear: the last figure is that of ``benchmarks.beside``.

Clients, Server and attacker are processes of their own; source addresses are spread over 127/8.
Each process raises its descriptor limit to the hard one; where that is too low for what is asked,
fewer connections are made and ``scaled`` says so.

    channels         open at once with SignAndEncrypt, an activated Session on each
    kib_per_channel  resident memory of the Server for each of them; kernel buffers do not count
    call_p99_ms      of Calls on random channels, ``calls_per_s`` sent at fixed times
    handshake_ratio  CPU of two decryptions and a signature, by that of the Server for a channel,
                     which is handshake_ms, of these handshake_kernel_ms in the kernel
    idle_connections that say nothing, held at once while a Client is served
    flood_served     share of rightful Clients that connected and called, beside a flood of garbage
                     OPN from random addresses; the Server knows their addresses from before
    flood_p99_ms     from TCP to the answer of their call
    flood_extra_mib  by which the largest resident size of the Server grew meanwhile
    healthy_slowdown of 64 conversations of our Client beside the worst hostile Server

At most 14 KiB, 5 ms, 64 MiB, 250 ms and 1.10 are wanted, a ratio of at least 0.75, and all served.

    python -m benchmarks.listener [--channels 10000] [--idle 15000] [--seconds 10] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import fmean
from time import perf_counter

from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks import beside
from benchmarks.channel import Worker, started
from benchmarks.conversation import CALLS, DEVICE
from benchmarks.report import show
from registrar.cli.runner import run as run_loop
from registrar.errors import RegistrarError
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import BASIC256SHA256
from registrar.wire import ChannelSecurity, Client, ClientLimits, KeyQueue
from registrar.wire.client_checks import parse_url
from registrar.wire.descriptors import RESERVED, most_connections, raise_limit

CLIENT_URI = "urn:benchmark:client"
SPARED = 1 << 16
"""Addresses of 127/8 that rightful Clients and idle peers use, and the attacker does not."""

AT_ONCE = 32
"""Handshakes on their way at the same time."""

FLOOD_AT_ONCE = 200
"""Garbage OPN on their way at the same time."""

RIGHTFUL = 8
"""Addresses of the Clients beside the flood."""

HANDSHAKES = 600
PATIENCE_S = 3_600.0
"""For a Session nobody uses until all are open."""

WARM_UP = 50
CALL = CALLS[-1]
"""ApplyChanges, which has no arguments."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is asked; descriptors may allow less."""

    channels: int = 10_000
    idle: int = 15_000
    calls_per_s: int = 1_000
    seconds: float = 10.0
    """Of calls, and of the flood."""
    handshakes: int = HANDSHAKES
    rounds: int = 9
    """Beside hostile Servers."""


@dataclass(kw_only=True)
class Site:
    """The Server, and how to reach it."""

    server: Worker
    url: str
    certificate: bytes
    identity: ApplicationIdentity = field(default_factory=lambda: foreign_identity(CLIENT_URI))
    keys: KeyQueue = field(default_factory=lambda: KeyQueue(per_address=1_024))

    async def connect(self, address: str) -> Client:
        """Open a channel from ``address``."""
        security = ChannelSecurity(
            policy=BASIC256SHA256,
            mode=ua.MessageSecurityMode.SignAndEncrypt,
            identity=self.identity,
            server_certificate=self.certificate,
        )
        patient = ClientLimits(connect_s=60, request_s=60, close_s=30)
        return await Client.connect(
            self.url, security=security, limits=patient, local_host=address, keys=self.keys
        )

    async def join(self, address: str) -> Client:
        """Open a channel with a Session from ``address``."""
        client = await self.connect(address)
        await client.create_session(session_timeout_s=PATIENCE_S)
        return client


def spread(number: int) -> str:
    """Return address ``number`` of 127/8, from 1."""
    return f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def foreign_identity(uri: str) -> ApplicationIdentity:
    """Make a self-signed certificate with a fresh key."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, uri)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    return ApplicationIdentity(certificate=der, private_key=key)


def p99_ms(latencies_s: Sequence[float]) -> float:
    """Return the latency that one in a hundred exceeds, in ms."""
    return 1000 * sorted(latencies_s)[math.ceil(0.99 * len(latencies_s)) - 1]


async def connect_many(site: Site, count: int, first: int, *, session: bool) -> list[Client]:
    """Open ``count`` channels, from an address each, some at once."""
    turns = asyncio.Semaphore(AT_ONCE)
    make = site.join if session else site.connect

    async def one(number: int) -> Client:
        async with turns:
            return await make(spread(first + number))

    return list(await asyncio.gather(*map(one, range(count))))


async def close_all(clients: Sequence[Client]) -> None:
    """End these connections."""
    await asyncio.gather(*(client.close() for client in clients))


async def measure_handshakes(site: Site, count: int) -> Mapping[str, float]:
    """Compare what opening a channel needs at least with the CPU the Server spent on it."""
    least_s = [(await site.server.ask(key=True))["key_s"]]
    before = await site.server.ask()
    clients = await connect_many(site, count, 1, session=False)
    after = await site.server.ask()
    await close_all(clients)
    least_s.append((await site.server.ask(key=True))["key_s"])
    spent_s = (after["cpu_s"] - before["cpu_s"]) / count
    return {
        "handshake_ratio": fmean(least_s) / spent_s,
        "handshake_ms": 1000 * spent_s,
        "handshake_kernel_ms": 1000 * (after["kernel_s"] - before["kernel_s"]) / count,
    }


async def measure_calls(clients: Sequence[Client], workload: Workload) -> float:
    """Return the p99 of Calls that are sent at fixed times, whether the last came back or not."""
    loop, chosen = asyncio.get_running_loop(), random.Random(1)
    latencies: list[float] = []

    async def call(client: Client) -> None:
        begin = perf_counter()
        await client.call(DEVICE, CALL.method_id)
        latencies.append(perf_counter() - begin)

    begin, calls = loop.time(), []
    for number in range(int(workload.calls_per_s * workload.seconds)):
        await asyncio.sleep(begin + number / workload.calls_per_s - loop.time())
        calls.append(asyncio.ensure_future(call(chosen.choice(clients))))
    await asyncio.gather(*calls)
    return p99_ms(latencies)


async def measure_channels(site: Site, workload: Workload, count: int) -> Mapping[str, float]:
    """Open many channels, and use them."""
    await close_all(await connect_many(site, WARM_UP, 1, session=True))
    empty = await site.server.ask(settled=True)
    clients = await connect_many(site, count, 1, session=True)
    full = await site.server.ask(settled=True)
    assert full["sessions"] == len(clients) == count
    gc.freeze()  # The Clients' own collector would be measured with the calls.
    p99 = await measure_calls(clients, workload)
    gc.unfreeze()
    await close_all(clients)
    return {
        "channels": count,
        "kib_per_channel": (full["resident_size"] - empty["resident_size"]) / count / 1024,
        "call_p99_ms": p99,
    }


async def measure_idle(site: Site, count: int) -> Mapping[str, float]:
    """Hold silent connections, and see that a Client is served beside them."""
    loop, (host, port) = asyncio.get_running_loop(), parse_url(site.url)
    silent = [
        (
            await loop.create_connection(
                asyncio.Protocol, host, port, local_addr=(spread(1 + number), 0)
            )
        )[0]
        for number in range(count)
    ]
    client = await site.join(spread(SPARED - 1))
    await client.call(DEVICE, CALL.method_id)
    held = (await site.server.ask())["connections"] - 1
    await client.close()
    for transport in silent:
        transport.abort()
    return {"idle_connections": held}


async def measure_flood(site: Site, workload: Workload) -> Mapping[str, float]:
    """Let rightful Clients connect beside a flood of garbage."""
    addresses = [spread(1 + number) for number in range(RIGHTFUL)]
    await close_all([await site.join(address) for address in addresses])
    before = await site.server.ask(settled=True)
    latencies: list[float] = []
    tried, largest = 0, 0.0
    flooding = (site.url, site.certificate.hex(), str(FLOOD_AT_ONCE))
    async with started("benchmarks.listener_flood", *flooding) as attacker:
        await attacker.hear()  # the flood has begun
        end = perf_counter() + workload.seconds
        while perf_counter() < end:
            begin = perf_counter()
            tried += 1
            try:
                client = await site.join(addresses[tried % RIGHTFUL])
                await client.call(DEVICE, CALL.method_id)
            except RegistrarError as error:
                print(f"a rightful Client was not served: {error}", file=sys.stderr)
                continue
            latencies.append(perf_counter() - begin)
            await client.close()
            largest = max(largest, (await site.server.ask())["resident_size"])
        after = await site.server.ask()
    return {
        "flood_opens_per_s": (after["refusals"] - before["refusals"]) / workload.seconds,
        "flood_served": len(latencies) / tried,
        "flood_p99_ms": p99_ms(latencies),
        "flood_extra_mib": (largest - before["resident_size"]) / 2**20,
    }


async def measure(workload: Workload) -> Mapping[str, object]:
    """Measure everything against one Server after the other, each fresh."""
    hard = raise_limit()
    channels = most_connections(workload.channels + RESERVED) - RESERVED
    idle = most_connections(workload.idle + RESERVED) - RESERVED
    results: dict[str, object] = {
        "descriptor_limit": hard,
        "scaled": (channels, idle) != (workload.channels, workload.idle),
        "calls_per_s": workload.calls_per_s,
    }
    async with started("benchmarks.listener_server") as server:
        site = await _site(server)
        results |= await measure_handshakes(site, workload.handshakes)
        results |= await measure_flood(site, workload)
    async with started("benchmarks.listener_server") as server:
        results |= await measure_channels(await _site(server), workload, channels)
    async with started("benchmarks.listener_server") as server:
        results |= await measure_idle(await _site(server), idle)
    results |= await beside.measure(workload.rounds)
    return results


async def _site(server: Worker) -> Site:
    where = await server.hear()
    return Site(server=server, url=where["url"], certificate=bytes.fromhex(where["certificate"]))


def is_enough(results: Mapping[str, object]) -> bool:
    """Tell whether every figure is as the docstring wants it."""
    figures = {name: value for name, value in results.items() if isinstance(value, int | float)}
    return (
        figures["kib_per_channel"] <= 14
        and figures["call_p99_ms"] <= 5
        and figures["handshake_ratio"] >= 0.75
        and figures["flood_served"] == 1
        and figures["flood_p99_ms"] <= 250
        and figures["flood_extra_mib"] <= 64
        and figures["healthy_slowdown"] <= beside.MOST
    )


def main() -> int:
    """Run, print, and return 1 where a figure is not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--channels", type=int, default=10_000)
    parser.add_argument("--idle", type=int, default=15_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    workload = Workload(channels=arguments.channels, idle=arguments.idle, seconds=arguments.seconds)
    results = run_loop(measure(workload))
    show(results, as_json=arguments.json)
    return int(not is_enough(results))


if __name__ == "__main__":
    sys.exit(main())
