"""How far above its cryptography is one onboarding conversation of our Client, and of others?

The conversation: connection, HEL, OPN without security, GetEndpoints, CLO; the certificate of the
Device is validated; new connection, HEL, OPN with SignAndEncrypt, CreateSession, ActivateSession,
twelve services (``benchmarks.conversation``), CloseSession, CLO. Twenty run at once. RSA-2048 on
both sides, each of the three policies.

All variants talk to the same Server of ours, in another process. They take turns batch by batch;
the median of the rounds counts, and what is printed is its mean over the policies. CPU is user
plus system time of the Client's process, kernel and event loop included. Nothing is kept from one
conversation to the next but our own keys and the CA: our own variants meet each Device once.
Floor and ours share a process; the others have their own, so that nobody sweeps up after them.

    floor               the operations alone, with contexts of libcrypto kept for each channel
    floor_objects       the same with ``cryptography`` objects for AES and HMAC
    ours                our Client, compiled
    pure                our Client with REGISTRAR_PURE=1
    asyncua             asyncua with keys loaded once
    asyncua_documented  asyncua as its documentation uses it

asyncua validates the certificate with one signature and its period; ours walks all of Part 4.
Before anything is timed, every variant has to receive the same answers, and a relay counts the
encrypted chunks. ``ratio_to_floor`` has to stay at or below 1.6 and ``asyncua_ms`` at or above 2.7
times ``ours_ms``.

With ``--stages`` our Client alone talks, ever further, and what each stage adds is printed.

    python -m benchmarks.channel [--rounds 9] [--concurrent 20] [--stages] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from statistics import fmean, median
from typing import Any

from benchmarks.conversation import MOST_AT_ONCE, Stage
from benchmarks.report import show
from registrar.native import missing_extensions
from registrar.ua.security_policy import POLICIES

RATIO = 1.6
ASYNCUA_RATIO = 2.7
FLOORS = ("floor", "floor_objects")
TALKS = ("ours", "pure", "asyncua", "asyncua_documented")
POLICY_URIS = tuple(uri for uri, policy in POLICIES.items() if not policy.is_none)
_LARGEST_LINE = 1 << 20

Url = Callable[[], str]


class Worker:
    """A Python process that answers a line of JSON with a line of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **question: object) -> Mapping[str, Any]:
        """Send ``question`` and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        return await self.hear()

    async def hear(self) -> Mapping[str, Any]:
        """Return what the process says next."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the benchmark ended")
        answer: Mapping[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def started(module: str, *arguments: str, pure: bool = False) -> AsyncIterator[Worker]:
    """Run ``module`` until the context ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "REGISTRAR_PURE": "1" if pure else "0"},
        limit=_LARGEST_LINE,
    )
    assert process.stdin is not None
    try:
        yield Worker(process)
    finally:
        process.stdin.close()
        await process.wait()


@dataclass(slots=True)
class Chunks:
    """Sizes of the encrypted chunks of one conversation, bytes, in their order."""

    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)


@asynccontextmanager
async def relay(to_port: int) -> AsyncIterator[tuple[int, Chunks]]:
    """Stand between Client and Server and count what passes on the second connection."""
    chunks = Chunks()
    connections = count(1)
    tasks: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secured = next(connections) == 2
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", to_port)
        for source, target, sizes in (
            (reader, server_writer, chunks.sent if secured else []),
            (server_reader, writer, chunks.received if secured else []),
        ):
            task = asyncio.create_task(pass_on(source, target, sizes))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], chunks
        await asyncio.gather(*tasks)


async def pass_on(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, sizes: list[int]
) -> None:
    """Pass chunks on, noting the sizes of those with MSG or CLO, until the source ends."""
    try:
        while True:
            header = await source.readexactly(8)
            size = int.from_bytes(header[4:], "little")
            target.write(header + await source.readexactly(size - len(header)))
            if header[:3] in (b"MSG", b"CLO"):
                sizes.append(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        target.close()


@dataclass(slots=True, kw_only=True)
class Check:
    """What the variants agreed on before they are timed."""

    answers: str
    exchanges: int
    chunks: Mapping[str, Chunks]
    """By policy."""


class Benchmark:
    """One run: the Server, the Clients' processes and the times they took."""

    def __init__(self, port: int, compiled: Worker, pure: Worker, foreign: Worker) -> None:
        self._port = port
        self._workers = {"pure": pure, "asyncua": foreign, "asyncua_documented": foreign}
        self._compiled = compiled
        self._device = count()
        self._times: dict[tuple[str, str], list[float]] = {}

    async def check(self) -> Check:
        """Let every variant talk once under each policy.

        Raises:
            AssertionError: they were told different things.
        """
        told: set[tuple[str, int]] = set()
        chunks: dict[str, Chunks] = {}
        for policy in POLICY_URIS:
            for variant in TALKS:
                async with relay(self._port) as (port, seen):
                    result = await self._talk(variant, policy, [self._new_url(port)])
                told.add((result["answers"][0], result["exchanges"][0]))
                if variant == "ours":
                    chunks[policy] = seen
        assert len(told) == 1, f"the variants were told different things: {told}"
        ((answers, exchanges),) = told
        return Check(answers=answers, exchanges=exchanges, chunks=chunks)

    async def stages(self, rounds: int, concurrent: int) -> Mapping[str, float]:
        """Return what each stage adds to a conversation of ours, in ms, over all policies."""
        for _ in range(rounds):
            for policy in POLICY_URIS:
                for stage in Stage:
                    urls = [self._new_url(self._port) for _ in range(concurrent)]
                    self._note(policy, stage, await self._talk(stage, policy, urls), concurrent)
        totals = [fmean(self.milliseconds(stage).values()) for stage in Stage]
        return {
            f"{stage}_ms": total - before
            for stage, before, total in zip(Stage, [0.0, *totals], totals, strict=False)
        }

    async def round(self, concurrent: int, check: Check) -> None:
        """Time one batch of each variant under each policy."""
        for policy in POLICY_URIS:
            chunks = check.chunks[policy]
            for variant in FLOORS:
                result = await self._compiled.ask(
                    variant=variant,
                    policy=policy,
                    count=concurrent,
                    sent=chunks.sent,
                    received=chunks.received,
                )
                self._note(policy, variant, result, concurrent)
            for variant in TALKS:
                urls = [self._new_url(self._port) for _ in range(concurrent)]
                result = await self._talk(variant, policy, urls)
                assert set(result["answers"]) == {check.answers}
                self._note(policy, variant, result, concurrent)

    def milliseconds(self, variant: str) -> Mapping[str, float]:
        """Return the median of ``variant`` by the name of the policy."""
        return {
            POLICIES[policy].name: median(self._times[policy, variant]) for policy in POLICY_URIS
        }

    async def _talk(self, variant: str, policy: str, urls: Sequence[str]) -> Mapping[str, Any]:
        worker = self._workers.get(variant, self._compiled)
        how = "ours" if variant == "pure" else variant
        return await worker.ask(variant=how, policy=policy, urls=urls)

    def _new_url(self, port: int) -> str:
        return f"opc.tcp://127.0.0.1:{port}/{next(self._device)}"

    def _note(self, policy: str, variant: str, result: Mapping[str, Any], concurrent: int) -> None:
        times = self._times.setdefault((policy, variant), [])
        times.append(1000 * result["cpu_s"] / concurrent)


@asynccontextmanager
async def prepared() -> AsyncIterator[Benchmark]:
    """Start the Server and the Clients."""
    async with started("benchmarks.channel_server") as server:
        where = await server.hear()
        client = ("benchmarks.channel_client", where["authority"])
        async with (
            started(*client) as compiled,
            started(*client, pure=True) as pure,
            started(*client) as foreign,
        ):
            yield Benchmark(where["port"], compiled, pure, foreign)


async def run(rounds: int, concurrent: int) -> Mapping[str, object]:
    """Check the variants, then time them in turn."""
    async with prepared() as benchmark:
        check = await benchmark.check()
        for _ in range(rounds):
            await benchmark.round(concurrent, check)
    return figures(benchmark, check)


async def run_stages(rounds: int, concurrent: int) -> Mapping[str, float]:
    """Time the stages of our own conversation in turn."""
    async with prepared() as benchmark:
        return await benchmark.stages(rounds, concurrent)


def figures(benchmark: Benchmark, check: Check) -> Mapping[str, object]:
    """Return what is printed."""
    each = {variant: benchmark.milliseconds(variant) for variant in (*FLOORS, *TALKS)}
    means = {f"{variant}_ms": fmean(by_policy.values()) for variant, by_policy in each.items()}
    chunks = next(iter(check.chunks.values()))
    return {
        "compiled": not missing_extensions(),
        **means,
        "ratio_to_floor": means["ours_ms"] / means["floor_ms"],
        "asyncua_to_ours": means["asyncua_ms"] / means["ours_ms"],
        "exchanges": check.exchanges,
        "encrypted_chunks": len(chunks.sent) + len(chunks.received),
        "encrypted_bytes": sum(chunks.sent) + sum(chunks.received),
        "by_policy": {
            policy: {f"{variant}_ms": each[variant][policy] for variant in each}
            for policy in each["floor"]
        },
    }


def main() -> int:
    """Run, print, and return 1 where a figure is not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--concurrent", type=int, default=20, choices=range(1, MOST_AT_ONCE + 1), metavar="N"
    )
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.stages:
        stages = asyncio.run(run_stages(arguments.rounds, arguments.concurrent))
        show(stages, as_json=arguments.json)
        return 0
    results = asyncio.run(run(arguments.rounds, arguments.concurrent))
    show(results, as_json=arguments.json)
    ratio, to_asyncua = results["ratio_to_floor"], results["asyncua_to_ours"]
    assert isinstance(ratio, float)
    assert isinstance(to_asyncua, float)
    return int(ratio > RATIO or to_asyncua < ASYNCUA_RATIO)


if __name__ == "__main__":
    sys.exit(main())
