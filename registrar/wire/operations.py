"""Method calls in batches: what is sent, and how an answer is read.

An ``Operation`` is one call and the shape of its result. ``perform`` sends many in one Call
request and finds a way round two habits of Servers in the field: some refuse long batches, some
know a method only by the NodeId of its instance, some only by that of its type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from asyncua import ua

from registrar.errors import ProtocolViolation, ServiceFailed
from registrar.status import StatusCode, is_bad, name_of
from registrar.wire import builtin
from registrar.wire.client import Client
from registrar.wire.dca_nodes import HIERARCHICAL_REFERENCES, INSTANCE_METHODS, METHOD_NAMES

T = TypeVar("T")
U = TypeVar("U")

_FORWARD: tuple[Any, Any] = (False, True)
"""IsInverse and IncludeSubtypes of each element of a path."""

_PATHS = 64
"""Relative paths that are kept; their names are the standard's, so there are few."""

MAX_BATCH = 16
"""Operations in one Call request."""

_UNKNOWN_METHOD = frozenset({StatusCode.BadMethodInvalid, StatusCode.BadNodeIdUnknown})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[T]):
    """One method call; ``read`` makes its outputs a value."""

    object_id: ua.NodeId
    method_id: ua.NodeId
    """Of the type; the instance's is tried where the Server does not know it."""
    inputs: tuple[ua.Variant, ...] = ()
    outputs: int = 0
    read: Callable[[list[object]], T]
    tolerated: frozenset[StatusCode] = frozenset()
    """Bad answers that count as an empty one."""

    @property
    def name(self) -> str:
        """The name of the Method, for messages."""
        return METHOD_NAMES.get(self.method_id, self.method_id.to_string())

    @property
    def size_bytes(self) -> int:
        """What its ByteStrings add to a request."""
        total = 0
        for variant in self.inputs:
            value = variant.Value
            if isinstance(value, bytes):
                total += len(value)
            elif isinstance(value, list):
                total += sum(len(one) for one in value if isinstance(one, bytes))
        return total


class MethodFailed(ServiceFailed):
    """A Method answered with a bad status; ``method`` is its name."""

    method = ""


async def perform_both(
    client: Client, first: Sequence[Operation[T]], second: Sequence[Operation[U]]
) -> tuple[list[T], list[U]]:
    """Call two kinds of operations, in one request where they fit into one.

    Raises:
        MethodFailed: the first operation that failed; others may have been carried out.
        ProtocolViolation: an answer has another shape than the Method.
    """
    both: list[Operation[Any]] = [*first, *second]
    values: list[Any] = await perform(client, both)
    return values[: len(first)], values[len(first) :]


async def perform(client: Client, operations: Sequence[Operation[T]]) -> list[T]:
    """Call every operation and return their values in order.

    Raises:
        MethodFailed: the first operation that failed, with its status.
        ProtocolViolation: an answer has another shape than the Method.
    """
    if 0 < len(operations) <= MAX_BATCH:
        return await _perform_batch(client, operations)
    values: list[T] = []
    for start in range(0, len(operations), MAX_BATCH):
        values += await _perform_batch(client, operations[start : start + MAX_BATCH])
    return values


async def _perform_batch(client: Client, batch: Sequence[Operation[T]]) -> list[T]:
    try:
        results = await client.call_all([_request(operation) for operation in batch])
    except ServiceFailed as error:
        if error.status != StatusCode.BadTooManyOperations or len(batch) == 1:
            raise
        half = len(batch) // 2
        return [
            *await _perform_batch(client, batch[:half]),
            *await _perform_batch(client, batch[half:]),
        ]
    if len(results) != len(batch):
        raise ProtocolViolation(f"{len(results)} results for {len(batch)} method calls")
    values = []
    for operation, result in zip(batch, results, strict=True):
        if result.StatusCode.value in _UNKNOWN_METHOD:
            result = await _call_by_instance(client, operation, result)
        values.append(_value(operation, result))
    return values


def _request(operation: Operation[T], method_id: ua.NodeId | None = None) -> ua.CallMethodRequest:
    return ua.CallMethodRequest(
        ObjectId=operation.object_id,
        MethodId=method_id or operation.method_id,
        InputArguments=list(operation.inputs),
    )


async def _call_by_instance(
    client: Client, operation: Operation[T], refused: ua.CallMethodResult
) -> ua.CallMethodResult:
    """Try the MethodId of the instance: the well-known one, else by its browse path."""
    method_id = INSTANCE_METHODS.get((operation.object_id, operation.method_id))
    if method_id is None and operation.method_id in METHOD_NAMES:
        path = browse_path(operation.object_id, METHOD_NAMES[operation.method_id])
        (method_id,) = await find(client, [path])
    if method_id is None or method_id == operation.method_id:
        return refused
    (result,) = await client.call_all([_request(operation, method_id)])
    return result


def _value(operation: Operation[T], result: ua.CallMethodResult) -> T:
    code = result.StatusCode.value
    if is_bad(code):
        if _status(code) in operation.tolerated:
            return operation.read([])
        failed = MethodFailed(
            f"{operation.name} on {operation.object_id.to_string()} answered {name_of(code)}",
            status=_status(code),
        )
        failed.method = operation.name
        raise failed
    outputs = [variant.Value for variant in result.OutputArguments or []]
    if len(outputs) < operation.outputs:
        raise ProtocolViolation(f"{operation.name} answered {len(outputs)} values")
    return operation.read(outputs)


def _status(code: int) -> StatusCode:
    try:
        return StatusCode(code & 0xFFFF0000)
    except ValueError:
        return StatusCode.Bad


def browse_path(start: ua.NodeId, *names: str) -> ua.BrowsePath:
    """Return the path from ``start`` over BrowseNames of the standard's namespace."""
    return ua.BrowsePath(StartingNode=start, RelativePath=_relative_path(names))


@lru_cache(maxsize=_PATHS)
def _relative_path(names: tuple[str, ...]) -> ua.RelativePath:
    elements = [
        ua.RelativePathElement(
            HIERARCHICAL_REFERENCES, *_FORWARD, TargetName=ua.QualifiedName(name, 0)
        )
        for name in names
    ]
    return ua.RelativePath(Elements=elements)


async def find(client: Client, paths: Sequence[ua.BrowsePath]) -> list[ua.NodeId | None]:
    """Follow ``paths``; None where there is no such node."""
    if not paths:
        return []
    results = await client.translate(paths)
    if len(results) != len(paths):
        raise ProtocolViolation(f"{len(results)} results for {len(paths)} browse paths")
    return [_target(result) for result in results]


def _target(result: ua.BrowsePathResult) -> ua.NodeId | None:
    for target in result.Targets or []:
        if target.RemainingPathIndex == 0xFFFFFFFF:
            return local(target.TargetId)
    return None


def local(node: ua.NodeId) -> ua.NodeId:
    """Return ``node``, which may be an ExpandedNodeId, as a NodeId of the Server itself."""
    if type(node) is ua.NodeId:
        return node
    return builtin.node_id(node.Identifier, node.NamespaceIndex)
