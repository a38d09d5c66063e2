"""``registrar tickets sign``: append a signature to Tickets that validate."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import Signer, signer_options, site_argument
from registrar.cli.results import Format, Rows
from registrar.cli.root import REFUSED, examples


@click.command(
    epilog=examples(
        "registrar tickets sign plant ticket.json --certificate builder.pem --key builder.key",
        "registrar tickets sign plant in/ --certificate b.pem --key b.key --composite urn:b:cell:1",
    )
)
@site_argument
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@signer_options
@click.option(
    "--composite",
    "composite_uri",
    default="",
    metavar="URI",
    help="The Composite the signer built the Devices into.",
)
def command(site: Path, files: tuple[Path, ...], signer: Signer, composite_uri: str) -> None:
    """Append a signature to the Tickets in FILE….

    Prints each as a JWS on a line. Only a Ticket that is valid by the trust lists of SITE is
    signed. Where a Composite Ticket in SITE that the same signer signed names the Device, its
    URI is added as --composite would. Refused Tickets are named on stderr: source, result,
    kind, uri, reason, detail, next action. Exits with 1 if there was one.
    """
    from registrar.app import ticket_making, tickets
    from registrar.app.site import Site
    from registrar.core.ticket import is_uri

    if composite_uri and not is_uri(composite_uri):
        raise click.BadParameter("is no URI", param_hint="--composite")

    rows = Rows(Format.TEXT, tickets.RECEIVED_COLUMNS, to_stderr=True)
    refused = False
    opened = Site.open(site)
    with opened.store() as store:
        for signed in ticket_making.sign(
            store, opened.settings, files, signer(), composite_uri=composite_uri
        ):
            if signed.document:
                click.echo(signed.document)
            else:
                refused = True
                rows.add(**signed.received.row())
    raise SystemExit(REFUSED if refused else 0)
