"""The audit trail only grows (I6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registrar.errors import Misuse
from registrar.store import Store, Transaction, audit
from registrar.store.audit import MAX_DETAIL, Kind
from tests.store.building import CAUSE, NOW, device


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
        "REPLACE INTO audit SELECT 1, at, 'x', kind, subject, event, '', '', '', '' FROM audit",
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
    found = audit.entries(store.reader, kind=Kind.SITE, subject="a", after=2)
    assert [one.sequence for one in found] == [4]


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
