"""How a Listener ends channels and itself, where it starts, and what its limits are."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from registrar.errors import Misuse, Unavailable
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire import Client
from registrar.wire.limits import SERVER_MAXIMA
from tests.wire.plant import (
    COUNTER,
    ECHO,
    LIMITS,
    RESTART,
    WAIT,
    Plant,
    Server,
    open_session,
    string,
)
from tests.wire.raw import RawClient, refusal_of


async def test_the_response_comes_before_the_cut(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    """As with ApplyChanges: the caller hears Good, then every channel ends."""
    async with (
        await open_session(plant, client_identity) as client,
        RawClient(plant, client_identity) as other,
    ):
        assert await client.call(COUNTER, RESTART) == []
        await other.connection.closed
        error = await refusal_of(client.call(COUNTER, ECHO, string("too late")))

    assert error.status is StatusCode.BadConnectionClosed
    assert plant.listener.connections == 0


async def test_a_running_method_is_answered_before_the_cut(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with await open_session(plant, client_identity) as client:
        waiting = asyncio.ensure_future(client.call(COUNTER, WAIT))
        async with await open_session(plant, client_identity) as other:
            await other.call(COUNTER, RESTART)
        plant.gate.set()

        assert await waiting == []


async def test_only_the_chosen_channels_are_dropped(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with (
        await open_session(plant, client_identity) as client,
        await Client.connect(plant.url) as unsecured,
    ):
        plant.listener.drop_channels(predicate=lambda peer: peer.certificate is None)

        assert (await refusal_of(unsecured.get_endpoints())).status
        assert await client.call(COUNTER, ECHO, string("kept"))


async def test_a_listener_starts_again_where_it_was(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    port = plant.listener.port
    client = await open_session(plant, client_identity)

    await plant.listener.close()
    await plant.listener.start("127.0.0.1", port)

    assert len(plant.closed) == 1
    assert len(plant.listener.sessions) == 0
    await client.close()
    async with await open_session(plant, client_identity) as again:
        assert await again.call(COUNTER, ECHO, string("back"))


async def test_an_address_in_use_is_told(
    plant: Plant, server_identity: ApplicationIdentity
) -> None:
    second = Plant(server_identity)

    with pytest.raises(Unavailable):
        await second.listener.start("127.0.0.1", plant.listener.port)


async def test_a_fault_of_the_application_is_one_status(
    plant: Plant, client_identity: ApplicationIdentity, caplog: pytest.LogCaptureFixture
) -> None:
    async with await open_session(plant, client_identity) as client:
        plant.has_bug = True
        error = await refusal_of(client.get_endpoints())
        await client.call(COUNTER, ECHO, string("goes on"))

    assert error.status is StatusCode.BadInternalError
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("name", sorted(SERVER_MAXIMA))
def test_every_limit_has_a_hard_maximum(name: str) -> None:
    maximum = SERVER_MAXIMA[name]
    assert getattr(LIMITS(**{name: maximum}), name) == maximum

    for wrong in (maximum + 1, 0, -1):
        with pytest.raises(Misuse):
            LIMITS(**{name: wrong})


async def test_what_came_in_at_the_last_moment_is_cancelled_from_within(build: Server) -> None:
    ended: list[str] = []

    async def method() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("method")

    async def answer(running: Coroutine[Any, Any, None]) -> None:
        await running

    async with build(LIMITS()) as plant:
        plant.listener.run(answer(method()))

    assert ended == ["method"]


async def test_an_address_in_use_is_said_with_a_way_out(build: Server) -> None:
    async with build(LIMITS()) as plant, build(LIMITS()) as other:
        await other.listener.close()

        with pytest.raises(Unavailable, match="cannot listen: Address already in use") as caught:
            await other.listener.start("127.0.0.1", plant.listener.port)

    assert caught.value.subject.startswith("127.0.0.1:")
    assert "choose another" in caught.value.next_action
