"""The end of a demo: a table of what was seen, and the next thing to try."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table

from registrar.cli.results import json
from registrar.cli.text import printable
from registrar.core.reasons import describe

if TYPE_CHECKING:
    from registrar.app.demo import DemoReport

SHOWN_MISTAKES: Final = 20
TABLE_WIDTH: Final = 110
"""Where stdout is no terminal, so that a pasted table looks the same everywhere."""


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
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=TABLE_WIDTH)
    console.print(_table(report))
    console.print(
        f"{report.onboarded} of {report.genuine} genuine devices onboarded, "
        f"{report.refused} of {report.impostors} impostors refused, {report.wrong} wrong"
    )
    console.print(
        f"{report.wall_s:.1f} s, {report.devices_per_s:.0f} devices a second, "
        f"{report.registrar_cpu_ms_per_device:.1f} ms CPU a device, "
        f"{report.registrar_peak_rss_mb:.0f} MB"
    )
    for mistake in report.mistakes[:SHOWN_MISTAKES]:
        click.echo(
            printable(f"wrong: {mistake.url}: expected {mistake.expected}, found {mistake.found}")
        )
    click.echo(f"\nNext: {_next(report, kept)}")


def _table(report: DemoReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("state", "reason"):
        table.add_column(name, no_wrap=True)
    table.add_column("devices", justify="right", no_wrap=True)
    table.add_column("what was found", ratio=1)
    rows = Counter((str(one.state), one.reason) for one in report.outcomes)
    for (state, reason), count in sorted(rows.items(), key=lambda row: (-row[1], str(row[0]))):
        meaning = describe(reason).meaning if reason else "Certificate and TrustList in place."
        table.add_row(state, str(reason or ""), str(count), meaning)
    return table


def _next(report: DemoReport, kept: Path | None) -> str:
    refused = next((one for one in report.outcomes if one.reason is not None), None)
    if kept is None:
        return "registrar demo --keep plant, to look at the site it leaves"
    if refused is None:
        return f"registrar status {kept / 'site'} --devices"
    return f"registrar explain {kept / 'site'} {refused.url}"
