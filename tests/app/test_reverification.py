"""A Ticket is believed no longer than those who signed it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registrar.app import tickets, trust
from registrar.app.reverification import verify_again
from registrar.app.settings import Settings
from registrar.core.trust import TrustListName
from registrar.errors import Reason
from registrar.store import audit
from registrar.store import tickets as stored
from registrar.store.store import Store
from tests.app.delivery import Maker, make_maker, uri_of

LIST = TrustListName.TICKET_AUTHORITIES
STRICT = Settings()


@pytest.fixture
def maker(store: Store, tmp_path: Path) -> Maker:
    """A trusted manufacturer whose two Tickets were imported."""
    made = make_maker()
    list(trust.add(store, LIST, made.write_authorities(tmp_path / "authorities")))
    for number in (1, 2):
        (tmp_path / f"{number}.json").write_text(made.ticket(number))
    paths = [tmp_path / "1.json", tmp_path / "2.json"]
    assert all(one.is_valid for one in tickets.import_files(store, STRICT, paths))
    return made


def again(store: Store, *, later: timedelta = timedelta(0)) -> tuple[int, int]:
    found = verify_again(store, STRICT, now=datetime.now(UTC) + later)
    return len(found.renewed), len(found.withdrawn)


def test_nothing_is_done_while_nothing_changes(store: Store, maker: Maker) -> None:
    before = len(audit.entries(store.reader))

    assert again(store) == (0, 0)
    assert len(audit.entries(store.reader)) == before


def test_tickets_stay_believed_when_another_authority_is_added(
    store: Store, maker: Maker, tmp_path: Path
) -> None:
    list(trust.add(store, LIST, make_maker("Other").write_authorities(tmp_path / "other")))

    assert again(store) == (2, 0)
    assert again(store) == (0, 0)
    assert stored.count(store.reader) == 2


@pytest.mark.clause("OPC 10000-21 §6.4")
def test_a_revoked_signer_takes_its_tickets_along(
    store: Store, maker: Maker, tmp_path: Path
) -> None:
    maker.root.revoke(maker.signature.signer.certificate)
    newer = tmp_path / "newer.crl"
    newer.write_bytes(maker.root.crl(2))
    list(trust.add(store, LIST, [newer]))

    assert again(store) == (0, 2)

    assert stored.count(store.reader) == 0
    (remembered,) = stored.rejected_for(store.reader, [uri_of(1)])
    assert remembered.reason == Reason.TICKET_SIGNER_REVOKED


def test_an_authority_that_is_removed_takes_its_tickets_along(store: Store, maker: Maker) -> None:
    for entry in list(trust.entries(store)):
        trust.remove(store, entry)

    assert again(store) == (0, 2)

    (remembered,) = stored.rejected_for(store.reader, [uri_of(2)])
    assert remembered.reason == Reason.TICKET_SIGNER_UNTRUSTED


def test_more_tickets_than_a_page_are_all_verified(
    store: Store, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registrar.store.ticket_trust.MAX_PAGE", 1)
    for entry in list(trust.entries(store)):
        trust.remove(store, entry)

    assert again(store) == (0, 2)


@pytest.mark.clause("R81")
def test_the_clock_takes_tickets_along_and_a_newer_crl_brings_them_back(
    store: Store, maker: Maker, tmp_path: Path
) -> None:
    (known, _) = stored.all_of(store.reader)
    later = known.good_until - datetime.now(UTC) + timedelta(seconds=1)

    assert again(store, later=later) == (0, 2)
    assert again(store, later=later) == (0, 0)
    assert stored.count(store.reader) == 0
    newer = tmp_path / "newer.crl"
    newer.write_bytes(maker.root.crl(2))
    list(trust.add(store, LIST, [newer]))
    back = verify_again(store, STRICT, now=datetime.now(UTC))

    assert {one.uri for one in back.returned} == {uri_of(1), uri_of(2)}
    assert stored.count(store.reader) == 2


@pytest.mark.clause("R81")
def test_tickets_are_withdrawn_only_once(store: Store, maker: Maker) -> None:
    for entry in list(trust.entries(store)):
        trust.remove(store, entry)
    again(store)
    before = len(audit.entries(store.reader))

    assert again(store) == (0, 0)
    assert len(audit.entries(store.reader)) == before
