"""The connection of a Client is cut after each message of its conversation with our Server.

    HEL ACK OPN OPN CreateSession ActivateSession Call CloseSession CLO
      ╳   ╳   ╳   ╳      ╳  ╳           ╳  ╳       ╳ ╳      ╳  ╳

F15: what was asked happens once or not at all, the connection is gone at once and with it a Session
that was not activated, one that was ends with its time, and the next Client is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import pytest

from registrar.errors import Unavailable
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire import Client
from tests.wire.plant import COUNTER, ECHO, Plant, open_session, string
from tests.wire.relay import NEVER, relaying

CONVERSATION = [
    *(">HEL", "<ACK", ">OPN", "<OPN"),
    *(">MSG", "<MSG"),  # CreateSession
    *(">MSG", "<MSG"),  # ActivateSession
    *(">MSG", "<MSG"),  # Call
    *(">MSG", "<MSG"),  # CloseSession
    ">CLO",
]
CREATES, ACTIVATES, CALLS, CLOSES = 5, 7, 9, 11
"""Messages after which the Server has been told to."""

SESSION_S = 1.0


class End(NamedTuple):
    """What a cut left behind."""

    calls: int
    sessions: int
    is_answered: bool


async def until(holds: Callable[[], bool], patience_s: float) -> None:
    """Wait until ``holds``."""
    async with asyncio.timeout(patience_s):
        while not holds():  # noqa: ASYNC110 (nobody tells when a connection or Session is gone)
            await asyncio.sleep(0.005)


def expected(messages: int) -> End:
    """Return the end of a conversation that was cut after so many messages."""
    return End(
        calls=int(messages >= CALLS),
        sessions=int(ACTIVATES <= messages < CLOSES),
        is_answered=messages > CALLS,
    )


async def converse(
    plant: Plant, client: ApplicationIdentity, messages: int
) -> tuple[End, list[str]]:
    """Talk through a relay that forwards so many messages, and look what is left."""
    is_answered = False
    async with relaying(plant.listener.port, most=messages) as relay:
        url, security = f"opc.tcp://127.0.0.1:{relay.port}/", plant.security(client)
        with suppress(Unavailable):
            async with await Client.connect(url, security=security) as connected:
                await connected.create_session(session_timeout_s=SESSION_S)
                await connected.call(COUNTER, ECHO, string("once"))
                is_answered = True
        await until(lambda: not plant.listener.connections, 1)
    end = End(len(plant.calls), len(plant.listener.sessions), is_answered)
    return end, relay.forwarded


@pytest.mark.clause("F15")
@pytest.mark.parametrize("messages", [*range(len(CONVERSATION)), NEVER])
async def test_F15_a_cut_after_any_message_leaves_nothing_by_halves(
    plant: Plant, client_identity: ApplicationIdentity, messages: int
) -> None:
    end, forwarded = await converse(plant, client_identity, messages)

    assert forwarded == CONVERSATION[:messages]
    assert end == expected(messages)
    async with await open_session(plant, client_identity) as following:
        await following.call(COUNTER, ECHO, string("next"))
    assert len(plant.calls) == end.calls + 1
    await until(lambda: not plant.listener.sessions, 5 * SESSION_S)
    assert len(plant.closed) == (messages >= CREATES) + 1
