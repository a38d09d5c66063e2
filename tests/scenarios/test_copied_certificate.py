"""Somebody copied a DeviceIdentity Certificate, and has another key.

    Root ─▶ Identity CA ─▶ IDevID (URI, key A)      the device holds key B

GetEndpoints shows the certificate and everything about it is right; no SecureChannel can be opened
with it. "secure connection with it" is the proof (OPC 10000-21 §7.1 step 5; threat T1).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.simulate.plant import Kind, TicketRoute
from tests.onboarding.stage import Backdrop, device


@pytest.mark.clause("R53")
@pytest.mark.parametrize("route", [TicketRoute.OUT_OF_BAND, TicketRoute.WITH_DEVICE])
async def test_a_device_without_the_key_is_refused_before_anything_is_issued(
    backdrop: Backdrop, tmp_path: Path, route: TicketRoute
) -> None:
    async with backdrop.stage(tmp_path, device(kind=Kind.KEY_MISSING, route=route)) as stage:
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.KEY_NOT_PROVEN)
        assert stage.issued() == []
        assert stage.store.reader.query("SELECT * FROM bindings") == []


async def test_a_device_that_went_away_is_not_called_a_copy(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device(), start=False) as stage:
        stage.devices[0].url = "opc.tcp://127.0.0.1:1"

        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.UNREACHABLE, Reason.UNREACHABLE)
