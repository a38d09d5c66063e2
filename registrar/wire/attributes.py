"""Read and write attributes of an address space; OPC 10000-4 §5.11."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from asyncua import ua

from registrar.errors import RegistrarError, ServiceFailed
from registrar.status import StatusCode
from registrar.wire import builtin
from registrar.wire.methods import Argument, Mode, check_access, fits
from registrar.wire.nodes import Node, key_of, node_id_of
from registrar.wire.peers import Session
from registrar.wire.space import AddressSpace

CURRENT_READ = 1
CURRENT_WRITE = 2

VALUE = 13
DEFAULT_ENCODINGS = frozenset({None, "", "Default Binary"})

Reader = Callable[[AddressSpace, Node], ua.Variant | None]


def _access_level(space: AddressSpace, node: Node) -> ua.Variant | None:
    if node.node_class is not ua.NodeClass.Variable:
        return None
    writable = space.access_of(node).writer is not None
    return ua.Variant(CURRENT_READ | (CURRENT_WRITE if writable else 0), ua.VariantType.Byte)


def _only(*classes: ua.NodeClass) -> Callable[[Reader], Reader]:
    """Make an attribute absent where the NodeClass has none; OPC 10000-3 §5."""

    def restrict(read: Reader) -> Reader:
        return lambda space, node: read(space, node) if node.node_class in classes else None

    return restrict


_typed = _only(ua.NodeClass.Variable, ua.NodeClass.VariableType)
_variable = _only(ua.NodeClass.Variable)
_method = _only(ua.NodeClass.Method)
_object = _only(ua.NodeClass.Object)
_type = _only(
    ua.NodeClass.ObjectType,
    ua.NodeClass.VariableType,
    ua.NodeClass.ReferenceType,
    ua.NodeClass.DataType,
)
_reference_type = _only(ua.NodeClass.ReferenceType)


def _text(text: str) -> ua.Variant:
    return ua.Variant(ua.LocalizedText(text), ua.VariantType.LocalizedText)


def _dimensions(_: AddressSpace, node: Node) -> ua.Variant | None:
    if not node.dimensions:
        return None
    return ua.Variant(list(node.dimensions), ua.VariantType.UInt32, is_array=True)


READERS: Mapping[int, Reader] = MappingProxyType(
    {
        1: lambda _, n: ua.Variant(node_id_of(n.key), ua.VariantType.NodeId),
        2: lambda _, n: ua.Variant(int(n.node_class), ua.VariantType.Int32),
        3: lambda _, n: ua.Variant(n.browse_name, ua.VariantType.QualifiedName),
        4: lambda _, n: _text(n.display_name),
        6: lambda _, n: ua.Variant(0, ua.VariantType.UInt32),
        7: lambda _, n: ua.Variant(0, ua.VariantType.UInt32),
        8: _type(lambda _, n: ua.Variant(n.is_abstract, ua.VariantType.Boolean)),
        9: _reference_type(lambda _, n: ua.Variant(n.symmetric, ua.VariantType.Boolean)),
        10: _reference_type(lambda _, n: _text(n.inverse_name) if n.inverse_name else None),
        12: _object(lambda _, n: ua.Variant(0, ua.VariantType.Byte)),
        14: _typed(lambda _, n: ua.Variant(node_id_of(n.data_type), ua.VariantType.NodeId)),
        15: _typed(lambda _, n: ua.Variant(n.value_rank, ua.VariantType.Int32)),
        16: _typed(_dimensions),
        17: _access_level,
        18: _access_level,
        19: _variable(lambda _, n: ua.Variant(-1.0, ua.VariantType.Double)),
        20: _variable(lambda _, n: ua.Variant(False, ua.VariantType.Boolean)),
        21: _method(lambda _, n: ua.Variant(True, ua.VariantType.Boolean)),
        22: _method(lambda _, n: ua.Variant(True, ua.VariantType.Boolean)),
    }
)
"""The attributes but Value; one that gives None is absent: BadAttributeIdInvalid."""


def read(space: AddressSpace, session: Session, item: ua.ReadValueId) -> ua.DataValue:
    """Return one attribute, or the status that says why not."""
    node = space.get(key_of(item.NodeId))
    if node is None:
        return _bad(StatusCode.BadNodeIdUnknown)
    if item.AttributeId != VALUE:
        return _read_fact(space, node, item)
    if item.IndexRange:
        return _bad(StatusCode.BadIndexRangeInvalid)
    if item.DataEncoding is not None and item.DataEncoding.Name not in DEFAULT_ENCODINGS:
        return _bad(StatusCode.BadDataEncodingUnsupported)
    if node.node_class is not ua.NodeClass.Variable:
        return _bad(StatusCode.BadAttributeIdInvalid)
    try:
        check_access(session, space.access_of(node).read_roles, Mode.SIGN)
        value = space.value_of(node)
    except RegistrarError as error:
        return _bad(error.status)
    return _bad(StatusCode.BadNoValue) if value is None else builtin.data_value(value)


def _read_fact(space: AddressSpace, node: Node, item: ua.ReadValueId) -> ua.DataValue:
    reader = READERS.get(int(item.AttributeId))
    if item.IndexRange:
        return _bad(StatusCode.BadIndexRangeInvalid)
    value = reader(space, node) if reader is not None else None
    return _bad(StatusCode.BadAttributeIdInvalid) if value is None else builtin.data_value(value)


def write(space: AddressSpace, session: Session, item: ua.WriteValue) -> StatusCode:
    """Write one Value and return the status; whatever has no writer is not writable."""
    try:
        _write(space, session, item)
    except RegistrarError as error:
        return error.status
    return StatusCode.Good


def _write(space: AddressSpace, session: Session, item: ua.WriteValue) -> None:
    node = space.find(item.NodeId)
    access = space.access_of(node)
    if item.AttributeId != VALUE or node.node_class is not ua.NodeClass.Variable:
        raise ServiceFailed("only a Value", status=StatusCode.BadNotWritable)
    if access.writer is None:
        raise ServiceFailed("no writer", status=StatusCode.BadNotWritable)
    check_access(session, access.write_roles, Mode.SIGN)
    value = item.Value
    if item.IndexRange:
        raise ServiceFailed("no ranges", status=StatusCode.BadWriteNotSupported)
    if (
        value.SourceTimestamp
        or value.ServerTimestamp
        or (value.StatusCode and value.StatusCode.value)
    ):
        raise ServiceFailed("only a bare value", status=StatusCode.BadWriteNotSupported)
    current = space.value_of(node)
    if value.Value is None or (
        current is not None
        and not fits(value.Value, Argument(current.VariantType, bool(current.is_array)))
    ):
        raise ServiceFailed("another type", status=StatusCode.BadTypeMismatch)
    access.writer(session, value.Value)


def _bad(status: StatusCode) -> ua.DataValue:
    return builtin.data_value(NOTHING, builtin.status_code(status))


NOTHING = ua.Variant()
