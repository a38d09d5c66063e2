"""Stored Tickets: what is written is read back, and damage is noticed."""

from __future__ import annotations

import json

import pytest

from registrar.core.valid_ticket import Route, ValidTicket
from registrar.errors import DecodingError
from tests.core.building import COMPOSITE_URI, DEVICE_URI, Maker, composite_payload, device_payload

MAKER = Maker.new()


@pytest.mark.parametrize("route", Route)
def test_a_device_ticket_comes_back(route: Route) -> None:
    ticket = MAKER.believed(device_payload(), route=route)

    assert ValidTicket.rebuild(ticket.document, ticket.evidence) == ticket
    assert ticket.mentions == (DEVICE_URI,)


def test_a_composite_ticket_comes_back() -> None:
    payload = composite_payload(devices=[DEVICE_URI], composites=["urn:inner"])
    ticket = MAKER.believed(payload, kind="CompositeIdentityTicketType")

    assert ValidTicket.rebuild(ticket.document, ticket.evidence) == ticket
    assert ticket.mentions == (COMPOSITE_URI, DEVICE_URI, "urn:inner")


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "TicketListType"},
        {"route": "by pigeon"},
        {"validated_at": "yesterday"},
        {"outcomes": [{}]},
        {"outcomes": [7]},
        {"outcomes": None},
        {"composite_uris": None},
        {"outcomes": [{"reason": None, "suppressed": "all"}]},
    ],
)
def test_damaged_evidence_is_noticed(changes: dict[str, object]) -> None:
    ticket = MAKER.believed(device_payload())
    evidence = json.dumps({**json.loads(ticket.evidence), **changes})

    with pytest.raises(DecodingError, match="damaged"):
        ValidTicket.rebuild(ticket.document, evidence)


def test_a_damaged_document_is_noticed() -> None:
    ticket = MAKER.believed(device_payload())
    for document, evidence in [
        (ticket.document[:-1], ticket.evidence),
        (ticket.document, ticket.evidence[:-1]),
        (ticket.document, "[]"),
    ]:
        with pytest.raises(DecodingError, match="damaged"):
            ValidTicket.rebuild(document, evidence)
