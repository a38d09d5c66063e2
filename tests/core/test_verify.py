"""How a Ticket becomes believed: one story per rule, and the exact reason of each refusal."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from registrar.core.jws import JwsLimits
from registrar.core.trust import TicketAuthorities, TrustList
from registrar.core.valid_ticket import SignatureOutcome
from registrar.core.verify import (
    MAX_WASTED_CHECKS,
    Route,
    TicketPolicy,
    TicketVerifier,
    ValidTicket,
)
from registrar.errors import Reason, TicketInvalid
from registrar.status import StatusCode
from tests.core.building import (
    COMPOSITE_URI,
    DEVICE_URI,
    NOW,
    Issued,
    Maker,
    base64url,
    composite_payload,
    device_payload,
    document,
    ec_key,
    entry,
    good,
    header,
    make,
    root,
    rsa_key,
    trusting,
    usage,
)

MAKER = Maker.new()
STRANGER = Maker.new("stranger")
PAYLOAD = device_payload()
TRUST = MAKER.authorities
OUT, WITH = Route.OUT_OF_BAND, Route.WITH_DEVICE


def authorities(*trusted: Issued, cas: tuple[Issued, ...] = (MAKER.root,)) -> TicketAuthorities:
    """Trust exactly ``trusted``; ``cas`` publish empty CRLs."""
    return TicketAuthorities(trusting(*trusted, crls=[ca.crl() for ca in cas]))


def verify(
    text: str | bytes,
    trust: TicketAuthorities | None = None,
    *,
    route: Route = OUT,
    now: datetime = NOW,
    policy: TicketPolicy | None = None,
) -> ValidTicket:
    verifier = TicketVerifier(trust or TRUST, policy=policy or TicketPolicy())
    return verifier.verify(text, route=route, now=now)


def refusal(text: str | bytes, trust: TicketAuthorities | None = None, **more: Any) -> Reason:
    with pytest.raises(TicketInvalid) as caught:
        verify(text, trust, **more)
    assert caught.value.status is StatusCode.BadTicketInvalid
    return caught.value.reason


@pytest.mark.clause("R57")
@pytest.mark.clause("R70")
def test_a_good_ticket_is_believed() -> None:
    text = MAKER.ticket(PAYLOAD)

    ticket = verify(text)

    assert ticket.uri == DEVICE_URI
    assert ticket.document == text
    assert ticket.signer == MAKER.signer.certificate.thumbprint
    assert ticket.signer_subject == "CN=maker signer"
    assert ticket.signer_not_after == MAKER.signer.certificate.not_after
    assert ticket.route is OUT
    assert ticket.validated_at == NOW
    assert ticket.trust_digest == TRUST.digest
    assert good(ticket.outcomes) == [True]
    assert not ticket.is_composite
    assert verify(text.encode()) == ticket


@pytest.mark.parametrize(
    ("alg", "key"),
    [
        ("RS256", rsa_key()),
        ("PS384", rsa_key()),
        ("ES256", ec_key()),
        ("ES384", ec_key(ec.SECP384R1())),
        ("ES512", ec_key(ec.SECP521R1())),
    ],
)
@pytest.mark.clause("R71")
def test_signers_may_use_every_algorithm(alg: str, key: Any) -> None:
    maker = Maker.new(key=key)

    assert verify(maker.ticket(PAYLOAD, alg=alg), maker.authorities).uri == DEVICE_URI


# Content and signature


@pytest.mark.clause("R56")
@pytest.mark.clause("R57")
def test_an_altered_content_breaks_the_signature() -> None:
    members = json.loads(MAKER.ticket(PAYLOAD))
    members["payload"] = base64url(device_payload("urn:example.com:other"))

    with pytest.raises(TicketInvalid) as caught:
        verify(json.dumps(members))

    assert caught.value.reason is Reason.TICKET_SIGNATURE_INVALID
    assert caught.value.claimed_uri == "urn:example.com:other"
    assert caught.value.subject == "urn:example.com:other"


@pytest.mark.clause("R70")
def test_an_altered_header_breaks_the_signature() -> None:
    members = json.loads(MAKER.ticket(PAYLOAD))
    changed = {**header(MAKER.signer), "opc-uri": COMPOSITE_URI}
    members["signatures"][0]["protected"] = base64url(json.dumps(changed).encode())

    assert refusal(json.dumps(members)) is Reason.TICKET_SIGNATURE_INVALID


def test_a_signature_by_another_key_than_the_certificates_does_not_hold() -> None:
    thief = replace(MAKER.signer, key=ec_key())

    assert refusal(document(PAYLOAD, entry(PAYLOAD, thief))) is Reason.TICKET_SIGNATURE_INVALID


def test_a_signature_of_another_ticket_does_not_hold() -> None:
    other = entry(device_payload("urn:other"), MAKER.signer)

    assert refusal(document(PAYLOAD, other)) is Reason.TICKET_SIGNATURE_INVALID


# Who is trusted, by route


@pytest.mark.clause("R57")
def test_an_unknown_signer_is_untrusted_though_his_root_comes_along() -> None:
    for route in Route:
        assert refusal(STRANGER.ticket(PAYLOAD), route=route) is Reason.TICKET_SIGNER_UNTRUSTED


def test_a_self_signed_stranger_is_untrusted() -> None:
    alone = make("alone")

    assert refusal(document(PAYLOAD, entry(PAYLOAD, alone))) is Reason.TICKET_SIGNER_UNTRUSTED


@pytest.mark.clause("R59")
@pytest.mark.clause("R60")
@pytest.mark.clause("R80")
@pytest.mark.parametrize(
    ("trusted", "route", "wide", "is_good"),
    [
        ("signer", OUT, False, True),
        ("signer", WITH, False, True),
        ("issuing", OUT, False, True),
        ("issuing", WITH, False, False),
        ("issuing", WITH, True, True),
        ("root", OUT, False, True),
        ("root", WITH, False, False),
        ("root", WITH, True, False),
    ],
)
def test_each_route_trusts_in_its_own_way(
    trusted: str, route: Route, wide: bool, is_good: bool
) -> None:
    """root ─▶ issuing ─▶ signer; a root counts out of band only, a recorded signer always."""
    top = root("top")
    issuing = top.issue("issuing", is_ca=True)
    signer = issuing.issue("signer")
    chosen = {"root": top, "issuing": issuing, "signer": signer}[trusted]
    trust = authorities(chosen, cas=(top, issuing))
    text = document(PAYLOAD, entry(PAYLOAD, signer))
    policy = TicketPolicy(issuing_ca_with_device=wide)

    if is_good:
        assert verify(text, trust, route=route, policy=policy).route is route
    else:
        assert refusal(text, trust, route=route, policy=policy) is Reason.TICKET_SIGNER_UNTRUSTED


@pytest.mark.clause("R60")
def test_a_root_that_signs_directly_is_no_issuing_ca_for_tickets_from_devices() -> None:
    trust = authorities(MAKER.root)
    policy = TicketPolicy(issuing_ca_with_device=True)

    assert refusal(MAKER.ticket(PAYLOAD), trust, route=WITH, policy=policy) is (
        Reason.TICKET_SIGNER_UNTRUSTED
    )


@pytest.mark.clause("R60")
def test_unless_the_owner_says_so_no_ca_vouches_for_a_ticket_from_a_device() -> None:
    top = root("top")
    issuing = top.issue("issuing", is_ca=True)
    text = document(PAYLOAD, entry(PAYLOAD, issuing.issue("signer")))

    assert refusal(text, authorities(issuing, cas=(top, issuing)), route=WITH) is (
        Reason.TICKET_SIGNER_UNTRUSTED
    )


def test_a_ca_that_only_helps_to_build_trusts_nobody() -> None:
    trust = TicketAuthorities(trusting(issuers=[MAKER.root], crls=[MAKER.root.crl()]))

    assert refusal(MAKER.ticket(PAYLOAD), trust) is Reason.TICKET_SIGNER_UNTRUSTED


def test_an_empty_list_trusts_nobody() -> None:
    trust = TicketAuthorities(TrustList())

    assert refusal(MAKER.ticket(PAYLOAD), trust) is Reason.TICKET_SIGNER_UNTRUSTED


@pytest.mark.clause("R72")
def test_issuers_come_from_x5c_and_from_the_list() -> None:
    """x5c may end below the root, if the list holds the rest (Q30)."""
    top = root("top")
    issuing = top.issue("issuing", is_ca=True)
    signer = issuing.issue("signer")
    short = replace(signer, above=())
    trust = TicketAuthorities(trusting(top, issuers=[issuing], crls=[top.crl(), issuing.crl()]))

    assert verify(document(PAYLOAD, entry(PAYLOAD, short)), trust).uri == DEVICE_URI
    alone = authorities(top, cas=(top, issuing))
    assert verify(document(PAYLOAD, entry(PAYLOAD, signer)), alone).uri == DEVICE_URI
    assert refusal(document(PAYLOAD, entry(PAYLOAD, short)), alone) is (
        Reason.TICKET_SIGNER_UNTRUSTED
    )


# The signer's certificate


@pytest.mark.clause("R62")
def test_a_signer_needs_neither_host_name_nor_application_uri() -> None:
    assert MAKER.signer.certificate.san_uris == ()
    assert verify(MAKER.ticket(PAYLOAD)).uri == DEVICE_URI


@pytest.mark.clause("R57")
@pytest.mark.parametrize("days", [-1, 1])
def test_a_signer_out_of_its_period_is_expired(days: int) -> None:
    period: dict[str, Any] = (
        {"not_after": NOW - timedelta(days=1)}
        if days < 0
        else {"not_before": NOW + timedelta(days=1)}
    )
    maker = Maker.new(**period)

    assert refusal(maker.ticket(PAYLOAD), maker.authorities) is Reason.TICKET_SIGNER_EXPIRED


def test_an_expired_root_of_a_signer_is_not_forgiven() -> None:
    top = root("top", not_after=NOW - timedelta(days=1))
    text = document(PAYLOAD, entry(PAYLOAD, top.issue("signer")))

    assert refusal(text, authorities(top, cas=(top,))) is Reason.TICKET_SIGNER_EXPIRED


@pytest.mark.clause("R64")
@pytest.mark.parametrize("route", Route)
def test_a_revoked_signer_is_refused(route: Route) -> None:
    crl = MAKER.root.crl(MAKER.signer.certificate)
    trust = TicketAuthorities(trusting(MAKER.root, MAKER.signer, crls=[crl]))

    assert refusal(MAKER.ticket(PAYLOAD), trust, route=route) is Reason.TICKET_SIGNER_REVOKED


@pytest.mark.clause("R64")
def test_a_signer_below_a_revoked_ca_is_refused() -> None:
    top = root("top")
    issuing = top.issue("issuing", is_ca=True)
    text = document(PAYLOAD, entry(PAYLOAD, issuing.issue("signer")))
    trust = TicketAuthorities(trusting(top, crls=[top.crl(issuing.certificate), issuing.crl()]))

    assert refusal(text, trust) is Reason.TICKET_SIGNER_REVOKED


@pytest.mark.clause("R64")
@pytest.mark.parametrize("pointer", [False, True])
def test_without_a_crl_a_signer_is_not_valid_unless_the_owner_says_so(pointer: bool) -> None:
    maker = Maker.new(pointer=pointer)
    trust = TicketAuthorities(trusting(maker.root))
    text = maker.ticket(PAYLOAD)

    assert refusal(text, trust) is Reason.TICKET_SIGNER_REVOCATION_UNKNOWN
    lenient = verify(text, trust, policy=TicketPolicy(suppress_revocation_unknown=True))
    assert lenient.outcomes[0].suppressed[0].startswith("revocation_unknown")


def test_suppressing_an_unknown_status_does_not_suppress_a_known_one() -> None:
    crl = MAKER.root.crl(MAKER.signer.certificate)
    trust = TicketAuthorities(trusting(MAKER.root, crls=[crl]))
    policy = TicketPolicy(suppress_revocation_unknown=True)

    assert refusal(MAKER.ticket(PAYLOAD), trust, policy=policy) is Reason.TICKET_SIGNER_REVOKED


@pytest.mark.clause("R62")
@pytest.mark.parametrize(
    "more",
    [
        {"key_usage": usage("key_agreement")},
        {"extended": [x509.OID_CLIENT_AUTH, x509.OID_SERVER_AUTH]},
        {"uris": [DEVICE_URI]},
    ],
    ids=["keyUsage", "a certificate for channels", "the Device itself"],
)
def test_a_certificate_of_another_role_does_not_sign_tickets(more: dict[str, Any]) -> None:
    maker = Maker.new(**more)

    assert refusal(maker.ticket(PAYLOAD), maker.authorities) is Reason.TICKET_SIGNER_INVALID


@pytest.mark.clause("R62")
@pytest.mark.parametrize("allowed", ["digital_signature", "key_cert_sign"])
def test_an_issuer_that_is_no_ca_is_refused(allowed: str) -> None:
    top = root("top")
    signer = top.issue("no ca", key_usage=usage(allowed)).issue("signer")
    text = document(PAYLOAD, entry(PAYLOAD, signer))

    assert refusal(text, authorities(top, cas=(top,))) is Reason.TICKET_SIGNER_INVALID


@pytest.mark.clause("R62")
def test_a_signer_below_a_ca_with_a_short_key_is_refused() -> None:
    top = root("top")
    weak = top.issue("weak", is_ca=True, key=ec_key(ec.SECP224R1()))
    text = document(PAYLOAD, entry(PAYLOAD, weak.issue("signer")))

    assert refusal(text, authorities(top, cas=(top, weak))) is Reason.TICKET_SIGNER_INVALID


# Several signatures


@pytest.mark.clause("R58")
@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_good_signature_is_enough_wherever_it_stands(at: int) -> None:
    bad = [
        entry(PAYLOAD, STRANGER.signer),
        entry(PAYLOAD, MAKER.signer, {**header(MAKER.signer), "crit": ["x"]}),
    ]
    entries = [*bad[:at], entry(PAYLOAD, MAKER.signer), *bad[at:]]

    ticket = verify(document(PAYLOAD, *entries))

    assert good(ticket.outcomes) == [index == at for index in range(3)]
    assert {outcome.reason for outcome in ticket.outcomes} == {
        None,
        Reason.TICKET_SIGNER_UNTRUSTED,
        Reason.TICKET_MALFORMED,
    }


@pytest.mark.parametrize("at", [0, 1])
def test_of_good_signers_the_one_whose_certificate_ends_last_is_named(at: int) -> None:
    lasting = MAKER.root.issue("lasting", not_after=NOW + timedelta(days=500))
    signers = [MAKER.signer]
    signers.insert(at, lasting)

    ticket = verify(document(PAYLOAD, *(entry(PAYLOAD, one) for one in signers)))

    assert ticket.signer == lasting.certificate.thumbprint


@pytest.mark.clause("R58")
def test_a_signature_that_does_not_hold_spoils_nothing() -> None:
    broken = {**entry(PAYLOAD, MAKER.signer), "signature": base64url(bytes(64))}

    ticket = verify(document(PAYLOAD, broken, entry(PAYLOAD, MAKER.signer)))

    assert [outcome.reason for outcome in ticket.outcomes] == [
        Reason.TICKET_SIGNATURE_INVALID,
        None,
    ]


@pytest.mark.clause("R56")
def test_of_several_bad_signatures_the_one_that_came_furthest_gives_the_reason() -> None:
    revoked = MAKER.root.issue("revoked")
    expired = MAKER.root.issue("expired", not_after=NOW - timedelta(days=1))
    trust = TicketAuthorities(trusting(MAKER.root, crls=[MAKER.root.crl(revoked.certificate)]))
    entries = [
        ("text", Reason.TICKET_MALFORMED),
        (entry(PAYLOAD, MAKER.signer, header(MAKER.signer, alg="none")), None),
        (entry(PAYLOAD, STRANGER.signer), Reason.TICKET_SIGNER_UNTRUSTED),
        (entry(PAYLOAD, expired), Reason.TICKET_SIGNER_EXPIRED),
        (entry(PAYLOAD, revoked), Reason.TICKET_SIGNER_REVOKED),
        (
            {**entry(PAYLOAD, MAKER.signer), "signature": base64url(bytes(64))},
            Reason.TICKET_SIGNATURE_INVALID,
        ),
    ]
    parts: list[Any] = []
    for part, expected in entries:
        parts.insert(0, part)
        assert refusal(document(PAYLOAD, *parts), trust) is (
            expected or Reason.TICKET_ALGORITHM_REFUSED
        )


@pytest.mark.clause("R56")
@pytest.mark.clause("R58")
def test_the_composite_uri_of_an_untrusted_signature_is_not_believed() -> None:
    trusted = {**header(MAKER.signer), "opc-uri": COMPOSITE_URI}
    foreign = {**header(STRANGER.signer), "opc-uri": "urn:foreign"}
    forged = {
        **entry(PAYLOAD, MAKER.signer, {**header(MAKER.signer), "opc-uri": "urn:forged"}),
        "signature": base64url(bytes(64)),
    }
    text = document(
        PAYLOAD,
        entry(PAYLOAD, MAKER.signer),
        entry(PAYLOAD, MAKER.signer, trusted),
        entry(PAYLOAD, STRANGER.signer, foreign),
        forged,
    )

    assert verify(text).composite_uris == (COMPOSITE_URI,)


@pytest.mark.clause("R73")
def test_an_untrusted_cty_does_not_decide_the_type() -> None:
    other = entry(PAYLOAD, STRANGER.signer, kind="CompositeIdentityTicketType")

    assert not verify(document(PAYLOAD, other, entry(PAYLOAD, MAKER.signer))).is_composite


@pytest.mark.clause("R73")
def test_a_trusted_cty_that_does_not_fit_the_payload_does_not_count() -> None:
    kind = "CompositeIdentityTicketType"
    wrong = entry(PAYLOAD, MAKER.signer, kind=kind, opc_uri=COMPOSITE_URI)

    assert refusal(document(PAYLOAD, wrong)) is Reason.TICKET_MALFORMED
    ticket = verify(document(PAYLOAD, wrong, entry(PAYLOAD, MAKER.signer)))
    assert (ticket.uri, ticket.composite_uris) == (DEVICE_URI, ())


@pytest.mark.clause("R73")
def test_a_composite_ticket_is_believed() -> None:
    payload = composite_payload(devices=[DEVICE_URI])

    ticket = verify(MAKER.ticket(payload, kind="CompositeIdentityTicketType"))

    assert ticket.is_composite
    assert ticket.mentions == (COMPOSITE_URI, DEVICE_URI)


# Documents and payloads


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Reason.TICKET_MALFORMED),
        ("{}", Reason.TICKET_MALFORMED),
        (b"\xff", Reason.TICKET_MALFORMED),
        (MAKER.ticket(b"[]"), Reason.TICKET_MALFORMED),
        (MAKER.ticket(device_payload("no uri")), Reason.TICKET_MALFORMED),
        (MAKER.ticket(b'{"ProductInstanceUri":"urn:a","ProductInstanceUri":"urn:b"}'), None),
        ("x" * 300_000, Reason.TICKET_TOO_LARGE),
    ],
)
@pytest.mark.clause("R76")
def test_a_malformed_ticket_is_refused_though_the_signature_holds(
    text: str | bytes, expected: Reason | None
) -> None:
    assert refusal(text) is (expected or Reason.TICKET_MALFORMED)


def test_the_owner_may_narrow_the_limits() -> None:
    policy = TicketPolicy(limits=JwsLimits(signatures=1))
    part = entry(PAYLOAD, MAKER.signer)

    verify(document(PAYLOAD, part), policy=policy)
    assert refusal(document(PAYLOAD, part, part), policy=policy) is Reason.TICKET_TOO_LARGE


def test_many_are_verified_in_order_and_none_ends_the_others() -> None:
    texts = [
        MAKER.ticket(device_payload("urn:a")),
        "nonsense",
        STRANGER.ticket(device_payload("urn:b")),
        MAKER.ticket(device_payload("urn:c")),
    ]

    results = TicketVerifier(TRUST).verify_all(texts, route=OUT, now=NOW)

    assert [isinstance(one, ValidTicket) for one in results] == [True, False, False, True]
    assert [one.uri for one in results if isinstance(one, ValidTicket)] == ["urn:a", "urn:c"]
    refused = [one for one in results if isinstance(one, TicketInvalid)]
    assert [one.reason for one in refused] == [
        Reason.TICKET_MALFORMED,
        Reason.TICKET_SIGNER_UNTRUSTED,
    ]
    assert [one.claimed_uri for one in refused] == ["", "urn:b"]
    assert TicketVerifier(TRUST).verify_all([], route=OUT, now=NOW) == []


@pytest.mark.clause("R79")
def test_a_stored_ticket_is_made_again_without_verifying_it_again() -> None:
    text = document(
        PAYLOAD,
        entry(PAYLOAD, STRANGER.signer),
        entry(PAYLOAD, MAKER.signer, {**header(MAKER.signer), "opc-uri": COMPOSITE_URI}),
    )
    ticket = verify(text, route=OUT)

    assert ValidTicket.rebuild(ticket.document, ticket.evidence) == ticket
    assert MAKER.signer.der.hex() not in repr(ticket)


_TEXT = MAKER.ticket(PAYLOAD)


@given(data=st.binary(max_size=200) | st.text(max_size=200))
def test_arbitrary_documents_raise_only_ticket_invalid(data: bytes | str) -> None:
    with suppress(TicketInvalid):
        verify(data)


@given(at=st.integers(0, len(_TEXT) - 1), value=st.characters(codec="ascii"))
@pytest.mark.clause("R56")
def test_no_changed_character_changes_what_is_believed(at: int, value: str) -> None:
    try:
        ticket = verify(_TEXT[:at] + value + _TEXT[at + 1 :])
    except TicketInvalid:
        return
    assert ticket.ticket == verify(_TEXT).ticket
    assert ticket.signer == verify(_TEXT).signer


@pytest.mark.clause("R81")
@pytest.mark.parametrize("route", Route)
def test_a_ticket_is_verified_again_where_its_basis_changed(route: Route) -> None:
    trust = authorities(MAKER.root, MAKER.signer)
    ticket = verify(MAKER.ticket(PAYLOAD), trust, route=route)
    revoking = TicketAuthorities(
        trusting(MAKER.root, MAKER.signer, crls=[MAKER.root.crl(MAKER.signer.certificate)])
    )
    late = ticket.good_until + timedelta(seconds=1)

    (unchanged,) = TicketVerifier(trust).verify_again([ticket], now=ticket.good_until)
    (revoked,) = TicketVerifier(revoking).verify_again([ticket], now=NOW)
    (outlived,) = TicketVerifier(trust).verify_again([ticket], now=late)

    assert unchanged is ticket
    assert isinstance(revoked, TicketInvalid)
    assert revoked.reason is Reason.TICKET_SIGNER_REVOKED
    assert isinstance(outlived, TicketInvalid)
    assert outlived.reason is Reason.TICKET_SIGNER_REVOCATION_UNKNOWN


@pytest.mark.clause("R81")
def test_each_ticket_is_verified_again_by_the_route_it_came() -> None:
    trust = authorities(MAKER.root, MAKER.signer)
    tickets = [verify(MAKER.ticket(PAYLOAD), trust, route=route) for route in (*Route, *Route)]
    narrower = TicketVerifier(authorities(MAKER.root))

    found = narrower.verify_again(tickets, now=NOW)

    for ticket, again in zip(tickets, found, strict=True):
        if ticket.route is Route.OUT_OF_BAND:
            assert isinstance(again, ValidTicket)
            assert again.route is ticket.route
        else:
            assert isinstance(again, TicketInvalid)
            assert again.reason is Reason.TICKET_SIGNER_UNTRUSTED


def test_what_became_of_each_signature_is_told() -> None:
    named = {**header(MAKER.signer), "opc-uri": COMPOSITE_URI}
    spoilt = {**entry(PAYLOAD, MAKER.signer, named), "signature": base64url(bytes(64))}
    text = document(
        PAYLOAD, entry(PAYLOAD, MAKER.signer, named), spoilt, entry(PAYLOAD, STRANGER.signer), {}
    )
    believed = SignatureOutcome(
        signer=MAKER.signer.certificate.thumbprint,
        signer_subject=MAKER.signer.certificate.subject,
        composite_uri=COMPOSITE_URI,
    )

    ticket = verify(text)

    assert ticket.outcomes == (
        believed,
        replace(
            believed,
            reason=Reason.TICKET_SIGNATURE_INVALID,
            detail="the signature does not fit content and key",
        ),
        SignatureOutcome(
            reason=Reason.TICKET_SIGNER_UNTRUSTED,
            detail="none of 2 certificates of its chain that may be is in the list",
            signer=STRANGER.signer.certificate.thumbprint,
            signer_subject=STRANGER.signer.certificate.subject,
        ),
        SignatureOutcome(reason=Reason.TICKET_MALFORMED, detail="protected is not a string"),
    )


@pytest.mark.parametrize("strangers", [MAX_WASTED_CHECKS - 1, MAX_WASTED_CHECKS])
def test_what_strangers_may_waste_is_counted_exactly(strangers: int) -> None:
    """A self-signed stranger costs one check, wherever the verdict on him comes from."""
    policy = TicketPolicy(limits=JwsLimits(signatures=64))
    parts = [entry(PAYLOAD, make("stranger"))] * strangers
    text = document(PAYLOAD, *parts, entry(PAYLOAD, MAKER.signer))

    if strangers < MAX_WASTED_CHECKS:
        assert verify(text, policy=policy).signer == MAKER.signer.certificate.thumbprint
    else:
        assert refusal(text, policy=policy) is Reason.TICKET_SIGNER_UNTRUSTED


def test_a_device_that_signs_its_own_ticket_is_told_so() -> None:
    device = MAKER.root.issue("itself", uris=[DEVICE_URI])

    with pytest.raises(TicketInvalid, match=r"^a Device cannot sign its own Ticket$"):
        verify(document(PAYLOAD, entry(PAYLOAD, device)))
