"""How many requests a device of each kind is sent, as docs/explanation/performance.md lists them.

A new exchange costs every device of a campaign a round trip, so it is to be a decision.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.simulate.device import Device
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
    "active TrustList": (device(1, applications=2, validation=Validation.ACTIVE), 31),
}


@pytest.mark.parametrize(("plan", "exchanges"), KINDS.values(), ids=KINDS)
async def test_no_device_is_sent_more_requests_than_its_kind_needs(
    backdrop: Backdrop, tmp_path: Path, plan: DevicePlan, exchanges: int
) -> None:
    async with backdrop.stage(tmp_path, plan) as stage:
        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED
        assert stage.driver.counters.exchanges == exchanges


async def test_a_device_that_restarts_with_its_changes_is_found_again(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    plan = device(1, applications=1, validation=Validation.ACTIVE)

    async with backdrop.stage(tmp_path, plan) as stage:
        restart_with_changes(stage.devices[0])
        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED
        assert stage.driver.counters.connections == KEPT + 2


KEPT = 4
"""Connections to such a device where the changes of applications leave its Session alone."""


def restart_with_changes(restarting: Device) -> None:
    """Let ApplyChanges end as an update of the software does."""
    apply_changes = restarting.apply_changes

    def apply_and_restart(session: object) -> None:
        apply_changes(session)
        restarting.update_software(restarting.software_revision)

    restarting.apply_changes = apply_and_restart  # type: ignore[method-assign]
