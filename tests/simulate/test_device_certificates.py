"""CreateSigningRequest, UpdateCertificate and GetCertificates: codes and their precedence."""

from __future__ import annotations

import pytest
from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from registrar.simulate.certificate_group import RSA_SHA256 as SLOT
from registrar.simulate.manufacturer import Revocation, root_authority
from registrar.simulate.model import load_model, node_id
from registrar.simulate.peer_trust import TrustListContent
from registrar.simulate.plant import Validation
from registrar.simulate.trust_list_file import encode
from registrar.status import StatusCode
from tests.simulate.site import (
    APPLY_CHANGES,
    CREATE_SIGNING_REQUEST,
    DCA,
    GET_CERTIFICATES,
    NOW,
    NULL_NODE,
    SIGN,
    UPDATE_CERTIFICATE,
    Kinds,
    Site,
    device_plan,
    pool,
    running,
    signing_arguments,
    status_of,
    update_arguments,
    update_certificate,
    write_trust_list,
)

GROUP = ua.Variant(DCA.group, Kinds.NodeId)


async def test_without_encryption_neither_key_nor_certificate_moves() -> None:
    async with running() as device, Site("s").session(device, mode=SIGN) as client:
        weak = [
            await status_of(client.call(DCA.node, CREATE_SIGNING_REQUEST, *signing_arguments())),
            await status_of(client.call(DCA.node, UPDATE_CERTIFICATE, *update_arguments(b"x"))),
        ]
        signed = await status_of(client.call(DCA.node, GET_CERTIFICATES, NULL_NODE))

    assert set(weak) == {StatusCode.BadSecurityModeInsufficient}
    assert signed == StatusCode.Good


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({0: ua.Variant(node_id(14088), Kinds.NodeId)}, StatusCode.BadInvalidArgument),
        ({1: ua.Variant(node_id(23538), Kinds.NodeId)}, StatusCode.BadInvalidArgument),
        ({2: ua.Variant("nonsense", Kinds.String)}, StatusCode.BadInvalidArgument),
        ({2: ua.Variant("", Kinds.String)}, StatusCode.BadInvalidArgument),
        ({3: ua.Variant(False, Kinds.Boolean)}, StatusCode.BadInvalidArgument),
        ({4: ua.Variant(bytes(31), Kinds.ByteString)}, StatusCode.BadInvalidArgument),
        ({0: GROUP}, StatusCode.Good),
    ],
)
async def test_arguments_of_a_signing_request(
    change: dict[int, ua.Variant], status: StatusCode
) -> None:
    arguments = list(signing_arguments())
    for place, value in change.items():
        arguments[place] = value

    async with running() as device, Site("s").session(device) as client:
        found = await status_of(client.call(DCA.node, CREATE_SIGNING_REQUEST, *arguments))

    assert found == status


async def test_each_request_makes_a_new_key_and_drops_the_one_before() -> None:
    site = Site("s")
    async with running() as device, site.session(device) as client:
        first = await site.request(client, device, 0)
        second = await site.request(client, device, 0)

        assert _key(first) != _key(second)
        stale = await status_of(client.call(DCA.node, UPDATE_CERTIFICATE, *update_arguments(first)))
        await update_certificate(client, DCA, second)

    assert stale == StatusCode.BadSecurityChecksFailed


async def test_without_regeneration_the_present_key_goes_on() -> None:
    site = Site("s")
    async with running() as device:
        await site.onboard(device)
        present = device.dca_certificate or b""
        async with site.session(device) as client:
            (request,) = await client.call(
                DCA.node, CREATE_SIGNING_REQUEST, *signing_arguments("", regenerate=False)
            )

    made = x509.load_der_x509_csr(request.Value)
    assert made.public_key() == _key(present)
    assert made.subject == x509.load_der_x509_certificate(present).subject


async def test_a_certificate_is_refused_with_the_code_of_its_fault() -> None:
    site = Site("s")
    foreign = pool().take().public_key()
    async with running() as device, site.session(device) as client:
        good = await site.request(client, device, 0)
        wrong_uri = site.authority.application("urn:other", _key(good))
        other_key = site.authority.application(device.application_uri, foreign)
        cases = [
            (update_arguments(b"junk"), StatusCode.BadCertificateInvalid),
            (update_arguments(good[:-1]), StatusCode.BadCertificateInvalid),
            (update_arguments(good, key_format="PEM"), StatusCode.BadInvalidArgument),
            (update_arguments(good, key=b"k"), StatusCode.BadInvalidArgument),
            (update_arguments(good, key_format="PEM", key=b"k"), StatusCode.BadNotSupported),
            (update_arguments(other_key), StatusCode.BadSecurityChecksFailed),
            (update_arguments(wrong_uri), StatusCode.BadCertificateUriInvalid),
            (update_arguments(site.authority.der), StatusCode.BadCertificateInvalid),
            (update_arguments(good), StatusCode.Good),
        ]
        found = [
            await status_of(client.call(DCA.node, UPDATE_CERTIFICATE, *arguments))
            for arguments, _ in cases
        ]

    assert found == [status for _, status in cases]


async def test_a_chain_counts_as_its_leaf() -> None:
    site = Site("s")
    async with running() as device, site.session(device) as client:
        leaf = await site.request(client, device, 0)
        await write_trust_list(client, DCA, encode(site.trust_list))
        await update_certificate(client, DCA, leaf + site.authority.der)
        await client.call(DCA.node, APPLY_CHANGES)

    assert device.dca_certificate == leaf


@pytest.mark.parametrize(
    ("validation", "staged_first", "status"),
    [
        (Validation.FORM, False, StatusCode.Good),
        (Validation.STAGED, False, StatusCode.BadCertificateChainIncomplete),
        (Validation.STAGED, True, StatusCode.Good),
        (Validation.ACTIVE, True, StatusCode.BadCertificateChainIncomplete),
    ],
)
async def test_issuers_are_looked_for_where_the_device_looks(
    validation: Validation, staged_first: bool, status: StatusCode
) -> None:
    site = Site("s")
    async with (
        running(device_plan(validation=validation)) as device,
        site.session(device) as client,
    ):
        if staged_first:
            await write_trust_list(client, DCA, encode(site.trust_list))
        certificate = await site.request(client, device, 0)
        found = await status_of(
            client.call(DCA.node, UPDATE_CERTIFICATE, *update_arguments(certificate))
        )

    assert found == status


async def test_a_device_that_looks_at_the_active_list_takes_two_transactions() -> None:
    site = Site("s")
    async with running(device_plan(validation=Validation.ACTIVE)) as device:
        async with site.session(device) as client:
            await write_trust_list(client, DCA, encode(site.trust_list))
            certificate = await site.request(client, device, 0)
            await client.call(DCA.node, APPLY_CHANGES)
        async with site.session(device) as client:
            # The pending key has outlived transaction and Session.
            await update_certificate(client, DCA, certificate)
            await client.call(DCA.node, APPLY_CHANGES)

        assert device.is_locked


async def test_a_revoked_certificate_is_not_taken() -> None:
    site = Site("s")
    async with (
        running(device_plan(validation=Validation.STAGED)) as device,
        site.session(device) as client,
    ):
        certificate = await site.request(client, device, 0)
        site.authority.revoke(certificate)
        await write_trust_list(client, DCA, encode(site.trust_list))
        found = await status_of(
            client.call(DCA.node, UPDATE_CERTIFICATE, *update_arguments(certificate))
        )

    assert found == StatusCode.BadCertificateRevoked


async def test_certificates_are_listed_once_they_are_in_force() -> None:
    site = Site("s")
    async with running(device_plan(applications=1)) as device:
        async with site.session(device) as client:
            before = await client.call(DCA.node, GET_CERTIFICATES, NULL_NODE)
            await site.push(client, device, 0)
            staged = await client.call(DCA.node, GET_CERTIFICATES, GROUP)
            await client.call(DCA.node, APPLY_CHANGES)
        async with site.session(device) as client:
            types, certificates = await client.call(DCA.node, GET_CERTIFICATES, NULL_NODE)
            unknown = ua.Variant(node_id(1), Kinds.NodeId)
            no_group = await status_of(client.call(DCA.node, GET_CERTIFICATES, unknown))

    assert [output.Value for output in (*before, *staged)] == [[], [], [], []]
    assert types.Value == [node_id(SLOT)]
    assert certificates.Value == [device.dca_certificate]
    assert no_group == StatusCode.BadInvalidArgument


async def test_an_application_the_device_lacks_is_unknown() -> None:
    async with running(device_plan(applications=1)) as device:
        absent = load_model().objects[2]
        async with Site("s").session(device) as client:
            found = await status_of(client.call(absent.node, GET_CERTIFICATES, NULL_NODE))

    assert found == StatusCode.BadNodeIdUnknown


async def test_a_key_of_another_kind_does_not_fit_the_slot() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    authority = root_authority("R", key, serial=9, revocation=Revocation.NOWHERE, now=NOW)
    async with running() as device, Site("s").session(device) as client:
        certificate = authority.application(device.application_uri, key.public_key())
        found = await status_of(
            client.call(DCA.node, UPDATE_CERTIFICATE, *update_arguments(certificate))
        )

    assert found == StatusCode.BadCertificateInvalid
    assert not TrustListContent()


def _key(certificate: bytes) -> rsa.RSAPublicKey:
    key = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key
