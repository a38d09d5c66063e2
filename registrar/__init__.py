"""A Registrar for OPC UA Device Onboarding (OPC 10000-21).

    async with Registrar(Site.open("plant")) as registrar:
        async for outcome in registrar.onboard(urls):
            print(outcome.url, outcome.state, outcome.reason)

``Site`` and ``Registrar`` are imported when first named, so that who needs only a part of the
package, ``registrar.core`` say, does not load the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrar.app import Registrar, Site

__version__ = "0.1.0"

__all__ = ["Registrar", "Site", "__version__"]


def __getattr__(name: str) -> object:
    if name in ("Registrar", "Site"):
        from registrar import app

        return getattr(app, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
