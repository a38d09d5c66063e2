"""Tables an operator brings: CSV below a line of names, read row by row and bounded."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from registrar.errors import FileInvalid

MAX_ROWS: Final = 1_000_000
MAX_FIELD_CHARACTERS: Final = 1 << 20
"""Of one cell: the members of a Composite stand in one."""

_SNIFFED: Final = 64 * 1024


def read_table(path: Path, *, known: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and cells of each row, by the names in ``known``.

    Names are compared without case, spaces, ``_`` and ``-``; columns of other names, and rows
    with nothing in them, are left out. Cells are separated by commas, semicolons or tabs, as the
    line of names shows.

    Args:
        path: CSV in UTF-8, with or without a byte order mark.
        known: the names a column may have.

    Raises:
        FileInvalid: it cannot be read, has no known column or one of them twice, or a row has more
            cells than names.
    """
    names = {_plain(name): name for name in known}
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline(_SNIFFED))
            file.seek(0)
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            columns = [names.get(_plain(cell)) for cell in next(rows, [])]
            if not any(columns):
                raise FileInvalid(
                    f"has no column of: {', '.join(sorted(known))}", subject=str(path)
                )
            if twice := {name for name in columns if name and columns.count(name) > 1}:
                raise FileInvalid(
                    f"has several columns of: {', '.join(sorted(twice))}", subject=str(path)
                )
            for count, row in enumerate(rows):
                if count == MAX_ROWS:
                    raise FileInvalid(f"has more than {MAX_ROWS} rows", subject=str(path))
                if len(row) > len(columns):
                    raise FileInvalid(
                        f"line {rows.line_num} has {len(row)} cells, not {len(columns)}",
                        subject=str(path),
                    )
                cells = zip(columns, row, strict=False)
                if any(map(str.strip, row)):
                    yield rows.line_num, {name: cell.strip() for name, cell in cells if name}
    except OSError as error:
        raise FileInvalid(f"cannot be read: {error.strerror}", subject=str(path)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileInvalid(f"is no table: {error}", subject=str(path)) from error


def _plain(name: str) -> str:
    return "".join(one for one in name.casefold() if one not in " _-")


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)
