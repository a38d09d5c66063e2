"""Random instances of asyncua's structures, from a seed."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, get_args, get_origin
from uuid import UUID

from asyncua import ua
from asyncua.ua.ua_binary import get_safe_type_hints

Kind = ua.VariantType
_INTEGERS = {
    "SByte": (-(2**7), 2**7 - 1),
    "Byte": (0, 2**8 - 1),
    "Int16": (-(2**15), 2**15 - 1),
    "UInt16": (0, 2**16 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "UInt32": (0, 2**32 - 1),
    "Int64": (-(2**63), 2**63 - 1),
    "UInt64": (0, 2**64 - 1),
}
_TEXTS = ("", "a", "Gerät", "https://example.com/" + "x" * 40, "\0", "漢字")


class Sampler:
    """Makes values; what asyncua encodes otherwise than the standard is left out."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._depth = 0

    def instance(self, cls: Any) -> Any:
        """Return an instance of ``cls`` with all fields filled."""
        special = self._special(cls)
        if special is not None:
            return special()
        if issubclass(cls, Enum):
            return self._random.choice(list(cls))
        hints = get_safe_type_hints(cls, {"ua": ua})
        value = cls()
        self._depth += 1
        for field in dataclasses.fields(cls):
            if field.name != "TypeId":
                setattr(value, field.name, self.value(hints[field.name]))
        self._depth -= 1
        return value

    def value(self, annotation: Any) -> Any:
        """Return a value for a field."""
        if get_origin(annotation) is list:
            count = 0 if self._depth > 6 else self._random.randrange(3)
            return [self.value(get_args(annotation)[0]) for _ in range(count)]
        if get_origin(annotation) is type:
            return self.extension_object()
        return self.instance(annotation)

    def text(self) -> str | None:
        """Return a String."""
        return self._random.choice((None, *_TEXTS))

    def data(self) -> bytes | None:
        """Return a ByteString."""
        return self._random.choice((None, b"", self._random.randbytes(self._random.randrange(50))))

    def moment(self) -> datetime:
        """Return a DateTime."""
        return datetime(1601, 1, 1, tzinfo=UTC) + timedelta(
            microseconds=self._random.randrange(1, 2**57)
        )

    def node_id(self) -> ua.NodeId:
        """Return a NodeId of any kind."""
        number: Any = self._random.choice((0, 1, 255, 256, 65535, 65536, 2**32 - 1))
        namespace: Any = self._random.choice((0, 1, 255, 256, 65535))
        identifier: Any = self._random.choice(
            (number, number, "name", b"opaque", UUID(int=self._random.getrandbits(128)))
        )
        return ua.NodeId(identifier, namespace)

    def expanded_node_id(self) -> ua.ExpandedNodeId:
        """Return an ExpandedNodeId."""
        node_id: Any = self.node_id()
        uri: Any = self._random.choice((None, "urn:x"))
        index: Any = self._random.choice((0, 3))
        return ua.ExpandedNodeId(
            node_id.Identifier,
            node_id.NamespaceIndex,
            node_id.NodeIdType,
            NamespaceUri=uri,
            ServerIndex=index,
        )

    def extension_object(self) -> Any:
        """Return a null, an opaque or a known ExtensionObject."""
        body: Any = b"opaque"
        return self._random.choice(
            (
                ua.ExtensionObject(),
                ua.ExtensionObject(TypeId=ua.NodeId(ua.Int32(77), ua.Int16(5)), Body=body),
                ua.Argument(Name=ua.String("x")),
                ua.AnonymousIdentityToken(PolicyId=ua.String("p")),
            )
        )

    def variant(self) -> ua.Variant:
        """Return a Variant: scalar, array or matrix."""
        if self._depth > 8:
            return ua.Variant()
        kind = self._random.choice([kind for kind in Kind if kind not in (Kind.Variant,)])
        shape = self._random.randrange(4)
        if kind == Kind.Null:
            return ua.Variant()
        self._depth += 1
        elements = [self._of_kind(kind) for _ in range(4)]
        self._depth -= 1
        if shape == 1:
            return ua.Variant(elements[: self._random.randrange(4)], kind, is_array=True)
        if shape == 2:
            return ua.Variant([elements[:2], elements[2:]], kind)
        if shape == 3:
            return ua.Variant(None, kind, is_array=True)
        return ua.Variant(elements[0], kind)

    def data_value(self) -> ua.DataValue:
        """Return a DataValue without picoseconds."""
        value = ua.DataValue(self.variant())
        if self._random.randrange(2):
            value.SourceTimestamp = value.ServerTimestamp = self.moment()  # type: ignore[assignment]
        return value

    def diagnostic_info(self) -> Any:
        """Return a DiagnosticInfo of one level."""
        info: Any = ua.DiagnosticInfo()
        if self._random.randrange(2):
            info.SymbolicId, info.NamespaceURI = -1, 5
            info.AdditionalInfo = "more"
            info.InnerStatusCode = ua.StatusCode()
        return info

    def _of_kind(self, kind: Kind) -> Any:
        if kind == Kind.ByteString:
            return self.data() or b""
        if kind == Kind.String:
            return self.text() or ""
        return self.instance(getattr(ua, kind.name))

    def _special(self, cls: type) -> Callable[[], Any] | None:
        if cls.__name__ in _INTEGERS:
            low, high = _INTEGERS[cls.__name__]
            return lambda: self._random.choice((0, 1, low, high))
        return {
            ua.Boolean: lambda: self._random.random() < 0.5,
            ua.Double: lambda: self._random.choice((0.0, -1.5, 1e300)),
            ua.Float: lambda: self._random.choice((0.0, -1.5, 0.25)),
            ua.String: self.text,
            ua.CharArray: self.text,
            ua.ByteString: self.data,
            ua.DateTime: self.moment,
            ua.Guid: lambda: UUID(int=self._random.getrandbits(128)),
            ua.NodeId: self.node_id,
            ua.ExpandedNodeId: self.expanded_node_id,
            ua.StatusCode: lambda: ua.StatusCode(self._random.choice((0, 0x80010000, 77))),  # type: ignore[arg-type]
            ua.QualifiedName: lambda: ua.QualifiedName(self.text(), self._random.randrange(9)),
            ua.LocalizedText: lambda: ua.LocalizedText(self.text(), self.text()),
            ua.ExtensionObject: self.extension_object,
            ua.Variant: self.variant,
            ua.DataValue: self.data_value,
            ua.DiagnosticInfo: self.diagnostic_info,
            ua.XmlElement: lambda: ua.XmlElement(ua.String("<a/>")),
        }.get(cls)
