"""Arguments several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from registrar.core.trust import TrustListName

F = TypeVar("F", bound=Callable[..., Any])


def site_argument(command: F) -> F:
    """Add SITE, the site's folder; the function receives ``site: Path``."""
    return click.argument("site", type=click.Path(path_type=Path))(command)


def trust_list_argument(command: F) -> F:
    """Add LIST, the name of a trust list; the function receives ``name: TrustListName``."""
    names = click.Choice([str(name) for name in TrustListName])
    return click.argument("name", type=names, metavar="LIST", callback=_name)(command)


def _name(_: click.Context, __: click.Parameter, value: str) -> TrustListName:
    return TrustListName(value)
