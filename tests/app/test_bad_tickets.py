"""Importing bad Tickets changes nothing but what is remembered of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from registrar.app import tickets
from registrar.app.settings import Settings
from registrar.store.store import Store
from tests.core.bad_tickets import BAD_TICKETS
from tests.core.spoiling import BIG

REMEMBERED = {"audit", "rejected_tickets", "sqlite_sequence"}
"""Tables that say what was refused."""


@pytest.mark.slow
def test_bad_tickets_change_no_state(tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    documents = [one.make() for one in BAD_TICKETS if one.reason is not None]
    for number, text in enumerate(text for text in documents if len(text) < BIG):
        data = text if isinstance(text, bytes) else text.encode()
        (folder / f"{number}.json").write_bytes(data)
    path = tmp_path / "site.db"
    with Store.open(path) as store:
        before = content(path)
        received = list(tickets.import_files(store, Settings(), [folder]))

    assert len(received) >= 200
    assert not any(one.is_valid for one in received)
    after = content(path)
    assert {table for table in after if after[table] != before[table]} <= REMEMBERED


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table."""
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM pragma_table_list")]
        return {
            name: database.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608
            for name in names
        }
