"""A device arrives and nobody has a Ticket for it.

    Root ─▶ Identity CA ─▶ IDevID (URI)          Ticket of URI: missing

It is not accepted, and waits; as soon as its Ticket is imported the running campaign takes it
up. "not accepted; record as pending so a RegistrarAdmin can supply a Ticket" (OPC 10000-21 §7.3).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.app import stopping
from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.simulate.plant import Kind, TicketRoute
from registrar.store import trust
from tests.onboarding.stage import Backdrop, device, push_driver, push_settings


@pytest.mark.clause("R1")
@pytest.mark.clause("R41")
async def test_a_device_without_ticket_waits_for_one(backdrop: Backdrop, tmp_path: Path) -> None:
    plan = device(kind=Kind.NO_TICKET, route=TicketRoute.NONE)

    async with backdrop.stage(tmp_path, plan) as stage:
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.AWAITING_TICKET, Reason.TICKET_MISSING)
        assert "Ticket" in outcome.next_action
        assert not stage.devices[0].is_owned
        assert stage.issued() == []


@pytest.mark.clause("R90")
async def test_a_refused_device_is_accepted_once_its_authority_is_trusted(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        store, settings = stage.store, stage.site.settings
        authorities = trust.ticket_authorities(store.reader).trusted_certificates
        for authority in authorities:
            stopping.stop(store, settings, authority)
        refused = await stage.end_of()

        for authority in authorities:
            stopping.lift(store, settings, authority)
        later = push_driver(stage.site, store, push_settings())
        outcomes = await stage.onboard(driver=later, retry=frozenset({State.REFUSED}))

        assert (refused.state, refused.reason) == (State.REFUSED, Reason.AUTHORITY_STOPPED)
        assert {one.state for one in outcomes.values()} == {State.ONBOARDED}
