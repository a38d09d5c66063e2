"""A Ticket names the device, and must not be believed.

    changed      Root ─▶ Ticket CA ─▶ signer ─▶ {payload changed afterwards}
    untrusted    foreign Root ─▶ foreign CA ─▶ foreign signer ─▶ {payload}
    revoked      Root ─▶ Ticket CA ─▶ former signer (on the CRL) ─▶ {payload}

Each reaches the site by both routes, and the device is refused with the exact reason.
"Invalid Tickets are never used" (OPC 10000-21 §6.4).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.simulate.plant import Kind, TicketRoute
from tests.onboarding.stage import Backdrop, device

REASONS = {
    Kind.TICKET_CHANGED: Reason.TICKET_SIGNATURE_INVALID,
    Kind.SIGNER_UNTRUSTED: Reason.TICKET_SIGNER_UNTRUSTED,
    Kind.SIGNER_REVOKED: Reason.TICKET_SIGNER_REVOKED,
}


@pytest.mark.clause("R56")
@pytest.mark.clause("R64")
@pytest.mark.parametrize("route", [TicketRoute.OUT_OF_BAND, TicketRoute.WITH_DEVICE])
@pytest.mark.parametrize("kind", sorted(REASONS))
async def test_a_device_with_a_bad_ticket_is_refused(
    backdrop: Backdrop, tmp_path: Path, kind: Kind, route: TicketRoute
) -> None:
    async with backdrop.stage(tmp_path, device(kind=kind, route=route)) as stage:
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, REASONS[kind])
        assert stage.devices[0].url in outcome.detail
        assert not stage.devices[0].is_owned
        assert stage.issued() == []
