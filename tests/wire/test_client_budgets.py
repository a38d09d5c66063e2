"""What a Server may cost a Client: requests, bytes, time and references; threat T24."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asyncua import ua

from registrar.errors import (
    Misuse,
    ProtocolViolation,
    TimedOut,
)
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire import Client, ClientLimits
from registrar.wire.limits import CLIENT_MAXIMA
from tests.wire.lying import ask
from tests.wire.plant import OBJECTS, Plant, open_session
from tests.wire.raw import refusal_of


@pytest.mark.clause("T24")
@pytest.mark.parametrize("allowed", [2, 3, 4])
async def test_requests_are_counted(plant: Plant, allowed: int) -> None:
    limits = ClientLimits(total_requests=allowed)
    async with await Client.connect(plant.url, limits=limits) as client:
        for _ in range(min(allowed, 3)):
            await client.get_endpoints()

        if allowed < 3:
            assert isinstance(await refusal_of(client.get_endpoints()), ProtocolViolation)
        assert client.exchanges == min(allowed, 3)


@pytest.mark.clause("T24")
async def test_bytes_are_counted(plant: Plant) -> None:
    async with await Client.connect(plant.url) as client:
        before = client.bytes_received
        await client.get_endpoints()
        needed = client.bytes_received
    assert needed > before

    exact = ClientLimits(total_size=needed)
    async with await Client.connect(plant.url, limits=exact) as client:
        await client.get_endpoints()
    short = ClientLimits(total_size=needed - 1)
    async with await Client.connect(plant.url, limits=short) as client:
        error = await refusal_of(client.get_endpoints())

    assert isinstance(error, ProtocolViolation)


@pytest.mark.clause("T24")
async def test_a_connection_lives_only_so_long() -> None:
    error = await ask(lambda *_: b"", ClientLimits(total_s=0.05))

    assert isinstance(error, TimedOut)


@pytest.mark.clause("T24")
async def test_browse_comes_to_an_end(plant: Plant, client_identity: ApplicationIdentity) -> None:
    description = ua.BrowseDescription(NodeId=OBJECTS, ResultMask=63)
    async with await open_session(plant, client_identity) as client:
        (everything,) = await client.browse([description])
    plant.listener.limits = type(plant.listener.limits)(references_per_node=1)
    enough = ClientLimits(browse_rounds=len(everything))
    async with await open_session(plant, client_identity, limits=enough) as client:
        (found,) = await client.browse([description])
    some = ClientLimits(references=len(everything) - 1)
    async with await open_session(plant, client_identity, limits=some) as client:
        assert isinstance(await refusal_of(client.browse([description])), ProtocolViolation)
    few = ClientLimits(browse_rounds=len(everything) - 2)
    async with await open_session(plant, client_identity, limits=few) as client:
        error = await refusal_of(client.browse([description]))

    assert [item.NodeId for item in found] == [item.NodeId for item in everything]
    assert isinstance(error, ProtocolViolation)


@pytest.mark.parametrize("name", sorted(CLIENT_MAXIMA))
def test_every_limit_has_a_hard_maximum(name: str) -> None:
    make: Callable[..., ClientLimits] = ClientLimits
    maximum = CLIENT_MAXIMA[name]
    assert getattr(make(**{name: maximum}), name) == maximum

    for wrong in (maximum + 1, 0, -1):
        with pytest.raises(Misuse):
            make(**{name: wrong})
