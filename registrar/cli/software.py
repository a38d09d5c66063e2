"""``registrar software``: report by hand what a SoftwareUpdateManager would report."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument
from registrar.cli.root import examples


@click.command(
    epilog=examples(
        "registrar software plant urn:example.com:pump:4711 --current 2.0.1",
        "registrar software plant opc.tcp://127.20.0.3:4840 --current 2.0.1",
    )
)
@site_argument
@click.argument("device")
@click.option(
    "--current",
    required=True,
    metavar="REVISION",
    help="The SoftwareRevision that is installed, and current.",
)
def command(site: Path, device: str, current: str) -> None:
    """Report that the software of DEVICE is current, by hand.

    DEVICE is a ProductInstanceUri, a serial number or a URL. A campaign that runs beside this
    command takes the report up at once, others when they start.
    """
    if not current.strip():
        raise click.BadParameter("names no revision", param_hint="--current")

    from registrar.app import reports
    from registrar.app.site import Site

    with Site.open(site).store() as store:
        uri = reports.report_software(store, device, revision=current)
    click.echo(f"{uri}\t{current}")
