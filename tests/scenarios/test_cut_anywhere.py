"""The connection is cut after each message of the push sequence, one after the other.

    request ─▶ (served) ─╳      whichever it was: the device ends onboarded, or can be retried

F14: no cut makes a second active certificate, or an end that is final. A file that was open when
the connection was cut stays open until the device ends the lost Session: it is busy until then.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.core.issuance import IssuanceState
from registrar.errors import Reason
from tests.onboarding.lying import cutting
from tests.onboarding.stage import Backdrop, device

NEVER = 10_000


@pytest.mark.slow
@pytest.mark.clause("F14")
async def test_F14_a_cut_after_any_message_is_overcome(backdrop: Backdrop, tmp_path: Path) -> None:
    with cutting(NEVER) as requests:
        async with backdrop.stage(tmp_path / "whole", device()) as stage:
            assert (await stage.end_of()).state is State.ONBOARDED
    whole = [*requests]

    ends = []
    for number in range(len(whole)):
        with cutting(number) as requests:
            async with backdrop.stage(tmp_path / str(number), device()) as stage:
                outcome = await stage.end_of()
                ends.append((number, whole[number], outcome.state, outcome.reason))
                assert len(requests) > number
                active = [
                    (one.application_uri, one.certificate_group, one.certificate_type)
                    for one in stage.issued()
                    if one.state is IssuanceState.CONFIRMED
                ]
                assert len(active) == len({*active})

    assert len(ends) > 20
    busy = [end for end in ends if end[2] is not State.ONBOARDED]
    assert {end[1:] for end in busy} <= {("CallRequest", State.UNREACHABLE, Reason.BUSY)}
    assert len(busy) < len(ends) / 2
