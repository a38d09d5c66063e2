"""``registrar trust list``: show whom the site trusts."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import examples


@click.command(
    epilog=examples(
        "registrar trust list plant",
        "registrar trust list plant --json",
    )
)
@site_argument
@format_options
def command(site: Path, output: Format) -> None:
    """Print the certificates and CRLs in all lists of SITE.

    A line each: list, role (trusted or issuer), kind, thumbprint, subject, ends, scope.
    """
    from registrar.app import trust
    from registrar.app.site import Site

    rows = Rows(output, trust.COLUMNS)
    with Site.open(site).store() as store:
        for entry in trust.entries(store):
            rows.add(**entry.row())
