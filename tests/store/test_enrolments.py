"""Enrolments: one a URL, one arrow a transaction, its entry beside it."""

from __future__ import annotations

from typing import cast

import pytest

from registrar.core.enrolment import ENDED, TRANSITIONS, Event, State
from registrar.core.ports import Lease
from registrar.errors import Misuse, Reason, Rejected, Unavailable
from registrar.store import Store, Transaction, audit, bindings, crls, enrolments, issuances, leases
from registrar.store.audit import Kind
from registrar.store.enrolments import MAX_URL, Columns
from registrar.store.moments import to_stored
from tests.store.building import (
    CAUSE,
    ENGINE,
    MINUTE,
    NOW,
    REFUSAL,
    TO_ONBOARDED,
    device,
    digest,
    discover,
    go,
    proven,
    state_of,
    take,
    uri,
    url,
    wanted,
)


def test_a_url_is_discovered_once(store: Store) -> None:
    rows = store.write_sync(
        lambda tx: enrolments.discover(tx, [url(2), url(1), url(2)], cause=CAUSE)
    )
    again = discover(store, 1)

    assert [row.url for row in rows] == [url(2), url(1), url(2)]
    assert rows[0].id == rows[2].id
    assert again == rows[1]
    assert len(audit.entries(store.reader, kind=Kind.ENROLMENT)) == 2


@pytest.mark.parametrize("length", [MAX_URL - 1, MAX_URL, MAX_URL + 1])
def test_a_url_has_a_largest_length(store: Store, length: int) -> None:
    long = "x" * length

    if length > MAX_URL:
        with pytest.raises(Misuse):
            store.write_sync(lambda tx: enrolments.discover(tx, [long], cause=CAUSE))
    else:
        assert store.write_sync(lambda tx: enrolments.discover(tx, [long], cause=CAUSE))


def test_the_whole_way_stands_in_the_audit(store: Store) -> None:
    lease = device(store)

    for event in TO_ONBOARDED:
        store.write_sync(lambda tx, event=event: go(tx, lease, event))  # type: ignore[misc]

    entries = audit.entries(store.reader, kind=Kind.ENROLMENT)
    assert [entry.event for entry in entries] == ["discovered", *TO_ONBOARDED]
    assert [entry.after for entry in entries][-1] == State.ONBOARDED
    assert {(entry.actor, entry.at) for entry in entries} == {(ENGINE, NOW)}
    assert state_of(store, lease) is State.ONBOARDED


def test_an_arrow_keeps_what_was_learned_and_why(store: Store) -> None:
    lease = device(store)

    row = store.write_sync(
        lambda tx: enrolments.advance(
            tx,
            lease,
            Event.REFUSED,
            cause=REFUSAL,
            columns={"serial_number": "4711", "model": "pump"},
        )
    )

    assert (row.state, row.reason, row.detail) == (State.REFUSED, "key_not_proven", "no channel")
    assert (row.serial_number, row.model, row.manufacturer) == ("4711", "pump", "")
    assert enrolments.find(store.reader, "4711") == [row]
    assert enrolments.find(store.reader, url()) == [row]


@pytest.mark.parametrize("event", sorted(Event))
@pytest.mark.parametrize("state", sorted(State))
def test_only_the_arrows_of_the_table_can_be_gone(store: Store, state: State, event: Event) -> None:
    lease = device(store)
    store.write_sync(  # puts the row there without an arrow; both are taken back below
        lambda tx: tx.change("UPDATE enrolments SET state = ?", (state,))
    )
    is_allowed = event in TRANSITIONS.get(state, {}) or (
        event in (Event.REFUSED, Event.CONFLICTED, Event.LOST) and state not in ENDED
    )

    def attempt(tx: Transaction) -> None:
        enrolments.advance(tx, lease, event, cause=REFUSAL)
        raise Rejected("seen enough")

    with pytest.raises(Rejected if is_allowed else Misuse):
        store.write_sync(attempt)

    assert state_of(store, lease) is state
    store.write_sync(lambda tx: tx.change("UPDATE enrolments SET state = 'discovered'"))


@pytest.mark.clause("I6")
def test_without_an_audit_entry_there_is_no_arrow(store: Store) -> None:
    lease = device(store)
    nobody = type(CAUSE)(actor="", now=NOW)

    with pytest.raises(Misuse):
        store.write_sync(
            lambda tx: enrolments.advance(tx, lease, Event.TICKET_MATCHED, cause=nobody)
        )

    assert state_of(store, lease) is State.DISCOVERED


def test_columns_that_are_no_facts_cannot_be_written(store: Store) -> None:
    lease = device(store)

    with pytest.raises(Misuse):
        store.write_sync(
            lambda tx: enrolments.advance(
                tx,
                lease,
                Event.TICKET_MATCHED,
                cause=CAUSE,
                columns=cast(Columns, {"lease_token": "9"}),
            )
        )


def test_attempts_are_counted(store: Store) -> None:
    lease = device(store)

    counts = [store.write_sync(lambda tx: enrolments.count_attempt(tx, lease)) for _ in range(3)]

    assert counts == [1, 2, 3]
    assert enrolments.get(store.reader, lease.enrolment_id).attempts == 3


def test_an_operator_waits_for_the_engine(store: Store) -> None:
    lease = device(store)
    store.write_sync(lambda tx: enrolments.advance(tx, lease, Event.TICKET_MISSING, cause=CAUSE))

    def retry(tx: Transaction) -> None:
        enrolments.advance_idle(tx, lease.enrolment_id, Event.RETRIED, cause=CAUSE)

    with pytest.raises(Unavailable) as error:
        store.write_sync(retry)
    store.write_sync(lambda tx: leases.release(tx, lease))
    store.write_sync(retry)

    assert error.value.reason is Reason.BUSY
    assert state_of(store, lease) is State.DISCOVERED


def test_an_arrow_to_an_end_gives_the_lease_back(store: Store) -> None:
    lease = device(store)

    store.write_sync(lambda tx: enrolments.advance(tx, lease, Event.REFUSED, cause=REFUSAL))

    with pytest.raises(Unavailable, match="held by nobody"):
        store.write_sync(lambda tx: leases.check_lease(tx, lease))
    store.write_sync(
        lambda tx: enrolments.advance_idle(tx, lease.enrolment_id, Event.RETRIED, cause=CAUSE)
    )


def test_a_retired_device_frees_its_name_and_loses_its_certificates(store: Store) -> None:
    lease = proven(store)
    sought = wanted(lease.enrolment_id, 5)
    store.write_sync(lambda tx: issuances.reserve(tx, sought.request, lease=lease, cause=CAUSE))
    for event in TO_ONBOARDED[2:]:
        store.write_sync(lambda tx, event=event: go(tx, lease, event))  # type: ignore[misc]
    store.write_sync(lambda tx: leases.release(tx, lease))

    store.write_sync(
        lambda tx: enrolments.advance_idle(tx, lease.enrolment_id, Event.RETIRED, cause=CAUSE)
    )

    assert bindings.holder_of(store.reader, uri()) is None
    assert issuances.active(store.reader, enrolment_id=lease.enrolment_id) == []
    revoked = crls.revoked(store.reader, "applications", now=NOW)
    assert [(entry.serial, entry.reason) for entry in revoked] == [(5, "cessationOfOperation")]


def test_states_are_counted_and_paged(store: Store) -> None:
    numbers = [device(store, number).enrolment_id for number in range(1, 6)]

    assert enrolments.counts(store.reader) == {State.DISCOVERED: 5}
    rows = enrolments.in_states(store.reader, [State.DISCOVERED], after=numbers[2])
    assert [row.id for row in rows] == numbers[3:]
    assert enrolments.in_states(store.reader, [State.ONBOARDED]) == []
    assert enrolments.by_uri(store.reader, "") == []


def test_what_does_not_exist_is_our_mistake(store: Store) -> None:
    ghost = Lease(enrolment_id=99, fence=1)

    with pytest.raises(Misuse):
        enrolments.get(store.reader, 99)
    with pytest.raises(Misuse):
        store.write_sync(lambda tx: enrolments.advance(tx, ghost, Event.REFUSED, cause=REFUSAL))
    with pytest.raises(Misuse):
        store.write_sync(lambda tx: enrolments.advance_idle(tx, 99, Event.RETRIED, cause=CAUSE))
    with pytest.raises(Misuse):
        store.write_sync(lambda tx: take(tx, 99))


# --- bindings


@pytest.mark.clause("T3")
def test_the_holder_may_bind_again(store: Store) -> None:
    lease = proven(store)

    store.write_sync(lambda tx: bindings.bind(tx, lease.enrolment_id, uri(), digest(), cause=CAUSE))

    held = bindings.holder_of(store.reader, uri())
    assert held is not None
    assert (held.enrolment_id, held.key_digest, held.url) == (lease.enrolment_id, digest(), url())
    assert bindings.holder_of_key(store.reader, digest()) == held
    assert len(audit.entries(store.reader, kind=Kind.BINDING)) == 1


@pytest.mark.clause("T3")
@pytest.mark.parametrize(
    ("name", "key", "is_other_device"),
    [(1, 2, True), (1, 1, True), (2, 1, True), (1, 2, False), (2, 1, False), (2, 2, False)],
)
def test_a_second_claim_is_refused_and_names_the_holder(
    store: Store, name: int, key: int, is_other_device: bool
) -> None:
    first = proven(store, 1)
    claimant = device(store, 9).enrolment_id if is_other_device else first.enrolment_id

    with pytest.raises(Rejected) as error:
        store.write_sync(
            lambda tx: bindings.bind(tx, claimant, uri(name), digest(key), cause=CAUSE)
        )

    assert error.value.reason is Reason.PRODUCT_INSTANCE_URI_CONFLICT
    assert url(1) in str(error.value)
    held = bindings.holder_of(store.reader, uri(1))
    assert held is not None
    assert held.enrolment_id == first.enrolment_id


def test_devices_that_differ_in_all_are_bound_beside_each_other(store: Store) -> None:
    proven(store, 1)
    proven(store, 2)

    assert bindings.holder_of(store.reader, uri(1)) != bindings.holder_of(store.reader, uri(2))


# --- leases


def test_only_the_newest_fence_may_write(store: Store) -> None:
    old = device(store)

    new = store.write_sync(lambda tx: take(tx, old.enrolment_id))

    assert new.fence > old.fence
    with pytest.raises(Unavailable):
        store.write_sync(lambda tx: go(tx, old, Event.TICKET_MATCHED))
    store.write_sync(lambda tx: go(tx, new, Event.TICKET_MATCHED))


def test_a_lease_that_was_given_back_writes_nothing(store: Store) -> None:
    lease = device(store)
    store.write_sync(lambda tx: leases.release(tx, lease))

    with pytest.raises(Unavailable):
        store.write_sync(lambda tx: go(tx, lease, Event.TICKET_MATCHED))


def test_releasing_an_old_lease_leaves_the_new_one(store: Store) -> None:
    old = device(store)
    new = store.write_sync(lambda tx: take(tx, old.enrolment_id))

    store.write_sync(lambda tx: leases.release(tx, old))

    store.write_sync(lambda tx: leases.check_lease(tx, new))


@pytest.mark.clause("F52")
@pytest.mark.parametrize(("after", "is_free"), [(-1, False), (0, True), (1, True)])
def test_another_engine_has_to_wait_for_the_end_of_a_lease(
    store: Store, after: int, is_free: bool
) -> None:
    lease = device(store)
    later = NOW + MINUTE + after * (MINUTE / 60)

    def rob(tx: Transaction) -> Lease:
        return take(tx, lease.enrolment_id, owner="other", now=later)

    if is_free:
        assert store.write_sync(rob).fence > lease.fence
    else:
        with pytest.raises(Unavailable):
            store.write_sync(rob)


def test_a_renewed_lease_ends_later_and_an_old_one_is_not_renewed(store: Store) -> None:
    old = device(store, 1)
    new = store.write_sync(lambda tx: take(tx, old.enrolment_id))
    other = device(store, 2)
    store.write_sync(lambda tx: leases.release(tx, other))

    held = store.write_sync(lambda tx: leases.renew(tx, [old, new, other], ends=NOW + 5 * MINUTE))

    assert held == [new]
    with pytest.raises(Unavailable):
        store.write_sync(lambda tx: take(tx, new.enrolment_id, owner="other", now=NOW + 4 * MINUTE))


def test_claims_take_what_is_free_and_due(store: Store) -> None:
    held = device(store, 1)
    waiting = device(store, 2)
    due = [discover(store, number).id for number in (3, 4, 5)]
    store.write_sync(lambda tx: enrolments.advance(tx, waiting, Event.TICKET_MISSING, cause=CAUSE))
    store.write_sync(lambda tx: leases.release(tx, waiting))

    def claim(tx: Transaction) -> list[Lease]:
        return leases.claim(tx, owner="other", now=NOW, ends=NOW + MINUTE, limit=2)

    first, second, third = (store.write_sync(claim) for _ in range(3))

    assert [lease.enrolment_id for lease in first + second] == due
    assert third == []
    assert held.enrolment_id not in due


def test_an_arrow_needs_no_reading_where_the_enrolment_is_as_it_was_seen(store: Store) -> None:
    number = discover(store).id
    lease, row = store.write_sync(
        lambda tx: enrolments.acquire(tx, number, owner=ENGINE, now=NOW, ends=NOW + MINUTE)
    )

    after = store.write_sync(
        lambda tx: enrolments.advance_from(
            tx,
            lease,
            (row.state, to_stored(row.updated)),
            Event.TICKET_MATCHED,
            cause=CAUSE,
            columns={"model": "M1"},
        )
    )

    assert after is State.IDENTIFIED
    stored = enrolments.get(store.reader, number)
    assert (stored.state, stored.model) == (after, "M1")
    assert audit.of_device(store.reader, number)[-1].after == after


@pytest.mark.parametrize("changed", ["state", "updated", "fence", "owner"])
def test_an_arrow_from_what_is_not_so_any_more_writes_nothing(store: Store, changed: str) -> None:
    lease = device(store)
    row = enrolments.get(store.reader, lease.enrolment_id)
    state, updated = row.state, to_stored(row.updated)
    if changed == "state":
        state = State.AWAITING_APPROVAL
    elif changed == "updated":
        updated -= 1
    elif changed == "fence":
        store.write_sync(lambda tx: take(tx, row.id))
    else:
        store.write_sync(lambda tx: leases.release(tx, lease))
    entries = audit.of_device(store.reader, row.id)

    after = store.write_sync(
        lambda tx: enrolments.advance_from(
            tx, lease, (state, updated), Event.REFUSED, cause=REFUSAL, columns={}
        )
    )

    assert after is None
    assert enrolments.get(store.reader, row.id).state is row.state
    assert audit.of_device(store.reader, row.id) == entries
