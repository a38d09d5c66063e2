"""``registrar trust remove``: stop trusting."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument, trust_list_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import examples
from registrar.core.trust import TrustListName


@click.command(
    epilog=examples(
        "registrar trust remove plant ticket_authorities 1f2e3d4c",
        "registrar trust remove plant ticket_authorities 1f2e3d4c --yes",
    )
)
@site_argument
@trust_list_argument
@click.argument("thumbprint")
@click.option("--yes", is_flag=True, help="Do not ask.")
@format_options
def command(site: Path, name: TrustListName, thumbprint: str, yes: bool, output: Format) -> None:
    """Take a certificate or CRL out of the list LIST of SITE.

    The first eight or more digits of its THUMBPRINT are enough. Tickets that were believed
    because of it are verified again when the next campaign starts.
    """
    from registrar.app import trust
    from registrar.app.site import Site

    rows = Rows(output, trust.COLUMNS)
    with Site.open(site).store() as store:
        entry = trust.find(store, name, thumbprint)
        if not yes:
            click.confirm(f"remove {entry.subject} from {name}?", abort=True, err=True)
        trust.remove(store, entry)
        rows.add(**entry.row())
