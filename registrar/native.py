"""The switch to compiled code.

``@compiled`` puts the function of the same name from ``registrar._native.<module>`` in the place
of the Python one, where it was built and ``REGISTRAR_PURE`` is not set. The Python one stays its
specification: ``inspect.unwrap`` gives it back.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")

PURE = os.environ.get("REGISTRAR_PURE", "") not in ("", "0")
"""True where the environment asks for the Python bodies."""

EXTENSIONS = ("signatures",)
"""The extensions a full build has; each is the twin of one Python module."""


def missing_extensions() -> tuple[str, ...]:
    """Return the extensions that are not in use: not built, or switched off."""
    if PURE:
        return EXTENSIONS
    return tuple(name for name in EXTENSIONS if _load(name) is None)


def is_compiled() -> bool:
    """Tell whether every extension is in use."""
    return not missing_extensions()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return the compiled twin of ``function``, or ``function`` itself where there is none."""
    if PURE:
        return function
    module = _load(function.__module__.rpartition(".")[2])
    twin = getattr(module, function.__name__, None)
    if twin is None:
        return function

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return cast(R, twin(*args, **kwargs))

    return call


def _load(name: str) -> object | None:
    try:
        return importlib.import_module(f"registrar._native.{name}")
    except ImportError:
        return None
