"""What the fields of a structure are, read from a dataclass (OPC 10000-6 §5.2.6).

A structure is its fields in a row. Both coders are made from what stands here, and so cannot
differ in it: ``structure`` writes Python source, the compiled one keeps a plan.

    'ua.NodeId'        built-in type, a table of ``variant``
    'ua.UtcTime'       alias of one
    'ua.NodeClass'     enumeration: Int32, or the width of an IntFlag; unknown values stay int
    'list[ua.X]'       array
    'ua.X'             structure in a structure
    'type[ua.X]'       abstract: an ExtensionObject
"""

from __future__ import annotations

import builtins
import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum, IntFlag
from types import MappingProxyType
from typing import Any, get_args, get_origin

from asyncua import ua

from registrar.errors import Misuse
from registrar.ua.variant import MIN_SIZES

_ANNOTATION = re.compile(
    r"(?:(list|tuple)\[)?(type\[)?(\w+\.)?(\w+)(?:, \.\.\.)?\]{0,2}( \| None)?"
)
_PYTHON_TYPES: Mapping[type, str] = MappingProxyType(
    {str: "String", bytes: "ByteString", datetime: "DateTime", bool: "Boolean", float: "Double"}
)
_BUILT_IN: Mapping[str, int] = MappingProxyType(
    {kind.name: kind.value for kind in ua.VariantType if kind != ua.VariantType.Null}
)


class UnsupportedStructure(Misuse):
    """A dataclass with optional fields or alternatives; nothing we exchange has them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value is: of a built-in type, or an enumeration sent as one, or a structure."""

    minimum: int
    """The fewest bytes it takes."""

    built_in: int = 0
    """The number of the built-in type, 0 for a structure."""

    members: Mapping[int, Any] | None = None
    """The members of an enumeration by their values."""

    structure: type | None = None

    recursive: bool = False
    """Whether the structure may hold itself; its levels are counted then."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field as its annotation says: of which class, and in which sequence if in one."""

    name: str
    cls: type
    sequence: str = ""
    """``list``, ``tuple`` or empty."""


@functools.cache
def fields_of(cls: type) -> tuple[Field, ...]:
    """Return the fields of ``cls`` in the order of the wire, without a message's TypeId.

    Raises:
        UnsupportedStructure: a field is optional or of an unknown type.
    """
    return tuple(
        _field_of(field.name, field.type, cls) for field in fields(cls) if field.name != "TypeId"
    )


def kind_of(cls: type, owner: type) -> Kind:
    """Return what the values of ``cls`` in a field of ``owner`` are.

    Raises:
        UnsupportedStructure: neither built-in nor a structure without alternatives.
    """
    name = _PYTHON_TYPES.get(cls, cls.__name__)
    if issubclass(cls, Enum):
        return _kind_of_enum(cls)
    if name in _BUILT_IN:
        number = _BUILT_IN[name]
        return Kind(MIN_SIZES[number], number)
    if not is_dataclass(cls) or issubclass(cls, ua.UaUnion):
        raise UnsupportedStructure(f"{owner.__name__} has a field of type {cls.__name__}")
    if owner in _reachable_from(cls):
        return Kind(1, structure=cls, recursive=True)
    return Kind(_minimum_of(cls), structure=cls)


def type_id_of(cls: type) -> Any:
    """Return the TypeId every instance of the message ``cls`` has, None if it has no such field."""
    return next((field.default for field in fields(cls) if field.name == "TypeId"), None)


def is_frozen(cls: type) -> bool:
    """Tell whether instances of ``cls`` must be made by its constructor."""
    frozen: bool = cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return frozen


def encoding_of(cls: type) -> ua.NodeId:
    """Return the encoding id of ``cls`` in an ExtensionObject.

    Raises:
        Misuse: it has none.
    """
    for base in cls.__mro__:
        type_id = ua.typeid_by_extension_objects.get(base)
        if type_id is not None:
            return type_id
    raise Misuse(f"{cls.__name__} has no encoding id")


@functools.cache
def known_encodings() -> Mapping[object, type]:
    """Return the structures asyncua has from the standard by their ids in namespace 0.

    Messages are left out. Some have a corrected subclass of the same name, which its users expect.
    """
    return {
        type_id.Identifier: getattr(ua, cls.__name__, cls)
        for type_id, cls in ua.extension_objects_by_typeid.items()
        if type_id.NamespaceIndex == 0 and all(field.name != "TypeId" for field in fields(cls))
    }


def _field_of(name: str, annotation: Any, owner: type) -> Field:
    if not isinstance(annotation, str):
        return _field_of_object(name, annotation, owner)
    # asyncua quotes annotations that are strings already.
    match = _ANNOTATION.fullmatch(annotation.strip("'\""))
    if match is None:
        raise UnsupportedStructure(f"{owner.__name__}.{name} is of type {annotation!r}")
    sequence, abstract, prefix, base, optional = match.groups()
    cls = ua.ExtensionObject if abstract else _resolve(base, owner, in_ua=bool(prefix))
    if optional and (sequence or cls not in _PYTHON_TYPES):
        # In asyncua's classes this is a field that a mask switches off; in ours a null String.
        raise UnsupportedStructure(f"{owner.__name__}.{name} is optional")
    return Field(name, cls, sequence or "")


def _field_of_object(name: str, annotation: Any, owner: type) -> Field:
    origin = get_origin(annotation)
    sequence = ""
    if origin in (list, tuple):
        sequence = origin.__name__
        annotation = get_args(annotation)[0]
        origin = get_origin(annotation)
    if origin is type:
        annotation = ua.ExtensionObject
    if not isinstance(annotation, type):
        raise UnsupportedStructure(f"{owner.__name__}.{name} is of type {annotation!r}")
    return Field(name, annotation, sequence)


def _resolve(name: str, owner: type, *, in_ua: bool) -> type:
    places = () if in_ua else (sys.modules[owner.__module__], builtins)
    for place in (*places, ua):
        found = getattr(place, name, None)
        if isinstance(found, type):
            return found
    raise UnsupportedStructure(f"{owner.__name__} has a field of unknown type {name}")


def _kind_of_enum(cls: type[Enum]) -> Kind:
    width = "Int32"
    if issubclass(cls, IntFlag):
        width = cls.datatype() if hasattr(cls, "datatype") else "UInt32"
    number = _BUILT_IN[width]
    return Kind(MIN_SIZES[number], number, {member.value: member for member in cls})


@functools.cache
def _reachable_from(cls: type) -> frozenset[type]:
    """Return ``cls`` and the structures in its fields, their fields, and so on."""
    found = {cls}
    waiting = [cls]
    while waiting:
        current = waiting.pop()
        for field in fields_of(current):
            inner = field.cls
            if is_dataclass(inner) and inner.__name__ not in _BUILT_IN and inner not in found:
                found.add(inner)
                waiting.append(inner)
    return frozenset(found)


@functools.cache
def _minimum_of(cls: type) -> int:
    """Return the fewest bytes an instance of ``cls`` takes."""
    return sum(4 if field.sequence else kind_of(field.cls, cls).minimum for field in fields_of(cls))
