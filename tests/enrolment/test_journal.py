"""What an arrow brings with it into its transaction."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registrar.core.enrolment import Event, State
from registrar.core.ports import Facts, Step
from registrar.enrolment.journal import open_journal
from registrar.errors import Misuse, Rejected
from registrar.store import Cause, Store, Transaction, audit, enrolments

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CAUSE = Cause(actor="engine", now=NOW)
MATCHED = Step(event=Event.TICKET_MATCHED, facts=Facts(product_instance_uri="urn:x", model="M"))
PROVEN = Step(
    event=Event.IDENTITY_PROVEN,
    then=Event.PROVISIONING_BEGUN,
    facts=Facts(product_instance_uri="urn:x", key_digest="aa"),
)


async def test_what_follows_an_arrow_is_written_with_it(tmp_path: Path) -> None:
    with Store.open(tmp_path / "registrar.db") as store:
        async with open_journal(store, name="engine", now=lambda: NOW) as journal:
            (found,) = await journal.discover(["opc.tcp://127.0.0.1"])
            lease = await journal.acquire(found)

            matched = await journal.advance(found, lease, MATCHED)
            moved = await journal.advance(matched, lease, PROVEN)

        row = enrolments.get(store.reader, found.id)
        events = [entry.event for entry in audit.of_device(store.reader, found.id)]
        assert moved.state is row.state is State.PROVISIONING
        assert moved.facts == Facts(product_instance_uri="urn:x", model="M", key_digest="aa")
        assert (row.product_instance_uri, row.model, row.key_digest) == ("urn:x", "M", "aa")
        assert events == [
            *("discovered", "ticket_matched", "identity_proven", "bound", "provisioning_begun"),
        ]


async def test_nothing_follows_an_arrow_that_cannot_be_gone(tmp_path: Path) -> None:
    with Store.open(tmp_path / "registrar.db") as store:
        async with open_journal(store, name="engine", now=lambda: NOW) as journal:
            first, second = await journal.discover(["opc.tcp://127.0.0.1", "opc.tcp://127.0.0.2"])
            for enrolment in (first, second):
                lease = await journal.acquire(enrolment)
                enrolment = await journal.advance(enrolment, lease, MATCHED)
                if enrolment.id == first.id:
                    await journal.advance(enrolment, lease, PROVEN)

            with pytest.raises(Rejected, match="conflict"):
                await journal.advance(enrolment, lease, PROVEN)

        assert enrolments.get(store.reader, second.id).state is State.IDENTIFIED


@pytest.mark.parametrize(
    ("event", "written"),
    [
        (Event.TICKET_MATCHED, ["discovered", "also", "ticket_matched"]),
        (Event.PROVISIONING_BEGUN, ["discovered"]),
    ],
)
async def test_what_belongs_to_an_arrow_is_written_just_before_it_or_not_at_all(
    tmp_path: Path, event: Event, written: list[str]
) -> None:
    def also(tx: Transaction) -> None:
        audit.append(tx, audit.Kind.ENROLMENT, 1, "also", cause=CAUSE, enrolment_id=1)

    with Store.open(tmp_path / "registrar.db") as store:
        async with open_journal(store, name="engine", now=lambda: NOW) as journal:
            (found,) = await journal.discover(["opc.tcp://127.0.0.1"])
            lease = await journal.acquire(found)

            with contextlib.suppress(Misuse):
                await journal.advance(found, lease, Step(event=event, also=also))

        assert [one.event for one in audit.of_device(store.reader, found.id)] == written


async def test_a_device_that_ended_is_free_before_it_is_let_go(tmp_path: Path) -> None:
    with Store.open(tmp_path / "registrar.db") as store:
        async with open_journal(store, name="engine", now=lambda: NOW) as journal:
            (found,) = await journal.discover(["opc.tcp://127.0.0.1"])
            lease = await journal.acquire(found)

            await journal.advance(found, lease, Step(event=Event.REFUSED))

            assert enrolments.get(store.reader, found.id).lease_owner == ""
            await journal.release(lease)
