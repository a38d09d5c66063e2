"""Where a Device brings its Ticket along, what it says decides which identity is proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from registrar.app.causes import now
from registrar.core.certificate import Certificate
from registrar.core.enrolment import State
from registrar.onboarding import Counters
from registrar.simulate.plant import CompositePlan, TicketRoute
from registrar.simulate.production import Identity, Product
from registrar.store import audit
from tests.core.building import YEAR, make, rsa_key
from tests.onboarding.stage import Backdrop, device

CELL = "urn:builder.example.com:cell:1"


def as_made(product: Product) -> Product:
    return product


def with_a_stranger(product: Product) -> Product:
    """Add an identity that no Ticket matches and whose many URIs look promising."""
    uris = ["urn:stranger:1", "urn:stranger:2", "urn:stranger:3"]
    key, moment = rsa_key(), now()
    made = make("stranger", key=key, uris=uris, not_before=moment - YEAR, not_after=moment + YEAR)
    stranger = Identity(certificate=made.certificate.der, issuers=(), key=key)
    return replace(product, identities=(*product.identities, stranger))


@pytest.mark.clause("R125")
@pytest.mark.clause("R43")
@pytest.mark.parametrize(("alter", "more"), [(as_made, 0), (with_a_stranger, 1)])
async def test_a_new_channel_goes_to_the_identity_that_the_ticket_matches(
    backdrop: Backdrop, tmp_path: Path, alter: Callable[[Product], Product], more: int
) -> None:
    """The identity that is asked for the Ticket is a guess; a wrong one costs a connection."""
    spent: dict[TicketRoute, Counters] = {}

    for route in (TicketRoute.OUT_OF_BAND, TicketRoute.WITH_DEVICE):
        plan = device(route=route, composite=CELL)
        composites = (CompositePlan(uri=CELL),)
        async with backdrop.stage(
            tmp_path / route, plan, composites=composites, alter=alter
        ) as stage:
            outcome = await stage.end_of()
            spent[route] = stage.driver.counters
            offered = [
                Certificate.from_der(one.certificate) for one in stage.devices[0].product.identities
            ]
            (selected,) = (
                entry.detail
                for entry in audit.entries(stage.store.reader)
                if entry.event == "identity_selected"
            )
        matching = [one for one in offered if CELL in one.san_uris]
        assert outcome.state is State.ONBOARDED
        assert len(offered) > len(matching) == 1
        assert matching[0].thumbprint in selected

    asked, known = spent[TicketRoute.WITH_DEVICE], spent[TicketRoute.OUT_OF_BAND]
    assert asked.connections == known.connections + more
