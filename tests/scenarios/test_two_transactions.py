"""Some devices check a certificate against the TrustList that is in force.

    one transaction    TrustList, certificate ─▶ ApplyChanges
    two transactions   TrustList ─▶ ApplyChanges ─▶ reconnect ─▶ certificate ─▶ ApplyChanges

"UpdateCertificate demands that the group's TrustList already contains the issuers": servers read
that differently (OPC 10000-12 §7.10.5), and both kinds are onboarded.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.core.issuance import IssuanceState
from registrar.simulate.plant import TicketRoute, Validation
from tests.onboarding.stage import Backdrop, device


@pytest.mark.clause("R126")
@pytest.mark.parametrize("validation", sorted(Validation))
@pytest.mark.parametrize("singleton", [False, True])
async def test_every_way_of_checking_certificates_is_served(
    backdrop: Backdrop, tmp_path: Path, validation: Validation, singleton: bool
) -> None:
    plan = device(validation=validation, singleton=singleton, applications=2)

    async with backdrop.stage(tmp_path, plan) as stage:
        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED
        active = [one for one in stage.issued() if one.state is not IssuanceState.REVOKED]
        assert len(active) == (1 if singleton else 3)
        assert {one.state for one in active} == {IssuanceState.CONFIRMED}


async def test_the_second_transaction_delivers_the_certificate_of_the_first(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    plan = device(validation=Validation.ACTIVE, route=TicketRoute.WITH_DEVICE)

    async with backdrop.stage(tmp_path, plan) as stage:
        await stage.onboard()

        assert len(stage.issued()) == 2
