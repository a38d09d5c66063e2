"""Importing Tickets: the good are kept, the bad are remembered, and none ends the import."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from registrar.app import tickets, trust
from registrar.app.registrar import Registrar
from registrar.app.settings import RevocationSettings, Settings
from registrar.app.site import Site
from registrar.core.trust import TrustListName
from registrar.errors import Reason, Unavailable
from registrar.simulate.tickets import forge, ticket_list
from registrar.store import audit, inbox
from registrar.store import tickets as stored
from registrar.store.store import Store
from tests.app.delivery import Maker, make_maker, uri_of

STRICT = Settings()


@pytest.fixture
def maker(store: Store, tmp_path: Path) -> Maker:
    """A manufacturer the site trusts."""
    made = make_maker()
    list(
        trust.add(
            store,
            TrustListName.TICKET_AUTHORITIES,
            made.write_authorities(tmp_path / "authorities"),
        )
    )
    return made


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.clause("R83")
def test_a_bad_file_beside_good_ones_never_ends_the_import(
    store: Store, maker: Maker, tmp_path: Path
) -> None:
    folder = write(
        tmp_path / "tickets",
        {
            "0-garbage.json": "\x00not a ticket",
            "1-one.json": maker.ticket(1),
            "2-list.json": ticket_list(
                [maker.ticket(2), forge(maker.ticket(3), SerialNumber="x")], []
            ),
            "3-lines.jsonl": f"{maker.ticket(4)}\n{{broken\n{maker.ticket(5)}\n",
            "4-stranger.json": make_maker("Other").ticket(6),
        },
    )

    received = list(tickets.import_files(store, STRICT, [folder, tmp_path / "missing"]))

    found = {Path(one.source).name: one.reason for one in received}
    assert found == {
        "0-garbage.json": Reason.TICKET_MALFORMED,
        "1-one.json": None,
        "2-list.json#Devices[0]": None,
        "2-list.json#Devices[1]": Reason.TICKET_SIGNATURE_INVALID,
        "3-lines.jsonl:1": None,
        "3-lines.jsonl:2": Reason.TICKET_MALFORMED,
        "3-lines.jsonl:3": None,
        "4-stranger.json": Reason.TICKET_SIGNER_UNTRUSTED,
        "missing": Reason.FILE_INVALID,
    }
    kept = {row["uri"] for row in tickets.kept_rows(store)}
    assert kept == {uri_of(number) for number in (1, 2, 4, 5)}


def test_a_refused_ticket_is_remembered_with_its_reason(
    store: Store, maker: Maker, tmp_path: Path
) -> None:
    folder = write(tmp_path / "tickets", {"t.json": forge(maker.ticket(7), SerialNumber="x")})

    list(tickets.import_files(store, STRICT, [folder]))

    (remembered,) = stored.rejected_for(store.reader, [uri_of(7)])
    assert remembered.reason == Reason.TICKET_SIGNATURE_INVALID
    assert "t.json" in remembered.detail
    (row,) = tickets.refused_rows(store)
    assert (row["uri"], row["reason"]) == (uri_of(7), "ticket_signature_invalid")


def test_verifying_keeps_nothing(store: Store, maker: Maker, tmp_path: Path) -> None:
    folder = write(tmp_path / "tickets", {"good": maker.ticket(1), "bad": "{"})

    received = list(tickets.verify_files(store, STRICT, [folder]))

    assert [one.is_valid for one in received] == [False, True]
    assert stored.count(store.reader) == 0
    assert stored.rejected_page(store.reader) == []


def test_importing_twice_changes_nothing(store: Store, maker: Maker, tmp_path: Path) -> None:
    folder = write(tmp_path / "tickets", {"good": maker.ticket(1)})

    for _ in range(2):
        assert [one.is_valid for one in tickets.import_files(store, STRICT, [folder])] == [True]

    assert stored.count(store.reader) == 1
    assert len(audit.entries(store.reader, kind=audit.Kind.TICKET)) == 1
    assert len(inbox.waiting(store.reader)) == 1


def test_a_running_campaign_hears_of_new_tickets_and_only_of_those(
    store: Store, maker: Maker, tmp_path: Path
) -> None:
    stranger = write(tmp_path / "strange", {"t.json": make_maker("Other").ticket(1)})
    folder = write(tmp_path / "tickets", {"t.json": maker.ticket(1)})

    list(tickets.import_files(store, STRICT, [stranger]))
    before = inbox.waiting(store.reader)
    list(tickets.import_files(store, STRICT, [folder]))

    assert before == []
    assert [message.kind for message in inbox.waiting(store.reader)] == [inbox.News.TICKETS]


@pytest.mark.parametrize("accept", [False, True])
def test_unknown_revocation_is_refused_unless_the_owner_accepts_it(
    store: Store, tmp_path: Path, accept: bool
) -> None:
    maker = make_maker()
    certificate, _ = maker.write_authorities(tmp_path / "authorities")
    list(trust.add(store, TrustListName.TICKET_AUTHORITIES, [certificate]))
    folder = write(tmp_path / "tickets", {"t.json": maker.ticket(1)})
    settings = Settings(revocation=RevocationSettings(accept_unknown_ticket_signers=accept))

    (received,) = tickets.import_files(store, settings, [folder])

    expected = None if accept else Reason.TICKET_SIGNER_REVOCATION_UNKNOWN
    assert received.reason is expected


def test_more_tickets_than_a_batch_are_all_imported(
    store: Store, maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "BATCH", 2)
    folder = write(tmp_path / "tickets", {str(n): maker.ticket(n) for n in range(5)})

    received = list(tickets.import_files(store, STRICT, [folder]))

    assert [one.uri for one in received] == [uri_of(number) for number in range(5)]
    assert stored.count(store.reader) == 5


def children() -> list[int]:
    """Return the processes this one has started and that still run."""
    tasks = Path("/proc/self/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


@pytest.mark.slow
async def test_an_import_beside_yields_what_is_refused_and_keeps_the_rest(tmp_path: Path) -> None:
    site = Site.create(tmp_path / "site")
    maker = make_maker()
    with site.store() as store:
        files = maker.write_authorities(tmp_path / "authorities")
        list(trust.add(store, TrustListName.TICKET_AUTHORITIES, files))
    folder = write(
        tmp_path / "tickets",
        {"good": maker.ticket(1), "forged": forge(maker.ticket(2), SerialNumber="x")},
    )

    async with Registrar(site) as registrar:
        refused = [one async for one in registrar.import_tickets([folder])]

    assert [(one.uri, one.reason) for one in refused] == [
        (uri_of(2), Reason.TICKET_SIGNATURE_INVALID)
    ]
    assert refused[0].source == str(folder / "forged")
    with site.store() as store:
        assert [row["uri"] for row in tickets.kept_rows(store)] == [uri_of(1)]


@pytest.mark.slow
async def test_an_import_beside_that_cannot_work_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"\[configuration_invalid\]; next: "):
        _ = [one async for one in tickets.import_beside(tmp_path, [tmp_path])]


@pytest.mark.slow
async def test_an_import_beside_gives_way_and_ends_with_its_caller(tmp_path: Path) -> None:
    site = Site.create(tmp_path / "site")
    folder = write(tmp_path / "tickets", {str(number): "{" for number in range(2_000)})
    received = tickets.import_beside(site.directory, [folder])

    first = await anext(received)
    (policy,) = {os.sched_getscheduler(child) for child in children()}
    await received.aclose()

    assert policy == os.SCHED_IDLE
    assert first.reason is Reason.TICKET_MALFORMED
    with site.store() as store:
        assert 0 < len(list(tickets.refused_rows(store))) < 2_000
