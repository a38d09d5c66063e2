"""Descriptors run out politely: who is in stays in, who comes is told, and later is let in."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from contextlib import AsyncExitStack

import pytest

from registrar.errors import Reason, Unavailable
from registrar.status import StatusCode
from registrar.wire import Client
from registrar.wire.descriptors import RESERVED, most_connections
from tests.wire.raw import refusal_of

T25 = pytest.mark.clause("T25: threat-model 5.2")
ROOM = 20
"""Connections that the limit of the process leaves."""


@T25
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_some_descriptors_are_left_to_others(more: int) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = soft - RESERVED

    assert most_connections(most + more) == most + min(more, 0)


@T25
@pytest.mark.slow
@pytest.mark.clause("F64")
async def test_descriptors_run_out_politely() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.wire.crowded", str(RESERVED + ROOM)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    url = json.loads(await process.stdout.readline())["url"]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(await Client.connect(url)) for _ in range(ROOM)]

        refused = await asyncio.gather(*(refusal_of(Client.connect(url)) for _ in range(2 * ROOM)))
        assert [type(error) for error in refused] == [Unavailable] * 2 * ROOM
        assert {(error.status, error.reason) for error in refused} == {
            (StatusCode.BadTcpServerTooBusy, Reason.BUSY)
        }
        for client in clients:
            assert await client.get_endpoints()
        await clients.pop().close()
        async with await Client.connect(url) as later:
            assert await later.get_endpoints()
    process.stdin.close()
    _, stderr = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in stderr
