"""``registrar tickets``: what manufacturers say about their devices."""

from __future__ import annotations

import click

from registrar.cli.root import Commands, examples


@click.group(
    cls=Commands,
    epilog=examples(
        "registrar tickets import plant delivery/tickets",
        "registrar tickets list plant",
    ),
    modules={"import": "tickets_import", "list": "tickets_list", "verify": "tickets_verify"},
)
def command() -> None:
    """Import, list and verify the Tickets of devices."""
