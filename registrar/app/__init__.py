"""The wiring: the one room where objects are built and handed to each other."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrar.app.registrar import Registrar
    from registrar.app.site import Site

__all__ = ["Registrar", "Site"]


def __getattr__(name: str) -> object:
    """Import what is named, because `registrar init` needs no protocol stack."""
    if name in __all__:
        return getattr(import_module(f"registrar.app.{name.lower()}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
