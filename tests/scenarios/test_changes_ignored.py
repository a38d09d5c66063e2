"""A device answers Good to everything and changes nothing.

    TrustList, UpdateCertificate, ApplyChanges: Good      afterwards it serves the IDevID as before

Only reading back tells (design decision 9). The certificate that was made is revoked (R136).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.core.issuance import IssuanceState
from registrar.errors import Reason
from registrar.simulate.plant import Kind
from tests.onboarding.stage import Backdrop, device


@pytest.mark.clause("R136")
async def test_a_device_that_only_says_good_is_refused(backdrop: Backdrop, tmp_path: Path) -> None:
    async with backdrop.stage(tmp_path, device(kind=Kind.CHANGES_IGNORED)) as stage:
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.CHANGES_NOT_EFFECTIVE)
        assert {issuance.state for issuance in stage.issued()} == {IssuanceState.REVOKED}
        assert "manufacturer" in outcome.next_action
