"""The audit trail only grows (I6)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from registrar.errors import Misuse, Rejected
from registrar.store import Store, Transaction, audit, inbox
from registrar.store.audit import MAX_DETAIL, Kind
from tests.store.building import CAUSE, NOW, device, proven


def note(store: Store, subject: str = "x", detail: str = "") -> None:
    cause = replace(CAUSE, detail=detail, reason="because")
    store.write_sync(lambda tx: audit.append(tx, Kind.SITE, subject, "happened", cause=cause))


def test_an_entry_says_who_what_when_and_why(store: Store) -> None:
    note(store, "x", "details")

    (entry,) = audit.entries(store.reader)

    assert (entry.sequence, entry.at, entry.actor) == (1, NOW, "engine1")
    assert (entry.kind, entry.subject, entry.event) == (Kind.SITE, "x", "happened")
    assert (entry.reason, entry.detail, entry.before, entry.after) == ("because", "details", "", "")


@pytest.mark.clause("I6")
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET actor = 'somebody else'",
        "DELETE FROM audit",
        "REPLACE INTO audit SELECT 1, at, 'x', kind, subject, 1, event, '', '', '', '' FROM audit",
        "UPDATE audit SET sequence = sequence + 1",
    ],
)
def test_no_entry_is_changed_deleted_or_replaced(store: Store, sql: str) -> None:
    note(store)
    before = audit.entries(store.reader)

    with pytest.raises(Misuse):
        store.write_sync(lambda tx: tx.change(sql))

    assert audit.entries(store.reader) == before


def test_entries_are_found_by_kind_and_subject_and_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    device(store)
    for subject in ("a", "b", "a"):
        note(store, subject)

    monkeypatch.setattr(audit, "MAX_PAGE", 2)
    everything = audit.entries(store.reader)

    assert [one.sequence for one in everything] == [1, 2]
    assert [one.sequence for one in audit.entries(store.reader, after=2)] == [3, 4]
    assert [one.subject for one in audit.entries(store.reader, kind=Kind.SITE)] == ["a", "b"]
    found = audit.of_subject(store.reader, Kind.SITE, "a")
    assert [one.sequence for one in found] == [2, 4]


def test_what_happened_to_a_device_is_found_by_its_enrolment(store: Store) -> None:
    lease, other = proven(store, 1), device(store, 2)
    note(store)

    found = audit.of_device(store.reader, lease.enrolment_id)

    assert [one.event for one in found] == [
        "discovered",
        "ticket_matched",
        "identity_proven",
        "bound",
    ]
    assert {one.enrolment_id for one in found} == {lease.enrolment_id}
    assert len(audit.of_device(store.reader, other.enrolment_id)) == 1
    assert audit.of_subject(store.reader, Kind.ENROLMENT, str(lease.enrolment_id)) == []


@pytest.mark.parametrize("length", [MAX_DETAIL - 1, MAX_DETAIL, MAX_DETAIL + 1])
def test_a_detail_has_a_largest_length(store: Store, length: int) -> None:
    note(store, detail="x" * length)

    (entry,) = audit.entries(store.reader)
    assert len(entry.detail) == min(length, MAX_DETAIL)


@pytest.mark.clause("I6")
def test_numbers_have_no_gap_after_a_failure(store: Store) -> None:
    def fail(tx: Transaction) -> None:
        audit.append(tx, Kind.SITE, "x", "x", cause=CAUSE)
        raise KeyError

    note(store)
    with pytest.raises(Misuse):
        store.write_sync(fail)
    note(store)

    assert [one.sequence for one in audit.entries(store.reader)] == [1, 2]


@pytest.mark.clause("I6")
async def test_the_entries_of_a_failed_change_do_not_join_those_of_its_group(store: Store) -> None:
    def append(tx: Transaction, subject: str) -> None:
        for event in ("first", "second"):
            audit.append(tx, Kind.SITE, subject, event, cause=CAUSE)

    def fail(tx: Transaction) -> None:
        append(tx, "failed")
        raise Rejected("this Device is at fault")

    results = await asyncio.gather(
        store.write(lambda tx: append(tx, "a")),
        store.write(fail),
        store.write(lambda tx: append(tx, "b")),
        return_exceptions=True,
    )

    told = [(one.sequence, one.subject, one.event) for one in audit.entries(store.reader)]
    assert isinstance(results[1], Rejected)
    assert told == [(1, "a", "first"), (2, "a", "second"), (3, "b", "first"), (4, "b", "second")]


@pytest.mark.clause("I6")
@pytest.mark.parametrize("others", [0, 2])
async def test_a_change_whose_entry_cannot_be_written_fails_alone(
    store: Store, others: int
) -> None:
    def change(tx: Transaction, actor: str) -> None:
        inbox.append(tx, inbox.News.TICKETS, actor, now=NOW)
        audit.append(tx, Kind.SITE, "x", "happened", cause=replace(CAUSE, actor=actor))

    actors = ["", *(f"good{number}" for number in range(others))]
    results = await asyncio.gather(
        *(store.write(lambda tx, actor=actor: change(tx, actor)) for actor in actors),  # type: ignore[misc]
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [Misuse] + [type(None)] * others
    assert [one.actor for one in audit.entries(store.reader)] == actors[1:]
    assert [one.payload for one in inbox.waiting(store.reader)] == actors[1:]
