"""Devices, leases and certificates for the tests of the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from registrar.ca import Authority, Prepared, key_digest
from registrar.core.enrolment import Event, State
from registrar.core.ports import Lease
from registrar.store import Cause, Store, Transaction, bindings, enrolments, leases
from registrar.store.enrolments import EnrolmentRow
from registrar.store.issuance_request import IssuanceRequest
from tests.ca.building import application, make_root

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ENGINE = "engine1"
CAUSE = Cause(actor=ENGINE, now=NOW)
REFUSAL = Cause(actor=ENGINE, now=NOW, reason="key_not_proven", detail="no channel")

TO_ONBOARDED = (
    Event.TICKET_MATCHED,
    Event.IDENTITY_PROVEN,
    Event.PROVISIONING_BEGUN,
    Event.DCA_CONFIRMED,
    Event.APPLICATIONS_CONFIRMED,
)


def url(number: int = 1) -> str:
    return f"opc.tcp://127.1.0.{number}:4840"


def uri(number: int = 1) -> str:
    return f"urn:example.com:snr-{number}"


def digest(number: int = 1) -> str:
    return f"{number:064x}"


def discover(store: Store, number: int = 1) -> EnrolmentRow:
    (row,) = store.write_sync(lambda tx: enrolments.discover(tx, [url(number)], cause=CAUSE))
    return row


def take(tx: Transaction, enrolment_id: int, *, owner: str = ENGINE, now: datetime = NOW) -> Lease:
    return leases.acquire(tx, enrolment_id, owner=owner, now=now, ends=now + MINUTE)


def device(store: Store, number: int = 1) -> Lease:
    """Discover a Device and return the lease of it."""
    row = discover(store, number)
    return store.write_sync(lambda tx: take(tx, row.id))


def go(tx: Transaction, lease: Lease, event: Event, number: int = 1) -> EnrolmentRow:
    """Go one arrow as the engine does: with what it learned, and the binding where it is due."""
    row = enrolments.advance(
        tx,
        lease,
        event,
        cause=CAUSE,
        columns={"product_instance_uri": uri(number), "key_digest": digest(number)},
    )
    if event is Event.IDENTITY_PROVEN:
        bindings.bind(tx, row.id, uri(number), digest(number), cause=CAUSE)
    return row


def proven(store: Store, number: int = 1) -> Lease:
    """Return the lease of a Device that has proved its key."""
    lease = device(store, number)
    for event in (Event.TICKET_MATCHED, Event.IDENTITY_PROVEN):
        store.write_sync(lambda tx, event=event: go(tx, lease, event, number))  # type: ignore[misc]
    return lease


def state_of(store: Store, lease: Lease) -> State:
    return enrolments.get(store.reader, lease.enrolment_id).state


@dataclass(frozen=True)
class Wanted:
    """A request for the ledger, and how to sign it."""

    request: IssuanceRequest
    certificate: bytes


def wanted(
    enrolment_id: int | None,
    serial: int,
    *,
    application_uri: str = "urn:example.com:app",
    key: ec.EllipticCurvePrivateKey | None = None,
    certificate_type: str = "i=12560",
    profile: str = "application",
    issuer: str = "applications",
    now: datetime = NOW,
    lifetime: timedelta = timedelta(days=365),
    authority: Authority | None = None,
) -> Wanted:
    """Return a request of a fresh key, or of ``key``, with its certificate."""
    authority = authority or make_root()
    public = (key or ec.generate_private_key(ec.SECP256R1())).public_key()
    prepared: Prepared = authority.prepare(
        public, application(application_uri, lifetime=lifetime), serial=serial, now=now
    )
    request = IssuanceRequest(
        enrolment_id=enrolment_id,
        application_uri=application_uri,
        certificate_group="",
        certificate_type=certificate_type,
        profile=profile,
        issuer=issuer,
        key_digest=key_digest(public),
        serial=prepared.serial,
        tbs=prepared.tbs,
        not_after=prepared.not_after,
    )
    return Wanted(request=request, certificate=authority.sign(prepared))
