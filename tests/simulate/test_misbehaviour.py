"""Devices that break the rules, each in its own way."""

from __future__ import annotations

import pytest
from asyncua import ua

from registrar.errors import RegistrarError, TimedOut, Unavailable
from registrar.simulate.misbehaviour import HONEST, Misbehaviour
from registrar.simulate.model import node_id
from registrar.simulate.plant import Kind
from registrar.simulate.trust_list_file import WRITE, encode
from registrar.status import StatusCode
from registrar.ua.security_policy import AES256_SHA256_RSAPSS
from registrar.wire.client import ChannelSecurity, Client
from registrar.wire.limits import ClientLimits
from tests.simulate.site import (
    APPLY_CHANGES,
    CREATE_SIGNING_REQUEST,
    DCA,
    ENCRYPT,
    OPEN,
    Kinds,
    Site,
    device_plan,
    discover,
    running,
    shown,
    signing_arguments,
    status_of,
    write_trust_list,
)


def test_an_honest_device_misbehaves_in_nothing() -> None:
    assert not HONEST
    assert Misbehaviour(silent=True)


async def test_good_is_answered_and_nothing_changes() -> None:
    site = Site("s")
    async with running(misbehaviour=Misbehaviour(ignores_changes=True)) as device:
        before = shown(await discover(device))

        await site.onboard(device)

        assert not device.is_owned
        assert shown(await discover(device)) == before


async def test_a_copied_certificate_does_not_open_a_channel() -> None:
    site = Site("s")
    async with running(device_plan(kind=Kind.KEY_MISSING)) as device:
        assert await discover(device)

        with pytest.raises(RegistrarError):
            async with site.session(device):
                pass


async def test_a_transaction_that_never_ends_keeps_everybody_waiting() -> None:
    site = Site("s")
    mode = ua.Variant(WRITE, Kinds.Byte)
    async with (
        running(misbehaviour=Misbehaviour(always_pending=True)) as device,
        site.session(device) as client,
    ):
        statuses = [
            await status_of(client.call(DCA.trust_list, OPEN, mode)),
            await status_of(client.call(DCA.node, CREATE_SIGNING_REQUEST, *signing_arguments())),
        ]

    assert set(statuses) == {StatusCode.BadTransactionPending}


async def test_a_silent_device_never_answers_a_call() -> None:
    site = Site("s")
    limits = ClientLimits(request_s=0.1, close_s=0.1)
    async with running(misbehaviour=Misbehaviour(silent=True)) as device:
        endpoints = await discover(device)
        security = ChannelSecurity(
            policy=AES256_SHA256_RSAPSS,
            mode=ENCRYPT,
            identity=site.identity,
            server_certificate=endpoints[0].ServerCertificate or b"",
        )
        client = await Client.connect(device.url, security=security, limits=limits)
        await client.create_session(discovered=endpoints)

        with pytest.raises(TimedOut):
            await client.call(node_id(29878), node_id(29880))

        await client.close()


async def test_the_answer_to_apply_changes_is_lost_and_the_changes_are_not() -> None:
    site = Site("s")
    async with running(misbehaviour=Misbehaviour(loses_apply_response=True)) as device:
        async with site.session(device) as client:
            await site.push(client, device, 0)
            with pytest.raises(Unavailable):
                await client.call(DCA.node, APPLY_CHANGES)

        assert device.is_locked
        assert shown(await discover(device)) == {device.dca_certificate}


async def test_a_device_that_starts_again_refuses_tcp_meanwhile() -> None:
    site = Site("s")
    async with running(misbehaviour=Misbehaviour(refuses_tcp_s=0.1)) as device:
        async with site.session(device) as client:
            await site.push(client, device, 0)
            await client.call(DCA.node, APPLY_CHANGES)

        with pytest.raises(Unavailable):
            await discover(device)
        assert device._return is not None
        await device._return
        assert shown(await discover(device)) == {device.dca_certificate}


async def test_a_small_device_refuses_a_large_trust_list() -> None:
    site = Site("s")
    async with (
        running(misbehaviour=Misbehaviour(max_trust_list_size=200)) as device,
        site.session(device) as client,
    ):
        found = await status_of(write_trust_list(client, DCA, encode(site.trust_list)))

    assert found == StatusCode.BadRequestTooLarge
