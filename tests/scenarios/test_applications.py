"""Applications live below ProvisionableDevice, or in the folder ManagedApplications.

    Resources ─┬─ ProvisionableDevice ── application      (OPC 10000-21 §9.3.2)
               └─ ManagedApplications ── application      (OPC 10000-12 §7.10.16)

Both places are searched and each application is served once (ambiguity Q28 of our reading).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from tests.onboarding.stage import Backdrop, device


@pytest.mark.clause("R131")
@pytest.mark.clause("R138")
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_applications_are_found_wherever_they_live(
    backdrop: Backdrop, tmp_path: Path, count: int
) -> None:
    plans = [device(index, applications=count) for index in (0, 1, 3)]

    async with backdrop.stage(tmp_path, *plans) as stage:
        outcomes = await stage.onboard()

        assert {one.state for one in outcomes.values()} == {State.ONBOARDED}
        assert {one.uses_folder for one in stage.devices} == {False, True}
        for number, one in enumerate(stage.devices):
            uris = {issuance.application_uri for issuance in stage.issued(number)}
            assert uris == set(one.configuration.application_uris)
            assert all(group.is_provisioned for group in one.configuration.groups)
