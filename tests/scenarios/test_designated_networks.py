"""New devices may only be where the operator said.

    designated: 10.0.0.0/8      device: opc.tcp://127.0.0.1      refused before a byte is sent

"verify that the DCA runs on a network designated ... as source of new Devices" (OPC 10000-21 §6.3).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.onboarding import networks
from tests.onboarding.stage import Backdrop, device, push_settings


@pytest.mark.clause("R9")
async def test_a_device_elsewhere_is_refused_without_a_connection(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    settings = push_settings(designated_networks=networks(["10.0.0.0/8", "::1/128"]))

    async with backdrop.stage(tmp_path, device(), settings=settings) as stage:
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (
            State.REFUSED,
            Reason.NETWORK_NOT_DESIGNATED,
        )
        assert stage.driver.counters.connections == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1", "opc.tcp://", "opc.tcp://[broken", "x"])
async def test_a_url_that_leads_elsewhere_is_refused(
    backdrop: Backdrop, tmp_path: Path, url: str
) -> None:
    async with backdrop.stage(tmp_path, device()) as stage:
        outcome = (await stage.onboard([url]))[url]

        assert outcome.state is State.REFUSED
