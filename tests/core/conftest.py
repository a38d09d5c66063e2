"""Each test of this room begins with empty caches."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def cold_caches() -> None:
    """Forget what earlier tests have had parsed and checked: none shall pass because of another."""
    for name, module in list(sys.modules.items()):
        if name.startswith("registrar.core."):
            for member in vars(module).values():
                if hasattr(member, "cache_clear"):
                    member.cache_clear()
