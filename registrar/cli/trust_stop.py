"""``registrar trust stop``: an authority that can be trusted no more."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import examples
from registrar.cli.text import printable


@click.command(
    epilog=examples(
        "registrar trust stop plant 1f2e3d4c",
        "registrar trust stop plant 1f2e3d4c --lift --yes",
    )
)
@site_argument
@click.argument("thumbprint")
@click.option("--lift", is_flag=True, help="Take the stop back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@format_options
def command(site: Path, thumbprint: str, lift: bool, yes: bool, output: Format) -> None:
    """Stop an authority of SITE and list the devices affected.

    The first eight or more digits of its THUMBPRINT name it in any list; no path may lead
    through its key any more. Its Tickets are withdrawn at once; devices that were accepted stay
    accepted. Prints a line per device whose Ticket it signed or whose certificate it may have
    issued: URI, basis, URL, state.
    """
    from registrar.app import stopping, trust
    from registrar.app.site import Site

    rows = Rows(output, stopping.COLUMNS)
    opened = Site.open(site)
    with opened.store() as store:
        certificate = trust.find_certificate(store, thumbprint)
        verb = "lift" if lift else "stop"
        if not yes:
            click.confirm(f"{verb} {certificate.subject}?", abort=True, err=True)
        change = stopping.lift if lift else stopping.stop
        affected = change(store, opened.settings, certificate)
    for one in affected:
        rows.add(**one.row())
    done = "may be trusted again" if lift else "is stopped"
    click.echo(printable(f"{certificate.subject} {done}; {len(affected)} concerned"), err=True)
