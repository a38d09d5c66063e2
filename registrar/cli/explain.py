"""``registrar explain``: everything that is known about one device."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument
from registrar.cli.results import json
from registrar.cli.root import examples
from registrar.cli.text import printable


@click.command(
    epilog=examples(
        "registrar explain plant opc.tcp://127.20.0.3:4840",
        "registrar explain plant urn:example.com:pump:4711 --json",
    )
)
@site_argument
@click.argument("device")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(site: Path, device: str, as_json: bool) -> None:
    """Tell all that SITE knows about DEVICE, and what to do next.

    That is its Tickets, its certificates and every decision with its time. DEVICE is a
    ProductInstanceUri, a serial number or a URL.
    """
    from registrar.app import explanation
    from registrar.app.site import Site

    with Site.open(site).store() as store:
        explained = explanation.explain(store, device)
    if as_json:
        json(explained.document())
        return
    for line in explained.lines():
        click.echo(printable(line))
