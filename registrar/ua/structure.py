"""Encoders and decoders of structures, compiled from dataclasses (OPC 10000-6 §5.2.6).

A structure is its fields in a row. From the annotations of a dataclass of asyncua (or one written
like it) we write the Python source of one function that encodes and one that decodes it, and keep
them per class. Numbers that stand side by side become one ``struct`` call, Strings are taken
inline, and objects are filled without their constructors. A Call request of 150 bytes takes some
6 µs each way so, where generic field-by-field code takes 80 µs.

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
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum, IntFlag
from types import MappingProxyType
from typing import Any, get_args, get_origin

from asyncua import ua

from registrar.errors import DecodingError, Misuse
from registrar.ua import binary, node_id
from registrar.ua.binary import Budget, Decoder, Encoder, decode_count
from registrar.ua.variant import BUILT_IN, BUILT_IN_CODES

_ANNOTATION = re.compile(
    r"(?:(list|tuple)\[)?(type\[)?(\w+\.)?(\w+)(?:, \.\.\.)?\]{0,2}( \| None)?"
)
_PYTHON_TYPES: Mapping[type, str] = MappingProxyType(
    {str: "String", bytes: "ByteString", datetime: "DateTime", bool: "Boolean", float: "Double"}
)


class UnsupportedStructure(Misuse):
    """A dataclass with optional fields or alternatives; nothing we exchange has them."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A field as its annotation says: of which class, and in which sequence if in one."""

    name: str
    cls: type
    sequence: str = ""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How values of one type are handled.

    Either ``code`` is a ``struct`` code, with the functions around it, or both functions take a
    value from the buffer and put it there.
    """

    minimum: int
    encode: Encoder | None = None
    decode: Decoder | None = None
    code: str = ""
    to_number: Callable[[Any], Any] | None = None
    from_number: Callable[[Any], Any] | None = None


_NUMBERS: Mapping[str, _Kind] = MappingProxyType(
    {
        **{name: _Kind(struct.calcsize("<" + c), code=c) for name, c in BUILT_IN_CODES.items()},
        "DateTime": _Kind(
            8, code="q", to_number=binary.from_datetime, from_number=binary.to_datetime
        ),
        "StatusCode": _Kind(
            4, code="I", to_number=binary.from_status, from_number=binary.to_status
        ),
    }
)


def encoder_of(cls: type) -> Encoder:
    """Return the function that appends an instance of ``cls``."""
    return _compile(cls)[0]


def decoder_of(cls: type) -> Decoder:
    """Return the function that decodes an instance of ``cls``."""
    return _compile(cls)[1]


def encoder_of_extension(cls: type) -> tuple[bytes, Encoder]:
    """Return the TypeId and encoding byte of ``cls`` in an ExtensionObject, and its encoder.

    Raises:
        Misuse: the type has no encoding id.
    """
    return _extension(cls)


@functools.cache
def _extension(cls: type) -> tuple[bytes, Encoder]:
    for base in cls.__mro__:
        type_id = ua.typeid_by_extension_objects.get(base)
        if type_id is not None:
            out = bytearray()
            node_id.encode_node_id(out, type_id)
            return bytes(out) + b"\x01", encoder_of(cls)
    raise Misuse(f"{cls.__name__} has no encoding id")


def decoder_of_encoding(identifier: object) -> Decoder | None:
    """Return the decoder of the structure with this encoding id in namespace 0, or None."""
    cls = _known_encodings().get(identifier)
    return None if cls is None else _decoder_or_none(cls)


@functools.cache
def _known_encodings() -> Mapping[object, type]:
    """Return the structures asyncua has from the standard, messages left out.

    Some have a corrected subclass of the same name, which its users expect.
    """
    return {
        type_id.Identifier: getattr(ua, cls.__name__, cls)
        for type_id, cls in ua.extension_objects_by_typeid.items()
        if type_id.NamespaceIndex == 0 and all(field.name != "TypeId" for field in fields(cls))
    }


@functools.cache
def _decoder_or_none(cls: type) -> Decoder | None:
    try:
        return decoder_of(cls)
    except UnsupportedStructure:
        return None


# From annotations to kinds


@functools.cache
def _fields_of(cls: type) -> tuple[_Field, ...]:
    """Return the fields of ``cls`` in the order of the wire, without a message's TypeId."""
    return tuple(
        _field_of(field.name, field.type, cls) for field in fields(cls) if field.name != "TypeId"
    )


def _field_of(name: str, annotation: Any, owner: type) -> _Field:
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
    return _Field(name, cls, sequence or "")


def _field_of_object(name: str, annotation: Any, owner: type) -> _Field:
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
    return _Field(name, annotation, sequence)


def _resolve(name: str, owner: type, *, in_ua: bool) -> type:
    places = () if in_ua else (sys.modules[owner.__module__], builtins)
    for place in (*places, ua):
        found = getattr(place, name, None)
        if isinstance(found, type):
            return found
    raise UnsupportedStructure(f"{owner.__name__} has a field of unknown type {name}")


def _kind_of(cls: type, owner: type) -> _Kind:
    name = _PYTHON_TYPES.get(cls, cls.__name__)
    if issubclass(cls, Enum):
        return _kind_of_enum(cls)
    if name in _NUMBERS:
        return _NUMBERS[name]
    if name in BUILT_IN and name != "Null":
        encode, decode, minimum = BUILT_IN[name]
        return _Kind(minimum, encode, decode)
    if not is_dataclass(cls) or issubclass(cls, ua.UaUnion):
        raise UnsupportedStructure(f"{owner.__name__} has a field of type {cls.__name__}")
    if owner in _reachable_from(cls):
        return _kind_of_recursive(cls)
    return _Kind(_minimum_of(cls), encoder_of(cls), decoder_of(cls))


def _kind_of_enum(cls: type[Enum]) -> _Kind:
    width = "Int32"
    if issubclass(cls, IntFlag):
        width = cls.datatype() if hasattr(cls, "datatype") else "UInt32"
    members = {member.value: member for member in cls}

    def known(value: int) -> Any:
        return members.get(value, value)

    code = BUILT_IN_CODES[width]
    return _Kind(struct.calcsize("<" + code), code=code, from_number=known)


def _kind_of_recursive(cls: type) -> _Kind:
    """Return the kind of a structure that may hold itself: looked up when met, and counted."""

    def encode(out: bytearray, value: Any) -> None:
        encoder_of(cls)(out, value)

    def decode(data: bytes, at: int, budget: Budget) -> tuple[Any, int]:
        budget.descend()
        value, at = decoder_of(cls)(data, at, budget)
        budget.depth += 1
        return value, at

    return _Kind(1, encode, decode)


@functools.cache
def _reachable_from(cls: type) -> frozenset[type]:
    """Return ``cls`` and the structures in its fields, their fields, and so on."""
    found = {cls}
    waiting = [cls]
    while waiting:
        current = waiting.pop()
        for field in _fields_of(current):
            inner = field.cls
            if is_dataclass(inner) and inner.__name__ not in BUILT_IN and inner not in found:
                found.add(inner)
                waiting.append(inner)
    return frozenset(found)


@functools.cache
def _minimum_of(cls: type) -> int:
    """Return the fewest bytes an instance of ``cls`` takes."""
    return sum(
        4 if field.sequence else _kind_of(field.cls, cls).minimum for field in _fields_of(cls)
    )


# From kinds to source


@functools.cache
def _compile(cls: type) -> tuple[Encoder, Decoder]:
    source = _Source(cls)
    run = source.namespace
    exec(source.text(), run)  # noqa: S102 - the source is ours, made from class definitions only
    return run["encode"], run["decode"]


class _Source:
    """The source of the two functions of one class, and the names it uses."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._encode: list[str] = []
        self._decode: list[str] = []
        self._run: list[tuple[int, _Field, _Kind]] = []
        self._fields = _fields_of(cls)
        self.namespace: dict[str, Any] = {
            "__name__": __name__,
            "cls": cls,
            "new": object.__new__,
            "count_of": decode_count,
            "DecodingError": DecodingError,
            "INT32": binary.INT32.unpack_from,
            "LENGTH": binary.INT32.pack,
            "NULL": binary.NULL_LENGTH,
            "pack": struct.pack,
            "unpack": struct.unpack_from,
        }
        for number, field in enumerate(self._fields):
            self._add(number, field, _kind_of(field.cls, cls))
        self._end_run()

    def text(self) -> str:
        """Return the source of ``encode`` and ``decode``."""
        lines = ["def encode(out, value):", *self._encode, "    return None"]
        lines += ["def decode(data, at, budget):", *self._decode]
        lines += self._construction()
        return "\n".join(lines)

    def _construction(self) -> list[str]:
        parameters = self._cls.__dataclass_params__  # type: ignore[attr-defined]
        if parameters.frozen:
            values = ", ".join(f"{field.name}=v{i}" for i, field in enumerate(self._fields))
            return [f"    return cls({values}), at"]
        lines = ["    o = new(cls)"]
        lines += [f"    o.{field.name} = v{i}" for i, field in enumerate(self._fields)]
        for field in fields(self._cls):
            if field.name == "TypeId":
                self.namespace["type_id"] = field.default
                lines.append("    o.TypeId = type_id")
        return [*lines, "    return o, at"]

    def _add(self, number: int, field: _Field, kind: _Kind) -> None:
        if kind.code and not field.sequence:
            self._run.append((number, field, kind))
            return
        self._end_run()
        value = f"value.{field.name}"
        if field.sequence:
            self._add_array(number, field, kind)
        elif kind.decode is binary.decode_string or kind.decode is binary.decode_byte_string:
            self._add_string(number, value, text=kind.decode is binary.decode_string)
        else:
            self.namespace[f"e{number}"] = kind.encode
            self.namespace[f"d{number}"] = kind.decode
            self._encode.append(f"    e{number}(out, {value})")
            self._decode.append(f"    v{number}, at = d{number}(data, at, budget)")

    def _end_run(self) -> None:
        """Write one ``struct`` call for the numbers that stand side by side."""
        run, self._run = self._run, []
        if not run:
            return
        first = run[0][0]
        layout = struct.Struct("<" + "".join(kind.code for _, _, kind in run))
        self.namespace[f"p{first}"] = layout.pack
        self.namespace[f"u{first}"] = layout.unpack_from
        values = []
        conversions = []
        for number, field, kind in run:
            value = f"value.{field.name}"
            if kind.to_number is not None:
                self.namespace[f"t{number}"] = kind.to_number
                value = f"t{number}({value})"
            if kind.from_number is not None:
                self.namespace[f"f{number}"] = kind.from_number
                conversions.append(f"    v{number} = f{number}(v{number})")
            values.append(value)
        targets = "".join(f"v{number}, " for number, _, _ in run)
        self._encode.append(f"    out += p{first}({', '.join(values)})")
        self._decode.append(f"    {targets}= u{first}(data, at); at += {layout.size}")
        self._decode += conversions

    def _add_string(self, number: int, value: str, *, text: bool) -> None:
        content = "s.encode()" if text else "s"
        taken = "str(data[at:end], 'utf-8')" if text else "data[at:end]"
        self._encode += [
            f"    s = {value}",
            "    if s is None: out += NULL",
            "    else:",
            f"        s = {content}; out += LENGTH(len(s)); out += s",
        ]
        self._decode += [
            "    n, = INT32(data, at); at += 4",
            "    if n >= 0:",
            "        end = at + n",
            "        if end > len(data):",
            "            raise DecodingError(f'String of {n} bytes leaves the body')",
            f"        v{number} = {taken}; at = end",
            "    elif n == -1:",
            f"        v{number} = None",
            "    else:",
            "        raise DecodingError(f'String of length {n}')",
        ]

    def _add_array(self, number: int, field: _Field, kind: _Kind) -> None:
        self._encode += [
            f"    a = value.{field.name}",
            "    if a is None: out += NULL",
            "    else:",
            "        out += LENGTH(len(a))",
        ]
        self._decode.append(f"    n, at = count_of(data, at, budget, {kind.minimum})")
        if kind.code:
            self._add_numbers(number, kind)
        else:
            self.namespace[f"e{number}"] = kind.encode
            self.namespace[f"d{number}"] = kind.decode
            self._encode.append(f"        for x in a: e{number}(out, x)")
            self._decode += [
                f"    v{number} = []",
                "    for _ in range(n):",
                f"        x, at = d{number}(data, at, budget)",
                f"        v{number}.append(x)",
            ]
        if field.sequence == "tuple":
            self._decode.append(f"    v{number} = tuple(v{number})")

    def _add_numbers(self, number: int, kind: _Kind) -> None:
        numbers = "a"
        taken = f"unpack(f'<{{n}}{kind.code}', data, at)"
        if kind.to_number is not None:
            self.namespace[f"t{number}"] = kind.to_number
            numbers = f"map(t{number}, a)"
        if kind.from_number is not None:
            self.namespace[f"f{number}"] = kind.from_number
            taken = f"map(f{number}, {taken})"
        self._encode.append(f"        out += pack(f'<{{len(a)}}{kind.code}', *{numbers})")
        self._decode += [
            f"    v{number} = []",
            "    if n > 0:",
            f"        v{number} = list({taken}); at += n * {kind.minimum}",
        ]
