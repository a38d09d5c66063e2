"""Read nodes and references from a NodeSet2 file; OPC 10000-6 Annex F."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as Xml

from asyncua import ua

from registrar.wire import builtin
from registrar.wire.nodes.raw import RawNode, RawReference

SCHEMA = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
TYPES = "{http://opcfoundation.org/UA/2008/02/Types.xsd}"

CLASSES = {
    "UAObject": ua.NodeClass.Object,
    "UAVariable": ua.NodeClass.Variable,
    "UAMethod": ua.NodeClass.Method,
    "UAObjectType": ua.NodeClass.ObjectType,
    "UAVariableType": ua.NodeClass.VariableType,
    "UAReferenceType": ua.NodeClass.ReferenceType,
    "UADataType": ua.NodeClass.DataType,
}

BROWSE_NAME = re.compile(r"(?:(\d+):)?(.*)")
NODE_ID = re.compile(r"(?:ns=(\d+);)?i=(\d+)\Z")


class _Names:
    """The aliases and namespaces of one file."""

    def __init__(self, root: Xml.Element, namespaces: list[str]) -> None:
        uris = [item.text or "" for item in root.iterfind(f"{SCHEMA}NamespaceUris/{SCHEMA}Uri")]
        for uri in uris:
            if uri not in namespaces:
                namespaces.append(uri)
        self.indices = [0, *(namespaces.index(uri) for uri in uris)]
        self.aliases = {
            item.attrib["Alias"]: item.text or ""
            for item in root.iterfind(f"{SCHEMA}Aliases/{SCHEMA}Alias")
        }

    def key(self, text: str) -> int:
        """Return the key of a NodeId or alias in this file."""
        found = NODE_ID.match(self.aliases.get(text, text).strip())
        if found is None:
            raise SystemExit(f"not a numeric NodeId: {text}")
        return self.indices[int(found[1] or 0)] << 32 | int(found[2])

    def node_id(self, text: str) -> ua.NodeId:
        """Return the NodeId in our numbering of namespaces."""
        key = self.key(text)
        return builtin.node_id(key & 0xFFFFFFFF, key >> 32)


def read_nodeset(path: Path, namespaces: list[str]) -> tuple[list[RawNode], list[RawReference]]:
    """Return the nodes and references of ``path``; its namespaces are added to ``namespaces``."""
    root = Xml.parse(path).getroot()  # noqa: S314 (a published file, chosen by the maintainer)
    names = _Names(root, namespaces)
    nodes: list[RawNode] = []
    references: list[RawReference] = []
    for element in root:
        node_class = CLASSES.get(element.tag.removeprefix(SCHEMA))
        if node_class is not None:
            node = _node(element, node_class, names)
            nodes.append(node)
            references += _references(element, node.key, names)
    return nodes, references


def _node(element: Xml.Element, node_class: ua.NodeClass, names: _Names) -> RawNode:
    attributes = element.attrib
    namespace, name = BROWSE_NAME.findall(attributes["BrowseName"])[0]
    data_type = attributes.get("DataType", "i=24" if node_class is ua.NodeClass.Variable else "")
    dimensions = attributes.get("ArrayDimensions", "")
    return RawNode(
        key=names.key(attributes["NodeId"]),
        node_class=int(node_class),
        namespace=names.indices[int(namespace or 0)],
        name=name,
        display_name=element.findtext(f"{SCHEMA}DisplayName") or "",
        is_abstract=attributes.get("IsAbstract") == "true",
        symmetric=attributes.get("Symmetric") == "true",
        inverse_name=element.findtext(f"{SCHEMA}InverseName") or "",
        data_type=names.key(data_type) if data_type else 0,
        value_rank=int(attributes.get("ValueRank", "-1")),
        dimensions=tuple(int(item) for item in dimensions.split(",") if item),
        value=_value(element, names),
    )


def _references(element: Xml.Element, key: int, names: _Names) -> list[RawReference]:
    references = []
    for item in element.iterfind(f"{SCHEMA}References/{SCHEMA}Reference"):
        kind, other = names.key(item.attrib["ReferenceType"]), names.key(item.text or "")
        forward = item.attrib.get("IsForward", "true") == "true"
        references.append(
            RawReference(key, kind, other) if forward else RawReference(other, kind, key)
        )
    return references


def _value(element: Xml.Element, names: _Names) -> ua.Variant | None:
    value = element.find(f"{SCHEMA}Value")
    if value is None or not len(value):
        return None
    if value[0].tag == f"{TYPES}ListOfExtensionObject":
        arguments = [_argument(item, names) for item in value[0].iter(f"{TYPES}Argument")]
        return ua.Variant(arguments, ua.VariantType.ExtensionObject, is_array=True)
    if value[0].tag == f"{TYPES}ListOfLocalizedText":
        texts = [
            ua.LocalizedText(item.findtext(f"{TYPES}Text") or "")
            for item in value[0].iterfind(f"{TYPES}LocalizedText")
        ]
        return ua.Variant(texts, ua.VariantType.LocalizedText, is_array=True)
    return None


def _argument(item: Xml.Element, names: _Names) -> ua.Argument:
    dimensions = item.iterfind(f"{TYPES}ArrayDimensions/{TYPES}UInt32")
    return ua.Argument(
        Name=item.findtext(f"{TYPES}Name") or "",
        DataType=names.node_id(item.findtext(f"{TYPES}DataType/{TYPES}Identifier") or "i=24"),
        ValueRank=int(item.findtext(f"{TYPES}ValueRank") or -1),
        ArrayDimensions=[int(size.text or 0) for size in dimensions],
    )
