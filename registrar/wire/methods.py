"""The one table of authorisation: which Role, in which mode, may call what with which arguments.

Checked in the order mode → Role → arguments, before a handler sees anything (T17). What is not
in the table is denied.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeGuard

from asyncua import ua

from registrar.errors import AccessDenied, Misuse, ServiceFailed
from registrar.status import StatusCode
from registrar.wire.nodes import NodeKey, key_of
from registrar.wire.peers import Role, Session


def is_awaitable(answer: object) -> TypeGuard[Awaitable[Any]]:
    """Tell whether ``answer`` has to be waited for; ten times as fast as asking ``inspect``."""
    return hasattr(type(answer), "__await__")


Handler = Callable[..., Sequence[ua.Variant] | Awaitable[Sequence[ua.Variant]]]
"""Called as ``handler(session, *values)``; returns the output arguments."""


class Mode(IntEnum):
    """The weakest security mode of the channel that suffices; ordered."""

    NONE = 1
    SIGN = 2
    ENCRYPT = 3


@dataclass(frozen=True, slots=True)
class Argument:
    """What one input argument must be."""

    variant_type: ua.VariantType
    is_array: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A handler and who may call it.

    Args:
        handler: called as ``handler(session, *values)`` with the bare values of the arguments.
            Returns the outputs, or an awaitable of them. A ``RegistrarError`` becomes the
            status of the operation.
        inputs: the argument types in order; a plain ``VariantType`` means a scalar.
        roles: one of these is needed; None lets everyone in, the empty set nobody.
        mode: the weakest channel that may call.
        overlaps: calls need not wait for the end of others before them in the same request;
            they still begin in its order.
    """

    handler: Handler
    inputs: tuple[Argument | ua.VariantType, ...] = ()
    roles: frozenset[Role] | None
    mode: Mode
    overlaps: bool = False


class MethodTable:
    """Methods by Object and MethodId. One table may serve many Servers."""

    __slots__ = ("_methods",)

    def __init__(self) -> None:
        self._methods: dict[NodeKey, dict[NodeKey, Method]] = {}

    def add(self, object_id: ua.NodeId, method_ids: Iterable[ua.NodeId], method: Method) -> None:
        """Let ``method`` answer calls on ``object_id`` by any of ``method_ids``.

        Args:
            method_ids: the id of the instance's Method and the id of its type declaration;
                both must work (OPC 10000-4 §5.12.2).

        Raises:
            Misuse: one of them is already in the table.
        """
        methods = self._methods.setdefault(key_of(object_id), {})
        for method_id in method_ids:
            key = key_of(method_id)
            if methods.get(key, method) is not method:
                raise Misuse(f"{method_id} of {object_id} is already in the table")
            methods[key] = method

    def remove_object(self, object_id: ua.NodeId) -> None:
        """Forget every Method of ``object_id``."""
        self._methods.pop(key_of(object_id), None)

    def find(self, object_id: ua.NodeId, method_id: ua.NodeId) -> Method:
        """Return the Method.

        Raises:
            ServiceFailed: the Object has no such Method.
        """
        methods = self._methods.get(key_of(object_id))
        if methods is None:
            raise ServiceFailed("no Methods on this Object", status=StatusCode.BadNodeIdUnknown)
        method = methods.get(key_of(method_id))
        if method is None:
            raise ServiceFailed("no such Method", status=StatusCode.BadMethodInvalid)
        return method

    def rows(self) -> Iterable[tuple[NodeKey, NodeKey, Method]]:
        """Yield every cell, for documentation and the test of the whole matrix."""
        for object_key, methods in self._methods.items():
            for method_key, method in methods.items():
                yield object_key, method_key, method


def check_access(session: Session, roles: frozenset[Role] | None, mode: Mode) -> None:
    """Refuse the caller for its channel first, then for its Roles.

    Raises:
        AccessDenied: BadSecurityModeInsufficient or BadUserAccessDenied.
    """
    if session.peer.mode < mode:
        raise AccessDenied(
            f"the channel is only {session.peer.mode.name}",
            status=StatusCode.BadSecurityModeInsufficient,
        )
    if roles is not None and roles.isdisjoint(session.roles):
        raise AccessDenied("none of the caller's Roles suffices")


class ArgumentsRejected(ServiceFailed):
    """Some input arguments have the wrong type; ``results`` has a status for each."""

    status = StatusCode.BadInvalidArgument

    def __init__(self, results: list[StatusCode]) -> None:
        super().__init__("wrong type of an input argument")
        self.results = results


def check_arguments(method: Method, arguments: Sequence[ua.Variant]) -> list[object]:
    """Return the bare values of ``arguments``.

    Raises:
        ServiceFailed: BadArgumentsMissing or BadTooManyArguments.
        ArgumentsRejected: types differ.
    """
    if len(arguments) < len(method.inputs):
        raise ServiceFailed("arguments missing", status=StatusCode.BadArgumentsMissing)
    if len(arguments) > len(method.inputs):
        raise ServiceFailed("too many arguments", status=StatusCode.BadTooManyArguments)
    values: list[object] = []
    for given, wanted in zip(arguments, method.inputs, strict=True):
        if given.VariantType is wanted and not (
            given.Value is None or given.is_array or given.Dimensions
        ):
            values.append(given.Value)  # as most are
        elif fits(given, wanted):
            values.append(_value(given, wanted))
        else:
            raise ArgumentsRejected(
                [
                    StatusCode.Good if fits(given, wanted) else StatusCode.BadTypeMismatch
                    for given, wanted in zip(arguments, method.inputs, strict=True)
                ]
            )
    return values


def fits(given: ua.Variant, wanted: Argument | ua.VariantType) -> bool:
    """Tell whether a Variant has the type and rank of an argument; nulls fit where allowed."""
    if isinstance(wanted, Argument):
        kind, is_array = wanted.variant_type, wanted.is_array
    else:
        kind, is_array = wanted, False
    if kind is ua.VariantType.Variant:
        return True
    if given.VariantType is ua.VariantType.Null:
        return is_array or kind in NULLABLE
    if given.VariantType is not kind or (given.Dimensions and len(given.Dimensions) > 1):
        return False
    return bool(given.is_array) is is_array


NULLABLE = frozenset(
    {
        ua.VariantType.String,
        ua.VariantType.ByteString,
        ua.VariantType.ExtensionObject,
        ua.VariantType.NodeId,
        ua.VariantType.XmlElement,
    }
)
"""Types for which a null Variant is a value."""


def _value(given: ua.Variant, wanted: Argument | ua.VariantType) -> object:
    if isinstance(wanted, Argument):
        if wanted.is_array:
            return [] if given.Value is None else given.Value
        wanted = wanted.variant_type
    if given.Value is None and wanted is ua.VariantType.NodeId:
        return ua.NodeId()
    return given.Value
