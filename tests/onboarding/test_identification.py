"""Which endpoints, Tickets and certificates decide, with the network left out.

what GetEndpoints said ─▶ Identifier ◀─ Tickets of the site, of the Device
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from asyncua import ua

from registrar.core.identity import IdentityPolicy
from registrar.core.trust import DeviceIdentityAuthorities, TicketAuthorities
from registrar.core.valid_ticket import ValidTicket
from registrar.core.verify import TicketVerifier
from registrar.errors import Reason, Rejected, Unavailable
from registrar.onboarding.endpoints import Offer, Way, read_offer
from registrar.onboarding.identification import Identification, Identifier
from registrar.onboarding.settings import POLICIES
from registrar.onboarding.trust import Belief
from registrar.store import tickets
from registrar.store.store import Store
from registrar.store.transaction import Cause
from registrar.ua.security_policy import AES256_SHA256_RSAPSS, SecurityPolicy
from tests.core.building import (
    COMPOSITE_URI,
    DEVICE_URI,
    FOREVER,
    NOW,
    Issued,
    Maker,
    composite_payload,
    device_payload,
    root,
    rsa_key,
    trusting,
)

URL = "opc.tcp://127.0.0.1:4840"
MAKER = Maker.new()
CA = root("identity CA")
SIGN, ENCRYPT = ua.MessageSecurityMode.Sign, ua.MessageSecurityMode.SignAndEncrypt


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "registrar.db") as opened:
        yield opened


def endpoint(
    *chain: Issued,
    uri: str = DEVICE_URI,
    mode: ua.MessageSecurityMode = ENCRYPT,
    policy: SecurityPolicy = AES256_SHA256_RSAPSS,
) -> ua.EndpointDescription:
    return ua.EndpointDescription(
        Server=ua.ApplicationDescription(ApplicationUri=uri),
        ServerCertificate=b"".join(one.der for one in chain),
        SecurityMode=mode,
        SecurityPolicyUri=policy.uri,
    )


def offer(*endpoints: ua.EndpointDescription) -> Offer:
    return read_offer(endpoints, POLICIES)


def idevid(ca: Issued = CA, *uris: str, **more: Any) -> Issued:
    options = {"uris": uris or (DEVICE_URI,), "key": rsa_key(), "not_after": FOREVER}
    return ca.issue("idevid", **{**options, **more})


@dataclass
class Device:
    """A link to a Device that answers RequestTickets by some of its certificates."""

    tickets: Sequence[str] = ()
    without_key: Sequence[Issued] = ()
    asked_by: list[bytes] = field(default_factory=list)

    async def open(self, way: Way, *, discovered: object = None) -> Device:
        self.asked_by.append(way.server_certificate)
        if way.server_certificate in [one.der for one in self.without_key]:
            raise Unavailable("no answer")
        return self

    async def request_tickets(self) -> list[str]:
        return list(self.tickets)


async def identify(
    store: Store,
    seen: Offer,
    device: Device | None = None,
    *,
    signers: TicketAuthorities = MAKER.authorities,
    authorities: DeviceIdentityAuthorities | None = None,
) -> Identification:
    belief = Belief(
        verifier=TicketVerifier(signers),
        device_identity_authorities=authorities or DeviceIdentityAuthorities(trusting()),
        identity_policy=IdentityPolicy(),
    )
    identifier = Identifier(
        URL,
        cast(Any, device or Device()),
        store=store,
        belief=lambda: belief,
        now=lambda: NOW,
    )
    return await identifier.identify(seen)


def put(store: Store, *known: ValidTicket) -> None:
    cause = Cause(actor="test", now=NOW)
    for one in known:
        store.write_sync(partial(tickets.put, ticket=one, cause=cause))


def recorded(*more: Issued) -> TicketAuthorities:
    """Return a list in which the signer itself is recorded."""
    return TicketAuthorities(trusting(MAKER.root, MAKER.signer, *more, crls=[MAKER.root.crl()]))


def chosen(found: Identification) -> list[str]:
    return [one.identity.certificate.thumbprint for one in found.eligible]


# What the Device offers


@pytest.mark.clause("R54")
@pytest.mark.clause("R55")
async def test_an_endpoint_may_hold_a_chain_and_its_issuers_help_to_build(store: Store) -> None:
    """root (in the Ticket) ─▶ issuing CA (only in the endpoint) ─▶ IDevID."""
    issuing = CA.issue("issuing", is_ca=True)
    device = idevid(issuing)
    put(store, MAKER.believed(device_payload(DEVICE_URI, CA)))

    found = await identify(store, offer(endpoint(device, issuing)))

    assert chosen(found) == [device.certificate.thumbprint]
    with pytest.raises(Rejected) as caught:
        await identify(store, offer(endpoint(device)))
    assert caught.value.reason is Reason.DEVICE_CERTIFICATE_UNTRUSTED


@pytest.mark.clause("R55")
async def test_issuers_in_an_endpoint_are_trusted_for_nothing(store: Store) -> None:
    put(store, MAKER.believed(device_payload(DEVICE_URI, root("another"))))

    with pytest.raises(Rejected) as caught:
        await identify(store, offer(endpoint(idevid(), CA)))

    assert caught.value.reason is Reason.DEVICE_CERTIFICATE_UNTRUSTED


@pytest.mark.clause("R40")
@pytest.mark.parametrize("uri", ["urn:example.com:other", ""])
async def test_an_endpoint_of_another_application_is_refused(store: Store, uri: str) -> None:
    put(store, MAKER.believed(device_payload(DEVICE_URI, CA)))

    with pytest.raises(Rejected) as caught:
        await identify(store, offer(endpoint(idevid(), uri=uri)))

    assert caught.value.reason is Reason.DEVICE_CERTIFICATE_URI_MISMATCH


@pytest.mark.clause("R133")
async def test_an_endpoint_that_only_signs_leads_nowhere(store: Store) -> None:
    put(store, MAKER.believed(device_payload(DEVICE_URI, CA)))
    seen = offer(endpoint(idevid(), mode=SIGN))

    assert seen.ways == {}
    with pytest.raises(Rejected) as caught:
        await identify(store, seen)
    assert caught.value.reason is Reason.SECURITY_POLICY_UNSUPPORTED


# Certificates


@pytest.mark.clause("R47")
async def test_where_the_preferred_certificate_fails_the_next_is_taken(store: Store) -> None:
    """A counterfeit LDevID would be preferred to the genuine IDevID (E5)."""
    counterfeit = idevid(root("counterfeit"), not_after=NOW.replace(year=2030))
    genuine = idevid()
    put(store, MAKER.believed(device_payload(DEVICE_URI, CA)))

    found = await identify(store, offer(endpoint(counterfeit), endpoint(genuine)))

    assert chosen(found) == [genuine.certificate.thumbprint]


@pytest.mark.clause("R47")
async def test_a_crl_of_the_site_refuses_a_device_whose_ca_the_ticket_names(store: Store) -> None:
    device = idevid()
    put(store, MAKER.believed(device_payload(DEVICE_URI, CA)))
    revoked = DeviceIdentityAuthorities(trusting(crls=[CA.crl(device.certificate)]))

    with pytest.raises(Rejected) as caught:
        await identify(store, offer(endpoint(device)), authorities=revoked)

    assert caught.value.reason is Reason.DEVICE_CERTIFICATE_REVOKED


@pytest.mark.clause("R46")
@pytest.mark.clause("R50")
@pytest.mark.clause("R52")
async def test_choice_and_passed_over_checks_are_noted(store: Store) -> None:
    device = idevid()
    put(store, MAKER.believed(device_payload(DEVICE_URI, CA)))

    (eligible,) = (await identify(store, offer(endpoint(device)))).eligible

    thumbprint = device.certificate.thumbprint
    assert [note.action for note in eligible.notes] == [
        "identity_selected",
        "suppressed_revocation_skipped",
    ]
    assert all(thumbprint in note.detail for note in eligible.notes)


# Tickets from the Device


@pytest.mark.clause("R123")
@pytest.mark.clause("R80")
async def test_any_endpoint_will_do_to_ask_for_tickets(store: Store) -> None:
    """No channel opens with the first certificate; the second answers."""
    silent, device = idevid(CA, "urn:unrelated"), idevid()
    payload = device_payload(DEVICE_URI, CA)
    link = Device(tickets=[MAKER.ticket(payload)], without_key=[silent])

    found = await identify(
        store, offer(endpoint(silent), endpoint(device)), link, signers=recorded()
    )

    assert link.asked_by == [silent.der, device.der]
    assert chosen(found) == [device.certificate.thumbprint]
    assert [ticket.uri for ticket in found.brought] == [DEVICE_URI]


@pytest.mark.clause("R42")
async def test_a_device_whose_ticket_is_known_is_not_asked(store: Store) -> None:
    put(store, MAKER.believed(device_payload(DEVICE_URI, CA)))
    link = Device()

    await identify(store, offer(endpoint(idevid())), link)

    assert link.asked_by == []


@pytest.mark.clause("R79")
async def test_a_ticket_whose_basis_stands_is_not_verified_again(store: Store) -> None:
    """Nobody would believe it; that somebody did under these very lists is enough."""
    nobody = TicketAuthorities(trusting())
    believed = MAKER.believed(device_payload(DEVICE_URI, CA))
    put(store, replace(believed, trust_digest=nobody.digest))

    found = await identify(store, offer(endpoint(idevid())), signers=nobody)

    assert len(found.eligible) == 1


@pytest.mark.clause("R81")
@pytest.mark.parametrize("basis", ["lists", "clock"])
async def test_a_ticket_that_lost_its_basis_while_a_campaign_runs_is_not_believed(
    store: Store, basis: str
) -> None:
    nobody = TicketAuthorities(trusting())
    believed = MAKER.believed(device_payload(DEVICE_URI, CA))
    if basis == "clock":
        past = NOW - timedelta(seconds=1)
        believed = replace(believed, trust_digest=nobody.digest, good_until=past)
    put(store, believed)

    with pytest.raises(Rejected) as caught:
        await identify(store, offer(endpoint(idevid())), signers=nobody)

    assert caught.value.reason is Reason.TICKET_SIGNER_UNTRUSTED


@pytest.mark.clause("R59")
@pytest.mark.clause("R60")
@pytest.mark.clause("R124")
async def test_a_trusted_root_is_not_enough_for_a_ticket_from_the_device(store: Store) -> None:
    """The site trusts the root of the signer, which counts out of band only."""
    link = Device(tickets=[MAKER.ticket(device_payload(DEVICE_URI, CA))])

    with pytest.raises(Rejected) as caught:
        await identify(store, offer(endpoint(idevid())), link, signers=MAKER.authorities)

    assert caught.value.reason is Reason.TICKET_SIGNER_UNTRUSTED


@pytest.mark.clause("R124")
@pytest.mark.clause("R64")
async def test_a_signer_that_was_revoked_vouches_for_no_device(store: Store) -> None:
    link = Device(tickets=[MAKER.ticket(device_payload(DEVICE_URI, CA))])
    crl = MAKER.root.crl(MAKER.signer.certificate)
    signers = TicketAuthorities(trusting(MAKER.root, MAKER.signer, crls=[crl]))

    with pytest.raises(Rejected) as caught:
        await identify(store, offer(endpoint(idevid())), link, signers=signers)

    assert caught.value.reason is Reason.TICKET_SIGNER_REVOKED


@pytest.mark.clause("R56")
@pytest.mark.clause("R79")
async def test_beside_a_good_ticket_a_bad_one_is_noted_and_not_used(store: Store) -> None:
    """The bad one would make the Device a member of a Composite."""
    stranger = Maker.new("stranger")
    claim = composite_payload(COMPOSITE_URI, devices=[DEVICE_URI])
    good = MAKER.ticket(device_payload(DEVICE_URI, CA))
    bad = stranger.ticket(claim, kind="CompositeIdentityTicketType")

    found = await identify(
        store, offer(endpoint(idevid())), Device(tickets=[bad, good]), signers=recorded()
    )

    assert len(found.eligible) == 1
    assert [ticket.document for ticket in found.brought] == [good]
    (note,) = (one for one in found.notes if one.action == "ticket_refused")
    assert Reason.TICKET_SIGNER_UNTRUSTED in note.detail


@pytest.mark.clause("R43")
@pytest.mark.clause("R44")
@pytest.mark.parametrize("brings_claim", [False, True])
async def test_a_composite_claims_a_device_that_brings_its_ticket(
    store: Store, brings_claim: bool
) -> None:
    """Whoever has the Composite Ticket, site or Device, the IDevID alone is a partial match."""
    claim = composite_payload(COMPOSITE_URI, devices=[DEVICE_URI])
    kind = "CompositeIdentityTicketType"
    brought = [MAKER.ticket(device_payload(DEVICE_URI, CA))]
    if brings_claim:
        brought.append(MAKER.ticket(claim, kind=kind))
    else:
        put(store, MAKER.believed(claim, kind=kind))
    member = idevid(CA, DEVICE_URI, COMPOSITE_URI)

    found = await identify(
        store, offer(endpoint(idevid()), endpoint(member)), Device(brought), signers=recorded()
    )

    assert chosen(found) == [member.certificate.thumbprint]
    with pytest.raises(Rejected) as caught:
        await identify(store, offer(endpoint(idevid())), Device(brought), signers=recorded())
    assert caught.value.reason is Reason.COMPOSITE_PARTIAL_MATCH
