"""What is asked for each Device takes as long with a million of them: an index leads to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from registrar.core.enrolment import Event
from registrar.core.ports import Lease
from registrar.store import (
    Store,
    Transaction,
    applications,
    audit,
    bindings,
    enrolments,
    inbox,
    issuances,
    leases,
    software,
    tickets,
    trust,
)
from registrar.store.applications import ApplicationRecord
from registrar.store.schema import connect
from registrar.store.transaction import Value
from tests.store.building import (
    CAUSE,
    NOW,
    TO_ONBOARDED,
    digest,
    discover,
    go,
    take,
    uri,
    url,
    wanted,
)

READS_ALL = "VIRTUAL TABLE", "CONSTANT ROW", "SCAN known"
"""A list that was passed in, none, and the few Composites around a Device."""


class Explaining(Transaction):
    """Asks how each statement will be run, and runs it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.connection = connection
        self.plans: list[str] = []

    def query(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        self._explain(sql, values)
        return super().query(sql, values)

    def change(self, sql: str, values: Sequence[Value] = ()) -> int:
        self._explain(sql, values)
        return super().change(sql, values)

    def insert(self, sql: str, values: Sequence[Value] = ()) -> int:
        self._explain(sql, values)
        return super().insert(sql, values)

    def change_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        for values in rows:
            self.change(sql, values)

    def _explain(self, sql: str, values: Sequence[Value]) -> None:
        rows = self.connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)
        self.plans += [row["detail"] for row in rows]

    def scans(self) -> list[str]:
        """Return the tables that were read from end to end."""
        return [
            plan
            for plan in self.plans
            if plan.startswith("SCAN") and not any(some in plan for some in READS_ALL)
        ]


def enrol(tx: Transaction, lease: Lease) -> None:
    """Go the whole way of a Device, with one certificate."""
    number = lease.enrolment_id
    *way, end = TO_ONBOARDED
    for event in way:
        go(tx, lease, event)
    sought = wanted(number, 5)
    (row,) = issuances.reserve_all(tx, [sought.request], lease=lease, cause=CAUSE)
    issuances.record_delivered_all(
        tx, [row.id], {row.id: sought.certificate}, lease=lease, cause=CAUSE
    )
    issuances.record_confirmed_all(tx, [row.id], lease=lease, cause=CAUSE)
    issuances.reserve(tx, wanted(number, 6).request, lease=lease, cause=CAUSE)
    application = ApplicationRecord(node="ns=1;i=1", application_uri=uri(2))
    applications.put_all(tx, lease, [application], cause=CAUSE)
    enrolments.count_attempt(tx, lease)
    leases.renew(tx, [lease], ends=NOW + timedelta(hours=1))
    go(tx, lease, end)
    leases.release(tx, lease)
    enrolments.advance_idle(tx, number, Event.RETIRED, cause=CAUSE)


CASES: dict[str, Callable[[Transaction, Lease], object]] = {
    "enrol": enrol,
    "discover": lambda tx, _: enrolments.discover(tx, [url(1), url(2)], cause=CAUSE),
    "acquire": lambda tx, lease: take(tx, lease.enrolment_id),
    "get": lambda tx, lease: enrolments.get(tx, lease.enrolment_id),
    "by_uri": lambda tx, _: enrolments.by_uri(tx, uri()),
    "holder_of": lambda tx, _: bindings.holder_of(tx, uri()),
    "holder_of_key": lambda tx, _: bindings.holder_of_key(tx, digest()),
    "applications": lambda tx, lease: applications.of(tx, lease.enrolment_id),
    "active": lambda tx, lease: issuances.active(tx, enrolment_id=lease.enrolment_id),
    "active of the site": lambda tx, _: issuances.active(tx, enrolment_id=None),
    "history": lambda tx, lease: issuances.history(tx, lease.enrolment_id),
    "find certificate": lambda tx, _: issuances.find(tx, wanted(None, 5).certificate),
    "audit of a device": lambda tx, lease: audit.of_device(tx, lease.enrolment_id),
    "audit of a Ticket": lambda tx, _: audit.of_subject(tx, audit.Kind.TICKET, digest()),
    "version of the lists": lambda tx, _: trust.version(tx),
    "tickets_for": lambda tx, _: tickets.tickets_for(tx, [uri(1), uri(2)]),
    "ticket": lambda tx, _: tickets.get(tx, digest()),
    "rejected_for": lambda tx, _: tickets.rejected_for(tx, [uri(1), uri(2)]),
    "remember_rejected": lambda tx, _: tickets.remember_rejected(
        tx, uri=uri(), document="x", cause=CAUSE
    ),
    "last_report": lambda tx, _: software.last_report(tx, uri()),
    "news": lambda tx, _: inbox.append(tx, inbox.News.SOFTWARE, uri(), now=NOW),
    "waiting": lambda tx, _: inbox.waiting(tx),
    "take": lambda tx, _: inbox.take(tx, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_an_index_leads_to_what_is_asked_for_a_device(store: Store, path: Path, case: str) -> None:
    row = discover(store)
    with closing(connect(path)) as connection:
        connection.execute("BEGIN")
        lease = take(Transaction(connection), row.id)
        tx = Explaining(connection)
        CASES[case](tx, lease)
        tx.finish()

        assert tx.plans
        assert tx.scans() == []


def test_a_read_from_end_to_end_is_seen(path: Path, store: Store) -> None:
    with closing(connect(path)) as connection:
        tx = Explaining(connection)
        enrolments.counts(tx)
        tx.query("SELECT * FROM issuances WHERE tbs = x''")

        assert len(tx.scans()) == 2
