"""Another Registrar came first.

    Neighbouring Site CA ─▶ DCA Certificate (URI)      served in place of, or beside, the IDevID

The device is not accepted, and the reason names the owner's certificate, so that somebody can
find it. "later only Registrars in the TrustList" (OPC 10000-21 §7.3).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.certificate import Certificate, split_chain
from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.simulate.plant import Kind, TicketRoute
from tests.onboarding.stage import Backdrop, device


@pytest.mark.clause("R130")
@pytest.mark.parametrize("outdated", [False, True])
@pytest.mark.parametrize("route", [TicketRoute.OUT_OF_BAND, TicketRoute.WITH_DEVICE])
async def test_a_device_of_another_registrar_is_a_conflict_that_names_it(
    backdrop: Backdrop, tmp_path: Path, outdated: bool, route: TicketRoute
) -> None:
    plan = device(kind=Kind.ALREADY_OWNED, outdated=outdated, route=route)

    async with backdrop.stage(tmp_path, plan) as stage:
        before = stage.devices[0].dca_certificate or b""

        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.CONFLICT, Reason.ALREADY_OWNED)
        owner = Certificate.from_der(split_chain(before)[0])
        for named in (owner.issuer, owner.thumbprint, f"{owner.serial_number:x}"):
            assert named in outcome.detail
        assert stage.devices[0].dca_certificate == before
