"""One device accepts the connection and then says nothing more.

    stuck    Session open ─▶ Call ─▶ …silence
    others   onboarded meanwhile

It ends within its budget, with the reason, and delays nobody (threat-model F2, §7).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.simulate.misbehaviour import Misbehaviour
from registrar.wire.limits import ClientLimits
from tests.onboarding.stage import LIMITS, Backdrop, device, push_settings


async def test_a_silent_device_delays_nobody(backdrop: Backdrop, tmp_path: Path) -> None:
    plans = [device(index) for index in range(4)]
    settings = push_settings(client=ClientLimits(request_s=0.5, close_s=0.05))
    limits = replace(LIMITS, concurrency=2, concurrency_per_subnet=2, attempts=2)

    async with backdrop.stage(
        tmp_path, *plans, misbehaviours={0: Misbehaviour(silent=True)}, settings=settings
    ) as stage:
        outcomes = await stage.onboard(limits=limits)

        ended = list(outcomes.values())
        assert [one.state for one in ended[:-1]] == [State.ONBOARDED] * 3
        assert ended[-1].url == stage.urls[0]
        assert (ended[-1].state, ended[-1].reason) == (State.UNREACHABLE, Reason.TIMED_OUT)


async def test_a_device_somebody_else_configures_is_busy(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    misbehaviours = {0: Misbehaviour(always_pending=True)}

    async with backdrop.stage(tmp_path, device(), misbehaviours=misbehaviours) as stage:
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.UNREACHABLE, Reason.BUSY)
        assert "BadTransactionPending" in outcome.detail
