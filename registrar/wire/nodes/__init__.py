"""The nodes of the standard and of the companion specifications we serve, read-only and shared.

``table.json`` is made by ``python -m registrar.wire.nodes.make``. It is one line a node, and a
node is parsed when it is first asked for: most never are.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

import orjson
from asyncua import ua

from registrar.ua.codec import decode_value
from registrar.wire import builtin

UA_NAMESPACE = "http://opcfoundation.org/UA/"
DI_NAMESPACE = "http://opcfoundation.org/UA/DI/"
GDS_NAMESPACE = "http://opcfoundation.org/UA/GDS/"
ONBOARDING_NAMESPACE = "http://opcfoundation.org/UA/Onboarding/"

OWN_NAMESPACE = 1
"""Index of a Server's own namespace, its ApplicationUri; OPC 10000-3 §8.2."""
FIRST_COMPANION_NAMESPACE = 2

HAS_SUBTYPE = 45
HAS_TYPE_DEFINITION = 40
AGGREGATES = frozenset({46, 47, 49})
"""HasProperty, HasComponent, HasOrderedComponent: a node ends with its parent."""

NodeKey = int | tuple[int, object]
"""A NodeId as a cheap key: ``namespace << 32 | identifier``, or a pair if it is not numeric."""


def key_of(node_id: ua.NodeId) -> NodeKey:
    """Return the key of ``node_id``."""
    identifier = node_id.Identifier
    if isinstance(identifier, int):
        return node_id.NamespaceIndex << 32 | identifier
    return (node_id.NamespaceIndex, identifier)


def node_id_of(key: NodeKey) -> ua.NodeId:
    """Return the NodeId of ``key``."""
    if isinstance(key, int):
        return builtin.node_id(key & 0xFFFFFFFF, key >> 32)
    return builtin.node_id(key[1], key[0])


class Reference(NamedTuple):
    """One end of a reference, seen from the node that holds it."""

    kind: int
    target: NodeKey
    is_forward: bool


class Node:
    """One node; immutable once made. Absent attributes are None."""

    __slots__ = (
        "browse_name",
        "data_type",
        "dimensions",
        "display_name",
        "inverse_name",
        "is_abstract",
        "key",
        "node_class",
        "references",
        "symmetric",
        "value",
        "value_rank",
    )

    def __init__(
        self,
        key: NodeKey,
        node_class: ua.NodeClass,
        browse_name: ua.QualifiedName,
        *,
        display_name: str = "",
        references: Sequence[Reference] = (),
        data_type: int = 0,
        value_rank: int = -1,
        dimensions: Sequence[int] = (),
        is_abstract: bool = False,
        symmetric: bool = False,
        inverse_name: str = "",
        value: ua.Variant | None = None,
    ) -> None:
        self.key = key
        self.node_class = node_class
        self.browse_name = browse_name
        self.display_name = display_name or browse_name.Name
        self.references = references
        self.data_type = data_type
        self.value_rank = value_rank
        self.dimensions = dimensions
        self.is_abstract = is_abstract
        self.symmetric = symmetric
        self.inverse_name = inverse_name
        self.value = value

    @property
    def type_definition(self) -> NodeKey:
        """Key of the type of an Object or Variable; 0 for none."""
        for kind, target, is_forward in self.references:
            if kind == HAS_TYPE_DEFINITION and is_forward:
                return target
        return 0


class NodeTable:
    """Nodes by key; many Servers share one table. Namespace 1 is left to each Server."""

    __slots__ = ("_lines", "_nodes", "_subtypes", "namespaces")

    def __init__(self, namespaces: Sequence[str], lines: Mapping[NodeKey, bytes]) -> None:
        self.namespaces = tuple(namespaces)
        self._lines = lines
        self._nodes: dict[NodeKey, Node] = {}
        self._subtypes: dict[int, frozenset[int]] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, key: NodeKey) -> bool:
        return key in self._lines

    def keys(self) -> Iterable[NodeKey]:
        """Return the keys of all nodes."""
        return self._lines.keys()

    def get(self, key: NodeKey) -> Node | None:
        """Return the node, or None where there is none."""
        node = self._nodes.get(key)
        if node is None and (line := self._lines.get(key)) is not None:
            node = self._nodes[key] = _parse(key, line)
        return node

    def subtypes(self, kind: int) -> frozenset[int]:
        """Return ``kind`` and all its subtypes."""
        found = self._subtypes.get(kind)
        if found is None:
            found = self._subtypes[kind] = frozenset(self._descend(kind, {HAS_SUBTYPE}))
        return found

    def subtree(self, node_id: ua.NodeId) -> frozenset[int]:
        """Return the keys of a node and of all it is made of, to hide them from a Server."""
        return frozenset(self._descend(key_of(node_id), AGGREGATES))

    def _descend(self, start: NodeKey, kinds: Iterable[int]) -> set[int]:
        found: set[int] = set()
        waiting = [start]
        while waiting:
            key = waiting.pop()
            node = self.get(key)
            if node is None or key in found or not isinstance(key, int):
                continue
            found.add(key)
            waiting += [
                target for kind, target, forward in node.references if forward and kind in kinds
            ]
        return found


def _parse(key: NodeKey, line: bytes) -> Node:
    node_class, namespace, name, forward, inverse, extra = orjson.loads(line.rstrip(b","))
    references = [
        Reference(kind, target, is_forward)
        for ends, is_forward in ((forward, True), (inverse, False))
        for kind, target in zip(ends[::2], ends[1::2], strict=True)
    ]
    value = extra.get("v")
    return Node(
        key,
        ua.NodeClass(node_class),
        ua.QualifiedName(name, namespace),
        display_name=extra.get("d", ""),
        references=tuple(references),
        data_type=extra.get("t", 0),
        value_rank=extra.get("r", -1),
        dimensions=extra.get("n", ()),
        is_abstract="a" in extra,
        symmetric="s" in extra,
        inverse_name=extra.get("i", ""),
        value=decode_value(base64.b64decode(value)) if value else None,
    )


@lru_cache(maxsize=1)
def load_node_table() -> NodeTable:
    """Return the table that comes with the package; read once per process."""
    document = resources.files(__package__).joinpath("table.json").read_bytes()
    head, _, rest = document.partition(b'"nodes":[\n')
    facts = orjson.loads(head.rstrip(b",\n") + b"}")
    lines = rest.removesuffix(b"\n]}\n").split(b"\n")
    return NodeTable(facts["namespaces"], dict(zip(facts["keys"], lines, strict=True)))
