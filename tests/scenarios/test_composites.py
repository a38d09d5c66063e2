"""Devices built into Composites prove both names, or are refused.

    Composite Ticket (outer) ─ Composites ─▶ Composite Ticket (inner) ─ Devices ─▶ URI
    IDevID: URI                 alone: a partial match, refused
    LDevID: URI and outer URI   accepted

"considers only Certificates with both" (OPC 10000-21 §7.1, §7.2).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.certificate import Certificate
from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.simulate.plant import CompositePlan, Kind, TicketRoute
from tests.onboarding.stage import Backdrop, device

INNER, OUTER = "urn:delta.example.com:cell:inner", "urn:delta.example.com:cell:outer"
NESTED = (CompositePlan(uri=OUTER), CompositePlan(uri=INNER, outer=OUTER))


@pytest.mark.clause("R43")
@pytest.mark.clause("R38")
@pytest.mark.parametrize("composite", [INNER, OUTER])
@pytest.mark.parametrize("route", [TicketRoute.OUT_OF_BAND, TicketRoute.WITH_DEVICE])
async def test_a_member_is_accepted_by_its_composite_certificate(
    backdrop: Backdrop, tmp_path: Path, composite: str, route: TicketRoute
) -> None:
    plan = device(composite=composite, route=route)

    async with backdrop.stage(tmp_path, plan, composites=NESTED) as stage:
        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED
        rows = stage.store.reader.query("SELECT identity_thumbprint FROM enrolments")
        identities = {
            one.thumbprint: one
            for one in (
                Certificate.from_der(identity.certificate)
                for identity in stage.devices[0].product.identities
            )
        }
        assert OUTER in identities[rows[0]["identity_thumbprint"]].san_uris


@pytest.mark.clause("R44")
async def test_a_partial_match_is_refused(backdrop: Backdrop, tmp_path: Path) -> None:
    plan = device(kind=Kind.COMPOSITE_PARTIAL, composite=OUTER)

    async with backdrop.stage(tmp_path, plan, composites=NESTED[:1]) as stage:
        outcome = await stage.end_of()

        assert outcome.state is State.REFUSED
        assert outcome.reason is Reason.COMPOSITE_PARTIAL_MATCH
        assert not stage.devices[0].is_owned
