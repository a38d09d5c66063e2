"""Whether a DeviceIdentity Certificate is genuine; one story per rule of Part 21 §7.1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from registrar.core.certificate import Certificate
from registrar.core.identity import (
    MAX_TICKET_AUTHORITIES,
    IdentityPolicy,
    ValidIdentity,
    ticket_trust,
    validate_identity,
)
from registrar.core.match import Candidate, match
from registrar.core.ticket import MAX_AUTHORITIES, CertificateAuthority
from registrar.core.trust import DeviceIdentityAuthorities, TrustList
from registrar.core.valid_ticket import ValidTicket
from registrar.core.validation import Check
from registrar.errors import CertificateRejected, Reason
from registrar.status import StatusCode
from tests.core.building import (
    COMPOSITE_URI,
    DEVICE_URI,
    FOREVER,
    NOW,
    Issued,
    Maker,
    composite_payload,
    device_payload,
    ec_key,
    root,
    rsa_key,
    trusting,
    usage,
)

MAKER = Maker.new()
NOBODY = DeviceIdentityAuthorities(TrustList())
_DAY = timedelta(days=1)


def candidate(device: Issued, *authorities: Issued) -> Candidate[ValidTicket]:
    """Match ``device`` with a Ticket that names ``authorities``."""
    ticket = MAKER.believed(device_payload(DEVICE_URI, *authorities))
    return match([device.certificate], [ticket]).candidates[0]


def validate(
    chosen: Candidate[ValidTicket],
    trust: DeviceIdentityAuthorities = NOBODY,
    *,
    application_uri: str = DEVICE_URI,
    issuers: Sequence[Certificate] = (),
    policy: IdentityPolicy | None = None,
) -> ValidIdentity:
    return validate_identity(
        chosen,
        authorities=trust,
        now=NOW,
        application_uri=application_uri,
        issuers=issuers,
        policy=policy or IdentityPolicy(),
    )


def refusal(
    chosen: Candidate[ValidTicket], trust: DeviceIdentityAuthorities = NOBODY, **more: Any
) -> tuple[StatusCode, Reason]:
    with pytest.raises(CertificateRejected) as caught:
        validate(chosen, trust, **more)
    return caught.value.status, caught.value.reason


def idevid(ca: Issued, **more: Any) -> Issued:
    return ca.issue("idevid", **{"uris": [DEVICE_URI], "not_after": FOREVER, **more})


def listing(*trusted: Issued, **more: Any) -> DeviceIdentityAuthorities:
    return DeviceIdentityAuthorities(trusting(*trusted, **more))


# Anchors


@pytest.mark.clause("R47")
@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=["RSA", "EC"])
def test_the_cas_of_the_ticket_are_the_anchors(key: Any) -> None:
    """root ─▶ identity CA (in the Ticket) ─▶ IDevID, until the year 9999."""
    ca = root("identity root", key=key, not_after=FOREVER)
    issuing = ca.issue("identity CA", is_ca=True, not_after=FOREVER)
    device = idevid(issuing)

    identity = validate(candidate(device, issuing))

    assert identity.certificate == device.certificate
    assert identity.path.certificates == device.chain
    assert identity.product_instance_uri == DEVICE_URI
    assert identity.ticket.uri == DEVICE_URI


@pytest.mark.clause("R47")
def test_a_certificate_of_another_ca_is_untrusted() -> None:
    named, other = root("named"), root("other")

    assert refusal(candidate(idevid(other), named)) == (
        StatusCode.BadCertificateChainIncomplete,
        Reason.DEVICE_CERTIFICATE_UNTRUSTED,
    )
    double = root("named")
    assert refusal(candidate(idevid(double), named))[1] is Reason.DEVICE_CERTIFICATE_UNTRUSTED


@pytest.mark.clause("R47")
def test_an_issuer_that_the_ticket_adds_for_the_chain_is_no_anchor() -> None:
    """The Ticket names ``issuing``; another CA under the same root does not count."""
    top = root("top")
    named, sibling = (top.issue(text, is_ca=True) for text in ("named", "sibling"))

    assert refusal(candidate(idevid(sibling), named), issuers=[sibling.certificate]) == (
        StatusCode.BadCertificateUntrusted,
        Reason.DEVICE_CERTIFICATE_UNTRUSTED,
    )


@pytest.mark.clause("R47")
def test_a_certificate_that_only_says_who_issued_it_is_invalid() -> None:
    """Names and key identifiers are right; the signature is somebody else's."""
    ca = root()
    device = idevid(ca, signing_key=ec_key())

    assert refusal(candidate(device, ca)) == (
        StatusCode.BadCertificateInvalid,
        Reason.DEVICE_CERTIFICATE_INVALID,
    )


def test_the_list_of_device_identity_authorities_supplies_anchors_too() -> None:
    ca = root()
    device = idevid(ca)

    validate(candidate(device), listing(ca))
    validate(candidate(device), listing(device, issuers=[ca]))
    assert refusal(candidate(device), listing(issuers=[ca]))[0] is (
        StatusCode.BadCertificateUntrusted
    )


def test_the_cas_of_composite_tickets_are_anchors_too() -> None:
    """The Composite's LDevID comes from the builder's CA, which only its Ticket names (Q20)."""
    builder = root("builder")
    ldevid = builder.issue("ldevid", uris=[DEVICE_URI, COMPOSITE_URI])
    payload = composite_payload(COMPOSITE_URI, builder, devices=[DEVICE_URI])
    claim = MAKER.believed(payload, kind="CompositeIdentityTicketType")
    ticket = MAKER.believed(device_payload(DEVICE_URI, root("maker's")))
    (chosen,) = match([ldevid.certificate], [ticket, claim]).candidates

    assert validate(chosen).path.root == builder.certificate
    assert refusal(replace(chosen, composites=()))[1] is Reason.DEVICE_CERTIFICATE_UNTRUSTED


@pytest.mark.clause("R55")
def test_what_came_with_the_certificate_helps_to_build_and_trusts_nothing() -> None:
    top = root("top")
    issuing = top.issue("issuing", is_ca=True)
    device = idevid(issuing)

    validate(candidate(device), listing(top), issuers=[issuing.certificate])
    sent = [issuing.certificate, top.certificate]
    assert refusal(candidate(device), issuers=sent)[1] is Reason.DEVICE_CERTIFICATE_UNTRUSTED
    assert refusal(candidate(device), listing(root("x")), issuers=sent)[1] is (
        Reason.DEVICE_CERTIFICATE_UNTRUSTED
    )
    known = listing(issuers=[top])
    assert refusal(candidate(device), known, issuers=[issuing.certificate]) == (
        StatusCode.BadCertificateUntrusted,
        Reason.DEVICE_CERTIFICATE_UNTRUSTED,
    )


def test_a_ticket_without_authorities_trusts_nobody() -> None:
    assert refusal(candidate(idevid(root())))[1] is Reason.DEVICE_CERTIFICATE_UNTRUSTED


@pytest.mark.clause("R54")
def test_an_authority_may_be_a_chain_and_an_unreadable_one_helps_nobody() -> None:
    top = root("top")
    issuing = top.issue("issuing", is_ca=True)
    chosen = candidate(idevid(issuing))

    def naming(*authorities: CertificateAuthority) -> Candidate[ValidTicket]:
        ticket = replace(chosen.ticket.ticket, authorities=authorities)
        return replace(chosen, ticket=replace(chosen.ticket, ticket=ticket))

    broken = CertificateAuthority(authority_certificate=b"\x30\x00")
    chain = CertificateAuthority(authority_certificate=issuing.der + top.der)
    split = CertificateAuthority(
        authority_certificate=issuing.der, issuer_certificates=(b"nonsense", top.der)
    )
    validate(naming(broken, chain))
    validate(naming(split))
    assert refusal(naming(broken))[1] is Reason.DEVICE_CERTIFICATE_UNTRUSTED


def test_the_authorities_of_tickets_are_limited() -> None:
    chosen = MAKER.believed(device_payload())
    authorities = [
        CertificateAuthority(authority_certificate=root(f"ca {number}").der)
        for number in range(MAX_TICKET_AUTHORITIES + 2)
    ]
    tickets = [
        replace(chosen, ticket=replace(chosen.ticket, authorities=tuple(part)))
        for part in batched(authorities, MAX_AUTHORITIES)
    ]

    assert len(ticket_trust(tickets).trusted_certificates) == MAX_TICKET_AUTHORITIES


def test_issuers_count_among_the_authorities_of_tickets() -> None:
    chosen = MAKER.believed(device_payload())
    helper = root("helper").der
    authorities = [
        CertificateAuthority(
            authority_certificate=root(f"ca {number}").der, issuer_certificates=(helper,)
        )
        for number in range(MAX_TICKET_AUTHORITIES)
    ]
    tickets = [
        replace(chosen, ticket=replace(chosen.ticket, authorities=tuple(part)))
        for part in batched(authorities, MAX_AUTHORITIES)
    ]

    trust = ticket_trust(tickets)

    assert len(trust.issuer_certificates) == 1
    assert len(trust.trusted_certificates) == MAX_TICKET_AUTHORITIES - 1


def batched(
    items: Sequence[CertificateAuthority], size: int
) -> Iterator[Sequence[CertificateAuthority]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


# Time


@pytest.mark.clause("R51")
def test_an_expired_leaf_is_never_forgiven() -> None:
    ca = root()
    device = idevid(ca, not_after=NOW - _DAY)

    assert refusal(candidate(device, ca)) == (
        StatusCode.BadCertificateTimeInvalid,
        Reason.DEVICE_CERTIFICATE_EXPIRED,
    )


@pytest.mark.clause("R51")
@pytest.mark.clause("R52")
def test_an_expired_ca_is_forgiven_while_the_tickets_signer_is_valid() -> None:
    ca = root(not_after=NOW - _DAY)
    chosen = candidate(idevid(ca), ca)

    identity = validate(chosen)

    assert Check.ISSUER_EXPIRED in {one.check for one in identity.suppressed}
    ending, stale = (
        replace(chosen, ticket=replace(chosen.ticket, signer_not_after=end))
        for end in (NOW, NOW - _DAY)
    )
    validate(ending)
    for refused in (
        refusal(stale),
        refusal(chosen, policy=IdentityPolicy(forgive_expired_authorities=False)),
    ):
        assert refused == (
            StatusCode.BadCertificateIssuerTimeInvalid,
            Reason.DEVICE_CERTIFICATE_EXPIRED,
        )


@pytest.mark.clause("R51")
def test_a_ca_of_the_future_is_not_forgiven() -> None:
    ca = root(not_before=NOW + _DAY)

    assert refusal(candidate(idevid(ca), ca))[0] is StatusCode.BadCertificateIssuerTimeInvalid


# Names


@pytest.mark.clause("R40")
def test_the_application_uri_is_the_product_instance_uri() -> None:
    ca = root()
    chosen = candidate(idevid(ca, uris=["urn:first", DEVICE_URI, "urn:last"]), ca)

    validate(chosen)
    for other in ("urn:other", "urn:first", "", DEVICE_URI + "/"):
        assert refusal(chosen, application_uri=other) == (
            StatusCode.BadCertificateUriInvalid,
            Reason.DEVICE_CERTIFICATE_URI_MISMATCH,
        )


@pytest.mark.clause("R40")
def test_another_uri_of_the_certificate_is_named_and_cut() -> None:
    ca, other = root(), "urn:" + "x" * 99

    with pytest.raises(CertificateRejected) as caught:
        validate(candidate(idevid(ca, uris=[other, DEVICE_URI]), ca), application_uri=other)

    assert str(caught.value) == f"ApplicationUri {other[:80]!r} is not the ProductInstanceUri"
    assert caught.value.subject == DEVICE_URI


def test_no_host_name_is_asked_for() -> None:
    ca = root()
    device = idevid(ca)

    assert device.certificate.dns_names == ()
    validate(candidate(device, ca))


# Usage


def test_an_idevid_that_may_only_sign_passes() -> None:
    ca = root()
    device = idevid(ca, key=rsa_key(), key_usage=usage("digital_signature"))

    assert Check.USAGE not in {one.check for one in validate(candidate(device, ca)).suppressed}


@pytest.mark.clause("R52")
def test_wrong_usage_is_recorded_unless_it_is_mandatory() -> None:
    ca = root()
    lenient = idevid(ca, extended=[x509.OID_CODE_SIGNING])
    strict = idevid(ca, extended=[x509.OID_CODE_SIGNING], extended_critical=True)

    identity = validate(candidate(lenient, ca))

    assert Check.USAGE in {one.check for one in identity.suppressed}
    assert refusal(candidate(strict, ca)) == (
        StatusCode.BadCertificateUseNotAllowed,
        Reason.DEVICE_CERTIFICATE_INVALID,
    )


def test_a_ca_is_no_device() -> None:
    ca = root()
    device = ca.issue("ca as a device", is_ca=True, uris=[DEVICE_URI])

    assert refusal(candidate(device, ca))[0] is StatusCode.BadCertificateUseNotAllowed


# Revocation


@pytest.mark.parametrize("anchored", ["by the Ticket", "by the list"])
def test_a_revoked_device_is_refused_whoever_named_its_ca(anchored: str) -> None:
    ca = root()
    device = idevid(ca)
    crls = [ca.crl(device.certificate)]
    if anchored == "by the Ticket":
        refused = refusal(candidate(device, ca), listing(crls=crls))
    else:
        refused = refusal(candidate(device), listing(ca, crls=crls))

    assert refused == (StatusCode.BadCertificateRevoked, Reason.DEVICE_CERTIFICATE_REVOKED)


def test_a_device_of_a_revoked_ca_is_refused() -> None:
    top = root("top")
    issuing = top.issue("issuing", is_ca=True)
    device = idevid(issuing)

    assert refusal(candidate(device, issuing), listing(crls=[top.crl(issuing.certificate)])) == (
        StatusCode.BadCertificateIssuerRevoked,
        Reason.DEVICE_CERTIFICATE_REVOKED,
    )


@pytest.mark.clause("R49")
@pytest.mark.clause("R50")
def test_a_skipped_revocation_check_is_recorded() -> None:
    top = root("top")
    issuing = top.issue("issuing", is_ca=True)
    device = idevid(issuing)

    identity = validate(candidate(device, issuing))

    assert [(one.check, one.certificate) for one in identity.suppressed] == [
        (Check.REVOCATION_SKIPPED, device.certificate),
        (Check.REVOCATION_SKIPPED, issuing.certificate),
    ]


def test_a_check_that_was_made_is_not_recorded_as_skipped() -> None:
    ca = root()

    assert validate(candidate(idevid(ca), ca), listing(crls=[ca.crl()])).suppressed == ()


@pytest.mark.clause("R49")
def test_where_a_pointer_leads_somewhere_the_status_has_to_be_known() -> None:
    ca = root()
    chosen = candidate(idevid(ca, pointer=True), ca)

    assert refusal(chosen) == (
        StatusCode.BadCertificateRevocationUnknown,
        Reason.DEVICE_CERTIFICATE_REVOCATION_UNKNOWN,
    )
    validate(chosen, listing(crls=[ca.crl()]))


@pytest.mark.clause("R52")
def test_what_the_owner_suppresses_is_recorded() -> None:
    ca = root()
    policy = IdentityPolicy(suppress=frozenset({Check.REVOCATION_UNKNOWN}))

    identity = validate(candidate(idevid(ca, pointer=True), ca), policy=policy)

    (one,) = identity.suppressed
    assert one.check is Check.REVOCATION_UNKNOWN
    assert one.status is StatusCode.BadCertificateRevocationUnknown
    assert one.certificate == identity.certificate


def test_a_short_key_is_refused() -> None:
    ca = root()

    assert refusal(candidate(idevid(ca, key=rsa_key(1024)), ca)) == (
        StatusCode.BadCertificatePolicyCheckFailed,
        Reason.DEVICE_CERTIFICATE_INVALID,
    )
