"""Results on stdout: tab-separated for people and pipes, JSON lines or CSV for machines."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import click
import orjson

from registrar.cli.text import cell, printable


class Format(StrEnum):
    """How rows are printed."""

    TEXT = "text"
    """Values with a tab between them, a row a line."""
    JSON = "json"
    """One object a line."""
    CSV = "csv"
    """With a line of column names."""


def format_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--json`` and ``--csv``; the function receives ``output: Format``."""

    @functools.wraps(command)
    def run(*, as_json: bool, as_csv: bool, **values: object) -> None:
        if as_json and as_csv:
            raise click.UsageError("--json and --csv exclude each other")
        output = Format.JSON if as_json else Format.CSV if as_csv else Format.TEXT
        command(**values, output=output)

    says = "Print CSV below a line of names."
    run = click.option("--csv", "as_csv", is_flag=True, help=says)(run)
    says = "Print one JSON object a line."
    return click.option("--json", "as_json", is_flag=True, help=says)(run)


class Rows:
    """Prints rows as they come.

    Args:
        output: the format.
        columns: the names of the values, in order.
        to_stderr: where stdout carries something else.
    """

    def __init__(self, output: Format, columns: Sequence[str], *, to_stderr: bool = False) -> None:
        self._output = output
        self._to_stderr = to_stderr
        self._columns = tuple(columns)
        if output is Format.CSV:
            self._csv(self._columns)

    def add(self, **values: object) -> None:
        """Print one row; a column that is not given is empty."""
        if self._output is Format.JSON:
            return json({name: values.get(name, "") for name in self._columns})
        texts = [_text(values.get(name, "")) for name in self._columns]
        if self._output is Format.CSV:
            return self._csv([cell(text) for text in texts])
        line = "\t".join(printable(text) for text in texts)
        return click.echo(line, err=self._to_stderr)

    def _csv(self, values: Sequence[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)
        click.echo(line.getvalue(), nl=False)


def json(document: Mapping[str, object]) -> None:
    """Print one JSON object on a line of its own."""
    click.echo(orjson.dumps(document).decode())


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
