"""How many requests a device of each kind is sent, as docs/explanation/performance.md lists them.

A new exchange costs every device of a campaign a round trip, so it is to be a decision.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.simulate.plant import DevicePlan, TicketRoute, Validation
from tests.onboarding.stage import Backdrop, device

KINDS = {
    "singleton": (device(singleton=True), 14),
    "application": (device(1, applications=1), 23),
    "two applications": (device(1, applications=2), 23),
    "no ManagedApplications": (device(0, applications=2), 23),
    "Role": (device(2, applications=2), 24),
    "Role with a list": (device(3, applications=2), 25),
    "Ticket on the device": (device(1, applications=2, route=TicketRoute.WITH_DEVICE), 24),
    "active TrustList": (device(1, applications=2, validation=Validation.ACTIVE), 33),
}


@pytest.mark.parametrize(("plan", "exchanges"), KINDS.values(), ids=KINDS)
async def test_no_device_is_sent_more_requests_than_its_kind_needs(
    backdrop: Backdrop, tmp_path: Path, plan: DevicePlan, exchanges: int
) -> None:
    async with backdrop.stage(tmp_path, plan) as stage:
        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED
        assert stage.driver.counters.exchanges == exchanges
