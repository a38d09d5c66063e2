"""The address space of one Server: the shared table and a thin overlay.

    AddressSpace ── hidden ── NodeTable     standard nodes, shared by all Servers
         ├── nodes, references              added one by one
         ├── instances                      of types, made when they are looked at
         └── values                         a Variant, or a function that returns one

A thousand pretended Devices share one table, one set of hidden nodes, and as siblings one overlay.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime

from asyncua import ua

from registrar.errors import Misuse, ServiceFailed
from registrar.status import StatusCode
from registrar.wire import builtin
from registrar.wire.instances import Instance, Template
from registrar.wire.nodes import (
    AGGREGATES,
    FIRST_COMPANION_NAMESPACE,
    OWN_NAMESPACE,
    Node,
    NodeKey,
    NodeTable,
    Reference,
    key_of,
    node_id_of,
)
from registrar.wire.paths import Paths
from registrar.wire.peers import Role, Session
from registrar.wire.standard_values import STANDARD_VALUES

HAS_TYPE_DEFINITION = 40
HAS_PROPERTY = 46
HAS_COMPONENT = 47
PROPERTY_TYPE = 68
ARGUMENT = 296
FIRST_OWN_ID = 1 << 20
"""Ids the space gives out itself start here; smaller ones are the application's."""

Value = ua.Variant | Callable[[], ua.Variant]
Source = Callable[[NodeKey], ua.Variant | None]
"""Returns the value of a Variable; None where it has none to give."""
Writer = Callable[[Session, ua.Variant], None]
"""Takes a value whose type was checked; raises a ``RegistrarError`` to refuse it."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may write a Variable, and who alone may read it."""

    writer: Writer | None = None
    write_roles: frozenset[Role] | None = frozenset()
    """None lets everyone write, the empty set nobody."""
    read_roles: frozenset[Role] | None = None
    """None lets everyone read."""


class AddressSpace:
    """What a Server shows; see ``browsing`` and ``attributes`` for how it is read.

    Args:
        table: from ``load_node_table``.
        application_uri: URI of namespace 1, this Server's own.
        companions: URIs of the companion namespaces to show; the first ones of the table, in
            its order. None shows all.
        hidden: nodes of the table this Server does not show, such as
            ``table.subtree(NodeId(29878))`` where it is no DCA. Share it between Servers.
    """

    __slots__ = (
        "_access",
        "_bases",
        "_hidden",
        "_instances",
        "_is_shared",
        "_limit",
        "_members",
        "_next_id",
        "_nodes",
        "_references",
        "_source",
        "_values",
        "namespaces",
        "paths",
        "started",
        "table",
    )

    def __init__(
        self,
        table: NodeTable,
        *,
        application_uri: str,
        companions: Sequence[str] | None = None,
        hidden: frozenset[int] = frozenset(),
    ) -> None:
        known = table.namespaces[FIRST_COMPANION_NAMESPACE:]
        shown = known if companions is None else tuple(companions)
        if shown != known[: len(shown)]:
            raise Misuse(f"companion namespaces {shown} are not the first of {known}")
        self.table = table
        self.namespaces: list[str] = [table.namespaces[0], application_uri, *shown]
        self.started: datetime = datetime.now(UTC)
        self._limit = len(self.namespaces) << 32
        self._hidden: set[int] | frozenset[int] = hidden
        self._nodes: dict[NodeKey, Node] = {}
        self._references: dict[NodeKey, list[Reference]] = {}
        self._values: dict[NodeKey, Value] = {}
        self._access: dict[NodeKey, Access] = {}
        self._bases: list[int] = []
        self._instances: list[Instance] = []
        self._members: dict[NodeKey, Node] = {}
        """Those of instances that were looked at; forgotten with every change of the nodes."""
        self._next_id = FIRST_OWN_ID
        self._source: Source | None = None
        self._is_shared = False
        self.paths = Paths()
        """Those followed before; forgotten with every change of the nodes."""

    def sibling(self, application_uri: str, source: Source) -> AddressSpace:
        """Return the space of another Server with the same nodes, made in no time.

        Args:
            application_uri: URI of namespace 1 of the other Server.
            source: is asked first for a value, and has those that differ from Server to Server.

        The first change of either ends what they share.
        """
        other = copy(self)
        other.namespaces = [self.namespaces[0], application_uri, *self.namespaces[2:]]
        other.started = datetime.now(UTC)
        other._source = source
        self._is_shared = other._is_shared = True
        return other

    # Namespaces and ids

    def namespace_index(self, uri: str) -> int:
        """Return the index of ``uri``.

        Raises:
            Misuse: this Server does not show it.
        """
        try:
            return self.namespaces.index(uri)
        except ValueError:
            raise Misuse(f"no namespace {uri}") from None

    def add_namespace(self, uri: str) -> int:
        """Return the index of ``uri``, added after the others where it is new."""
        if uri not in self.namespaces:
            self.namespaces.append(uri)
        return self.namespaces.index(uri)

    def new_id(self, count: int = 1) -> ua.NodeId:
        """Return a NodeId of our own namespace that was never used; ``count`` reserves a row."""
        first = self._next_id
        self._next_id += count
        return builtin.node_id(first, OWN_NAMESPACE)

    # Building

    def add_object(
        self,
        node_id: ua.NodeId,
        browse_name: str | ua.QualifiedName,
        parent: ua.NodeId,
        *,
        type_definition: int | ua.NodeId = 58,
        reference: int = HAS_COMPONENT,
    ) -> ua.NodeId:
        """Add one Object without members; see ``add_instance`` for the members of a type."""
        node = Node(key_of(node_id), ua.NodeClass.Object, _name(browse_name))
        return self._add(node, parent, reference, type_definition)

    def add_variable(
        self,
        node_id: ua.NodeId,
        browse_name: str | ua.QualifiedName,
        parent: ua.NodeId,
        value: Value,
        *,
        data_type: int | ua.NodeId,
        value_rank: int = -1,
        type_definition: int | ua.NodeId = PROPERTY_TYPE,
        reference: int = HAS_PROPERTY,
        access: Access | None = None,
    ) -> ua.NodeId:
        """Add a Variable; a Property where nothing else is said."""
        kind = key_of(_node_id(data_type))
        if not isinstance(kind, int):
            raise Misuse(f"data type {data_type} is not numeric")
        node = Node(
            key_of(node_id),
            ua.NodeClass.Variable,
            _name(browse_name),
            data_type=kind,
            value_rank=value_rank,
        )
        self._add(node, parent, reference, type_definition)
        self.set_value(node_id, value, access=access)
        return node_id

    def add_method(
        self,
        node_id: ua.NodeId,
        browse_name: str | ua.QualifiedName,
        parent: ua.NodeId,
        *,
        declaration: ua.NodeId | None = None,
        inputs: Sequence[ua.Argument] = (),
        outputs: Sequence[ua.Argument] = (),
    ) -> ua.NodeId:
        """Add a Method node; who answers it stands in the ``MethodTable``.

        Args:
            declaration: the Method of the type; its arguments are taken over.
        """
        node = Node(key_of(node_id), ua.NodeClass.Method, _name(browse_name))
        self._add(node, parent, HAS_COMPONENT, 0)
        lists = {"InputArguments": list(inputs), "OutputArguments": list(outputs)}
        for name, arguments in lists.items():
            value = (
                ua.Variant(arguments, ua.VariantType.ExtensionObject, is_array=True)
                if arguments
                else self._declared(declaration, name)
            )
            if value is not None:
                self.add_variable(
                    self.new_id(), name, node_id, value, data_type=ARGUMENT, value_rank=1
                )
        return node_id

    def add_instance(
        self,
        template: Template,
        browse_name: str | ua.QualifiedName,
        parent: ua.NodeId,
        *,
        reference: int = HAS_COMPONENT,
    ) -> Instance:
        """Add an Object with the members of its type; costs one small object, however many.

        Args:
            template: from ``make_template``; share it between Servers.
        """
        self._change()
        first = self.new_id(len(template.members))
        base = OWN_NAMESPACE << 32 | int(first.Identifier)
        instance = Instance(template, base, _name(browse_name), key_of(parent), reference)
        self._bases.append(base)
        self._instances.append(instance)
        self._refer(key_of(parent), reference, base, is_forward=True)
        return instance

    def add_reference(self, source: ua.NodeId, kind: int, target: ua.NodeId) -> None:
        """Add a reference, visible from both ends."""
        self._refer(key_of(source), kind, key_of(target), is_forward=True)
        self._refer(key_of(target), kind, key_of(source), is_forward=False)

    def set_value(self, node_id: ua.NodeId, value: Value, *, access: Access | None = None) -> None:
        """Give a Variable, of the table or our own, its value, or a function that returns it."""
        key = key_of(node_id)
        self._own()
        self._values[key] = value
        if access is not None:
            self._access[key] = access

    def hide(self, node_ids: Iterable[ua.NodeId]) -> None:
        """Stop showing nodes of the table; prefer the ``hidden`` of the constructor."""
        more = {key for node_id in node_ids for key in self.table.subtree(node_id)}
        self._change()
        self._hidden = self._hidden | more

    def remove(self, node_id: ua.NodeId) -> None:
        """Remove an own node or instance; its members go with it."""
        key = key_of(node_id)
        node = self.get(key)
        if node is None:
            return
        self._change()
        members = [
            reference.target
            for reference in self.references(node)
            if reference.is_forward and reference.kind in AGGREGATES
        ]
        for member in members:
            self.remove(node_id_of(member))
        at = self._instance_at(key)
        if at is not None and self._bases[at] == key:
            del self._bases[at], self._instances[at]
        for held in (self._nodes, self._values, self._access, self._references):
            held.pop(key, None)
        for links in self._references.values():
            links[:] = [link for link in links if link.target != key]

    # Looking

    def get(self, key: NodeKey) -> Node | None:
        """Return the node, or None where this Server shows none."""
        node = self._nodes.get(key) or self._members.get(key)
        if node is not None:
            return node
        if not isinstance(key, int):
            return None
        if key >> 32 == OWN_NAMESPACE:
            return self._member(key)
        if key in self._hidden or key >= self._limit:
            return None
        return self.table.get(key)

    def find(self, node_id: ua.NodeId) -> Node:
        """Return the node.

        Raises:
            ServiceFailed: BadNodeIdUnknown.
        """
        node = self.get(key_of(node_id))
        if node is None:
            raise ServiceFailed("no such node", status=StatusCode.BadNodeIdUnknown)
        return node

    def references(self, node: Node) -> Iterable[Reference]:
        """Yield the references of ``node``, those of the overlay last."""
        yield from node.references
        yield from self._references.get(node.key, ())

    def value_of(self, node: Node) -> ua.Variant | None:
        """Return the value of a Variable, or None where it has none."""
        value: Value | None = None if self._source is None else self._source(node.key)
        if value is None:
            value = self._values.get(node.key)
        if value is None:
            standard = STANDARD_VALUES.get(node.key)
            return standard(self) if standard is not None else node.value
        return value() if callable(value) else value

    def access_of(self, node: Node) -> Access:
        """Return who may read and write ``node``."""
        return self._access.get(node.key, READ_ONLY)

    # Parts

    def _add(
        self, node: Node, parent: ua.NodeId, reference: int, type_definition: int | ua.NodeId
    ) -> ua.NodeId:
        if self.get(node.key) is not None:
            raise Misuse(f"{node_id_of(node.key)} is already there")
        self._change()
        above = key_of(parent)
        links = [Reference(reference, above, is_forward=False)]
        kind = key_of(_node_id(type_definition))
        if kind:
            links.append(Reference(HAS_TYPE_DEFINITION, kind, is_forward=True))
        node.references = tuple(links)
        self._nodes[node.key] = node
        self._refer(above, reference, node.key, is_forward=True)
        return node_id_of(node.key)

    def _change(self) -> None:
        """Begin to change the nodes."""
        self._own()
        self._members = {}
        self.paths = Paths()

    def _own(self) -> None:
        """Have everything for ourselves that siblings shared until now."""
        if not self._is_shared:
            return
        self._is_shared = False
        self._nodes, self._values, self._access = (
            {**self._nodes},
            {**self._values},
            {**self._access},
        )
        self._references = {key: [*links] for key, links in self._references.items()}
        self._bases, self._instances = [*self._bases], [*self._instances]

    def _refer(self, source: NodeKey, kind: int, target: NodeKey, *, is_forward: bool) -> None:
        self._change()
        self._references.setdefault(source, []).append(Reference(kind, target, is_forward))

    def _declared(self, declaration: ua.NodeId | None, name: str) -> ua.Variant | None:
        method = self.table.get(key_of(declaration)) if declaration is not None else None
        for reference in method.references if method is not None else ():
            node = self.table.get(reference.target)
            if reference.is_forward and node is not None and node.browse_name.Name == name:
                return node.value
        return None

    def _member(self, key: int) -> Node | None:
        """Return the node of an instance, made when it is first looked at."""
        at = self._instance_at(key)
        node = None if at is None else self._instances[at].materialise(key, self.table)
        if node is not None:
            self._members[key] = node
        return node

    def _instance_at(self, key: NodeKey) -> int | None:
        if not isinstance(key, int) or not self._bases:
            return None
        at = bisect_right(self._bases, key) - 1
        return at if at >= 0 and key in self._instances[at] else None


READ_ONLY = Access()


def _name(browse_name: str | ua.QualifiedName) -> ua.QualifiedName:
    return ua.QualifiedName(browse_name, 0) if isinstance(browse_name, str) else browse_name


def _node_id(value: int | ua.NodeId) -> ua.NodeId:
    return builtin.node_id(value) if isinstance(value, int) else value
