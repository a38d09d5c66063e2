"""An authority vouches for what it is trusted for, and a stopped one for nothing (T7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from registrar.core.scope import Scope
from registrar.core.trust import TicketAuthorities
from registrar.core.valid_ticket import Route, ValidTicket
from registrar.core.verify import TicketVerifier
from registrar.errors import Reason, TicketInvalid
from tests.core.building import (
    COMPOSITE_URI,
    DEVICE_URI,
    NOW,
    Maker,
    composite_payload,
    device_payload,
    document,
    entry,
)

DAY = timedelta(days=1)


def scoped(maker: Maker, scope: Scope) -> TicketAuthorities:
    digest = maker.root.certificate.thumbprint
    return TicketAuthorities(replace(maker.authorities, scopes=((digest, scope),)))


def verify(authorities: TicketAuthorities, text: str) -> ValidTicket:
    return TicketVerifier(authorities).verify(text, route=Route.OUT_OF_BAND, now=NOW)


@pytest.mark.clause("T7")
@pytest.mark.parametrize(
    "scope",
    [
        Scope(),
        Scope(manufacturer="Example"),
        Scope(uri_prefix="urn:example.com:"),
        Scope(until=NOW),
    ],
    ids=["no limit", "manufacturer", "URIs", "until"],
)
def test_inside_its_scope_an_authority_is_believed(scope: Scope) -> None:
    maker = Maker.new()

    found = verify(scoped(maker, scope), maker.ticket(device_payload()))

    assert found.authority == maker.root.certificate.thumbprint


@pytest.mark.bad_input("B44", "an authority outside its scope", "authority_out_of_scope")
@pytest.mark.clause("T7")
@pytest.mark.parametrize(
    ("scope", "detail"),
    [
        (Scope(manufacturer="Exampl"), "manufacturer 'Example' is not 'Exampl'"),
        (Scope(manufacturer="example"), "manufacturer"),
        (Scope(uri_prefix="urn:example.org:"), "does not begin with"),
        (Scope(uri_prefix="URN:example.com:"), "does not begin with"),
        (Scope(until=NOW - timedelta(seconds=1)), "until"),
    ],
)
def test_outside_its_scope_an_authority_is_not_believed(scope: Scope, detail: str) -> None:
    maker = Maker.new()

    with pytest.raises(TicketInvalid, match=detail) as caught:
        verify(scoped(maker, scope), maker.ticket(device_payload()))

    assert caught.value.reason is Reason.AUTHORITY_OUT_OF_SCOPE
    assert caught.value.claimed_uri == DEVICE_URI


def test_of_what_lies_outside_the_beginning_is_said() -> None:
    long = "x" * 99
    scope = Scope(manufacturer=long, uri_prefix=long)

    assert scope.fault(manufacturer="y" * 99, uri=long, now=NOW) == (
        f"manufacturer {'y' * 80!r} is not {'x' * 80!r}"
    )
    assert scope.fault(manufacturer=long, uri="y" * 99, now=NOW) == (
        f"URI {'y' * 80!r} does not begin with {'x' * 80!r}"
    )


def test_the_scope_holds_for_composites_too() -> None:
    maker = Maker.new()
    text = document(
        composite_payload(devices=[DEVICE_URI]),
        entry(
            composite_payload(devices=[DEVICE_URI]),
            maker.signer,
            kind="CompositeIdentityTicketType",
        ),
    )
    good = scoped(maker, Scope(uri_prefix="urn:builder.com:"))
    bad = scoped(maker, Scope(uri_prefix="urn:example.com:"))

    assert verify(good, text).uri == COMPOSITE_URI
    with pytest.raises(TicketInvalid, match="does not begin"):
        verify(bad, text)


def test_another_authority_may_vouch_where_one_may_not() -> None:
    narrow, wide = Maker.new("narrow"), Maker.new("wide")
    payload = device_payload()
    text = document(payload, entry(payload, narrow.signer), entry(payload, wide.signer))
    one = scoped(narrow, Scope(manufacturer="Other"))
    both = TicketAuthorities(
        replace(
            one,
            trusted_certificates=(*one.trusted_certificates, wide.root.certificate),
            trusted_crls=(*one.trusted_crls, *wide.authorities.trusted_crls),
        )
    )

    found = verify(both, text)

    assert (found.signer, found.authority) == (
        wide.signer.certificate.thumbprint,
        wide.root.certificate.thumbprint,
    )


def test_belief_ends_with_whatever_ends_first() -> None:
    maker = Maker.new(not_after=NOW + 5 * DAY)
    text = maker.ticket(device_payload())

    by_signer = verify(maker.authorities, text)
    by_scope = verify(scoped(maker, Scope(until=NOW + DAY)), text)
    crl = maker.root.crl(next_update=NOW + 2 * DAY)
    by_crl = verify(TicketAuthorities(replace(maker.authorities, trusted_crls=(crl,))), text)

    assert by_signer.good_until == NOW + 5 * DAY
    assert by_scope.good_until == NOW + DAY
    assert by_crl.good_until == NOW + 2 * DAY


@pytest.mark.bad_input("B44", "an authority that was stopped", "authority_stopped")
@pytest.mark.clause("T7")
@pytest.mark.parametrize("which", [0, 1])
def test_a_stopped_key_vouches_for_nothing_wherever_it_stands(which: int) -> None:
    maker = Maker.new()
    key = maker.signer.chain[which].key_digest
    stopped = TicketAuthorities(replace(maker.authorities, stopped=frozenset({key})))

    with pytest.raises(TicketInvalid, match="was stopped") as caught:
        verify(stopped, maker.ticket(device_payload()))

    assert caught.value.reason is Reason.AUTHORITY_STOPPED
    assert stopped.digest != maker.authorities.digest


def test_a_scope_says_its_limits() -> None:
    scope = Scope(manufacturer="Example", uri_prefix="urn:e:", until=NOW, count=3)

    assert str(scope) == (
        "manufacturer Example, URIs urn:e:…, until 2026-06-01T12:00:00+00:00, at most 3 Tickets"
    )
    assert str(Scope()) == ""
    assert scope != replace(scope, count=4)
