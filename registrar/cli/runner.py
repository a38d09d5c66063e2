"""Run the coroutine of a command that keeps thousands of connections."""

from __future__ import annotations

import gc
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from registrar.wire.descriptors import raise_limit

T = TypeVar("T")

COLLECT_EVERY: Final = 20_000
"""Containers made between two looks of the collector. Messages are trees that die by reference
counting; at the default of 700 the collector took 5 % of a campaign to find nothing."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` on uvloop, with all descriptors the process may have.

    What was imported is left out of garbage collection.
    """
    import uvloop

    raise_limit()
    gc.collect()
    gc.freeze()
    _, second, third = gc.get_threshold()
    gc.set_threshold(COLLECT_EVERY, second, third)
    return uvloop.run(main)
