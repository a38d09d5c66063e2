"""``registrar tickets create``: write and sign Tickets, as a maker of Devices does."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import Signer, signer_options
from registrar.cli.root import examples


@click.command(
    epilog=examples(
        "registrar tickets create devices.csv --certificate signer.pem --key signer.key",
        "registrar tickets create devices.csv --certificate s.pem --key s.key --authority ca.pem",
    )
)
@click.argument("table", type=click.Path(path_type=Path), metavar="TABLE")
@signer_options
@click.option(
    "--authority",
    "authorities",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A CA of the Devices' certificates, then its issuers (PEM); goes into every Ticket.",
)
def command(table: Path, signer: Signer, authorities: tuple[Path, ...]) -> None:
    """Print a signed Ticket for each row of TABLE.

    Each is a JWS on a line of its own. TABLE is CSV below a line of names, those of the
    standard: ProductInstanceUri for a Device; CompositeInstanceUri, Devices and Composites
    (URIs with spaces between) for a Composite; and ManufacturerName, ModelName, ModelVersion,
    HardwareRevision, SoftwareRevision, SerialNumber, ManufactureDate.
    """
    from registrar.app import ticket_making

    for ticket in ticket_making.create(table, signer(), authorities):
        click.echo(ticket)
