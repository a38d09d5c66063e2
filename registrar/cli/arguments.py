"""Arguments several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from registrar.core.trust import TrustListName

if TYPE_CHECKING:
    from registrar.ca.ticket_signing import TicketSigner

F = TypeVar("F", bound=Callable[..., Any])

Signer = Callable[[], "TicketSigner"]
"""Loads the signer the options name; done late, so that ``--help`` does not wait for it."""


def site_argument(command: F) -> F:
    """Add SITE, the site's folder; the function receives ``site: Path``."""
    return click.argument("site", type=click.Path(path_type=Path))(command)


def trust_list_argument(command: F) -> F:
    """Add LIST, the name of a trust list; the function receives ``name: TrustListName``."""
    names = click.Choice([str(name) for name in TrustListName])
    return click.argument("name", type=names, metavar="LIST", callback=_name)(command)


def _name(_: click.Context, __: click.Parameter, value: str) -> TrustListName:
    return TrustListName(value)


def signer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --certificate, --key and --passphrase-file; the function receives ``signer: Signer``."""

    @functools.wraps(command)
    def run(
        *, certificate: Path, key: Path, passphrase_file: Path | None, **values: object
    ) -> None:
        def load() -> TicketSigner:
            from registrar.app.files import check_given, read_passphrase
            from registrar.ca.ticket_signing import load_signer

            check_given(certificate, key)
            passphrase = read_passphrase(passphrase_file) if passphrase_file else None
            return load_signer(certificate, key, passphrase=passphrase)

        command(**values, signer=load)

    path = click.Path(path_type=Path)
    says = "The key is opened with the first line of this file."
    run = click.option("--passphrase-file", type=path, metavar="FILE", help=says)(run)
    says = "The signer's private key (PEM)."
    run = click.option("--key", type=path, required=True, metavar="KEY", help=says)(run)
    says = "The signer's certificate, then its issuers (PEM)."
    return click.option("--certificate", type=path, required=True, metavar="CERT", help=says)(run)
