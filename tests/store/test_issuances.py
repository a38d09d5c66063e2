"""The ledger: written first, one active certificate a slot, no key and no name twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from registrar.core.issuance import IssuanceState
from registrar.errors import Misuse, Reason, Rejected, Unavailable
from registrar.store import Store, Transaction, audit, crls, issuances, leases
from registrar.store.audit import Kind
from registrar.store.crls import KEPT_AFTER_EXPIRY
from registrar.store.issuances import Issuance
from tests.store.building import CAUSE, MINUTE, NOW, Wanted, device, proven, take, uri, wanted


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


class Ledger:
    """The ledger as the worker of one Device sees it."""

    def __init__(self, store: Store, number: int = 1) -> None:
        self.store = store
        self.lease = device(store, number)
        self.id = self.lease.enrolment_id

    def reserve(self, sought: Wanted) -> Issuance:
        return self.store.write_sync(
            lambda tx: issuances.reserve(tx, sought.request, lease=self.lease, cause=CAUSE)
        )

    def sign(self, issuance: Issuance, sought: Wanted) -> Issuance:
        return self.store.write_sync(
            lambda tx: issuances.record_signed(
                tx, issuance.id, sought.certificate, lease=self.lease, cause=CAUSE
            )
        )

    def deliver(self, issuance: Issuance) -> Issuance:
        return self.store.write_sync(
            lambda tx: issuances.record_delivered(tx, issuance.id, lease=self.lease, cause=CAUSE)
        )

    def confirm(self, issuance: Issuance) -> Issuance:
        return self.store.write_sync(
            lambda tx: issuances.record_confirmed(tx, issuance.id, lease=self.lease, cause=CAUSE)
        )

    def revoke(self, issuance: Issuance) -> Issuance:
        return self.store.write_sync(
            lambda tx: issuances.revoke(tx, issuance.id, lease=self.lease, cause=CAUSE)
        )

    def active(self) -> list[int]:
        return [one.serial for one in issuances.active(self.store.reader, enrolment_id=self.id)]


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store)


@pytest.mark.clause("I1")
def test_a_certificate_goes_its_way_and_is_found_by_its_bytes(ledger: Ledger) -> None:
    sought = wanted(ledger.id, 5)

    reserved = ledger.reserve(sought)
    signed = ledger.sign(reserved, sought)
    delivered = ledger.deliver(signed)
    confirmed = ledger.confirm(delivered)

    assert (reserved.state, reserved.tbs) == (IssuanceState.RESERVED, sought.request.tbs)
    assert reserved.certificate is None
    assert signed.certificate == sought.certificate
    assert confirmed.state is IssuanceState.CONFIRMED
    assert issuances.find(ledger.store.reader, sought.certificate) == confirmed
    entries = audit.entries(ledger.store.reader, kind=Kind.ISSUANCE)
    assert [entry.event for entry in entries] == ["reserved", "signed", "delivered", "confirmed"]
    assert list(issuances.certificates(ledger.store.reader)) == [sought.certificate]


@pytest.mark.clause("I1")
def test_only_our_very_bytes_are_found(ledger: Ledger) -> None:
    ours = wanted(ledger.id, 5)
    ledger.sign(ledger.reserve(ours), ours)

    for other in (wanted(ledger.id, 5), wanted(ledger.id, 6)):
        assert issuances.find(ledger.store.reader, other.certificate) is None
    assert issuances.find(ledger.store.reader, b"no certificate") is None


@pytest.mark.clause("F28")
def test_the_same_key_gives_the_same_certificate(ledger: Ledger) -> None:
    private = key()
    first = ledger.reserve(wanted(ledger.id, 5, key=private))

    again = ledger.reserve(wanted(ledger.id, 6, key=private))

    assert again == first
    assert ledger.active() == [5]


@pytest.mark.clause("F28")
def test_another_key_closes_the_former_certificate(ledger: Ledger) -> None:
    former = wanted(ledger.id, 5)
    ledger.sign(ledger.reserve(former), former)

    ledger.reserve(wanted(ledger.id, 6))

    assert ledger.active() == [6]
    (entry,) = crls.revoked(ledger.store.reader, "applications", now=NOW)
    assert (entry.serial, entry.reason, entry.revoked_at) == (5, "superseded", NOW)


@pytest.mark.parametrize(
    "change", [{"profile": "dca"}, {"issuer": "dca"}, {"now": NOW + timedelta(days=400)}]
)
def test_the_same_key_for_another_purpose_or_time_gives_another_certificate(
    ledger: Ledger, change: dict[str, object]
) -> None:
    private = key()
    ledger.reserve(wanted(ledger.id, 5, key=private))
    sought = wanted(ledger.id, 6, key=private, **change)  # type: ignore[arg-type]
    later = type(CAUSE)(actor="x", now=NOW + timedelta(days=400) if "now" in change else NOW)

    ledger.store.write_sync(
        lambda tx: issuances.reserve(tx, sought.request, lease=ledger.lease, cause=later)
    )

    assert ledger.active() == [6]


@pytest.mark.clause("I3")
def test_slots_and_applications_stand_beside_each_other(ledger: Ledger) -> None:
    ledger.reserve(wanted(ledger.id, 5))
    ledger.reserve(wanted(ledger.id, 6, certificate_type="i=23538"))
    ledger.reserve(wanted(ledger.id, 7, application_uri="urn:example.com:other"))

    assert ledger.active() == [5, 6, 7]


@pytest.mark.clause("R136")
def test_an_unused_certificate_is_revoked_and_its_slot_free_again(ledger: Ledger) -> None:
    private = key()
    sought = wanted(ledger.id, 5, key=private)
    issuance = ledger.deliver(ledger.sign(ledger.reserve(sought), sought))

    revoked = ledger.revoke(issuance)
    again = ledger.revoke(issuance)
    ledger.reserve(wanted(ledger.id, 6, key=private))

    assert revoked.state is again.state is IssuanceState.REVOKED
    assert ledger.active() == [6]
    assert [one.serial for one in crls.revoked(ledger.store.reader, "applications", now=NOW)]


@pytest.mark.clause("T21")
def test_a_key_serves_one_application(ledger: Ledger) -> None:
    private = key()
    issuance = ledger.reserve(wanted(ledger.id, 5, key=private))
    other = wanted(ledger.id, 6, key=private, application_uri="urn:example.com:other")

    for _ in range(2):
        with pytest.raises(Rejected) as error:
            ledger.reserve(other)
        assert error.value.reason is Reason.KEY_REUSED
        ledger.revoke(issuance)

    assert ledger.active() == []


@pytest.mark.clause("T21")
def test_a_key_of_another_device_is_refused(store: Store) -> None:
    holder, thief = Ledger(store, 1), Ledger(store, 2)
    private = key()
    holder.reserve(wanted(holder.id, 5, key=private))

    with pytest.raises(Rejected) as error:
        thief.reserve(wanted(thief.id, 6, key=private))

    assert error.value.reason is Reason.KEY_REUSED


@pytest.mark.clause("T21")
def test_an_identity_key_of_another_device_is_refused(store: Store) -> None:
    private = key()
    sought = wanted(None, 5, key=private).request
    holder = proven(store, 1)
    store.write_sync(
        lambda tx: tx.change("UPDATE bindings SET key_digest = ?", (sought.key_digest,))
    )
    store.write_sync(
        lambda tx: tx.change("UPDATE enrolments SET key_digest = ?", (sought.key_digest,))
    )
    thief = Ledger(store, 2)

    with pytest.raises(Rejected) as error:
        thief.reserve(wanted(thief.id, 6, key=private))

    assert error.value.reason is Reason.KEY_REUSED
    own = wanted(holder.enrolment_id, 7, key=private)
    assert store.write_sync(
        lambda tx: issuances.reserve(tx, own.request, lease=holder, cause=CAUSE)
    )


@pytest.mark.clause("R132")
@pytest.mark.parametrize("claimed", ["urn:example.com:app", uri(1), "urn:example.com:registrar"])
def test_a_dca_gets_no_certificate_in_the_name_of_another(store: Store, claimed: str) -> None:
    lease = proven(store, 1)
    application = wanted(lease.enrolment_id, 5)
    own = wanted(None, 6, application_uri="urn:example.com:registrar")
    store.write_sync(
        lambda tx: issuances.reserve(tx, application.request, lease=lease, cause=CAUSE)
    )
    store.write_sync(lambda tx: issuances.reserve(tx, own.request, lease=None, cause=CAUSE))
    thief = Ledger(store, 2)

    with pytest.raises(Rejected) as error:
        thief.reserve(wanted(thief.id, 7, application_uri=claimed))

    assert error.value.reason is Reason.PRODUCT_INSTANCE_URI_CONFLICT
    assert thief.active() == []


def test_the_same_device_elsewhere_may_use_its_key_once_the_old_place_is_closed(
    store: Store,
) -> None:
    private = key()
    old, new = Ledger(store, 1), Ledger(store, 2)
    issuance = old.reserve(wanted(old.id, 5, key=private))
    old.revoke(issuance)

    assert new.reserve(wanted(new.id, 6, key=private)).serial == 6


@pytest.mark.clause("I2")
def test_a_serial_is_used_once(ledger: Ledger) -> None:
    ledger.reserve(wanted(ledger.id, 5))

    with pytest.raises(Misuse):
        ledger.reserve(wanted(ledger.id, 5, application_uri="urn:example.com:other"))

    assert ledger.active() == [5]


@pytest.mark.clause("I1")
def test_only_the_reserved_bytes_are_taken_as_signed(ledger: Ledger) -> None:
    sought, other = wanted(ledger.id, 5), wanted(ledger.id, 6)
    issuance = ledger.reserve(sought)

    with pytest.raises(Misuse):
        ledger.sign(issuance, other)

    assert ledger.sign(issuance, sought).state is IssuanceState.SIGNED


def test_what_happened_twice_is_written_once(ledger: Ledger) -> None:
    sought = wanted(ledger.id, 5)
    issuance = ledger.reserve(sought)

    for _ in range(2):
        ledger.sign(issuance, sought)
    for _ in range(2):
        ledger.deliver(issuance)
    for _ in range(2):
        ledger.confirm(issuance)
    assert ledger.deliver(issuance).state is IssuanceState.CONFIRMED

    assert len(audit.entries(ledger.store.reader, kind=Kind.ISSUANCE)) == 4


def test_a_certificate_read_back_was_delivered_even_if_we_died_before_noting_it(
    ledger: Ledger,
) -> None:
    sought = wanted(ledger.id, 5)

    confirmed = ledger.confirm(ledger.sign(ledger.reserve(sought), sought))

    assert confirmed.state is IssuanceState.CONFIRMED


def test_steps_that_leave_the_table_are_refused(ledger: Ledger) -> None:
    issuance = ledger.reserve(wanted(ledger.id, 5))

    with pytest.raises(Misuse):
        ledger.deliver(issuance)
    with pytest.raises(Misuse):
        ledger.confirm(issuance)
    ledger.revoke(issuance)
    with pytest.raises(Misuse):
        ledger.deliver(issuance)


@pytest.mark.clause("F40")
def test_what_a_killed_registrar_left_is_found(ledger: Ledger) -> None:
    reserved = wanted(ledger.id, 5, certificate_type="a")
    signed = wanted(ledger.id, 6, certificate_type="b")
    delivered = wanted(ledger.id, 7, certificate_type="c")
    done = wanted(ledger.id, 8, certificate_type="d")
    ledger.reserve(reserved)
    ledger.sign(ledger.reserve(signed), signed)
    ledger.deliver(ledger.sign(ledger.reserve(delivered), delivered))
    ledger.confirm(ledger.sign(ledger.reserve(done), done))

    left = issuances.active(ledger.store.reader, enrolment_id=ledger.id)
    assert [(one.serial, one.state) for one in left] == [
        (5, IssuanceState.RESERVED),
        (6, IssuanceState.SIGNED),
        (7, IssuanceState.DELIVERED),
        (8, IssuanceState.CONFIRMED),
    ]


def test_only_the_holder_of_the_device_writes_its_ledger(ledger: Ledger) -> None:
    issuance = ledger.reserve(wanted(ledger.id, 5))
    ledger.store.write_sync(lambda tx: take(tx, ledger.id))

    with pytest.raises(Unavailable):
        ledger.reserve(wanted(ledger.id, 6))
    with pytest.raises(Unavailable):
        ledger.revoke(issuance)


def test_the_lease_of_another_device_is_our_mistake(store: Store) -> None:
    one, other = Ledger(store, 1), Ledger(store, 2)

    for lease in (other.lease, None):
        sought = wanted(one.id, 5)
        with pytest.raises(Misuse):
            store.write_sync(
                lambda tx, sought=sought, lease=lease: issuances.reserve(  # type: ignore[misc]
                    tx, sought.request, lease=lease, cause=CAUSE
                )
            )


@pytest.mark.clause("T22")
def test_an_entry_stays_on_the_list_until_well_after_its_certificate_ended(
    ledger: Ledger,
) -> None:
    issuance = ledger.reserve(wanted(ledger.id, 5))
    ledger.revoke(issuance)
    reader, ends = ledger.store.reader, issuance.not_after

    last = ends + KEPT_AFTER_EXPIRY

    assert crls.revoked(reader, "applications", now=last)
    assert not crls.revoked(reader, "applications", now=last + timedelta(seconds=1))
    assert not crls.revoked(reader, "dca", now=NOW)


@pytest.mark.clause("F28")
def test_an_interrupted_replacement_leaves_the_former_certificate_active(ledger: Ledger) -> None:
    ledger.reserve(wanted(ledger.id, 5))
    sought = wanted(ledger.id, 6)

    def crash(tx: Transaction) -> None:
        issuances.reserve(tx, sought.request, lease=ledger.lease, cause=CAUSE)
        raise Rejected("killed here")

    with pytest.raises(Rejected):
        ledger.store.write_sync(crash)

    assert ledger.active() == [5]
    assert crls.revoked(ledger.store.reader, "applications", now=NOW) == []


@pytest.mark.clause("F20")
async def test_many_workers_at_once_make_one_active_certificate(ledger: Ledger) -> None:
    requests = [wanted(ledger.id, 100 + number) for number in range(40)]
    lease = ledger.store.write_sync(
        lambda tx: leases.acquire(tx, ledger.id, owner="engine1", now=NOW, ends=NOW + MINUTE)
    )

    await asyncio.gather(
        *(
            ledger.store.write(
                lambda tx, one=one: issuances.reserve(  # type: ignore[misc]
                    tx, one.request, lease=lease, cause=CAUSE
                )
            )
            for one in requests
        )
    )

    assert len(ledger.active()) == 1
    assert len(crls.revoked(ledger.store.reader, "applications", now=NOW)) == 39


@pytest.mark.clause("I1")
def test_several_are_signed_and_delivered_at_once_with_an_entry_each(ledger: Ledger) -> None:
    sought = [wanted(ledger.id, serial, certificate_type=f"i={serial}") for serial in (5, 6)]
    rows = [ledger.reserve(one) for one in sought]
    signed = {row.id: one.certificate for row, one in zip(rows, sought, strict=True)}
    numbers = [row.id for row in reversed(rows)]

    delivered = ledger.store.write_sync(
        lambda tx: issuances.record_delivered_all(
            tx, numbers, signed, lease=ledger.lease, cause=CAUSE
        )
    )

    assert delivered == [issuances.get(ledger.store.reader, number) for number in numbers]
    told = audit.entries(ledger.store.reader, kind=Kind.ISSUANCE)
    for number in numbers:
        after = [entry.after for entry in told if entry.subject == str(number)]
        assert after == ["reserved", "signed", "delivered"]


@pytest.mark.clause("I1")
def test_a_lease_covers_no_certificate_of_another_device(store: Store, ledger: Ledger) -> None:
    other = Ledger(store, 2)
    own, foreign = wanted(ledger.id, 5), wanted(other.id, 6, application_uri="urn:example.com:b")
    numbers = [ledger.reserve(own).id, other.reserve(foreign).id]
    signed = {numbers[0]: own.certificate, numbers[1]: foreign.certificate}

    with pytest.raises(Misuse):
        store.write_sync(
            lambda tx: issuances.record_delivered_all(
                tx, numbers, signed, lease=ledger.lease, cause=CAUSE
            )
        )

    assert [issuances.get(store.reader, number).state for number in numbers] == ["reserved"] * 2


@pytest.mark.clause("I1")
def test_a_row_seen_before_another_wrote_it_is_read_again(ledger: Ledger) -> None:
    sought = wanted(ledger.id, 5)
    seen = ledger.reserve(sought)
    ledger.deliver(ledger.sign(seen, sought))

    (confirmed,) = ledger.store.write_sync(
        lambda tx: issuances.record_confirmed_all(
            tx, [replace(seen, state=IssuanceState.SIGNED)], lease=ledger.lease, cause=CAUSE
        )
    )

    assert confirmed == issuances.get(ledger.store.reader, seen.id)
    told = audit.entries(ledger.store.reader, kind=Kind.ISSUANCE)
    assert [one.after for one in told] == ["reserved", "signed", "delivered", "confirmed"]


@pytest.mark.parametrize("state", [IssuanceState.DELIVERED, IssuanceState.CONFIRMED])
def test_a_row_seen_before_it_was_revoked_stays_revoked(
    ledger: Ledger, state: IssuanceState
) -> None:
    sought = wanted(ledger.id, 5)
    delivered = ledger.deliver(ledger.sign(ledger.reserve(sought), sought))
    ledger.revoke(delivered)

    for record in (
        lambda tx: issuances.record_confirmed_all(
            tx, [replace(delivered, state=state)], lease=ledger.lease, cause=CAUSE
        ),
        lambda tx: issuances.record_delivered_all(
            tx, [replace(delivered, state=state)], {}, lease=ledger.lease, cause=CAUSE
        ),
    ):
        with pytest.raises(Misuse):
            ledger.store.write_sync(record)

    assert issuances.get(ledger.store.reader, delivered.id).state is IssuanceState.REVOKED
