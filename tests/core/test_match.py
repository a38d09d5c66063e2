"""Which Ticket speaks for which certificate; Composites up to the outermost."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import pytest

from registrar.core.match import (
    MAX_CLAIMS,
    MAX_IDENTITIES,
    MAX_NESTING,
    gather,
    likely_first,
    lookup_uris,
    match,
)
from registrar.core.valid_ticket import Route, ValidTicket
from tests.core.building import (
    COMPOSITE_URI,
    DEVICE_URI,
    FOREVER,
    NOW,
    YEAR,
    Issued,
    Maker,
    composite_payload,
    device_payload,
    make,
    root,
    rsa_key,
)

MAKER = Maker.new()
BUILDER = Maker.new("builder")
OUTER_URI = "urn:builder.com:line-1"
DEVICE = MAKER.believed(device_payload())


def idevid(*uris: str) -> Issued:
    return make("idevid", uris=uris, not_after=FOREVER)


def composite(
    uri: str = COMPOSITE_URI,
    *,
    devices: Collection[str] = (),
    composites: Collection[str] = (),
    opc_uri: str = "",
) -> ValidTicket:
    payload = composite_payload(uri, devices=list(devices), composites=list(composites))
    return BUILDER.believed(payload, kind="CompositeIdentityTicketType", opc_uri=opc_uri)


@pytest.mark.clause("R41")
@pytest.mark.clause("R45")
def test_a_ticket_matches_every_certificate_that_carries_its_uri() -> None:
    first, second, other = idevid(DEVICE_URI), idevid(DEVICE_URI), idevid("urn:other")

    found = match([one.certificate for one in (first, second, other)], [DEVICE])

    assert {one.certificate for one in found.candidates} == {
        first.certificate,
        second.certificate,
    }
    assert {one.ticket for one in found.candidates} == {DEVICE}
    assert found.candidates[0].product_instance_uri == DEVICE_URI
    assert found.partial == ()
    assert found.conflicts == ()


@pytest.mark.clause("R38")
@pytest.mark.parametrize("position", [0, 1, 2])
def test_the_uri_may_stand_anywhere_and_unknown_uris_do_not_hurt(position: int) -> None:
    uris = ["urn:unknown", "https://example.com/manual"]
    uris.insert(position, DEVICE_URI)

    assert len(match([idevid(*uris).certificate], [DEVICE]).candidates) == 1


@pytest.mark.clause("R38")
@pytest.mark.parametrize(
    "uri",
    [DEVICE_URI.upper(), DEVICE_URI + "/", DEVICE_URI[:-1], "urn:example.com:model-x:snr-%31"],
)
def test_look_alikes_are_different(uri: str) -> None:
    assert match([idevid(uri).certificate], [DEVICE]).candidates == ()


def test_a_certificate_without_uris_never_matches() -> None:
    assert match([idevid().certificate], [DEVICE]).candidates == ()
    assert match([], [DEVICE]).candidates == ()
    assert match([idevid(DEVICE_URI).certificate], []).candidates == ()


@pytest.mark.clause("R43")
@pytest.mark.clause("R44")
def test_a_member_of_a_composite_needs_both_uris() -> None:
    plain, both = idevid(DEVICE_URI), idevid(COMPOSITE_URI, DEVICE_URI)
    claim = composite(devices=[DEVICE_URI])

    found = match([plain.certificate, both.certificate], [DEVICE, claim])

    (candidate,) = found.candidates
    assert candidate.certificate == both.certificate
    assert candidate.composite_uri == COMPOSITE_URI
    assert candidate.composites == (claim,)
    assert found.partial == (plain.certificate,)


@pytest.mark.clause("R44")
def test_a_partial_match_alone_leaves_nobody() -> None:
    found = match([idevid(DEVICE_URI).certificate], [DEVICE, composite(devices=[DEVICE_URI])])

    assert found.candidates == ()
    assert len(found.partial) == 1


@pytest.mark.clause("R43")
def test_a_counter_signature_claims_the_device_without_a_composite_ticket() -> None:
    ticket = MAKER.believed(device_payload(), opc_uri=COMPOSITE_URI)
    plain, both = idevid(DEVICE_URI), idevid(DEVICE_URI, COMPOSITE_URI)

    found = match([plain.certificate, both.certificate], [ticket])

    assert [one.certificate for one in found.candidates] == [both.certificate]
    assert found.partial == (plain.certificate,)


@pytest.mark.clause("R43")
def test_of_nested_composites_the_outermost_counts() -> None:
    inner = composite(devices=[DEVICE_URI])
    outer = composite(OUTER_URI, composites=[COMPOSITE_URI])
    with_inner, with_outer = idevid(DEVICE_URI, COMPOSITE_URI), idevid(DEVICE_URI, OUTER_URI)

    found = match([with_inner.certificate, with_outer.certificate], [DEVICE, outer, inner])

    (candidate,) = found.candidates
    assert candidate.certificate == with_outer.certificate
    assert candidate.composite_uri == OUTER_URI
    assert candidate.composites == (inner, outer)
    assert found.partial == (with_inner.certificate,)
    assert found.conflicts == ()


def test_both_counter_signatures_of_nested_composites_lead_to_the_outermost() -> None:
    ticket = MAKER.believed(device_payload(), opc_uri=COMPOSITE_URI)
    outer = composite(OUTER_URI, composites=[COMPOSITE_URI])

    found = match([idevid(DEVICE_URI, OUTER_URI).certificate], [ticket, outer])

    assert found.candidates[0].composite_uri == OUTER_URI


def test_a_counter_signature_on_a_composite_ticket_leads_upwards() -> None:
    inner = composite(devices=[DEVICE_URI], opc_uri=OUTER_URI)

    found = match([idevid(DEVICE_URI, OUTER_URI).certificate], [DEVICE, inner])

    assert found.candidates[0].composite_uri == OUTER_URI


def test_unrelated_composites_are_a_conflict_and_either_fits() -> None:
    one, two = composite(devices=[DEVICE_URI]), composite(OUTER_URI, devices=[DEVICE_URI])
    for uri in (COMPOSITE_URI, OUTER_URI):
        found = match([idevid(DEVICE_URI, uri).certificate], [DEVICE, one, two])
        assert found.candidates[0].composite_uri == uri
        assert set(found.conflicts) == {COMPOSITE_URI, OUTER_URI}


def test_composites_inside_each_other_in_a_circle_end() -> None:
    one = composite(devices=[DEVICE_URI], composites=[OUTER_URI])
    two = composite(OUTER_URI, composites=[COMPOSITE_URI])

    found = match([idevid(DEVICE_URI).certificate], [DEVICE, one, two])

    assert found.candidates == ()
    assert len(found.partial) == 1


def test_a_composite_that_contains_itself_is_its_own_outermost() -> None:
    one = composite(devices=[DEVICE_URI], composites=[COMPOSITE_URI])

    found = match([idevid(DEVICE_URI, COMPOSITE_URI).certificate], [DEVICE, one])

    assert found.candidates[0].composite_uri == COMPOSITE_URI


def test_a_composite_that_contains_itself_is_still_the_outermost_of_others() -> None:
    inner = composite(devices=[DEVICE_URI])
    outer = composite(OUTER_URI, composites=[COMPOSITE_URI, OUTER_URI])

    found = match([idevid(DEVICE_URI, COMPOSITE_URI).certificate], [DEVICE, inner, outer])

    assert found.candidates == ()
    assert len(found.partial) == 1


def test_a_composite_met_on_two_levels_hides_none_beside_it() -> None:
    first, second = composite(devices=[DEVICE_URI]), "urn:builder.com:cell-2"
    tickets = [
        DEVICE,
        first,
        composite(second, devices=[DEVICE_URI], composites=[COMPOSITE_URI]),
        composite(OUTER_URI, composites=[COMPOSITE_URI]),
    ]

    found = match([idevid(DEVICE_URI).certificate], tickets)

    assert set(found.conflicts) == {second, OUTER_URI}


def test_what_claims_one_device_claims_no_other() -> None:
    other = MAKER.believed(device_payload("urn:d2"), opc_uri=COMPOSITE_URI)
    certificate = idevid("urn:d2", DEVICE_URI).certificate

    found = match([certificate], [DEVICE, other])

    assert [one.ticket for one in found.candidates] == [DEVICE]
    assert found.partial == (certificate,)


@pytest.mark.parametrize("levels", [MAX_NESTING - 1, MAX_NESTING, MAX_NESTING + 1])
def test_nesting_is_limited_and_beyond_it_nobody_is_eligible(levels: int) -> None:
    """Beyond the limit there is no outermost one; a plain certificate stays a partial match."""
    chain = [composite("urn:level:0", devices=[DEVICE_URI])]
    chain += [
        composite(f"urn:level:{level}", composites=[f"urn:level:{level - 1}"])
        for level in range(1, levels + 1)
    ]
    top = idevid(DEVICE_URI, f"urn:level:{levels}").certificate

    found = match([top, idevid(DEVICE_URI).certificate], [DEVICE, *chain])

    assert len(found.candidates) == (1 if levels <= MAX_NESTING else 0)
    assert idevid(DEVICE_URI).certificate.san_uris == found.partial[-1].san_uris


def test_the_number_of_claims_is_limited() -> None:
    claims = [composite(f"urn:c:{number}", devices=[DEVICE_URI]) for number in range(70)]

    found = match([idevid(DEVICE_URI).certificate], [DEVICE, *claims])

    assert found.candidates == ()
    assert len(found.conflicts) == MAX_CLAIMS


@pytest.mark.clause("R42")
def test_a_ticket_out_of_band_is_preferred() -> None:
    brought = MAKER.believed(device_payload(), route=Route.WITH_DEVICE)
    certificate = idevid(DEVICE_URI).certificate

    for tickets in ([brought, DEVICE], [DEVICE, brought]):
        assert match([certificate], tickets).candidates[0].ticket.route is Route.OUT_OF_BAND
    assert match([certificate], [brought]).candidates[0].ticket is brought


@pytest.mark.clause("R42")
def test_a_device_whose_ticket_came_out_of_band_is_preferred() -> None:
    brought = MAKER.believed(device_payload("urn:d2"), route=Route.WITH_DEVICE)
    young = make("young", uris=["urn:d2"]).certificate

    found = match([young, idevid(DEVICE_URI).certificate], [brought, DEVICE])

    assert [one.ticket for one in found.candidates] == [DEVICE, brought]


@pytest.mark.clause("R46")
def test_candidates_stand_in_the_order_they_are_to_be_chosen() -> None:
    """Composite LDevID, LDevID, IDevID; RSA before curves; the younger first."""
    other = MAKER.believed(device_payload("urn:d2"))
    claim = composite(devices=["urn:d2"])
    composite_ldevid = make("a", uris=["urn:d2", COMPOSITE_URI])
    ldevid_rsa = make("b", uris=[DEVICE_URI], key=rsa_key())
    ldevid_young = make("c", uris=[DEVICE_URI], not_before=NOW - timedelta(days=1))
    ldevid_old = make("d", uris=[DEVICE_URI])
    last = make("e", uris=[DEVICE_URI], key=rsa_key(), not_after=FOREVER)
    ordered = [composite_ldevid, ldevid_rsa, ldevid_young, ldevid_old, last]

    found = match([one.certificate for one in reversed(ordered)], [DEVICE, other, claim])

    assert [one.certificate for one in found.candidates] == [one.certificate for one in ordered]


def test_only_so_many_certificates_are_looked_at() -> None:
    filler = [idevid("urn:x").certificate] * (MAX_IDENTITIES - 1)
    good = idevid(DEVICE_URI).certificate

    assert match([*filler, good], [DEVICE]).candidates
    assert not match([*filler, filler[0], good], [DEVICE]).candidates


def test_the_same_certificate_twice_is_one_candidate() -> None:
    certificate = idevid(DEVICE_URI, DEVICE_URI).certificate

    assert len(match([certificate, certificate], [DEVICE]).candidates) == 1


def test_look_up_uris_are_all_uris_once() -> None:
    certificates = [idevid("urn:a", "urn:b").certificate, idevid("urn:b", "urn:c").certificate]

    assert lookup_uris(certificates) == ("urn:a", "urn:b", "urn:c")


def test_gathering_follows_composites_upwards_and_asks_for_nothing_twice() -> None:
    inner = composite(devices=[DEVICE_URI, "urn:sibling"])
    outer = composite(OUTER_URI, composites=[COMPOSITE_URI])
    known = [DEVICE, inner, outer, MAKER.believed(device_payload("urn:sibling"))]
    asked: list[str] = []

    def find(uris: Collection[str]) -> list[ValidTicket]:
        asked.extend(uris)
        return [ticket for ticket in known if not set(ticket.mentions).isdisjoint(uris)]

    tickets = gather([idevid(DEVICE_URI, OUTER_URI).certificate], find)

    assert set(tickets) == {DEVICE, inner, outer}
    assert len(asked) == len(set(asked))


def test_gathering_does_not_ask_in_circles() -> None:
    uris = [COMPOSITE_URI, OUTER_URI, "urn:builder.com:hall-1"]
    inner = composite(uris[0], devices=[DEVICE_URI], composites=[uris[2]])
    middle = composite(uris[1], composites=[uris[0]])
    outer = composite(uris[2], composites=[uris[1]], opc_uri=uris[0])
    circle = (inner, middle, outer)
    asked: list[str] = []

    def find(uris: Collection[str]) -> list[ValidTicket]:
        asked.extend(uris)
        return [one for one in (DEVICE, *circle) if not set(one.mentions).isdisjoint(uris)]

    tickets = gather([idevid(DEVICE_URI).certificate], find)

    assert set(tickets) == {DEVICE, *circle}
    assert sorted(asked) == sorted([DEVICE_URI, *uris])


def test_gathering_is_limited() -> None:
    calls = 0

    def find(uris: Collection[str]) -> list[ValidTicket]:
        nonlocal calls
        calls += 1
        return [composite(f"urn:level:{calls}", composites=list(uris))]

    gather([idevid(DEVICE_URI).certificate], find)

    assert calls == MAX_NESTING + 1


def test_the_identities_that_will_be_preferred_come_first() -> None:
    """More URIs, an LDevID, an RSA key, the younger one: in that order."""
    ca = root()
    old = ca.issue("old", uris=[DEVICE_URI], key=rsa_key(), not_before=NOW - 2 * YEAR)
    others = [
        ca.issue("composite", uris=[DEVICE_URI, COMPOSITE_URI], not_after=FOREVER),
        ca.issue("young", uris=[DEVICE_URI], key=rsa_key()),
        old,
        ca.issue("on a curve", uris=[DEVICE_URI]),
        ca.issue("idevid", uris=[DEVICE_URI], key=rsa_key(), not_after=FOREVER),
        ca.issue("without a URI", key=rsa_key()),
    ]
    certificates = [one.certificate for one in others]

    assert likely_first(certificates[::-1]) == certificates
