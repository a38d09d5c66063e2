"""What a Device shows to everybody, and how that follows its state (part21 §7.1, §7.3)."""

from __future__ import annotations

import pytest
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.errors import RegistrarError, ServiceFailed
from registrar.simulate.endpoints import POLICIES
from registrar.simulate.model import PROVISIONABLE_DEVICE, load_model, node_id
from registrar.simulate.plant import WANTED_REVISION
from registrar.ua.security_policy import SecurityPolicy
from registrar.wire.client import ChannelSecurity, Client
from tests.simulate.site import (
    APPLY_CHANGES,
    DCA,
    ENCRYPT,
    SIGN,
    Site,
    device_plan,
    discover,
    running,
    shown,
)


@pytest.mark.clause("R121")
async def test_every_identity_has_an_endpoint_of_each_policy_and_mode() -> None:
    async with running(device_plan(maker="beta")) as device:
        endpoints = await discover(device)

    for identity in device.product.identities:
        chain = b"".join((identity.certificate, *identity.issuers))
        offered = {
            (e.SecurityPolicyUri, e.SecurityMode)
            for e in endpoints
            if e.ServerCertificate == chain and e.SecurityMode != ua.MessageSecurityMode.None_
        }
        assert offered == {(p.uri, mode) for p in POLICIES for mode in (SIGN, ENCRYPT)}
    assert {e.Server.ApplicationUri for e in endpoints} == {device.application_uri}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("mode", [SIGN, ENCRYPT])
async def test_the_certificate_chosen_is_the_one_that_is_proven(
    policy: SecurityPolicy, mode: ua.MessageSecurityMode
) -> None:
    site = Site("chooser")
    async with running(device_plan(maker="beta")) as device:
        for identity in device.product.identities:
            async with site.session(
                device, policy=policy, mode=mode, certificate=identity.certificate
            ) as client:
                assert client.server_certificate == identity.certificate


@pytest.mark.clause("R129")
@pytest.mark.clause("R141")
@pytest.mark.clause("R32")
async def test_a_locked_device_shows_its_dca_certificate_only_and_refuses_strangers() -> None:
    site, stranger = Site("owner"), Site("stranger")
    async with running() as device:
        factory = device.product.identities[0]

        await site.onboard(device)

        assert shown(await discover(device)) == {device.dca_certificate}
        with pytest.raises(RegistrarError):
            async with stranger.session(device):
                pass
        with pytest.raises(RegistrarError):
            # The long-lived identity serves onboarding only: no channel opens with it now.
            await Client.connect(
                device.url,
                security=ChannelSecurity(
                    policy=POLICIES[0],
                    mode=ENCRYPT,
                    identity=site.identity,
                    server_certificate=factory.certificate,
                ),
            )
        async with site.session(device) as client:
            assert client.server_certificate == device.dca_certificate


async def test_until_its_software_is_current_an_owned_device_shows_both() -> None:
    site, stranger = Site("owner"), Site("stranger")
    async with running(device_plan(outdated=True)) as device:
        await site.onboard(device)

        before = shown(await discover(device))
        async with stranger.session(device):
            pass
        device.update_software(WANTED_REVISION)
        after = shown(await discover(device))

    assert len(before) == 2
    assert after == {device.dca_certificate}
    assert after < before


@pytest.mark.clause("R137")
@pytest.mark.parametrize("singleton", [False, True])
async def test_resources_organize_the_provisionable_device(singleton: bool) -> None:
    plan = device_plan(singleton=singleton, applications=0 if singleton else 2)
    async with running(plan) as device, Site("reader").session(device) as client:
        resources, members = await client.browse(
            [_forward(node_id(24226), 35), _forward(PROVISIONABLE_DEVICE, 47)]
        )
        (is_singleton,) = await client.read([(node_id(29879), AttributeIds.Value)])

    assert PROVISIONABLE_DEVICE in [reference.NodeId for reference in resources]
    applications = [r for r in members if r.TypeDefinition == node_id(25731)]
    assert len(applications) == plan.applications
    assert is_singleton.Value is not None
    assert is_singleton.Value.Value is singleton


@pytest.mark.parametrize("index", [0, 1])
async def test_applications_stand_below_the_device_or_in_the_folder(index: int) -> None:
    async with running(device_plan(index=index)) as device, Site("r").session(device) as client:
        places = await client.browse([_forward(PROVISIONABLE_DEVICE, 47)])
        if device.uses_folder:
            places += await client.browse([_forward(node_id(16706), 47)])

    found = [
        place
        for place, references in enumerate(places)
        for reference in references
        if reference.TypeDefinition == node_id(25731)
    ]
    assert found == [1 if device.uses_folder else 0]


@pytest.mark.clause("R39")
async def test_application_uris_derive_from_the_product_instance_uri() -> None:
    async with (
        running(device_plan(applications=2)) as device,
        Site("reader").session(device) as client,
    ):
        nodes = [load_model().member(at, "ApplicationUri") for at in (1, 2)]
        values = await client.read([(node, AttributeIds.Value) for node in nodes])

    uris = [value.Value.Value if value.Value else None for value in values]
    assert uris == [f"{device.application_uri}:application-{n}" for n in (1, 2)]


@pytest.mark.clause("R138")
async def test_groups_kept_together_are_referenced_from_the_servers_own_folder() -> None:
    async with (
        running(device_plan(index=4, applications=2)) as device,
        Site("reader").session(device) as client,
    ):
        (groups,) = await client.browse([_forward(node_id(14053), 33)])

    organized = {r.NodeId for r in groups if r.ReferenceTypeId == node_id(35)}
    assert organized == {group.node for group in device.configuration.groups[1:]}


async def test_unsecured_peers_get_endpoints_and_servers_only() -> None:
    async with running() as device, await Client.connect(device.url) as client:
        (server,) = await client.find_servers()

    assert server.ApplicationUri == device.application_uri


@pytest.mark.clause("R139")
async def test_only_a_security_admin_sets_registrar_endpoints() -> None:
    site, stranger = Site("owner"), Site("stranger")
    server = ua.ApplicationDescription(ApplicationUri="urn:registrar")
    argument = ua.Variant([server], ua.VariantType.ExtensionObject, is_array=True)
    async with running(device_plan(outdated=True)) as device:
        await site.onboard(device)

        async with stranger.session(device) as client:
            with pytest.raises(ServiceFailed) as refused:
                await client.call(PROVISIONABLE_DEVICE, node_id(26875), argument)
        async with site.session(device) as client:
            await client.call(PROVISIONABLE_DEVICE, node_id(26875), argument)

    assert refused.value.status.name == "BadUserAccessDenied"
    assert device.registrars == ("urn:registrar",)


async def test_tickets_are_for_everybody_on_a_secured_channel() -> None:
    async with running(device_plan()) as device, Site("any").session(device, mode=SIGN) as client:
        for method in (node_id(29880), node_id(26873)):
            (tickets,) = await client.call(PROVISIONABLE_DEVICE, method)
            assert tickets.Value == list(device.product.tickets)


async def test_an_applied_transaction_cuts_the_connection_after_the_answer() -> None:
    site = Site("owner")
    async with running() as device, site.session(device) as client:
        await site.push(client, device, 0)

        await client.call(DCA.node, APPLY_CHANGES)

        with pytest.raises(RegistrarError):
            await client.read([(node_id(29879), AttributeIds.Value)])


def _forward(start: ua.NodeId, kind: int) -> ua.BrowseDescription:
    return ua.BrowseDescription(
        NodeId=start,
        BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=node_id(kind),
        IncludeSubtypes=True,
        NodeClassMask=0,
        ResultMask=63,
    )
