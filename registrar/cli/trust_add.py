"""``registrar trust add``: put certificates and CRLs into a list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from registrar.cli.arguments import site_argument, trust_list_argument
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import REFUSED, examples
from registrar.core.scope import Scope
from registrar.core.trust import TrustListName


@click.command(
    epilog=examples(
        "registrar trust add plant ticket_authorities maker.pem maker.crl --uri-prefix urn:maker:",
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
@click.option("--manufacturer", default="", help="The only ManufacturerName vouched for.")
@click.option("--uri-prefix", default="", help="How every URI vouched for begins.")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day (UTC) it is trusted."
)
@click.option("--count", type=click.IntRange(min=0), help="How many Tickets may rest on it.")
@format_options
def command(
    site: Path,
    name: TrustListName,
    files: tuple[Path, ...],
    issuer: bool,
    manufacturer: str,
    uri_prefix: str,
    until: datetime | None,
    count: int | None,
    output: Format,
) -> None:
    """Put certificates and CRLs into the list LIST of SITE.

    FILE is PEM with any number of them, DER, or a folder of such files. Prints a line per
    certificate and CRL: list, role, kind, thumbprint, subject, ends, scope, file, and the
    problem of one that could not be added. Exits with 1 if there was one.

    The options that limit what a Ticket authority may vouch for take the place of all limits it
    had; without any, its limits stay.
    """
    from registrar.app import trust
    from registrar.app.site import Site

    scope = _scope(manufacturer, uri_prefix, until, count)
    if scope is not None and (issuer or name is not TrustListName.TICKET_AUTHORITIES):
        raise click.UsageError("only trusted certificates of ticket_authorities have a scope")
    rows = Rows(output, [*trust.COLUMNS, "source", "problem"])
    accepted = refused = 0
    with Site.open(site).store() as store:
        for added in trust.add(store, name, files, as_issuer=issuer, scope=scope):
            rows.add(**added.row())
            accepted += not added.problem
            refused += bool(added.problem)
    click.echo(f"{accepted} certificates and CRLs added, {refused} refused", err=True)
    raise SystemExit(REFUSED if refused else 0)


def _scope(
    manufacturer: str, uri_prefix: str, until: datetime | None, count: int | None
) -> Scope | None:
    if not manufacturer and not uri_prefix and until is None and count is None:
        return None
    end = None
    if until is not None:
        end = until.replace(tzinfo=UTC) + timedelta(days=1, microseconds=-1)
    return Scope(manufacturer=manufacturer, uri_prefix=uri_prefix, until=end, count=count)
