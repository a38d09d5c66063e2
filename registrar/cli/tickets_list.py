"""``registrar tickets list``: show the Tickets of a site."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import examples


@click.command(
    epilog=examples(
        "registrar tickets list plant",
        "registrar tickets list plant --refused --csv",
    )
)
@site_argument
@click.option("--refused", is_flag=True, help="Show the refused ones instead.")
@format_options
def command(site: Path, refused: bool, output: Format) -> None:
    """Print the Tickets of SITE.

    A line each: kind, uri, manufacturer, model, serial number, software revision, signer; with
    --refused: uri, reason, detail, time, next action.
    """
    from registrar.app import tickets
    from registrar.app.site import Site

    rows = Rows(output, tickets.REFUSED_COLUMNS if refused else tickets.KEPT_COLUMNS)
    with Site.open(site).store() as store:
        for row in tickets.refused_rows(store) if refused else tickets.kept_rows(store):
            rows.add(**row)
