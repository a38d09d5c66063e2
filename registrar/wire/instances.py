"""Objects that have the members of their type, without a node in memory for each.

A ``Template`` is the list of members, made once per type; an ``Instance`` is a row of NodeIds
with that list. A node of it is made when somebody looks.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from asyncua import ua

from registrar.errors import Misuse
from registrar.wire.nodes import (
    AGGREGATES,
    HAS_SUBTYPE,
    HAS_TYPE_DEFINITION,
    Node,
    NodeKey,
    NodeTable,
    Reference,
    key_of,
    node_id_of,
)

HAS_MODELLING_RULE = 37
MANDATORY = 78
OPTIONAL = 80

KEPT_NODES = 4096
"""Nodes kept after somebody looked; Servers that number their instances alike share them."""


@dataclass(frozen=True, slots=True)
class Member:
    """One declaration of a type, with its place in the tree of the instance."""

    path: str
    """BrowseNames from the instance down, joined by "/"; "" for the instance itself."""
    parent: int
    """Place of the parent in the list; -1 for the instance itself."""
    reference: int
    declaration: NodeKey
    """The type for the instance itself, else the node below the type."""
    children: tuple[int, ...] = ()


class Template:
    """The members an Object of one type has."""

    __slots__ = ("members", "places")

    def __init__(self, members: tuple[Member, ...]) -> None:
        self.members = members
        self.places = {member.path: place for place, member in enumerate(members)}


def make_template(table: NodeTable, type_id: ua.NodeId, optional: Collection[str] = ()) -> Template:
    """Return the members of ``type_id``: the mandatory ones, and these ``optional`` paths.

    Members of supertypes count; placeholders do not.

    Raises:
        Misuse: no such type, or an optional path it does not have.
    """
    members: list[Member] = []
    wanted = frozenset(optional)

    def descend(path: str, parent: int, reference: int, declaration: NodeKey) -> int:
        place = len(members)
        members.append(Member(path, parent, reference, declaration))
        children = [
            descend(f"{path}/{name}" if path else name, place, kind, key)
            for name, kind, key in _declarations(table, declaration, path, wanted)
        ]
        members[place] = Member(path, parent, reference, declaration, tuple(children))
        return place

    if table.get(key_of(type_id)) is None:
        raise Misuse(f"no type {type_id}")
    descend("", -1, 0, key_of(type_id))
    template = Template(tuple(members))
    missing = wanted - template.places.keys()
    if missing:
        raise Misuse(f"{type_id} has no members {sorted(missing)}")
    return template


def _declarations(
    table: NodeTable, key: NodeKey, path: str, wanted: frozenset[str]
) -> list[tuple[str, int, NodeKey]]:
    """Return name, reference and key of the members below ``key``, those of subtypes first."""
    found: dict[str, tuple[str, int, NodeKey]] = {}
    above: NodeKey | None = key
    while above is not None:
        node = table.get(above)
        above = None
        for kind, target, is_forward in node.references if node is not None else ():
            if kind == HAS_SUBTYPE and not is_forward and not path:
                above = target
            elif kind in AGGREGATES and is_forward:
                child = table.get(target)
                name = child.browse_name.Name if child is not None else ""
                full = f"{path}/{name}" if path else name
                if child is not None and _is_wanted(child, full, wanted):
                    found.setdefault(name, (name, kind, target))
    return list(found.values())


def _is_wanted(node: Node, path: str, wanted: frozenset[str]) -> bool:
    rules = [r.target for r in node.references if r.kind == HAS_MODELLING_RULE and r.is_forward]
    if not rules:  # arguments of Methods often have none
        return node.node_class is ua.NodeClass.Variable
    return rules[0] == MANDATORY or (rules[0] == OPTIONAL and path in wanted)


class Instance:
    """One Object in one Server; its members have consecutive NodeIds."""

    __slots__ = ("_base", "_name", "_parent", "_reference", "template")

    def __init__(
        self,
        template: Template,
        base: int,
        name: ua.QualifiedName,
        parent: NodeKey,
        reference: int,
    ) -> None:
        self.template = template
        self._base = base
        self._name = name
        self._parent = parent
        self._reference = reference

    def __contains__(self, key: NodeKey) -> bool:
        return isinstance(key, int) and 0 <= key - self._base < len(self.template.members)

    def node(self, path: str = "") -> ua.NodeId:
        """Return the NodeId of the member at ``path``, such as ``"TrustList/Open"``.

        Raises:
            Misuse: the template has no such member.
        """
        return node_id_of(self._base + self._place(path))

    def declaration(self, path: str) -> ua.NodeId:
        """Return the NodeId of the type's node at ``path``, such as its MethodId."""
        return node_id_of(self.template.members[self._place(path)].declaration)

    def has(self, path: str) -> bool:
        """Tell whether there is a member at ``path``."""
        return path in self.template.places

    def materialise(self, key: int, table: NodeTable) -> Node | None:
        """Return the node with ``key``."""
        name = (self._name.Name, self._name.NamespaceIndex)
        place = (self._base, name, self._parent, self._reference)
        return _materialised(self.template, table, key, *place)

    def _place(self, path: str) -> int:
        try:
            return self.template.places[path]
        except KeyError:
            raise Misuse(f"no member {path}") from None


@lru_cache(maxsize=KEPT_NODES)
def _materialised(
    template: Template,
    table: NodeTable,
    key: int,
    base: int,
    name: tuple[str, int],
    parent: NodeKey,
    reference: int,
) -> Node | None:
    member = template.members[key - base]
    declared = table.get(member.declaration)
    if declared is None:
        return None
    is_root = member.parent < 0
    above = parent if is_root else base + member.parent
    links = [Reference(reference if is_root else member.reference, above, is_forward=False)]
    type_definition = member.declaration if is_root else declared.type_definition
    if type_definition:
        links.append(Reference(HAS_TYPE_DEFINITION, type_definition, is_forward=True))
    for place in member.children:
        child = template.members[place]
        links.append(Reference(child.reference, base + place, is_forward=True))
    return Node(
        key,
        ua.NodeClass.Object if is_root else declared.node_class,
        ua.QualifiedName(*name) if is_root else declared.browse_name,
        display_name="" if is_root else declared.display_name,
        references=tuple(links),
        data_type=declared.data_type,
        value_rank=declared.value_rank,
        dimensions=declared.dimensions,
        value=declared.value,
    )
