"""The end of a demo: a table of what was seen, and the next thing to try."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from registrar.cli.results import json
from registrar.cli.text import printable
from registrar.core.reasons import describe

if TYPE_CHECKING:
    from registrar.app.demo import DemoReport

SHOWN_MISTAKES: Final = 20
TABLE_WIDTH: Final = 110
"""Where stdout is no terminal, so that a pasted table looks the same everywhere."""

MIN_MEANING_WIDTH: Final = 40
"""In less room the meanings of the reasons would make the table longer than a screen."""

_HEADER: Final = ("state", "reason", "devices")


def document(report: DemoReport) -> dict[str, object]:
    """Return the report as ``--json`` prints it: everything but the single outcomes."""
    values: dict[str, object] = {
        item.name: getattr(report, item.name)
        for item in dataclasses.fields(report)
        if item.name not in ("outcomes", "mistakes")
    }
    for name, value in values.items():
        if isinstance(value, float):
            values[name] = round(value, 3)
    values["mistakes"] = [dataclasses.asdict(one) for one in report.mistakes]
    return values


def print_report(report: DemoReport, *, as_json: bool, kept: Path | None) -> None:
    """Print the report on stdout."""
    if as_json:
        json(document(report))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else TABLE_WIDTH
    for number, line in enumerate(table(report, width)):
        click.secho(line, bold=number == 0)
    click.echo(
        f"{report.onboarded} of {report.genuine} genuine devices onboarded, "
        f"{report.refused} of {report.impostors} impostors refused, {report.wrong} wrong"
    )
    click.echo(
        f"{report.wall_s:.1f} s, {report.devices_per_s:.0f} devices a second, "
        f"{report.registrar_cpu_ms_per_device:.1f} ms CPU a device, "
        f"{report.registrar_peak_rss_mb:.0f} MB"
    )
    for mistake in report.mistakes[:SHOWN_MISTAKES]:
        click.echo(
            printable(f"wrong: {mistake.url}: expected {mistake.expected}, found {mistake.found}")
        )
    click.echo(f"\nNext: {_next(report, kept)}")


def table(report: DemoReport, width: int) -> Iterator[str]:
    """Yield the lines of a table: states, reasons, counts and, in enough room, the meanings."""
    counts = Counter((str(one.state), one.reason) for one in report.outcomes)
    rows = sorted(counts.items(), key=lambda row: (-row[1], str(row[0])))
    states = max(len(state) for state in (_HEADER[0], *(state for (state, _), _ in rows)))
    reasons = max(len(one) for one in (_HEADER[1], *(reason or "" for (_, reason), _ in rows)))
    left = f"{{:{states}}}  {{:{reasons}}}  {{:>{len(_HEADER[2])}}}"
    indent = " " * len(left.format("", "", ""))
    room = width - len(indent) - 2
    has_meanings = room >= MIN_MEANING_WIDTH
    yield left.format(*_HEADER) + ("  what was found" if has_meanings else "")
    for (state, reason), count in rows:
        start = left.format(state, str(reason or ""), count)
        if not has_meanings:
            yield start
            continue
        meaning = describe(reason).meaning if reason else "Certificate and TrustList in place."
        for number, line in enumerate(textwrap.wrap(meaning, room)):
            yield f"{indent if number else start}  {line}"


def _next(report: DemoReport, kept: Path | None) -> str:
    refused = next((one for one in report.outcomes if one.reason is not None), None)
    if kept is None:
        return "registrar demo --keep plant, to look at the site it leaves"
    if refused is None:
        return f"registrar status {kept / 'site'} --devices"
    return f"registrar explain {kept / 'site'} {refused.url}"
