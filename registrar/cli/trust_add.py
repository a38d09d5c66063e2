"""``registrar trust add``: put certificates and CRLs into a list."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.arguments import site_argument, trust_list_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import REFUSED, examples
from registrar.core.trust import TrustListName


@click.command(
    epilog=examples(
        "registrar trust add plant ticket_authorities maker.pem maker.crl",
        "registrar trust add plant device_identity_authorities delivery/authorities --issuer",
    )
)
@site_argument
@trust_list_argument
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option(
    "--issuer",
    is_flag=True,
    help="Use these certificates to build chains only; nobody is trusted because of them.",
)
@format_options
def command(
    site: Path, name: TrustListName, files: tuple[Path, ...], issuer: bool, output: Format
) -> None:
    """Put certificates and CRLs into the list LIST of SITE.

    FILE is PEM with any number of them, DER, or a folder of such files. Prints a line per
    certificate and CRL: list, role, kind, thumbprint, subject, ends, and for one that could not
    be added its file and the problem. Exits with 1 if there was one.
    """
    from registrar.app import trust
    from registrar.app.site import Site

    rows = Rows(output, [*trust.COLUMNS, "source", "problem"])
    accepted = refused = 0
    with Site.open(site).store() as store:
        for added in trust.add(store, name, files, as_issuer=issuer):
            rows.add(**added.row())
            accepted += not added.problem
            refused += bool(added.problem)
    click.echo(f"{accepted} certificates and CRLs added, {refused} refused", err=True)
    raise SystemExit(REFUSED if refused else 0)
