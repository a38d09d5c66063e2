"""``registrar tickets verify``: say what an import would do."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import REFUSED, examples


@click.command(
    epilog=examples(
        "registrar tickets verify plant delivery/tickets",
        "registrar tickets verify plant ticket.json --json",
    )
)
@site_argument
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@format_options
def command(site: Path, files: tuple[Path, ...], output: Format) -> None:
    """Verify the Tickets in FILE…, and keep nothing.

    Believed is who is on the trust lists of SITE. Prints a line per Ticket: source, result,
    kind, uri, reason, detail, next action. Exits with 1 if one would be refused.
    """
    from registrar.app import tickets
    from registrar.app.site import Site

    rows = Rows(output, tickets.RECEIVED_COLUMNS)
    refused = False
    opened = Site.open(site)
    with opened.store() as store:
        for received in tickets.verify_files(store, opened.settings, files):
            rows.add(**received.row())
            refused = refused or not received.is_valid
    raise SystemExit(REFUSED if refused else 0)
