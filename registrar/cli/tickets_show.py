"""``registrar tickets show``: one Ticket in words."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import REFUSED, examples
from registrar.cli.text import printable

_COLUMNS = ("source", "what", "says")


@click.command(
    epilog=examples(
        "registrar tickets show plant ticket.json",
        "registrar tickets show plant urn:example.com:pump:17",
    )
)
@site_argument
@click.argument("what", metavar="FILE|URI")
@format_options
def command(site: Path, what: str, output: Format) -> None:
    """Say in words what a Ticket vouches for.

    And who signed it, and whose signature counts. FILE is verified against the trust lists of
    SITE, and not kept; URI is a Device or a Composite whose Tickets SITE has. Prints lines of
    source, what, says. Exits with 1 if the Ticket is refused or there is none.
    """
    from registrar.app import ticket_words, tickets
    from registrar.app.site import Site

    rows = Rows(output, _COLUMNS)
    shown = refused = 0
    opened = Site.open(site)
    with opened.store() as store:
        for source, result in tickets.looked_up(store, opened.settings, what):
            if isinstance(result, tickets.Received):
                refused += 1
                says = f"{result.reason}: {result.detail}; next: {result.row()['next_action']}"
                rows.add(source=source, what="refused", says=says)
                continue
            shown += 1
            for name, sentence in ticket_words.describe(result):
                rows.add(source=source, what=name, says=sentence)
    if not shown and not refused:
        says = f"{what} is no file, and no Ticket of {site} is for it"
        action = f"take a URI from registrar tickets list {site}"
        click.echo(printable(f"registrar: {says}; next: {action}"), err=True)
    raise SystemExit(REFUSED if refused or not shown else 0)
