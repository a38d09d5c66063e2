"""A delivery note beside the Tickets that came with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.app import tables, tickets, trust
from registrar.app.reconciliation import Line, Result, reconcile
from registrar.app.settings import Settings
from registrar.app.tables import MAX_FIELD_CHARACTERS
from registrar.core.trust import TrustListName
from registrar.errors import FileInvalid
from registrar.store.store import Store
from tests.app.delivery import make_maker, uri_of


@pytest.fixture
def delivered(store: Store, tmp_path: Path) -> Store:
    """A site with the Tickets of the pumps 1 to 4."""
    maker = make_maker()
    files = maker.write_authorities(tmp_path / "authorities")
    list(trust.add(store, TrustListName.TICKET_AUTHORITIES, files))
    path = tmp_path / "tickets.jsonl"
    path.write_text("".join(f"{maker.ticket(number)}\n" for number in range(1, 5)))
    assert all(one.is_valid for one in tickets.import_files(store, Settings(), [path]))
    return store


def lines(store: Store, folder: Path, text: str) -> list[Line]:
    table = folder / "assets.csv"
    table.write_text(text)
    return list(reconcile(store, table))


def test_every_row_and_every_ticket_gets_one_result(delivered: Store, tmp_path: Path) -> None:
    found = lines(
        delivered,
        tmp_path,
        "ProductInstanceUri,ModelName\n"
        f"{uri_of(1)},Pump\n{uri_of(2)},Valve\n{uri_of(1)},Pump\n{uri_of(9)},Pump\n",
    )

    assert [(one.result, one.uri, one.line) for one in found] == [
        (Result.EXPECTED, uri_of(1), 2),
        (Result.WRONG_MODEL, uri_of(2), 3),
        (Result.DUPLICATE, uri_of(1), 4),
        (Result.MISSING, uri_of(9), 5),
        (Result.EXTRA, uri_of(3), None),
        (Result.EXTRA, uri_of(4), None),
    ]
    assert found[1].detail == "the table says Valve"
    assert found[2].detail == "line 2 names it already"


def test_a_row_may_mean_a_device_by_serial_number(delivered: Store, tmp_path: Path) -> None:
    found = lines(
        delivered, tmp_path, "Serial Number\tManufacturer name\n3\tExample AG\n4\tOther\n1\t\n"
    )

    assert [(one.result, one.serial_number) for one in found[:3]] == [
        (Result.EXPECTED, "3"),
        (Result.MISSING, "4"),
        (Result.EXPECTED, "1"),
    ]


def test_a_row_that_several_tickets_fit_means_none_of_them(store: Store, tmp_path: Path) -> None:
    maker = make_maker()
    files = maker.write_authorities(tmp_path / "authorities")
    list(trust.add(store, TrustListName.TICKET_AUTHORITIES, files))
    path = tmp_path / "tickets.jsonl"
    path.write_text(f"{maker.ticket(1)}\n{maker.ticket(1, uri='urn:example.com:twin')}\n")
    assert all(one.is_valid for one in tickets.import_files(store, Settings(), [path]))

    found = lines(store, tmp_path, "SerialNumber\n1\n")

    assert [one.result for one in found] == [Result.DUPLICATE, Result.EXTRA, Result.EXTRA]
    assert found[0].detail == "2 Tickets fit this row"


def test_a_table_has_a_largest_length(
    delivered: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 2)

    assert lines(delivered, tmp_path, "SerialNumber\n1\n2\n")
    with pytest.raises(FileInvalid, match="more than 2 rows"):
        lines(delivered, tmp_path, "SerialNumber\n1\n2\n3\n")


def test_a_row_without_a_device_is_named(delivered: Store, tmp_path: Path) -> None:
    with pytest.raises(FileInvalid, match="line 3 has neither"):
        lines(delivered, tmp_path, "SerialNumber,ModelName\n1,Pump\n,Pump\n")


def test_a_table_as_spreadsheets_write_it_is_read(delivered: Store, tmp_path: Path) -> None:
    table = tmp_path / "assets.csv"
    table.write_bytes(
        b'\xef\xbb\xbf"Product Instance URI";"MODEL_NAME";"Place"\r\n\r\n'
        + f'"{uri_of(1)}";" Pump ";"Hall 1;\r\n""north"""\r\n;;\r\n'.encode()
    )

    found = list(reconcile(delivered, table))

    assert [one.result for one in found] == [Result.EXPECTED, *[Result.EXTRA] * 3]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (b"SerialNumber,serial number\n1,2\n", "several columns of: SerialNumber"),
        (b"\nSerialNumber\n1\n", "has no column of"),
        (b'SerialNumber\n"1\n', "is no table"),
        (b'SerialNumber\n"1"2\n', "is no table"),
        (b"SerialNumber\n" + b"x" * (MAX_FIELD_CHARACTERS + 1), "is no table"),
        ("SerialNumber\n1\n".encode("utf-16"), "is no table"),
        ("SerialNumber,ModelName\n1,Pümp\n".encode("latin-1"), "is no table"),
    ],
    ids=["twice", "no-names", "open-quote", "text-behind-quote", "huge", "utf-16", "latin-1"],
)
def test_a_bad_table_is_named(delivered: Store, tmp_path: Path, table: bytes, says: str) -> None:
    path = tmp_path / "assets.csv"
    path.write_bytes(table)

    with pytest.raises(FileInvalid, match=says) as caught:
        list(reconcile(delivered, path))

    assert caught.value.subject == str(path)
