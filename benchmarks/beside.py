"""Are 64 healthy Devices slowed by a hostile one beside them?

Workload: 64 conversations of our Client at once, as ``benchmarks.channel`` has them, with Devices
in another process, and in the same loop GetEndpoints of one hostile Server, for which nobody needs
a key. It is asked once, since who breaks a rule is not asked again, and goes on for as long as our
Client bears it or the healthy ones take.

Baseline: the same without it, just before each attack; the median of the rounds counts.
A loop does one thing at a time, so what a healthy conversation waits for the hostile one is the CPU
that our process spends on that before it is done itself. Therefore CPU is compared, from the first
to the end of the last of the 64; what else the machine does, the Servers too, is not in it. It is
an upper bound: what the loop does for the hostile one while it would be idle delays nobody.

    healthy_slowdown  CPU for the 64 beside the worst attack, by that without any
    beside_…          the same for each attack

At most 1.10 is wanted.

    python -m benchmarks.beside [--rounds 9] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import process_time

from benchmarks.channel import started
from benchmarks.channel_client import Clients
from benchmarks.conversation import MOST_AT_ONCE, Stage
from benchmarks.report import show
from registrar.cli.runner import run
from registrar.errors import RegistrarError
from registrar.ua.security_policy import BASIC256SHA256

MOST = 1.10


async def talk_s(clients: Clients, urls: Sequence[str], hostile: str | None) -> float:
    """Return the CPU of this process until all of ``urls`` are done, in seconds."""
    begin = process_time()
    attacked = asyncio.ensure_future(_meet(clients, hostile))
    told = await asyncio.gather(*(clients.ours(url, BASIC256SHA256.uri) for url in urls))
    spent_s = process_time() - begin
    attacked.cancel()
    await asyncio.wait([attacked])
    assert all(one == told[0] for one in told)
    return spent_s


async def _meet(clients: Clients, url: str | None) -> None:
    if url is not None:
        with suppress(RegistrarError):
            await clients.ours(url, BASIC256SHA256.uri, until=Stage.DISCOVERY)


async def measure(rounds: int) -> Mapping[str, object]:
    """Let healthy ones talk alone and beside each attack, in turn."""
    async with (
        started("benchmarks.channel_server") as devices,
        started("benchmarks.beside_server") as attackers,
    ):
        where, ports = await devices.hear(), await attackers.hear()
        urls = [f"opc.tcp://127.0.0.1:{where['port']}/{number}" for number in range(MOST_AT_ONCE)]
        ratios: dict[str, list[float]] = {name: [] for name in ports}
        with tempfile.TemporaryDirectory(prefix="registrar-beside-") as folder:
            clients = Clients(bytes.fromhex(where["authority"]), Path(folder))
            await talk_s(clients, urls, None)
            for _ in range(rounds):
                for name, port in ports.items():
                    alone_s = await talk_s(clients, urls, None)
                    beside_s = await talk_s(clients, urls, f"opc.tcp://127.0.0.1:{port}")
                    ratios[name].append(beside_s / alone_s)
    beside = {f"beside_{name}": median(each) for name, each in ratios.items()}
    return {"healthy_slowdown": max(beside.values()), **beside}


def main() -> int:
    """Run, print, and return 1 where the healthy ones are slowed too much."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = run(measure(arguments.rounds))
    show(results, as_json=arguments.json)
    slowdown = results["healthy_slowdown"]
    assert isinstance(slowdown, float)
    return int(slowdown > MOST)


if __name__ == "__main__":
    sys.exit(main())
