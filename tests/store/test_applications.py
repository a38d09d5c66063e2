"""The applications of a Device: remembered once, in the name of no other Device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registrar.core.ports import Lease
from registrar.errors import Reason, Rejected, Unavailable
from registrar.store import Store, applications, audit, leases
from registrar.store.applications import MAX_PER_DEVICE, ApplicationRecord
from registrar.store.audit import Kind
from tests.store.building import CAUSE, device, url

PUMP = ApplicationRecord(
    node="ns=1;i=5",
    application_uri="urn:example.com:snr-1:pump",
    product_uri="urn:example.com:pump",
    application_type="server",
    name="Pump",
)


def put(store: Store, lease: Lease, record: ApplicationRecord) -> None:
    store.write_sync(lambda tx: applications.put(tx, lease, record, cause=CAUSE))


def test_applications_come_back_in_the_order_they_were_found(store: Store) -> None:
    lease = device(store)
    valve = replace(PUMP, node="ns=1;i=6", application_uri="urn:example.com:snr-1:valve")

    put(store, lease, valve)
    put(store, lease, PUMP)

    assert applications.of(store.reader, lease.enrolment_id) == [valve, PUMP]
    assert applications.of(store.reader, 99) == []


def test_only_news_stands_in_the_audit(store: Store) -> None:
    lease = device(store)

    for record in (PUMP, PUMP, replace(PUMP, is_confirmed=True), replace(PUMP, is_confirmed=True)):
        put(store, lease, record)

    events = [one.event for one in audit.entries(store.reader, kind=Kind.APPLICATION)]
    assert events == ["found", "confirmed"]
    assert applications.of(store.reader, lease.enrolment_id)[0].is_confirmed


@pytest.mark.clause("R132")
def test_another_device_cannot_claim_an_application(store: Store) -> None:
    owner, thief = device(store, 1), device(store, 2)
    put(store, owner, PUMP)

    for record in (PUMP, replace(PUMP, node="ns=9;i=9")):
        with pytest.raises(Rejected) as error:
            put(store, thief, record)
        assert error.value.reason is Reason.PRODUCT_INSTANCE_URI_CONFLICT
        assert url(1) in str(error.value)

    assert applications.of(store.reader, thief.enrolment_id) == []


def test_what_is_found_again_stays_as_it_was(store: Store) -> None:
    lease = device(store)
    confirmed = replace(PUMP, is_confirmed=True)
    put(store, lease, confirmed)
    moved = replace(PUMP, node="ns=1;i=7")
    valve = replace(PUMP, node="ns=1;i=6", application_uri="urn:example.com:snr-1:valve")

    known = store.write_sync(
        lambda tx: applications.put_new(tx, lease, [moved, valve], cause=CAUSE)
    )

    assert known == [confirmed]
    assert applications.of(store.reader, lease.enrolment_id) == [confirmed, valve]


@pytest.mark.parametrize("is_moved", [False, True], ids=["swapped", "moved"])
def test_what_is_not_confirmed_keeps_its_name(store: Store, is_moved: bool) -> None:
    lease = device(store)
    valve = replace(PUMP, node="ns=1;i=6", application_uri="urn:example.com:snr-1:valve")
    put(store, lease, PUMP)
    put(store, lease, valve)
    swapped = [replace(PUMP, node=valve.node), replace(valve, node=PUMP.node)]
    moved = [replace(PUMP, node="ns=1;i=7"), valve]

    with pytest.raises(Rejected) as error:
        store.write_sync(
            lambda tx: applications.put_new(tx, lease, moved if is_moved else swapped, cause=CAUSE)
        )

    assert error.value.reason is Reason.PRODUCT_INSTANCE_URI_CONFLICT
    assert applications.of(store.reader, lease.enrolment_id) == [PUMP, valve]


def test_one_device_cannot_show_an_application_twice(store: Store) -> None:
    lease = device(store)
    put(store, lease, PUMP)

    with pytest.raises(Rejected):
        put(store, lease, replace(PUMP, node="ns=1;i=6"))


@pytest.mark.parametrize("count", [MAX_PER_DEVICE, MAX_PER_DEVICE + 1])
def test_a_device_has_so_many_applications_at_most(store: Store, count: int) -> None:
    lease = device(store)

    def fill(number: int) -> None:
        record = replace(PUMP, node=f"i={number}", application_uri=f"urn:app:{number}")
        put(store, lease, record)

    for number in range(MAX_PER_DEVICE - 1):
        fill(number)
    if count <= MAX_PER_DEVICE:
        fill(count)
    else:
        fill(MAX_PER_DEVICE)
        with pytest.raises(Rejected):
            fill(count)


def test_only_the_holder_of_the_device_writes_its_applications(store: Store) -> None:
    lease = device(store)
    store.write_sync(lambda tx: leases.release(tx, lease))

    with pytest.raises(Unavailable):
        put(store, lease, PUMP)


def test_a_forgotten_application_can_move(store: Store) -> None:
    old, new = device(store, 1), device(store, 2)
    put(store, old, PUMP)

    gone = store.write_sync(lambda tx: applications.forget(tx, old.enrolment_id, cause=CAUSE))

    assert gone == 1
    put(store, new, PUMP)
    assert applications.of(store.reader, new.enrolment_id) == [PUMP]
