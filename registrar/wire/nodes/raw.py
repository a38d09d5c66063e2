"""A node as the sources give it, on its way into the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from asyncua import ua


class RawReference(NamedTuple):
    """A reference in its forward direction, by keys."""

    source: int
    kind: int
    target: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RawNode:
    """One node; ``key`` and ``data_type`` are ``namespace << 32 | identifier``."""

    key: int
    node_class: int
    namespace: int
    """Of the BrowseName."""
    name: str
    display_name: str = ""
    is_abstract: bool = False
    symmetric: bool = False
    inverse_name: str = ""
    data_type: int = 0
    value_rank: int = -1
    dimensions: tuple[int, ...] = ()
    value: ua.Variant | None = None
