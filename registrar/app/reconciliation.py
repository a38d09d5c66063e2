"""Comparing the Tickets of a site with a delivery note or a list of assets.

    table ─▶ a row each ─▶ the Ticket it means ─▶ expected, wrong model, duplicate, missing
                           Tickets no row means ─▶ extra

A row means the Ticket of its ProductInstanceUri; where it names none, that of its SerialNumber
and, where given, its ManufacturerName.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from registrar.app.tables import read_table
from registrar.core.ticket import DeviceIdentityTicket
from registrar.errors import FileInvalid
from registrar.store import tickets as stored
from registrar.store.store import Store

URI: Final = "ProductInstanceUri"
SERIAL_NUMBER: Final = "SerialNumber"
MANUFACTURER: Final = "ManufacturerName"
MODEL: Final = "ModelName"

COLUMNS: Final = ("result", "uri", "manufacturer", "model", "serial_number", "line", "detail")


class Result(StrEnum):
    """What a row of the table, or a Ticket, turned out to be."""

    EXPECTED = "expected"
    """The Ticket is there, and says the same."""
    MISSING = "missing"
    """No Ticket; the Device would wait for one."""
    WRONG_MODEL = "wrong_model"
    """The Ticket is there and names another model."""
    DUPLICATE = "duplicate"
    """The table names this Device twice, or several Tickets fit the row."""
    EXTRA = "extra"
    """A Ticket the table does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One finding."""

    result: Result
    uri: str = ""
    manufacturer: str = ""
    model: str = ""
    serial_number: str = ""
    line: int | None = None
    """Of the table; None for a Ticket that is extra."""
    detail: str = ""


def reconcile(store: Store, table: Path) -> Iterator[Line]:
    """Yield a finding for each row of ``table``, then one for each Ticket that is extra.

    Only the Tickets of Devices are compared; a Composite is its Devices.

    Args:
        store: the site's.
        table: CSV with ProductInstanceUri or SerialNumber, and ManufacturerName and ModelName
            where they are to be compared.

    Raises:
        FileInvalid: it is no such table, or a row names no Device.
    """
    known = _Known(store)
    for number, row in read_table(table, known=(URI, SERIAL_NUMBER, MANUFACTURER, MODEL)):
        if not (row.get(URI) or row.get(SERIAL_NUMBER)):
            raise FileInvalid(
                f"line {number} has neither {URI} nor {SERIAL_NUMBER}", subject=str(table)
            )
        yield known.compare(number, row)
    yield from known.extra()


@dataclass(frozen=True, slots=True)
class _Ticket:
    """What is compared of a Ticket, so that those of a whole site fit in memory."""

    uri: str
    manufacturer: str
    model: str
    serial_number: str


class _Known:
    """The Tickets of a site, and the first row that means each."""

    def __init__(self, store: Store) -> None:
        self._by_uri: dict[str, _Ticket] = {}
        self._by_serial_number: dict[str, list[_Ticket]] = {}
        self._meant: dict[str, int] = {}
        for ticket in _devices(store):
            self._by_uri[ticket.uri] = ticket
        for ticket in self._by_uri.values():
            self._by_serial_number.setdefault(ticket.serial_number, []).append(ticket)

    def compare(self, number: int, row: Mapping[str, str]) -> Line:
        """Say what row ``number`` is, and remember which Ticket it means."""
        found = self._find(row)
        if not found:
            return Line(
                result=Result.MISSING,
                uri=row.get(URI, ""),
                manufacturer=row.get(MANUFACTURER, ""),
                model=row.get(MODEL, ""),
                serial_number=row.get(SERIAL_NUMBER, ""),
                line=number,
            )
        ticket = found[0]
        if len(found) > 1:
            return _line(Result.DUPLICATE, ticket, number, f"{len(found)} Tickets fit this row")
        first = self._meant.setdefault(ticket.uri, number)
        if first != number:
            return _line(Result.DUPLICATE, ticket, number, f"line {first} names it already")
        wanted = row.get(MODEL, "")
        if wanted and wanted != ticket.model:
            return _line(Result.WRONG_MODEL, ticket, number, f"the table says {wanted}")
        return _line(Result.EXPECTED, ticket, number)

    def extra(self) -> Iterator[Line]:
        """Yield the Tickets that no row meant."""
        for ticket in self._by_uri.values():
            if ticket.uri not in self._meant:
                yield _line(Result.EXTRA, ticket, None)

    def _find(self, row: Mapping[str, str]) -> list[_Ticket]:
        if uri := row.get(URI):
            ticket = self._by_uri.get(uri)
            return [ticket] if ticket else []
        maker = row.get(MANUFACTURER)
        fitting = self._by_serial_number.get(row[SERIAL_NUMBER], ())
        return [one for one in fitting if maker in (None, "", one.manufacturer)]


def _line(result: Result, ticket: _Ticket, number: int | None, detail: str = "") -> Line:
    return Line(
        result=result,
        uri=ticket.uri,
        manufacturer=ticket.manufacturer,
        model=ticket.model,
        serial_number=ticket.serial_number,
        line=number,
        detail=detail,
    )


def _devices(store: Store) -> Iterator[_Ticket]:
    for valid in stored.all_of(store.reader):
        one = valid.ticket
        if isinstance(one, DeviceIdentityTicket):
            yield _Ticket(one.uri, one.manufacturer_name, one.model_name, one.serial_number)
