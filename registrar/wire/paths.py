"""Paths that were followed before; OPC 10000-4 §5.9.4.

Clients of one kind ask for the same few paths again and again, and each of a Registrar's asks a
thousand Devices. Where a path led, or that it leads nowhere, is kept until the nodes change.
"""

from __future__ import annotations

from asyncua import ua

from registrar.status import StatusCode
from registrar.ua.codec import encode_structure

MAX_KEPT = 512
"""Paths; when there are more, all are forgotten."""

MAX_SIZE = 1_024
"""Bytes of a path that is kept; the standard's own are shorter."""

_LASTING = frozenset({StatusCode.Good, StatusCode.BadNoMatch})


class Paths:
    """Results by their paths; bounded."""

    __slots__ = ("_results",)

    def __init__(self) -> None:
        self._results: dict[bytes, ua.BrowsePathResult] = {}

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: bytes | None) -> ua.BrowsePathResult | None:
        """Return the result of a path, which must not be changed."""
        return None if key is None else self._results.get(key)

    def keep(self, key: bytes | None, result: ua.BrowsePathResult) -> None:
        """Keep the result of a path, unless it says what is wrong with the path itself."""
        if key is None or result.StatusCode.value not in _LASTING:
            return
        if len(self._results) >= MAX_KEPT:
            self._results.clear()
        self._results[key] = result


def path_key(path: ua.BrowsePath) -> bytes | None:
    """Return what tells ``path`` from others; None where it is not worth keeping."""
    key = encode_structure(path)
    return key if len(key) <= MAX_SIZE else None
