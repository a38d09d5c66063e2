"""Results: the same values as text, JSON and CSV, none of which a device can abuse."""

from __future__ import annotations

import csv
import io
import json

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from registrar.cli.results import Format, Rows, format_options
from registrar.cli.text import cell, printable


@click.command()
@click.argument("values", nargs=-1)
@format_options
def shown(values: tuple[str, ...], output: Format) -> None:
    """Print each value in a row with its length."""
    rows = Rows(output, ["value", "length", "even", "nothing"])
    for value in values:
        rows.add(value=value, length=len(value), even=len(value) % 2 == 0)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(shown, arguments)
    assert result.exit_code == 0, result.output
    return result


def test_text_is_tab_separated() -> None:
    assert run("pump", "a\tb").stdout == "pump\t4\tyes\t\na\\tb\t3\tno\t\n"


def test_json_is_one_object_a_line() -> None:
    lines = run("--json", "pump", "a\tb").stdout.splitlines()

    assert [json.loads(line) for line in lines] == [
        {"value": "pump", "length": 4, "even": True, "nothing": ""},
        {"value": "a\tb", "length": 3, "even": False, "nothing": ""},
    ]


def test_csv_has_a_header_and_quotes() -> None:
    rows = list(csv.reader(io.StringIO(run("--csv", 'a,"b').stdout)))

    assert rows == [["value", "length", "even", "nothing"], ['a,"b', "4", "yes", ""]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_cell_is_never_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "a\nb", "a\rb", "\u202eabc", "\u200b", "\x9b1m", "\ud800"]
)
def test_what_moves_the_cursor_or_turns_the_text_is_escaped(text: str) -> None:
    assert "\\" in printable(text)


@given(st.text())
def test_a_row_stays_one_line_with_its_tabs(text: str) -> None:
    safe = printable(text)

    assert len(safe.splitlines()) <= 1
    assert "\t" not in safe
    safe.encode()
