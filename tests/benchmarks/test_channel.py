"""The benchmark of the channel holds the conversation it promises, for every variant."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.channel import FLOORS, POLICY_URIS, TALKS, relay, run, run_stages
from benchmarks.channel_floor import Floor
from benchmarks.conversation import SERVICES, Stage
from registrar.errors import SecurityChecksFailed
from registrar.ua.security_policy import POLICIES

CHUNKS = 31
BYTES = range(20_000, 24_000)


@pytest.mark.slow
async def test_all_variants_hold_the_same_conversation() -> None:
    results = await run(rounds=1, concurrent=1)

    times = {name: results[f"{name}_ms"] for name in (*FLOORS, *TALKS)}
    assert all(isinstance(one, float) and one > 0 for one in times.values())
    assert results["exchanges"] == SERVICES + 4
    assert results["encrypted_chunks"] == CHUNKS
    assert results["encrypted_bytes"] in BYTES


@pytest.mark.slow
async def test_every_stage_is_timed() -> None:
    stages = await run_stages(rounds=1, concurrent=1)

    assert list(stages) == [f"{stage}_ms" for stage in Stage]
    assert sum(stages.values()) > 0


async def test_the_relay_counts_the_secured_chunks_of_the_second_connection() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(12))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, relay(server.sockets[0].getsockname()[1]) as (port, chunks):
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"MSGF\x0c\x00\x00\x00body")
            assert await reader.read() == b"MSGF\x0c\x00\x00\x00body"
            writer.close()

    assert chunks.sent == [12]
    assert chunks.received == [12]


@pytest.mark.parametrize("uri", POLICY_URIS)
def test_the_floor_opens_what_it_is_sent(uri: str) -> None:
    floor = Floor(POLICIES[uri], [128], [256])
    floor.with_kept_contexts()
    floor.with_objects()

    floor.received[0] = bytes(256)

    with pytest.raises(SecurityChecksFailed):
        floor.with_kept_contexts()
