"""The switch to compiled code.

``@compiled`` puts the function or class of the same name from ``registrar._native.<module>``, or
from the extension that module shares, in the place of the Python one, where it was built and
``REGISTRAR_PURE`` is not set. The Python one stays its specification: ``inspect.unwrap`` gives it
back.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar, cast

Body = TypeVar("Body", bound=Callable[..., object])

PURE = os.environ.get("REGISTRAR_PURE", "") not in ("", "0")
"""True where the environment asks for the Python bodies."""

EXTENSIONS = (
    "certificate",
    "channel",
    "codec",
    "matching",
    "revoked",
    "signatures",
    "signing_request",
    "ticket_batch",
)
"""The extensions a full build has; each is the twin of a Python module of its name, or of several
that must not pay for calling each other."""

_OF_CHANNEL = (
    *("certificates", "client_channel", "sequence_numbers", "server_channel", "symmetric"),
    *("transport", "client_connection", "exchanges", "key_queue", "traffic"),
)

SHARED: Mapping[str, str] = MappingProxyType(dict.fromkeys(_OF_CHANNEL, "channel"))
"""The extension of a module that has none of its name."""


def missing_extensions() -> tuple[str, ...]:
    """Return the extensions that are not in use: not built, or switched off."""
    if PURE:
        return EXTENSIONS
    return tuple(name for name in EXTENSIONS if _load(name) is None)


def is_compiled() -> bool:
    """Tell whether every extension is in use."""
    return not missing_extensions()


def compiled(body: Body) -> Body:
    """Return the compiled twin of a function or class, or ``body`` itself where there is none."""
    if PURE:
        return body
    name = body.__module__.rpartition(".")[2]
    twin = getattr(_load(SHARED.get(name, name)), body.__name__, None)
    if twin is None:
        return body
    if isinstance(body, type):
        # A subclass, because a native class takes no attributes such as __wrapped__.
        twin = type(body.__name__, (twin,), {"__slots__": ()})
    return cast(Body, functools.update_wrapper(twin, body, updated=()))


def _load(name: str) -> object | None:
    """Import an extension; ``None`` where it was not built.

    Raises:
        ImportError: it was built, and does not load: from an older source, or for another Python.
    """
    module = f"registrar._native.{name}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name in (module, "registrar._native"):
            return None
        raise _stale(module, error) from error
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise _stale(module, error) from error


def _stale(module: str, error: Exception) -> ImportError:
    return ImportError(f"{module} does not fit this source ({error}): run `make build`")
