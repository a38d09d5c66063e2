"""A device arrives and nobody has a Ticket for it.

    Root ─▶ Identity CA ─▶ IDevID (URI)          Ticket of URI: missing

It is not accepted, and waits; as soon as its Ticket is imported the running campaign takes it
up. "not accepted; record as pending so a RegistrarAdmin can supply a Ticket" (OPC 10000-21 §7.3).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.simulate.plant import Kind, TicketRoute
from tests.onboarding.stage import Backdrop, device


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
