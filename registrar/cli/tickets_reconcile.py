"""``registrar tickets reconcile``: compare Tickets with a delivery note or asset list."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from registrar.cli.arguments import site_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import REFUSED, examples


@click.command(
    epilog=examples(
        "registrar tickets reconcile plant assets.csv",
        "registrar tickets reconcile plant delivery-note.csv --all --csv",
    )
)
@site_argument
@click.argument("table", type=click.Path(path_type=Path), metavar="TABLE")
@click.option("--all", "show_all", is_flag=True, help="Print what is as expected too.")
@format_options
def command(site: Path, table: Path, show_all: bool, output: Format) -> None:
    """Compare the Tickets of SITE with an asset list.

    Says which are expected, missing, extra, duplicate, or of the wrong model. TABLE is CSV
    below a line of names: ProductInstanceUri or SerialNumber, and ManufacturerName and
    ModelName where they are to be compared. Prints a line for all that differs: result, uri,
    manufacturer, model, serial number, line of TABLE, detail. Exits with 1 if anything does.
    """
    from registrar.app import reconciliation
    from registrar.app.site import Site

    rows = Rows(output, reconciliation.COLUMNS)
    counts = Counter[str]()
    with Site.open(site).store() as store:
        for line in reconciliation.reconcile(store, table):
            counts[line.result] += 1
            if show_all or line.result is not reconciliation.Result.EXPECTED:
                rows.add(**asdict(line))
    summary = ", ".join(f"{counts[one]} {one}" for one in reconciliation.Result)
    click.echo(summary, err=True)
    as_expected = counts.keys() <= {reconciliation.Result.EXPECTED}
    raise SystemExit(0 if as_expected else REFUSED)
