"""Make ``table.json``: ``python -m registrar.wire.nodes.make NODESET2_XML…``.

Takes the standard nodes from the list that comes with asyncua, and those of companion
specifications from the NodeSet2 files given, in the order in which their namespaces shall be
numbered (DI, GDS, Onboarding). Only facts are kept: ids, names, classes, types, references and
the values that carry signatures; no descriptions. ``newer.py`` adds what the lists lack.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
from asyncua import ua
from asyncua.server.standard_address_space import standard_address_space_services

from registrar.ua.codec import encode_value
from registrar.wire.nodes import UA_NAMESPACE
from registrar.wire.nodes.newer import NEWER
from registrar.wire.nodes.nodeset import read_nodeset
from registrar.wire.nodes.raw import RawNode, RawReference

TABLE = Path(__file__).with_name("table.json")

HAS_MODELLING_RULE = 37
HAS_TYPE_DEFINITION = 40
ONE_WAY = frozenset({HAS_MODELLING_RULE, HAS_TYPE_DEFINITION})
"""References kept at their source only: their targets have thousands."""

SIGNATURES = frozenset({"InputArguments", "OutputArguments"})
VALUES = SIGNATURES | {"EnumStrings", "EnumValues", "OptionSetValues"}
"""Properties whose values are part of the model, not of a Server."""


class _Collector:
    """Takes what asyncua's generated modules add, as its node manager would."""

    def __init__(self) -> None:
        self.nodes: list[RawNode] = []
        self.references: list[RawReference] = []

    def add_nodes(self, items: Iterable[ua.AddNodesItem]) -> None:
        """Take nodes with their parent and type."""
        for item in items:
            source = _key(item.RequestedNewNodeId)
            attributes = item.NodeAttributes
            self.nodes.append(_raw(source, item, attributes))
            if item.ParentNodeId is not None and not item.ParentNodeId.is_null():
                parent, kind = _key(item.ParentNodeId), _key(item.ReferenceTypeId)
                self.references.append(RawReference(parent, kind, source))
            if item.TypeDefinition is not None and not item.TypeDefinition.is_null():
                kind = _key(item.TypeDefinition)
                self.references.append(RawReference(source, HAS_TYPE_DEFINITION, kind))

    def add_references(self, items: Iterable[ua.AddReferencesItem]) -> None:
        """Take references of either direction."""
        for item in items:
            ends = [_key(item.SourceNodeId), _key(item.TargetNodeId)]
            source, target = ends if item.IsForward else reversed(ends)
            self.references.append(RawReference(source, _key(item.ReferenceTypeId), target))


def _key(node_id: ua.NodeId) -> int:
    return int(node_id.NamespaceIndex) << 32 | int(node_id.Identifier)


def _raw(key: int, item: ua.AddNodesItem, attributes: Any) -> RawNode:
    value = getattr(attributes, "Value", None)
    data_type = getattr(attributes, "DataType", None)
    inverse_name = getattr(attributes, "InverseName", None)
    return RawNode(
        key=key,
        node_class=int(item.NodeClass),
        namespace=item.BrowseName.NamespaceIndex,
        name=item.BrowseName.Name,
        display_name=attributes.DisplayName.Text or "",
        is_abstract=bool(getattr(attributes, "IsAbstract", False)),
        symmetric=bool(getattr(attributes, "Symmetric", False)),
        inverse_name=(inverse_name.Text or "") if inverse_name is not None else "",
        data_type=_key(data_type) if data_type is not None else 0,
        value_rank=int(getattr(attributes, "ValueRank", -1) or -1),
        dimensions=tuple(getattr(attributes, "ArrayDimensions", None) or ()),
        value=value if isinstance(value, ua.Variant) else None,
    )


def _plain(value: ua.Variant) -> bytes:
    """Encode ``value`` without the descriptions in it."""
    for item in value.Value or ():
        if hasattr(item, "Description"):
            item.Description = ua.LocalizedText()
    return bytes(encode_value(value))


def _extra(node: RawNode) -> dict[str, object]:
    extra: dict[str, object] = {}
    if node.display_name and node.display_name != node.name:
        extra["d"] = node.display_name
    if node.is_abstract:
        extra["a"] = 1
    if node.symmetric:
        extra["s"] = 1
    if node.inverse_name:
        extra["i"] = node.inverse_name
    if node.data_type and node.node_class in (ua.NodeClass.Variable, ua.NodeClass.VariableType):
        extra["t"] = node.data_type
        if node.value_rank != -1:
            extra["r"] = node.value_rank
        if node.dimensions:
            extra["n"] = node.dimensions
    if node.name in VALUES and node.value is not None and node.value.Value:
        extra["v"] = base64.b64encode(_plain(node.value)).decode()
    return extra


def make(namespaces: list[str], nodes: list[RawNode], references: Iterable[RawReference]) -> bytes:
    """Return the table as JSON, one node a line, so that a change can be read."""
    by_key: Mapping[int, RawNode] = {node.key: node for node in nodes}
    forward: dict[int, list[int]] = {key: [] for key in by_key}
    inverse: dict[int, list[int]] = {key: [] for key in by_key}
    for source, kind, target in sorted(set(references)):
        if source in by_key and target in by_key:
            forward[source] += kind, target
            if kind not in ONE_WAY:
                inverse[target] += kind, source
    keys = sorted(by_key)
    lines = [
        orjson.dumps(
            [node.node_class, node.namespace, node.name, forward[key], inverse[key], _extra(node)]
        )
        for key, node in ((key, by_key[key]) for key in keys)
    ]
    head = b'{"namespaces":%b,\n"keys":%b,\n"nodes":[\n' % (
        orjson.dumps(namespaces),
        orjson.dumps(keys),
    )
    return head + b",\n".join(lines) + b"\n]}\n"


def main(paths: list[str]) -> None:
    """Write the table from asyncua's list and the NodeSet2 files at ``paths``."""
    collector = _Collector()
    adders: Mapping[str, Callable[[_Collector], None]] = vars(standard_address_space_services)
    adders["create_standard_address_space_Services"](collector)
    nodes, references = collector.nodes, collector.references
    namespaces = [UA_NAMESPACE, ""]
    for path in paths:
        more, links = read_nodeset(Path(path), namespaces)
        nodes += more
        references += links
    for entry in NEWER:
        namespace = namespaces.index(entry.namespace)
        nodes.append(entry.node(namespace))
        references += entry.references(namespace)
    TABLE.write_bytes(make(namespaces, nodes, references))


if __name__ == "__main__":
    main(sys.argv[1:])
