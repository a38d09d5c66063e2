"""What other processes tell a campaign, and the last word about the software of a Device."""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.software import SoftwareReport
from registrar.errors import Unavailable
from registrar.store import Store, audit, inbox, software
from registrar.store.audit import Kind
from registrar.store.inbox import News
from tests.store.building import CAUSE, NOW, uri


def leave(store: Store, payload: str, kind: News = News.SOFTWARE) -> None:
    store.write_sync(lambda tx: inbox.append(tx, kind, payload, now=NOW))


def payloads(store: Store, after: int = 0) -> list[str]:
    return [message.payload for message in inbox.waiting(store.reader, after=after)]


def test_news_from_another_process_arrives_in_order(store: Store, path: Path) -> None:
    with Store.open(path) as other:
        leave(other, "a")
        leave(other, "b", News.TICKETS)

    messages = inbox.waiting(store.reader)

    assert [(one.kind, one.payload, one.created) for one in messages] == [
        (News.SOFTWARE, "a", NOW),
        (News.TICKETS, "b", NOW),
    ]
    assert payloads(store, after=messages[0].id) == ["b"]


def test_numbers_never_come_twice_even_when_all_was_taken(store: Store) -> None:
    leave(store, "a")
    last = inbox.waiting(store.reader)[-1].id

    taken = store.write_sync(lambda tx: inbox.take(tx, last))
    leave(store, "b")

    assert taken == 1
    assert payloads(store, after=last) == ["b"]


def test_what_came_after_stays(store: Store) -> None:
    leave(store, "a")
    last = inbox.waiting(store.reader)[-1].id
    leave(store, "b")

    store.write_sync(lambda tx: inbox.take(tx, last))

    assert payloads(store) == ["b"]


def test_an_inbox_nobody_reads_is_full_one_day(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_WAITING", 3)
    for number in range(3):
        leave(store, str(number))

    with pytest.raises(Unavailable):
        leave(store, "too much")
    last = inbox.waiting(store.reader)[0].id
    store.write_sync(lambda tx: inbox.take(tx, last))
    leave(store, "fits again")

    assert payloads(store) == ["1", "2", "fits again"]


def test_a_page_of_news_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_PAGE", 2)
    for number in range(3):
        leave(store, str(number))

    assert payloads(store) == ["0", "1"]


@pytest.mark.clause("OPC 10000-21 §9.2.4")
def test_the_newest_report_counts_and_the_older_ones_stay_in_the_audit(store: Store) -> None:
    outdated = SoftwareReport(is_current=False, revision="2.0")
    current = SoftwareReport(is_current=True, revision="2.1")

    for told in (outdated, current):
        store.write_sync(lambda tx, told=told: software.report(tx, uri(), told, cause=CAUSE))  # type: ignore[misc]

    assert software.last_report(store.reader, uri()) == current
    assert software.last_report(store.reader, uri(2)) is None
    entries = audit.of_subject(store.reader, Kind.SOFTWARE, uri())
    assert [(one.event, one.detail) for one in entries] == [
        ("outdated", "revision 2.0"),
        ("current", "revision 2.1"),
    ]
