"""Two devices show one ProductInstanceUri; both hold a key and a certificate for it.

    Root ─▶ Identity CA ─┬▶ IDevID (URI, key A)
                         └▶ IDevID (URI, key B)      one Ticket of URI

The first that proves its key keeps the name, the second is in conflict, and the first keeps
working (threat T3). ProductInstanceUris are unique by OPC 10000-21 §5.2.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.simulate.plant import Kind
from tests.onboarding.stage import Backdrop, device


@pytest.mark.clause("R14")
@pytest.mark.clause("R16")
async def test_one_of_two_devices_with_one_name_is_onboarded(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    plans = device(0, twin=1), device(1, kind=Kind.DUPLICATE_URI, twin=0)

    async with backdrop.stage(tmp_path, *plans) as stage:
        outcomes = await stage.onboard()

        states = sorted(outcome.state for outcome in outcomes.values())
        assert states == [State.CONFLICT, State.ONBOARDED]
        (winner,) = [one for one in outcomes.values() if one.state is State.ONBOARDED]
        (loser,) = [one for one in outcomes.values() if one.state is State.CONFLICT]
        assert loser.reason is Reason.PRODUCT_INSTANCE_URI_CONFLICT
        assert winner.url in loser.detail
        owned = {one.url for one in stage.devices if one.is_owned}
        assert owned == {winner.url}


async def test_a_device_that_moved_is_not_onboarded_a_second_time(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        await stage.onboard()
        elsewhere = stage.urls[0] + "/moved"

        outcome = (await stage.onboard([elsewhere]))[elsewhere]

        assert outcome.state is State.CONFLICT
        assert outcome.reason is Reason.PRODUCT_INSTANCE_URI_CONFLICT
