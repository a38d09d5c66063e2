"""``registrar tickets import``: verify Tickets and keep them."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import REFUSED, examples


@click.command(
    epilog=examples(
        "registrar tickets import plant delivery/tickets",
        "registrar tickets import plant ticket.json --all --json",
    )
)
@site_argument
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--all", "show_all", is_flag=True, help="Print accepted Tickets too.")
@format_options
def command(site: Path, files: tuple[Path, ...], show_all: bool, output: Format) -> None:
    """Verify the Tickets in FILE… and keep the valid ones in SITE.

    FILE is a Ticket (JWS), a TicketList, a file with one Ticket a line, a ZIP archive or a
    folder of them. It may be imported again: what is there already is not changed, and the same
    Ticket with new signatures is merged.
    Prints a line per Ticket that was refused: source, result, kind, uri, reason, detail, next
    action. The refusal is remembered, so that the device it names can be told why. Exits with
    1 if there was one. Add the ticket_authorities and their CRLs first.
    """
    from registrar.app import tickets
    from registrar.app.site import Site
    from registrar.cli.reading_bar import ReadingBar

    rows = Rows(output, tickets.RECEIVED_COLUMNS)
    accepted = refused = 0
    opened = Site.open(site)
    with opened.store() as store, ReadingBar(files) as bar:
        for received in tickets.import_files(store, opened.settings, files, meter=bar.meter):
            bar.show()
            accepted += received.is_valid
            refused += not received.is_valid
            if show_all or not received.is_valid:
                rows.add(**received.row())
    click.echo(f"{accepted} Tickets imported, {refused} refused", err=True)
    raise SystemExit(REFUSED if refused else 0)
