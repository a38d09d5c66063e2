"""``registrar init``: make a site folder."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.root import examples


@click.command(
    epilog=examples(
        "registrar init plant",
        "registrar init plant --issuing-ca ca.pem --issuing-key ca.key",
    )
)
@click.argument("site", type=click.Path(path_type=Path))
@click.option(
    "--issuing-ca",
    type=click.Path(path_type=Path),
    metavar="CERT",
    help="A CA certificate the site already has, its issuers and their CRLs (PEM).",
)
@click.option(
    "--issuing-key",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="The private key of --issuing-ca (PEM).",
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Encrypt the site's keys with the first line of this file.",
)
def command(
    site: Path, issuing_ca: Path | None, issuing_key: Path | None, passphrase_file: Path | None
) -> None:
    """Make the folder SITE with all that one Registrar needs.

    That is a configuration, CAs, the Registrar's own certificate and a database. SITE has to be
    empty, or hold a config.toml to begin with and nothing else. With --issuing-ca the site
    issues with a CA it already has instead of one of its own.
    """
    from registrar.app.site import Site

    if (issuing_ca is None) != (issuing_key is None):
        raise click.UsageError("--issuing-ca and --issuing-key belong together")
    made = Site.create(
        site, issuing_ca=issuing_ca, issuing_key=issuing_key, passphrase_file=passphrase_file
    )
    for name, path in made.files():
        click.echo(f"{name}\t{path}")
