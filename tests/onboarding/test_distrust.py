"""What a Device says is checked against what it shows, over TCP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from registrar.core.certificate import Certificate, split_chain
from registrar.core.enrolment import State
from registrar.core.issuance import IssuanceState
from registrar.core.trust import TrustListName
from registrar.errors import Reason, ServiceFailed
from registrar.simulate.device import Device
from registrar.simulate.plant import TicketRoute
from registrar.simulate.production import Identity, Product
from registrar.simulate.trust_list_file import TrustListFile
from registrar.status import StatusCode
from registrar.store import trust
from registrar.store.transaction import Cause
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire.dca import Dca
from tests.core.building import Issued, root, rsa_key
from tests.onboarding.lying import Lie, lying
from tests.onboarding.stage import Backdrop, Stage, device, now, push_driver, push_settings


def refuse_certificates(*_: object, **__: object) -> None:
    raise ServiceFailed("no", status=StatusCode.BadCertificateInvalid)


async def fail(*_: object) -> str:
    raise ServiceFailed("no", status=StatusCode.BadServiceUnsupported)


class Chosen:
    """Notes by which certificate each SecureChannel to a Device is opened."""

    def __init__(self, watched: Device) -> None:
        self._identity = watched.identity
        self.seen: list[bytes] = []

    def __call__(self, receiver_thumbprint: bytes) -> ApplicationIdentity | None:
        found = self._identity(receiver_thumbprint)
        if found is not None:
            self.seen.append(found.certificate)
        return found


# What is no DCA


def has_no_provisionable_device(response: Any) -> Any:
    for result in getattr(response, "Results", None) or []:
        if isinstance(result, ua.DataValue) and result.Value and result.Value.Value is False:
            result.Value = ua.Variant(None, ua.VariantType.Null)
    return response


def has_no_request_tickets(response: Any) -> Any:
    for result in getattr(response, "Results", None) or []:
        if isinstance(result, ua.CallMethodResult):
            result.StatusCode = ua.StatusCode(ua.UInt32(StatusCode.BadMethodInvalid))
    return response


@pytest.mark.clause("OPC 10000-21 §7.3")
@pytest.mark.parametrize(
    ("lie", "route"),
    [
        (has_no_provisionable_device, TicketRoute.OUT_OF_BAND),
        (has_no_request_tickets, TicketRoute.WITH_DEVICE),
    ],
)
async def test_what_is_no_dca_is_refused_before_it_is_changed(
    backdrop: Backdrop, tmp_path: Path, lie: Lie, route: TicketRoute
) -> None:
    async with backdrop.stage(tmp_path, device(route=route)) as stage:
        with lying({stage.devices[0]: lie}):
            outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.NOT_A_DCA)
        assert not stage.devices[0].is_owned
        assert stage.issued() == []


# Endpoints and keys


@pytest.mark.clause("R122")
@pytest.mark.clause("T10: OPC 10000-4 §5.7.2")
async def test_endpoints_that_were_weakened_on_the_way_are_not_used(
    backdrop: Backdrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without security the strongest policy is missing; in the Session the truth is told."""
    async with backdrop.stage(tmp_path, device()) as stage:
        (one,) = stage.devices
        complete = one.endpoints
        answers = 0

        def endpoints(url: str) -> list[ua.EndpointDescription]:
            nonlocal answers
            answers += 1
            return complete(url)[:2] if answers == 1 else complete(url)

        monkeypatch.setattr(one, "endpoints", endpoints)
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.ENDPOINTS_ALTERED)
        assert stage.issued() == []


def copied(product: Product, *, ca: Issued) -> Product:
    """Give the Device an LDevID that would be preferred, without the key of it."""
    ldevid = ca.issue(
        "ldevid",
        uris=[product.plan.product_instance_uri],
        key=rsa_key(),
        not_after=now() + timedelta(days=300),
    )
    copy = Identity(certificate=ldevid.der, issuers=(), key=product.identities[0].key)
    return replace(product, identities=(copy, *product.identities))


@pytest.mark.clause("R53")
async def test_where_one_key_is_not_proven_the_next_identity_is_tried(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    ca = root(
        "owner's CA", not_before=now() - timedelta(days=1), not_after=now().replace(year=2090)
    )

    async with backdrop.stage(tmp_path, device(), alter=partial(copied, ca=ca)) as stage:
        trust_identities(stage, ca)
        driver = push_driver(stage.site, stage.store, push_settings())

        (outcome,) = (await stage.onboard(driver=driver)).values()

        assert outcome.state is State.ONBOARDED
        (row,) = stage.store.reader.query("SELECT identity_thumbprint FROM enrolments")
        proven = Certificate.from_der(stage.devices[0].product.identities[1].certificate)
        assert row["identity_thumbprint"] == proven.thumbprint
        assert stage.audited().count("identity_selected") == 2


def trust_identities(stage: Stage, ca: Issued) -> None:
    stage.store.write_sync(
        partial(
            trust.add_certificate,
            name=TrustListName.DEVICE_IDENTITY_AUTHORITIES,
            der=ca.der,
            cause=Cause(actor="test", now=now()),
        )
    )


@pytest.mark.clause("R122")
@pytest.mark.clause("R140")
@pytest.mark.parametrize("outdated", [False, True])
async def test_the_first_channel_is_by_the_identity_and_all_later_ones_by_the_dca_certificate(
    backdrop: Backdrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outdated: bool
) -> None:
    """With outdated software both are still offered, and only one may be used."""
    async with backdrop.stage(tmp_path, device(outdated=outdated)) as stage:
        (one,) = stage.devices
        chosen = Chosen(one)
        monkeypatch.setattr(one, "identity", chosen)

        await stage.onboard()

        (identity,) = one.product.identities
        assert chosen.seen[0] == identity.certificate
        assert chosen.seen[1:]
        dca_certificate = split_chain(one.dca_certificate or b"")[0]
        assert {split_chain(blob)[0] for blob in chosen.seen[1:]} == {dca_certificate}


# Changes


def adds_an_authority(owned: Device) -> None:
    """Keep somebody of its own in the TrustList."""
    group = owned.configuration.dca
    group.trust_list = replace(
        group.trust_list,
        trusted_certificates=(*group.trust_list.trusted_certificates, root("former owner").der),
    )


def loses_a_crl(owned: Device) -> None:
    group = owned.configuration.dca
    group.trust_list = replace(group.trust_list, issuer_crls=group.trust_list.issuer_crls[:1])


@pytest.mark.clause("R126")
@pytest.mark.clause("R135")
@pytest.mark.parametrize("change", [adds_an_authority, loses_a_crl])
async def test_a_trust_list_that_is_not_the_one_meant_is_found_out(
    backdrop: Backdrop, tmp_path: Path, change: Callable[[Device], None]
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        stage.devices[0].on_owned = change

        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.CHANGES_NOT_EFFECTIVE)
        assert "TrustList" in outcome.detail


@pytest.mark.clause("R126")
async def test_a_certificate_that_stands_in_no_slot_is_found_out(
    backdrop: Backdrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        monkeypatch.setattr(stage.devices[0].configuration, "get_certificates", lambda _: {})

        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.CHANGES_NOT_EFFECTIVE)
        assert "GetCertificates" in outcome.detail
        assert {issuance.state for issuance in stage.issued()} == {IssuanceState.REVOKED}


@pytest.mark.clause("R136")
@pytest.mark.parametrize("says_why", [True, False])
async def test_a_refused_certificate_ends_the_transaction_and_is_revoked(
    backdrop: Backdrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says_why: bool
) -> None:
    if not says_why:
        monkeypatch.setattr(Dca, "diagnostics", fail)

    async with backdrop.stage(tmp_path, device()) as stage:
        (one,) = stage.devices
        cancel = one.configuration.cancel_changes
        cancelled: list[object] = []

        def cancel_changes(session: object) -> None:
            cancelled.append(session)
            cancel(session)

        monkeypatch.setattr(one.configuration, "cancel_changes", cancel_changes)
        monkeypatch.setattr(one.configuration, "update_certificate", refuse_certificates)
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.CERTIFICATE_REFUSED)
        assert len(cancelled) == 1
        assert not one.is_owned
        assert {issuance.state for issuance in stage.issued()} == {IssuanceState.REVOKED}


@pytest.mark.clause("R136")
async def test_a_refused_trust_list_revokes_the_certificate_behind_it(
    backdrop: Backdrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        (one,) = stage.devices
        monkeypatch.setattr(TrustListFile, "close_and_update", refuse_certificates)
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.TRUST_LIST_REFUSED)
        assert not one.is_owned
        assert {issuance.state for issuance in stage.issued()} == {IssuanceState.REVOKED}


# Applications


@pytest.mark.clause("R132")
async def test_an_application_with_the_name_of_the_dca_gets_nothing(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        (one,) = stage.devices
        one.configuration.application_uris = (one.application_uri, one.application_uri)

        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.PROTOCOL_VIOLATION)
        assert [issuance.profile for issuance in stage.issued()] == ["dca"]


@pytest.mark.clause("R132")
@pytest.mark.parametrize("whose", ["the Registrar", "another Device", "another application"])
async def test_an_application_with_the_name_of_somebody_else_gets_nothing(
    backdrop: Backdrop, tmp_path: Path, whose: str
) -> None:
    async with backdrop.stage(tmp_path, device(0), device(1)) as stage:
        thief, other = stage.devices
        names = {
            "the Registrar": stage.driver.application_uri,
            "another Device": other.application_uri,
            "another application": other.configuration.application_uris[1],
        }
        await stage.onboard([other.url])
        thief.configuration.application_uris = (thief.application_uri, names[whose])

        outcome = (await stage.onboard([thief.url]))[thief.url]

        assert outcome.state is State.CONFLICT
        assert outcome.reason is Reason.PRODUCT_INSTANCE_URI_CONFLICT
        assert [issuance.profile for issuance in stage.issued()] == ["dca"]
