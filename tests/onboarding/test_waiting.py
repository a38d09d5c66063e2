"""Who of those that wait for a Ticket is looked at again when Tickets come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.onboarding import waiting as waiting_module
from registrar.onboarding.waiting import MAX_NEWS, SLICE, Waiting
from registrar.store import Store, tickets
from tests.core.building import Maker, composite_payload, device_payload, make
from tests.store.building import CAUSE

MAKER = Maker.new()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty store."""
    with Store.open(tmp_path / "registrar.db") as opened:
        yield opened


def uri(number: int) -> str:
    return f"urn:waits:{number}"


def url(number: int) -> str:
    return f"opc.tcp://10.0.0.{number}:4840"


def register(store: Store, *numbers: int) -> None:
    believed = [MAKER.believed(device_payload(uri(number))) for number in numbers]
    store.write_sync(lambda tx: [tickets.put(tx, one, cause=CAUSE) for one in believed])


def remember(waiting: Waiting, store: Store, *numbers: int) -> None:
    for number in numbers:
        certificates = [make("a", uris=["urn:else"]), make("b", uris=[uri(number)])]
        waiting.remember(
            url(number),
            [one.certificate for one in certificates],
            newest=tickets.newest(store.reader),
        )


async def test_a_new_ticket_concerns_the_device_it_names(store: Store) -> None:
    waiting = Waiting(store)
    remember(waiting, store, 1, 2, 3)
    register(store, 2, 9)

    assert await waiting.concerned([url(1), url(2)]) == {url(2)}


async def test_tickets_known_before_concern_nobody(store: Store) -> None:
    """The device was compared with them already; but news count until it was looked at again."""
    waiting = Waiting(store)
    register(store, 1)
    remember(waiting, store, 1)
    assert await waiting.concerned([url(1)]) == set()

    remember(waiting, store, 2)
    register(store, 2)
    for _ in range(2):
        assert await waiting.concerned([url(1), url(2)]) == {url(2)}


async def test_a_device_nobody_remembers_is_always_concerned(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_module, "MAX_REMEMBERED", 2)
    waiting = Waiting(store)
    remember(waiting, store, 1, 2, 3)
    waiting.forget(url(1))
    waiting.forget(url(9))

    assert await waiting.concerned([url(1), url(2), url(3)]) == {url(1), url(3)}
    assert await waiting.concerned([]) == set()


async def test_a_composite_ticket_alone_concerns_nobody(store: Store) -> None:
    waiting = Waiting(store)
    remember(waiting, store, 1)
    cell = MAKER.believed(
        composite_payload("urn:cell", devices=[uri(1)]), kind="CompositeIdentityTicketType"
    )
    store.write_sync(lambda tx: tickets.put(tx, cell, cause=CAUSE))

    assert await waiting.concerned([url(1)]) == set()


@pytest.mark.parametrize(("limit", "are_all"), [(1, True), (2, False)])
async def test_a_large_delivery_concerns_everybody(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: int, are_all: bool
) -> None:
    assert limit < MAX_NEWS
    monkeypatch.setattr(waiting_module, "MAX_NEWS", limit)
    waiting = Waiting(store)
    remember(waiting, store, 1, 2)
    register(store, 2, 9)

    assert await waiting.concerned([url(1), url(2)]) == ({url(1), url(2)} if are_all else {url(2)})


async def test_many_are_compared_in_slices(store: Store) -> None:
    waiting = Waiting(store)
    certificate = make("a", uris=[uri(1)]).certificate
    others = [f"opc.tcp://10.1.0.{number}:4840" for number in range(SLICE + 1)]
    for other in others:
        waiting.remember(other, [certificate], newest=0)
    register(store, 1)

    assert await waiting.concerned(others) == set(others)
