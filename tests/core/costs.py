"""What judging one bad input may cost, whatever it is (issue 3)."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from functools import wraps
from time import process_time
from typing import Any

MOST_S = 0.05
"""CPU time."""

MOST_MEMORY = 16
"""Times the size of the input."""

OF_ANY_SIZE = 64 * 1024
"""Bytes that even the smallest may take: an exception, a certificate, a first use of a module."""


def metered(judge: Callable[..., Any], size_of: Callable[..., int]) -> Callable[..., Any]:
    """Return ``judge``, which fails where it takes more for its arguments than it may.

    Args:
        size_of: returns the bytes of the input, which the arguments hold.
    """

    @wraps(judge)
    def call(*args: Any) -> Any:
        if tracemalloc.is_tracing():  # a part of another input
            return judge(*args)
        gc.disable()  # it would look at all that the tests before have left
        tracemalloc.start()
        begin = process_time()
        try:
            return judge(*args)
        finally:
            taken = process_time() - begin
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            gc.enable()
            assert most <= max(MOST_MEMORY * size_of(*args), OF_ANY_SIZE), f"{most} bytes"
            assert taken <= MOST_S, f"{taken} s"

    return call
