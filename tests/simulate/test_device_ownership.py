"""First use, ownership and the SecurityAdmin Role (part21 §4.2.4, §7.3; part12 Annex G)."""

from __future__ import annotations

import pytest
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.simulate.model import IN_APPLICATION_SETUP, SECURITY_ADMIN, node_id
from registrar.status import StatusCode
from registrar.wire.client import Client
from tests.simulate.site import (
    ADD_CERTIFICATE,
    APPLY_CHANGES,
    CANCEL_CHANGES,
    CREATE_SIGNING_REQUEST,
    DCA,
    GET_CERTIFICATES,
    GET_REJECTED_LIST,
    NULL_NODE,
    OPEN,
    REMOVE_CERTIFICATE,
    RESET,
    SIGN,
    UPDATE_CERTIFICATE,
    Kinds,
    Site,
    device_plan,
    discover,
    running,
    shown,
    signing_arguments,
    status_of,
    update_arguments,
)

READ_MODE = ua.Variant(1, Kinds.Byte)
WRITE_MODE = ua.Variant(6, Kinds.Byte)
ADD_IDENTITY = node_id(15708)
REMOVE_IDENTITY = node_id(15710)
ADD_APPLICATION = node_id(16261)


def _rule(uri: str) -> ua.Variant:
    rule = ua.IdentityMappingRuleType(
        CriteriaType=ua.IdentityCriteriaType.Application, Criteria=uri
    )
    return ua.Variant(rule, Kinds.ExtensionObject)


@pytest.mark.clause("R130")
async def test_the_first_registrar_owns_the_device_and_cannot_be_displaced() -> None:
    first, second = Site("first"), Site("second")
    async with running(device_plan(outdated=True)) as device:
        await first.onboard(device)

        async with second.session(device) as client:
            changing = [
                (DCA.node, CREATE_SIGNING_REQUEST, signing_arguments()),
                (DCA.node, UPDATE_CERTIFICATE, update_arguments(b"x")),
                (DCA.node, APPLY_CHANGES, ()),
                (DCA.node, CANCEL_CHANGES, ()),
                (DCA.node, RESET, ()),
                (DCA.node, GET_CERTIFICATES, (NULL_NODE,)),
                (DCA.trust_list, OPEN, (READ_MODE,)),
                (DCA.trust_list, OPEN, (WRITE_MODE,)),
                (DCA.trust_list, ADD_CERTIFICATE, _pair(b"x")),
                (DCA.trust_list, REMOVE_CERTIFICATE, _pair("x")),
                (SECURITY_ADMIN, ADD_IDENTITY, (_rule(second.uri),)),
            ]
            statuses = [await status_of(client.call(o, m, *a)) for o, m, a in changing]

        assert set(statuses) == {StatusCode.BadUserAccessDenied}
        assert device.dca_certificate in shown(await discover(device))
        async with first.session(device) as client:
            assert await client.call(DCA.node, GET_CERTIFICATES, NULL_NODE)


async def test_while_one_configures_the_others_wait() -> None:
    first, second = Site("first"), Site("second")
    async with running() as device, first.session(device) as one:
        await one.call(DCA.trust_list, OPEN, WRITE_MODE)
        async with second.session(device) as other:
            pending = [
                await status_of(other.call(DCA.trust_list, OPEN, WRITE_MODE)),
                await status_of(other.call(DCA.node, CREATE_SIGNING_REQUEST, *signing_arguments())),
                await status_of(other.call(DCA.node, RESET)),
            ]
            foreign = [
                await status_of(other.call(DCA.node, APPLY_CHANGES)),
                await status_of(other.call(DCA.node, CANCEL_CHANGES)),
            ]

    assert set(pending) == {StatusCode.BadTransactionPending}
    assert set(foreign) == {StatusCode.BadSessionIdInvalid}


async def test_a_refused_certificate_is_on_the_rejected_list() -> None:
    first, second = Site("first"), Site("second")
    async with running(device_plan(outdated=True)) as device:
        await first.onboard(device)
        async with second.session(device):
            pass

        async with first.session(device) as client:
            (rejected,) = await client.call(DCA.node, GET_REJECTED_LIST)

    assert rejected.Value == [second.identity.certificate]


async def test_a_reset_starts_onboarding_again() -> None:
    first, second = Site("first"), Site("second")
    async with running(device_plan(applications=2)) as device:
        identities = shown(await discover(device))
        await first.onboard(device)
        async with first.session(device) as client:
            await client.call(DCA.node, RESET)

        assert not device.is_owned
        assert shown(await discover(device)) == identities
        await second.onboard(device)
        assert device.is_locked


@pytest.mark.parametrize(("index", "lists"), [(2, False), (3, True)])
async def test_the_role_goes_to_the_application_it_names(index: int, lists: bool) -> None:
    site = Site("owner")
    async with running(device_plan(index=index)) as device:
        async with site.session(device) as client:
            assert await _in_setup(client)
            await client.call(SECURITY_ADMIN, ADD_IDENTITY, _rule(site.uri))
            if lists:
                uri = ua.Variant(site.uri, Kinds.String)
                await client.call(SECURITY_ADMIN, ADD_APPLICATION, uri)
            await site.push(client, device, 0)
            await client.call(DCA.node, APPLY_CHANGES)

        async with site.session(device) as client:
            assert not await _in_setup(client)
            assert await client.call(DCA.node, GET_CERTIFICATES, NULL_NODE)
            again = await status_of(client.call(SECURITY_ADMIN, ADD_IDENTITY, _rule(site.uri)))
            await client.call(SECURITY_ADMIN, REMOVE_IDENTITY, _rule(site.uri))
            gone = await status_of(client.call(SECURITY_ADMIN, REMOVE_IDENTITY, _rule(site.uri)))

    assert device.security_admin.lists_applications is lists
    assert again == StatusCode.BadAlreadyExists
    assert gone == StatusCode.BadNotFound


async def test_a_trusted_application_without_the_role_changes_nothing() -> None:
    site = Site("owner")
    async with running(device_plan(index=2)) as device:
        async with site.session(device) as client:
            await client.call(SECURITY_ADMIN, ADD_IDENTITY, _rule("urn:somebody:else"))
            await site.push(client, device, 0)
            await client.call(DCA.node, APPLY_CHANGES)

        async with site.session(device) as client:
            status = await status_of(client.call(DCA.node, GET_CERTIFICATES, NULL_NODE))

    assert status == StatusCode.BadUserAccessDenied


async def test_rules_of_the_loser_of_a_race_do_not_shut_the_winner_out() -> None:
    winner, loser = Site("winner"), Site("loser")
    async with running(device_plan(index=2)) as device:
        async with loser.session(device) as client:
            await client.call(SECURITY_ADMIN, ADD_IDENTITY, _rule(loser.uri))

        await winner.onboard(device)

        assert device.is_locked
        assert not device.security_admin.rules


async def test_without_the_role_there_is_nothing_to_configure() -> None:
    site = Site("owner")
    async with running(device_plan(index=0)) as device, site.session(device) as client:
        status = await status_of(client.call(SECURITY_ADMIN, ADD_IDENTITY, _rule(site.uri)))

    assert status == StatusCode.BadNodeIdUnknown


async def test_configuring_the_role_needs_an_encrypted_channel() -> None:
    site = Site("owner")
    async with running(device_plan(index=2)) as device, site.session(device, mode=SIGN) as client:
        status = await status_of(client.call(SECURITY_ADMIN, ADD_IDENTITY, _rule(site.uri)))

    assert status == StatusCode.BadSecurityModeInsufficient


async def _in_setup(client: Client) -> bool:
    (value,) = await client.read([(IN_APPLICATION_SETUP, AttributeIds.Value)])
    return bool(value.Value and value.Value.Value)


def _pair(value: bytes | str) -> tuple[ua.Variant, ...]:
    kind = Kinds.ByteString if isinstance(value, bytes) else Kinds.String
    return (ua.Variant(value, kind), ua.Variant(True, Kinds.Boolean))
