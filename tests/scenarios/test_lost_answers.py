"""The connection ends with ApplyChanges, before its answer came.

    ApplyChanges ─▶ (applied) ─╳      unknown is not failure: reconnect and look

A lost answer neither fails the device nor makes a second certificate (threat-model F32, F37).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.simulate.misbehaviour import Misbehaviour
from tests.onboarding.stage import Backdrop, device

WRONG = {
    "answer lost": Misbehaviour(loses_apply_response=True),
    "away for a while": Misbehaviour(refuses_tcp_s=0.1),
    "both": Misbehaviour(loses_apply_response=True, refuses_tcp_s=0.1),
}


@pytest.mark.clause("R136")
@pytest.mark.parametrize("wrong", sorted(WRONG))
async def test_a_lost_answer_makes_no_second_certificate(
    backdrop: Backdrop, tmp_path: Path, wrong: str
) -> None:
    async with backdrop.stage(tmp_path, device(), misbehaviours={0: WRONG[wrong]}) as stage:
        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED
        assert len(stage.issued()) == 2


async def test_a_trust_list_the_device_cannot_hold_is_refused(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    misbehaviours = {0: Misbehaviour(max_trust_list_size=200)}

    async with backdrop.stage(tmp_path, device(), misbehaviours=misbehaviours) as stage:
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.TRUST_LIST_REFUSED)
        assert not stage.devices[0].is_owned
