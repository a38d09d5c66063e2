"""The ordinary way of a device, over TCP, and what is true at each point of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from asyncua import ua
from cryptography import x509

from registrar.core.certificate import Certificate, split_chain
from registrar.core.enrolment import State
from registrar.core.issuance import IssuanceState
from registrar.core.ports import Enrolment
from registrar.core.trust import TrustListName
from registrar.core.trust_list_plan import plan_for_application, plan_for_dca
from registrar.enrolment import Engine
from registrar.enrolment.journal import open_journal
from registrar.enrolment.preview import PreviewJournal
from registrar.onboarding.endpoints import read_offer
from registrar.onboarding.settings import POLICIES
from registrar.simulate.plant import TicketRoute
from registrar.store import trust
from registrar.store.invariants import check
from registrar.store.transaction import Cause
from registrar.store.trust import EntryKind
from registrar.ua.security_policy import AES256_SHA256_RSAPSS
from tests.onboarding.stage import BACKDATE, DCA_LIFETIME, Backdrop, Stage, device, now, site_chains

DCA_WAY = [
    State.IDENTIFIED,
    State.PROVISIONING,
    State.CONFIGURING,
    State.ONBOARDED,
]
"""Where each step led; an identity that is proven is provisioned at once."""


@pytest.mark.clause("R3")
@pytest.mark.clause("R8")
@pytest.mark.clause("R84")
@pytest.mark.clause("R122")
@pytest.mark.clause("R126")
@pytest.mark.clause("R131")
async def test_a_device_is_onboarded_with_everything_in_force(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    seen: list[State] = []

    def observe(enrolment: Enrolment) -> None:
        seen.append(enrolment.state)

    async with backdrop.stage(tmp_path, device(applications=2)) as stage:
        (outcome,) = (await stage.onboard(observe=observe)).values()
        dca, *applications = stage.devices[0].configuration.groups

        assert (outcome.state, outcome.detail) == (State.ONBOARDED, "")
        assert seen == DCA_WAY
        assert len(applications) == 2
        shown = {
            leaf(slot.certificate) for one in (dca, *applications) for slot in one.slots.values()
        }
        assert shown == {issuance.certificate for issuance in stage.issued()}
        assert {issuance.state for issuance in stage.issued()} == {IssuanceState.CONFIRMED}
        chains = site_chains(stage.site)
        assert set(dca.trust_list.trusted_certificates) == set(
            plan_for_dca(chains).trusted_certificates
        )
        for one in applications:
            assert set(one.trust_list.issuer_certificates) == set(
                plan_for_application(chains).issuer_certificates
            )
        assert check(stage.store.path) == []


def leaf(blob: bytes) -> bytes:
    return split_chain(blob)[0]


@pytest.mark.clause("R142")
@pytest.mark.clause("R132")
async def test_a_dca_certificate_is_short_lived_ours_and_worthless_to_applications(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        await stage.onboard()
        certificate = Certificate.from_der(stage.devices[0].dca_certificate or b"")
        (identity,) = stage.devices[0].product.identities
        application_list = stage.devices[0].configuration.groups[1].trust_list

        assert certificate.not_after < Certificate.from_der(identity.certificate).not_after
        assert certificate.not_after - certificate.not_before <= DCA_LIFETIME + BACKDATE
        assert certificate.issuer_bytes == stage.site.authorities.dca.certificate.subject_bytes
        issuer = stage.site.authorities.dca.certificate.der
        assert issuer not in application_list.trusted_certificates
        assert issuer not in application_list.issuer_certificates
        assert certificate.san_uris == (stage.devices[0].application_uri,)
        assert [str(address) for address in certificate.ip_addresses] == ["127.0.0.1"]
        assert not certificate.is_ca


@pytest.mark.clause("R123")
@pytest.mark.clause("R124")
@pytest.mark.clause("R79")
@pytest.mark.clause("R80")
async def test_a_device_brings_its_ticket_along(backdrop: Backdrop, tmp_path: Path) -> None:
    async with backdrop.stage(tmp_path, device(route=TicketRoute.WITH_DEVICE)) as stage:
        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED
        assert "registered" in stage.audited()


@pytest.mark.clause("R42")
async def test_a_device_is_not_asked_for_a_ticket_the_site_has(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    spent = {}

    for route in (TicketRoute.OUT_OF_BAND, TicketRoute.WITH_DEVICE):
        async with backdrop.stage(tmp_path / route, device(route=route)) as stage:
            await stage.onboard()
            spent[route] = stage.driver.counters

    asked, known = spent[TicketRoute.WITH_DEVICE], spent[TicketRoute.OUT_OF_BAND]
    assert asked.exchanges == known.exchanges + 1
    assert asked.connections == known.connections  # the same Session proves the key


@pytest.mark.clause("R46")
@pytest.mark.clause("R50")
@pytest.mark.clause("R52")
async def test_the_choice_and_every_suppressed_check_are_audited(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device(maker="beta")) as stage:
        drop_crls(stage, TrustListName.DEVICE_IDENTITY_AUTHORITIES)

        await stage.onboard()

        events = stage.audited()
        assert "identity_selected" in events
        assert "suppressed_revocation_skipped" in events


def drop_crls(stage: Stage, name: TrustListName) -> None:
    """Make the site forget the CRLs of a list; beta's certificates name no place to ask."""
    cause = Cause(actor="test", now=now())
    for entry in trust.entries(stage.store.reader, name):
        if entry.kind is EntryKind.CRL:
            stage.store.write_sync(partial(trust.remove, entry=entry, cause=cause))


async def test_with_current_software_only_the_dca_certificate_is_offered(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        await stage.onboard()

        offered = stage.devices[0].endpoints("")
        assert {leaf(bytes(one.ServerCertificate)) for one in offered} == {
            leaf(stage.devices[0].dca_certificate or b"")
        }


@pytest.mark.clause("R134")
async def test_the_security_admin_role_is_given_to_the_registrar(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    plans = [device(index) for index in range(4)]

    async with backdrop.stage(tmp_path, *plans) as stage:
        await stage.onboard()

        offering = [one for one in stage.devices if one.security_admin.is_offered]
        assert offering
        assert all(one.security_admin.is_configured for one in offering)
        assert not any(one.in_application_setup for one in stage.devices)


@pytest.mark.clause("R133")
async def test_a_device_is_reached_by_its_strongest_encrypted_endpoint(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        offer = read_offer(stage.devices[0].endpoints(""), POLICIES)

        (way,) = offer.ways.values()
        assert way.mode is ua.MessageSecurityMode.SignAndEncrypt
        assert way.policy is AES256_SHA256_RSAPSS


async def test_onboarding_again_changes_nothing(backdrop: Backdrop, tmp_path: Path) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        await stage.onboard()
        before = [issuance.id for issuance in stage.issued()]
        exchanges = stage.driver.counters.exchanges

        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED
        assert [issuance.id for issuance in stage.issued()] == before
        assert stage.driver.counters.exchanges == exchanges


async def test_a_dry_run_changes_nothing(backdrop: Backdrop, tmp_path: Path) -> None:
    plans = [device(0), device(1, route=TicketRoute.WITH_DEVICE)]

    async with backdrop.stage(tmp_path, *plans) as stage:
        engine = Engine(driver=stage.driver, journal=PreviewJournal(), random=lambda: 0.0)
        found = [outcome async for outcome in engine.preview(stage.urls)]

        assert {outcome.state for outcome in found} == {State.IDENTIFIED}
        assert not any(one.is_owned for one in stage.devices)
        assert stage.store.reader.query("SELECT * FROM enrolments") == []


async def test_a_dry_run_knows_a_device_that_is_ours(backdrop: Backdrop, tmp_path: Path) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        await stage.onboard()

        async with open_journal(stage.store, name="preview", now=now) as journal:
            engine = Engine(driver=stage.driver, journal=journal, random=lambda: 0.0)
            (found,) = [outcome async for outcome in engine.preview(stage.urls)]

        assert (found.state, found.reason) == (State.ONBOARDED, None)


@pytest.mark.clause("OPC 10000-6 §6.2.2")
async def test_certificates_follow_the_profile_of_the_standard(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        await stage.onboard()

        for slot in [
            slot for one in stage.devices[0].configuration.groups for slot in one.slots.values()
        ]:
            parsed = x509.load_der_x509_certificate(leaf(slot.certificate))
            usage = parsed.extensions.get_extension_for_class(x509.KeyUsage).value
            assert usage.digital_signature
            assert usage.key_encipherment
            assert not usage.key_cert_sign
