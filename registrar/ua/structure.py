"""Encoders and decoders of structures, compiled to Python (OPC 10000-6 §5.2.6).

From the ``fields`` of a dataclass we write the Python source of one function that encodes and one
that decodes it, and keep them per class. Numbers that stand side by side become one ``struct``
call, Strings are taken inline, and objects are filled without their constructors. A Call request
of 150 bytes takes some 6 µs each way so, where generic field-by-field code takes 80 µs.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from asyncua import ua

from registrar.errors import DecodingError
from registrar.ua import binary, node_id
from registrar.ua.binary import Budget, Decoder, Encoder, decode_count
from registrar.ua.fields import (
    Field,
    Kind,
    UnsupportedStructure,
    encoding_of,
    fields_of,
    is_frozen,
    kind_of,
    known_encodings,
    type_id_of,
)
from registrar.ua.variant import CODES, DECODERS, ENCODERS


@dataclass(frozen=True, slots=True)
class _Functions:
    """How values of one kind are handled.

    Where ``code`` is a ``struct`` code, the functions behind it are wrapped around it; else the
    two in front take a value from the buffer and put it there.
    """

    minimum: int
    encode: Encoder
    decode: Decoder
    code: str = ""
    to_number: Callable[[Any], Any] | None = None
    from_number: Callable[[Any], Any] | None = None


_DATETIME = ua.VariantType.DateTime.value
_STATUS = ua.VariantType.StatusCode.value
_CODES: Mapping[int, str] = MappingProxyType({**CODES, _DATETIME: "q", _STATUS: "I"})
_CONVERSIONS: Mapping[int, tuple[Callable[[Any], int], Callable[[int], Any]]] = MappingProxyType(
    {
        _DATETIME: (binary.from_datetime, binary.to_datetime),
        _STATUS: (binary.from_status, binary.to_status),
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
    out = bytearray()
    node_id.encode_node_id(out, encoding_of(cls))
    return bytes(out) + b"\x01", encoder_of(cls)


def decoder_of_encoding(identifier: object) -> Decoder | None:
    """Return the decoder of the structure with this encoding id in namespace 0, or None."""
    cls = known_encodings().get(identifier)
    return None if cls is None else _decoder_or_none(cls)


@functools.cache
def _decoder_or_none(cls: type) -> Decoder | None:
    try:
        return decoder_of(cls)
    except UnsupportedStructure:
        return None


# From kinds to functions


def _functions_of(field: Field, owner: type) -> _Functions:
    kind = kind_of(field.cls, owner)
    if kind.structure is not None:
        return _functions_of_structure(kind, kind.structure)
    encode, decode = ENCODERS[kind.built_in], DECODERS[kind.built_in]
    code = _CODES.get(kind.built_in, "")
    to_number, from_number = _CONVERSIONS.get(kind.built_in, (None, None))
    if kind.members is not None:
        from_number = functools.partial(_member_or_number, kind.members)
    return _Functions(kind.minimum, encode, decode, code, to_number, from_number)


def _member_or_number(members: Mapping[int, Any], value: int) -> Any:
    return members.get(value, value)


def _functions_of_structure(kind: Kind, cls: type) -> _Functions:
    if not kind.recursive:
        return _Functions(kind.minimum, encoder_of(cls), decoder_of(cls))

    # A structure that may hold itself is looked up when met, and counted.
    def encode(out: bytearray, value: Any) -> None:
        encoder_of(cls)(out, value)

    def decode(data: bytes, at: int, budget: Budget) -> tuple[Any, int]:
        budget.descend()
        value, at = decoder_of(cls)(data, at, budget)
        budget.depth += 1
        return value, at

    return _Functions(kind.minimum, encode, decode)


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
        self._run: list[tuple[int, Field, _Functions]] = []
        self._fields = fields_of(cls)
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
            self._add(number, field, _functions_of(field, cls))
        self._end_run()

    def text(self) -> str:
        """Return the source of ``encode`` and ``decode``."""
        lines = ["def encode(out, value):", *self._encode, "    return None"]
        lines += ["def decode(data, at, budget):", *self._decode]
        lines += self._construction()
        return "\n".join(lines)

    def _construction(self) -> list[str]:
        if is_frozen(self._cls):
            values = ", ".join(f"{field.name}=v{i}" for i, field in enumerate(self._fields))
            return [f"    return cls({values}), at"]
        lines = ["    o = new(cls)"]
        lines += [f"    o.{field.name} = v{i}" for i, field in enumerate(self._fields)]
        type_id = type_id_of(self._cls)
        if type_id is not None:
            self.namespace["type_id"] = type_id
            lines.append("    o.TypeId = type_id")
        return [*lines, "    return o, at"]

    def _add(self, number: int, field: Field, kind: _Functions) -> None:
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

    def _add_array(self, number: int, field: Field, kind: _Functions) -> None:
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

    def _add_numbers(self, number: int, kind: _Functions) -> None:
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
