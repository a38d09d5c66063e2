"""Paths that were followed before; OPC 10000-4 §5.9.4.

Clients of one kind ask for the same few paths again and again, and each of a Registrar's asks a
thousand Devices. Where a path led, or that it leads nowhere, is kept until the nodes change.
"""

from __future__ import annotations

from collections.abc import Hashable

from asyncua import ua

from registrar.status import StatusCode
from registrar.wire.nodes import key_of

MAX_KEPT = 512
"""Paths; when there are more, all are forgotten."""

MAX_ELEMENTS = 8
"""Of a path that is kept; the standard's own are shorter."""

MAX_NAME = 64
"""Characters of a BrowseName in a path that is kept."""

PathKey = tuple[Hashable, ...]

_LASTING = frozenset({StatusCode.Good, StatusCode.BadNoMatch})


class Paths:
    """Results by their paths; bounded."""

    __slots__ = ("_results",)

    def __init__(self) -> None:
        self._results: dict[PathKey, ua.BrowsePathResult] = {}

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: PathKey | None) -> ua.BrowsePathResult | None:
        """Return the result of a path, which must not be changed."""
        return None if key is None else self._results.get(key)

    def keep(self, key: PathKey | None, result: ua.BrowsePathResult) -> None:
        """Keep the result of a path, unless it says what is wrong with the path itself."""
        if key is None or result.StatusCode.value not in _LASTING:
            return
        if len(self._results) >= MAX_KEPT:
            self._results.clear()
        self._results[key] = result


def path_key(path: ua.BrowsePath) -> PathKey | None:
    """Return what tells ``path`` from others; None where it is not worth keeping."""
    elements = path.RelativePath.Elements
    if not elements or len(elements) > MAX_ELEMENTS:
        return None
    key: list[Hashable] = [key_of(path.StartingNode)]
    for element in elements:
        kind, name = element.ReferenceTypeId, element.TargetName
        if kind is None or name is None or not name.Name or len(name.Name) > MAX_NAME:
            return None
        way = element.IsInverse, element.IncludeSubtypes
        key += (key_of(kind), *way, name.NamespaceIndex, name.Name)
    return tuple(key)
