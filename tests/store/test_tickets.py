"""Tickets: kept once, found by whom they mention, up to the outermost Composite."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis.strategies import integers, lists, none

from registrar.core.scope import Scope
from registrar.core.trust import TicketAuthorities, TrustListName
from registrar.core.valid_ticket import Route, ValidTicket
from registrar.core.verify import TicketPolicy, TicketVerifier
from registrar.errors import StoreUnavailable
from registrar.store import Store, StoreLimits, Transaction, audit, authorities, invariants, tickets
from registrar.store.audit import Kind
from registrar.store.schema import connect, prepare
from registrar.store.tickets import MAX_FOUND, MAX_SIGNATURES
from registrar.store.transaction import Value
from tests.core.building import (
    NOW as SIGNED_AT,
)
from tests.core.building import (
    Maker,
    composite_payload,
    device_payload,
    document,
    entry,
    trusting,
)
from tests.store.building import CAUSE, NOW, uri

BUILDER = "urn:builder.com:"


@cache
def maker() -> Maker:
    return Maker.new()


def device_ticket(number: int = 1, **more: object) -> ValidTicket:
    return maker().believed(device_payload(uri(number)), **more)  # type: ignore[arg-type]


def composite_ticket(
    name: str, devices: Sequence[str] = (), composites: Sequence[str] = ()
) -> ValidTicket:
    return maker().believed(
        composite_payload(BUILDER + name, devices=devices, composites=composites),
        kind="CompositeIdentityTicketType",
    )


def put(store: Store, *believed: ValidTicket) -> list[bool]:
    return store.write_sync(lambda tx: [tickets.put(tx, one, cause=CAUSE) for one in believed])


def found(store: Store, *uris: str) -> list[str]:
    return [ticket.uri for ticket in tickets.tickets_for(store.reader, uris)]


def signed_by_both(payload: bytes, first: Maker, second: Maker) -> tuple[ValidTicket, ValidTicket]:
    """Return one Ticket as two makers know it: each with its own signature alone."""
    return tuple(  # type: ignore[return-value]
        TicketVerifier(one.authorities).verify(
            document(payload, entry(payload, one.signer)), route=Route.OUT_OF_BAND, now=SIGNED_AT
        )
        for one in (first, second)
    )


def test_news_are_the_device_tickets_registered_since(store: Store) -> None:
    assert tickets.newest(store.reader) == 0
    put(store, device_ticket(1))
    seen = tickets.newest(store.reader)
    put(store, device_ticket(2), composite_ticket("cell"), device_ticket(3), device_ticket(1))

    news = tickets.devices_after(store.reader, seen, limit=10)

    assert [name for _, name in news] == [uri(2), uri(3)]
    assert news[-1][0] == tickets.newest(store.reader)
    assert tickets.devices_after(store.reader, seen, limit=1) == news[:1]
    assert tickets.devices_after(store.reader, news[-1][0], limit=10) == []


def test_the_number_of_a_ticket_is_never_given_again(store: Store) -> None:
    put(store, device_ticket(1))
    seen = tickets.newest(store.reader)
    store.write_sync(lambda tx: tx.change("DELETE FROM tickets"))
    put(store, device_ticket(2))

    assert tickets.devices_after(store.reader, seen, limit=1) == [(seen + 1, uri(2))]


@pytest.mark.clause("R79")
def test_a_ticket_comes_back_as_it_was_believed(store: Store) -> None:
    believed = device_ticket()

    assert put(store, believed) == [True]

    assert tickets.tickets_for(store.reader, [uri()]) == [believed]
    assert tickets.get(store.reader, believed.payload_digest) == believed
    assert tickets.get(store.reader, "0" * 64) is None
    assert tickets.count(store.reader) == 1


@pytest.mark.clause("I5")
@pytest.mark.clause("R52")
def test_what_was_passed_over_for_a_signer_is_audited(store: Store) -> None:
    """The owner accepts signers of whose issuer no CRL is known."""
    signers = TicketAuthorities(trusting(maker().root))
    policy = TicketPolicy(suppress_revocation_unknown=True)
    believed = TicketVerifier(signers, policy=policy).verify(
        maker().ticket(device_payload(uri())), route=Route.OUT_OF_BAND, now=SIGNED_AT
    )

    put(store, believed)

    first, second = audit.entries(store.reader)
    assert (first.event, second.event) == ("registered", "suppressed_revocation_unknown")
    assert second.subject == believed.payload_digest
    assert believed.signer in second.detail


def test_the_same_ticket_is_kept_once(store: Store) -> None:
    believed = device_ticket()

    assert put(store, believed, believed) == [True, False]

    assert tickets.count(store.reader) == 1
    assert len(audit.entries(store.reader, kind=Kind.TICKET)) == 1


@pytest.mark.clause("R68")
def test_new_signatures_join_the_known_ones(store: Store) -> None:
    payload = device_payload(uri())
    first, second = signed_by_both(payload, Maker.new("first"), Maker.new("second"))

    changed = put(store, first, second, second, first)

    (kept,) = tickets.tickets_for(store.reader, [uri()])
    assert changed == [True, True, False, False]
    assert len(json.loads(kept.document)["signatures"]) == len(kept.outcomes) == 2
    assert [outcome.signer for outcome in kept.outcomes] == [first.signer, second.signer]
    assert kept.payload_digest == first.payload_digest


def test_a_ticket_keeps_as_many_signatures_as_a_document_may_have() -> None:
    payload = device_payload(uri())
    first, second = signed_by_both(payload, Maker.new("first"), Maker.new("second"))
    signature = json.loads(first.document)["signatures"][0]
    many = [{**signature, "signature": f"{number:04d}"} for number in range(MAX_SIGNATURES - 1)]
    full = replace(
        first,
        document=json.dumps({**json.loads(first.document), "signatures": many}),
        outcomes=first.outcomes * len(many),
    )

    at_limit = tickets.merge(full, second)
    beyond = tickets.merge(at_limit, first)

    assert len(json.loads(at_limit.document)["signatures"]) == MAX_SIGNATURES
    assert beyond == at_limit


@cache
def pool() -> tuple[ValidTicket, ...]:
    """Tickets some of which are the same under other signatures, or came another way."""
    makers = Maker.new("first"), Maker.new("second")
    first, second = signed_by_both(device_payload(uri(1)), *makers)
    return (
        first,
        second,
        replace(first, route=Route.WITH_DEVICE),
        device_ticket(2, opc_uri=BUILDER + "cell"),
        composite_ticket("cell", devices=[uri(1), uri(3)], composites=[BUILDER + "box"]),
        *(signed_by_both(device_payload(uri(number)), *makers)[0] for number in (5, 6)),
    )


Told = list[bool | str]


def kept(
    limit: int | None, before: Sequence[ValidTicket], batches: Sequence[Sequence[ValidTicket]]
) -> tuple[Told, list[tuple[Value, ...]]]:
    """Return what is said of ``batches`` that follow ``before``, and every row there is then.

    Args:
        limit: how many Tickets may rest on the authority of most of them.
        before: what was there already.
        batches: what comes.
    """
    scope = Scope(count=limit)
    told: Told = []
    with closing(connect(Path(":memory:"))) as connection:
        prepare(connection)
        for batch in [before, *batches]:
            tx = Transaction(connection)
            results = tickets.put_all(tx, [(ticket, "a file") for ticket in batch], cause=CAUSE)
            told += [one if isinstance(one, bool) else str(one) for one in results]
            authorities.set_scope(
                tx, TrustListName.TICKET_AUTHORITIES, pool()[0].authority, scope, cause=CAUSE
            )
            tx.finish()
        return told, [
            tuple(row)
            for table in ("tickets", "ticket_members", "audit")
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608
        ]


indices = lists(integers(0, 6), max_size=6)


@settings(deadline=None)
@given(limit=none() | integers(1, 3), before=indices, batch=indices)
@example(limit=None, before=[], batch=[0, 1, 2, 0])
@example(limit=None, before=[2], batch=[1, 4, 0])
@example(limit=2, before=[0], batch=[5, 6, 0, 1, 6])
def test_a_batch_is_kept_as_its_tickets_would_be_one_by_one(
    limit: int | None, before: list[int], batch: list[int]
) -> None:
    known = [pool()[index] for index in before]
    new = [pool()[index] for index in batch]

    assert kept(limit, known, [new]) == kept(limit, known, [[ticket] for ticket in new])


@pytest.mark.clause("F50")
def test_a_disk_that_fills_up_keeps_nothing_of_a_batch(path: Path) -> None:
    template = device_ticket()
    batch = [(replace(template, payload_digest=f"{number:064x}"), "") for number in range(64)]
    Store.open(path).close()
    with closing(connect(path)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]

    with Store.open(path, limits=StoreLimits(max_pages=pages + 20)) as store:
        with pytest.raises(StoreUnavailable):
            store.write_sync(lambda tx: tickets.put_all(tx, batch, cause=CAUSE))

        assert tickets.count(store.reader) == 0
        assert audit.entries(store.reader) == []
        assert store.write_sync(lambda tx: tickets.put_all(tx, batch[:2], cause=CAUSE))

    assert invariants.check(path) == []


@pytest.mark.clause("R42")
@pytest.mark.parametrize("reverse", [False, True])
def test_a_ticket_that_came_out_of_band_once_counts_as_such(store: Store, reverse: bool) -> None:
    believed = device_ticket()
    routes = [Route.WITH_DEVICE, Route.OUT_OF_BAND]

    put(store, *(replace(believed, route=route) for route in (routes[::-1] if reverse else routes)))

    assert tickets.tickets_for(store.reader, [uri()])[0].route is Route.OUT_OF_BAND


@pytest.mark.clause("R43")
def test_every_composite_around_a_device_is_found(store: Store) -> None:
    put(
        store,
        composite_ticket("line", composites=[BUILDER + "cell"]),
        composite_ticket("cell", devices=[uri(1)]),
        device_ticket(1),
        device_ticket(2),
        composite_ticket("other", devices=[uri(2)]),
    )

    assert found(store, uri(1)) == [BUILDER + "line", BUILDER + "cell", uri(1)]
    assert found(store, uri(1), "urn:unknown") == found(store, uri(1))
    assert found(store, BUILDER + "cell") == [BUILDER + "line", BUILDER + "cell"]
    assert found(store) == found(store, "urn:unknown") == []


@pytest.mark.clause("R67")
def test_a_composite_is_found_by_the_signature_of_its_builder(store: Store) -> None:
    built = maker().believed(device_payload(uri(1)), opc_uri=BUILDER + "cell")
    assert built.composite_uris == (BUILDER + "cell",)

    put(store, built, composite_ticket("cell"))

    assert found(store, uri(1)) == [uri(1), BUILDER + "cell"]


def test_composites_that_contain_each_other_end(store: Store) -> None:
    put(
        store,
        composite_ticket("a", composites=[BUILDER + "b"], devices=[uri(1)]),
        composite_ticket("b", composites=[BUILDER + "a"]),
        device_ticket(1),
    )

    assert sorted(found(store, uri(1))) == [BUILDER + "a", BUILDER + "b", uri(1)]


def test_a_tower_of_composites_is_climbed_to_the_limit(store: Store) -> None:
    levels = MAX_FOUND + 10
    put(
        store,
        device_ticket(1),
        composite_ticket("0", devices=[uri(1)]),
        *(
            composite_ticket(str(level), composites=[f"{BUILDER}{level - 1}"])
            for level in range(1, levels)
        ),
    )

    assert len(found(store, uri(1))) == MAX_FOUND


def test_tickets_are_listed_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "MAX_PAGE", 2)
    put(store, *(device_ticket(number) for number in range(5)))

    seen: list[str] = []
    after = 0
    while True:
        page, after = tickets.page(store.reader, after=after)
        if not page:
            break
        assert len(page) <= 2
        seen += [ticket.uri for ticket in page]

    assert seen == [uri(number) for number in range(5)]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_tickets_of_an_import(store: Store) -> None:
    template = device_ticket()

    def many() -> Iterator[ValidTicket]:
        for number in range(4_000):
            yield replace(template, payload_digest=f"{number:064x}")

    def keep(batch: list[ValidTicket]) -> None:
        believed = [(ticket, "") for ticket in batch]
        store.write_sync(lambda tx: tickets.put_all(tx, believed, cause=CAUSE))

    tracemalloc.start()
    batch: list[ValidTicket] = []
    for ticket in many():
        batch.append(ticket)
        if len(batch) == 200:
            keep(batch)
            batch = []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert tickets.count(store.reader) == 4_000
    assert peak < 4 << 20


# --- refused Tickets


def refuse(
    store: Store, claimed: str, text: str | bytes = "x", reason: str = "ticket_malformed"
) -> None:
    cause = replace(CAUSE, reason=reason, detail="because")
    store.write_sync(
        lambda tx: tickets.remember_rejected(tx, uri=claimed, document=text, cause=cause)
    )


def test_a_device_without_a_ticket_can_be_told_why(store: Store) -> None:
    refuse(store, uri(1), "one", reason="ticket_signature_invalid")
    refuse(store, uri(2), "two")

    (rejected,) = tickets.rejected_for(store.reader, [uri(1), "urn:unknown"])

    assert (rejected.uri, rejected.reason) == (uri(1), "ticket_signature_invalid")
    assert (rejected.detail, rejected.at) == ("because", NOW)
    assert tickets.count(store.reader) == 0


def test_the_same_refusal_is_remembered_once(store: Store) -> None:
    for _ in range(3):
        refuse(store, uri(1), b"same")
    refuse(store, uri(1), b"same", reason="ticket_signer_revoked")

    assert len(tickets.rejected_page(store.reader)) == 2


def test_only_so_many_refusals_are_remembered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "MAX_REJECTED", 3)

    for number in range(5):
        refuse(store, uri(number), str(number))

    assert [one.uri for one in tickets.rejected_page(store.reader)] == [uri(2), uri(3), uri(4)]


@pytest.mark.parametrize("claimed", ["\ud800", "x" * 100_000, "urn:\0\n\u202e"])
def test_a_hostile_name_is_remembered_as_far_as_it_can_be(store: Store, claimed: str) -> None:
    refuse(store, claimed, "\udfff")

    (rejected,) = tickets.rejected_page(store.reader)
    assert len(rejected.uri) <= tickets.MAX_URI


def test_a_failing_import_keeps_nothing_of_its_batch(store: Store) -> None:
    def crash(tx: Transaction) -> None:
        tickets.put(tx, device_ticket(1), cause=CAUSE)
        raise KeyError

    with pytest.raises(Exception, match="KeyError"):
        store.write_sync(crash)

    assert tickets.count(store.reader) == 0
    assert found(store, uri(1)) == []


def test_a_look_up_reads_no_ticket_it_does_not_return(store: Store) -> None:
    plans: list[str] = []

    class Explaining:
        """Asks how a query would be run, instead of running it."""

        def query(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
            plans.extend(
                row["detail"] for row in store.reader.query(f"EXPLAIN QUERY PLAN {sql}", values)
            )
            return []

    tickets.tickets_for(Explaining(), ["urn:a", "urn:b"])

    assert any(plan.startswith("SEARCH t USING INDEX") for plan in plans)
    assert not any(plan.startswith(("SCAN t", "SCAN m")) for plan in plans)
