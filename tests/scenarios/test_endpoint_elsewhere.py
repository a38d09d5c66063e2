"""A device says that its endpoints are at another address, in discovery and in the Session alike.

    discovery ─▶ "I am at the trap" ─▶ every connection still leads to the URL that was designated

F13, T26: where a device is follows from what the operator gave, never from what the device says.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from registrar.core.enrolment import State
from tests.onboarding.lying import lying
from tests.onboarding.stage import Backdrop, device


@pytest.mark.slow
@pytest.mark.clause("F13")
@pytest.mark.clause("T26")
async def test_F13_an_endpoint_elsewhere_is_not_followed(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    visits: list[asyncio.StreamWriter] = []
    told: set[type] = set()

    def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(writer)
        writer.close()

    trap = await asyncio.start_server(visited, "127.0.0.1", 0)
    elsewhere = f"opc.tcp://127.0.0.1:{trap.sockets[0].getsockname()[1]}"

    def lie(response: Any) -> Any:
        for endpoint in _endpoints(response):
            endpoint.EndpointUrl = elsewhere
            told.add(type(response))
        return response

    async with trap, backdrop.stage(tmp_path, device()) as stage:
        with lying({stage.devices[0]: lie}):
            outcome = await stage.end_of()

    assert outcome.state is State.ONBOARDED
    assert told == {ua.GetEndpointsResponse, ua.CreateSessionResponse}
    assert visits == []


def _endpoints(response: Any) -> list[ua.EndpointDescription]:
    if isinstance(response, ua.GetEndpointsResponse):
        return list(response.Endpoints)
    if isinstance(response, ua.CreateSessionResponse):
        return list(response.Parameters.ServerEndpoints)
    return []
