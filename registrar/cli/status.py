"""``registrar status``: how far the site has come."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import examples


@click.command(
    epilog=examples(
        "registrar status plant",
        "registrar status plant --devices --csv",
    )
)
@site_argument
@click.option("--devices", is_flag=True, help="Print a line per device instead.")
@format_options
def command(site: Path, devices: bool, output: Format) -> None:
    """Count the devices of SITE by state and reason.

    A line each: state, reason, count, next action. With --devices a line per device: serial
    number, model, url, ProductInstanceUri, state, reason, next action.
    """
    from registrar.app import reports
    from registrar.app.site import Site
    from registrar.cli.outcomes import OUTCOME_COLUMNS, outcome_row

    with Site.open(site).store() as store:
        if devices:
            rows = Rows(output, OUTCOME_COLUMNS)
            for outcome in reports.outcomes(store):
                rows.add(**outcome_row(outcome))
            return
        rows = Rows(output, ["state", "reason", "count", "next_action"])
        for count in reports.counts(store):
            rows.add(**count.row())
