"""What a site says about its devices: counts, outcomes, software reports, explanations."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from registrar.app import explanation, reports, tickets, trust
from registrar.app.causes import by_operator, now
from registrar.app.settings import Settings
from registrar.core.enrolment import Event, State
from registrar.core.trust import TrustListName
from registrar.errors import FileInvalid, Reason
from registrar.store import enrolments, inbox, leases, software
from registrar.store.enrolments import Columns
from registrar.store.store import Store
from registrar.store.transaction import Transaction
from tests.app.delivery import make_maker, uri_of

URLS = [f"opc.tcp://10.0.0.{number}:4840" for number in range(4)]


@pytest.fixture
def filled(store: Store) -> Store:
    """Four devices: one discovered, one identified, two refused."""

    def fill(tx: Transaction) -> None:
        rows = enrolments.discover(tx, URLS, cause=by_operator())
        leases.take_over(tx, store.path, "engine", cause=by_operator())
        for row, event, reason in (
            (rows[1], Event.TICKET_MATCHED, ""),
            (rows[2], Event.REFUSED, Reason.KEY_NOT_PROVEN),
            (rows[3], Event.REFUSED, Reason.KEY_NOT_PROVEN),
        ):
            lease = leases.acquire(
                tx, row.id, owner="engine", now=now(), ends=now() + timedelta(minutes=1)
            )
            columns = Columns(product_instance_uri=uri_of(row.id), serial_number=f"S{row.id}")
            cause = by_operator(reason=reason, detail="the detail" if reason else "")
            enrolments.advance(tx, lease, event, cause=cause, columns=columns)
            leases.release(tx, lease)

    lock = leases.EngineLock.take(store.path, "engine")
    store.write_sync(fill)
    lock.close()
    return store


def test_devices_are_counted_by_state_and_reason(filled: Store) -> None:
    found = [(one.state, one.reason, one.count) for one in reports.counts(filled)]

    assert found == [
        (State.DISCOVERED, "", 1),
        (State.IDENTIFIED, "", 1),
        (State.REFUSED, "key_not_proven", 2),
    ]
    assert reports.counts(filled)[2].next_action


def test_every_device_has_an_outcome_in_the_order_of_discovery(filled: Store) -> None:
    found = list(reports.outcomes(filled))

    assert [one.url for one in found] == URLS
    assert found[2].reason is Reason.KEY_NOT_PROVEN
    assert found[2].detail == "the detail"


@pytest.mark.parametrize("name", [URLS[1], uri_of(2), "S2"])
def test_software_is_reported_by_any_name(filled: Store, name: str) -> None:
    uri = reports.report_software(filled, name, revision="2.0")

    told = software.last_report(filled.reader, uri_of(2))
    assert uri == uri_of(2)
    assert told is not None
    assert told.revision == "2.0"
    (message,) = inbox.waiting(filled.reader)
    assert (message.kind, message.payload) == (inbox.News.SOFTWARE, uri_of(2))


def test_a_device_without_a_name_yet_cannot_be_reported(filled: Store) -> None:
    with pytest.raises(FileInvalid, match="has not shown"):
        reports.report_software(filled, URLS[0], revision="2.0")


def test_an_explanation_tells_tickets_decisions_and_the_next_action(
    filled: Store, tmp_path: Path
) -> None:
    maker = make_maker()
    list(
        trust.add(
            filled,
            TrustListName.TICKET_AUTHORITIES,
            maker.write_authorities(tmp_path / "authorities"),
        )
    )
    (tmp_path / "good.json").write_text(maker.ticket(3))
    (tmp_path / "bad.json").write_text(make_maker("Other").ticket(3))
    paths = [tmp_path / "good.json", tmp_path / "bad.json"]
    list(tickets.import_files(filled, Settings(), paths))

    text = "\n".join(explanation.explain(filled, URLS[2]).lines())

    assert "key_not_proven" in text
    assert "the detail" in text
    assert "signed by CN=Example Tickets" in text
    assert "ticket_signer_untrusted" in text
    assert "it was refused (discovered → refused) [key_not_proven]: the detail" in text
    assert "a Ticket was registered" in text


def test_an_explanation_is_the_same_for_machines(filled: Store) -> None:
    explained = explanation.explain(filled, "S3")

    document = json.loads(orjson.dumps(explained.document()))

    assert document["devices"][0]["url"] == URLS[2]
    assert [entry["event"] for entry in document["trail"]] == ["discovered", "refused"]


def test_nothing_is_made_up(store: Store) -> None:
    with pytest.raises(FileInvalid, match="nothing is known"):
        explanation.explain(store, "S9")


def test_every_event_has_words() -> None:
    assert [event for event in Event if event not in explanation._WORDS] == []
