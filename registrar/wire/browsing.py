"""Browse an address space and follow paths in it; OPC 10000-4 §5.9."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from asyncua import ua

from registrar.errors import ServiceFailed
from registrar.status import StatusCode
from registrar.ua.codec import make
from registrar.wire import builtin
from registrar.wire.nodes import Node, NodeKey, Reference, key_of, node_id_of
from registrar.wire.paths import path_key
from registrar.wire.space import AddressSpace

REFERENCES = 31
NO_INDEX = 0xFFFFFFFF
MAX_PATH_ELEMENTS = 32
MAX_PATH_TARGETS = 100
ALL_CLASSES = 0


class ContinuationPoints:
    """What is left of a Session's Browse results; bounded."""

    __slots__ = ("_left", "_limit", "_random")

    def __init__(self, limit: int, random: Callable[[int], bytes]) -> None:
        self._limit = limit
        self._random = random
        self._left: dict[bytes, tuple[list[ua.ReferenceDescription], int]] = {}

    def keep(self, left: list[ua.ReferenceDescription], count: int) -> bytes | None:
        """Return a continuation point for ``left``, given out ``count`` at a time; None: full."""
        if len(self._left) >= self._limit:
            return None
        point = self._random(16)
        self._left[point] = left, count
        return point

    def take(self, point: bytes | None) -> tuple[list[ua.ReferenceDescription], int]:
        """Return what was kept; a point serves once.

        Raises:
            ServiceFailed: BadContinuationPointInvalid.
        """
        kept = self._left.pop(point or b"", None)
        if kept is None:
            raise ServiceFailed("", status=StatusCode.BadContinuationPointInvalid)
        return kept

    def __len__(self) -> int:
        return len(self._left)


def browse(
    space: AddressSpace, item: ua.BrowseDescription, points: ContinuationPoints, count: int
) -> ua.BrowseResult:
    """Return the first ``count`` references of one node, and where the rest can be had."""
    try:
        found = list(_described(space, item))
    except ServiceFailed as error:
        return _result(error.status)
    return _cut(found, points, count)


def browse_next(points: ContinuationPoints, point: bytes | None, release: bool) -> ua.BrowseResult:
    """Return the next references of a Browse, or give its continuation point back."""
    try:
        left, count = points.take(point)
    except ServiceFailed as error:
        return _result(error.status)
    return _result(StatusCode.Good) if release else _cut(left, points, count)


def _cut(
    found: list[ua.ReferenceDescription], points: ContinuationPoints, count: int
) -> ua.BrowseResult:
    if len(found) <= count:
        return _result(StatusCode.Good, found)
    point = points.keep(found[count:], count)
    if point is None:
        return _result(StatusCode.BadNoContinuationPoints)
    return _result(StatusCode.Good, found[:count], point)


def _result(
    status: StatusCode,
    found: Sequence[ua.ReferenceDescription] = (),
    point: bytes | None = None,
) -> ua.BrowseResult:
    return make(ua.BrowseResult, builtin.status_code(status), point, list(found))


def _described(
    space: AddressSpace, item: ua.BrowseDescription
) -> Iterator[ua.ReferenceDescription]:
    node = space.find(item.NodeId)
    if item.BrowseDirection not in DIRECTIONS:
        raise ServiceFailed("", status=StatusCode.BadBrowseDirectionInvalid)
    kinds = _kinds(space, item.ReferenceTypeId, include_subtypes=item.IncludeSubtypes)
    mask = int(item.NodeClassMask)
    for reference in _followed(space, node, kinds, DIRECTIONS[item.BrowseDirection]):
        target = space.get(reference.target)
        if target is not None and (mask == ALL_CLASSES or mask & target.node_class):
            yield _describe(reference, target, int(item.ResultMask))


DIRECTIONS = {
    ua.BrowseDirection.Forward: (True,),
    ua.BrowseDirection.Inverse: (False,),
    ua.BrowseDirection.Both: (True, False),
}


def _kinds(
    space: AddressSpace, kind: ua.NodeId | None, *, include_subtypes: bool
) -> frozenset[int] | None:
    """Return the reference types to follow; None for all."""
    if kind is None or kind.is_null():
        return None
    key = key_of(kind)
    node = space.get(key)
    if node is None or node.node_class is not ua.NodeClass.ReferenceType:
        raise ServiceFailed("", status=StatusCode.BadReferenceTypeIdInvalid)
    if not isinstance(key, int) or (key == REFERENCES and include_subtypes):
        return None
    return space.table.subtypes(key) if include_subtypes else frozenset({key})


def _followed(
    space: AddressSpace, node: Node, kinds: frozenset[int] | None, ways: tuple[bool, ...]
) -> Iterator[Reference]:
    for reference in space.references(node):
        if reference.is_forward in ways and (kinds is None or reference.kind in kinds):
            yield reference


def _describe(reference: Reference, target: Node, mask: int) -> ua.ReferenceDescription:
    return make(
        ua.ReferenceDescription,
        node_id_of(reference.kind if mask & 1 else 0),
        reference.is_forward if mask & 2 else False,
        _expanded(target.key),
        target.browse_name if mask & 8 else NO_NAME,
        ua.LocalizedText(target.display_name) if mask & 16 else NO_TEXT,
        target.node_class if mask & 4 else ua.NodeClass.Unspecified,
        _expanded(target.type_definition if mask & 32 else 0),
    )


NO_NAME = ua.QualifiedName()
NO_TEXT = ua.LocalizedText()


def _expanded(key: NodeKey) -> ua.ExpandedNodeId:
    if isinstance(key, int):
        return builtin.expanded_node_id(key & 0xFFFFFFFF, key >> 32)
    return builtin.expanded_node_id(key[1], key[0])


def translate(space: AddressSpace, path: ua.BrowsePath) -> ua.BrowsePathResult:
    """Return the nodes at the end of ``path``."""
    key = path_key(path)
    kept = space.paths.get(key)
    if kept is not None:
        return kept
    result = _translate(space, path)
    space.paths.keep(key, result)
    return result


def _translate(space: AddressSpace, path: ua.BrowsePath) -> ua.BrowsePathResult:
    try:
        ends = _walk(space, path)
    except ServiceFailed as error:
        return ua.BrowsePathResult(builtin.status_code(error.status), [])
    targets = [ua.BrowsePathTarget(_expanded(node.key), NO_INDEX) for node in ends]
    return ua.BrowsePathResult(builtin.status_code(StatusCode.Good), targets)


def _walk(space: AddressSpace, path: ua.BrowsePath) -> list[Node]:
    elements = path.RelativePath.Elements or []
    if not elements:
        raise ServiceFailed("", status=StatusCode.BadNothingToDo)
    if len(elements) > MAX_PATH_ELEMENTS:
        raise ServiceFailed("", status=StatusCode.BadTooManyOperations)
    nodes = [space.find(path.StartingNode)]
    for element in elements:
        if element.TargetName is None or not element.TargetName.Name:
            raise ServiceFailed("", status=StatusCode.BadBrowseNameInvalid)
        kinds = _kinds(space, element.ReferenceTypeId, include_subtypes=element.IncludeSubtypes)
        nodes = list(_step(space, nodes, kinds, element))
        if not nodes:
            raise ServiceFailed("", status=StatusCode.BadNoMatch)
        if len(nodes) > MAX_PATH_TARGETS:
            raise ServiceFailed("", status=StatusCode.BadTooManyMatches)
    return nodes


def _step(
    space: AddressSpace,
    nodes: Sequence[Node],
    kinds: frozenset[int] | None,
    element: ua.RelativePathElement,
) -> Iterator[Node]:
    name = element.TargetName
    seen: set[NodeKey] = set()
    for node in nodes:
        for reference in _followed(space, node, kinds, (not element.IsInverse,)):
            target = space.get(reference.target)
            if target is None or target.key in seen:
                continue
            if (
                target.browse_name.Name == name.Name
                and target.browse_name.NamespaceIndex == name.NamespaceIndex
            ):
                seen.add(target.key)
                yield target
