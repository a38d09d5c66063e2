"""Stored Tickets: what is written is read back, and damage is noticed."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from registrar.core.jws import HARD_MAXIMA
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


def test_a_number_too_large_for_the_fast_reader_comes_back() -> None:
    payload = device_payload()[:-1] + b', "Mass": 1e999}'
    ticket = MAKER.believed(payload)

    assert ValidTicket.rebuild(ticket.document, ticket.evidence) == ticket


def test_a_long_chain_comes_back() -> None:
    long = base64.b64encode(bytes(9_000)).decode()
    payload = device_payload(Authorities=[{"AuthorityCertificate": long}])
    ticket = MAKER.believed(payload)

    assert ValidTicket.rebuild(ticket.document, ticket.evidence) == ticket
    assert ticket.ticket.authorities[0].authority_certificate == bytes(9_000)


def test_what_was_suppressed_comes_back() -> None:
    ticket = MAKER.believed(device_payload())
    outcomes = (replace(ticket.outcomes[0], suppressed=("a", "b")),)
    ticket = replace(ticket, outcomes=outcomes)

    assert ValidTicket.rebuild(ticket.document, ticket.evidence) == ticket


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
    ],
)
def test_damaged_evidence_is_noticed(changes: dict[str, object]) -> None:
    ticket = MAKER.believed(device_payload())
    evidence = json.dumps({**json.loads(ticket.evidence), **changes})

    with pytest.raises(DecodingError, match="damaged"):
        ValidTicket.rebuild(ticket.document, evidence)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"outcomes": [{"reason": None, "suppressed": "all"}]}, "suppressed is not a list"),
        ({"route": "y" * 99}, ("'" + "y" * 99)[:80]),
    ],
)
def test_damage_is_described(changes: dict[str, object], why: str) -> None:
    ticket = MAKER.believed(device_payload())
    evidence = json.dumps({**json.loads(ticket.evidence), **changes})

    with pytest.raises(DecodingError) as caught:
        ValidTicket.rebuild(ticket.document, evidence)

    assert str(caught.value) == f"a stored Ticket is damaged: {why}"


def test_a_damaged_document_is_noticed() -> None:
    ticket = MAKER.believed(device_payload())
    for document, evidence in [
        (ticket.document[:-1], ticket.evidence),
        (ticket.document, ticket.evidence[:-1]),
        (ticket.document, "[]"),
        ("[]", ticket.evidence),
        ("{}", ticket.evidence),
        ('{"payload": 7}', ticket.evidence),
        (" " * HARD_MAXIMA["document_bytes"] + ticket.document, ticket.evidence),
    ]:
        with pytest.raises(DecodingError, match="damaged"):
            ValidTicket.rebuild(document, evidence)
