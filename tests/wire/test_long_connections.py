"""What lasts on a connection, and what its end is: renewal, address, close, counts."""

from __future__ import annotations

import asyncio

import pytest

from registrar.errors import (
    Unavailable,
)
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.limits import ChannelLimits
from registrar.wire import Client, ClientLimits, ServerLimits
from tests.wire.plant import COUNTER, ECHO, Plant, open_session, string
from tests.wire.raw import refusal_of


@pytest.mark.slow
@pytest.mark.clause("OPC 10000-4 §5.6.2")
async def test_the_token_is_renewed_before_it_expires(
    server_identity: ApplicationIdentity, client_identity: ApplicationIdentity
) -> None:
    """At 75 % of its life; the wait is for the Server's second admission."""
    limits = ServerLimits(channel=ChannelLimits(min_token_lifetime_s=1))
    trusted = [client_identity.certificate]
    async with Plant(server_identity, trusted=trusted, limits=limits) as plant:
        short = ClientLimits(token_lifetime_s=1, channel=limits.channel)
        async with await open_session(plant, client_identity, limits=short) as client:
            plant.admitted.clear()
            await asyncio.wait_for(plant.admitted.wait(), timeout=5)

            assert await client.call(COUNTER, ECHO, string("renewed"))


async def test_a_client_comes_from_the_address_it_is_told(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    security = plant.security(client_identity)
    async with await Client.connect(plant.url, security=security, local_host="127.0.0.9") as client:
        await client.create_session()

        assert plant.authenticated[0].peer.address == "127.0.0.9"


async def test_close_may_be_repeated(plant: Plant, client_identity: ApplicationIdentity) -> None:
    client = await open_session(plant, client_identity)

    await client.close()
    await client.close()

    assert isinstance(await refusal_of(client.get_endpoints()), Unavailable)


async def test_private_key_operations_are_counted(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with await open_session(plant, client_identity) as client:
        # the OPN is signed, its answer is decrypted in two blocks, ActivateSession is signed
        assert client.private_key_operations == 4
