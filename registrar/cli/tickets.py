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
    modules={
        "import": "tickets_import",
        "verify": "tickets_verify",
        "list": "tickets_list",
        "show": "tickets_show",
        "reconcile": "tickets_reconcile",
        "create": "tickets_create",
        "sign": "tickets_sign",
    },
)
def command() -> None:
    """Import, verify, compare, make and sign Tickets."""
