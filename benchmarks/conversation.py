"""One onboarding conversation as data: what is asked, and what a Device answers.

Server and Clients of ``benchmarks.channel`` share it. Only sizes and types matter: the bytes stand
for a signing request, a TrustList and certificates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from asyncua import ua

from registrar.wire.builtin import node_id

NAMESPACE: Final = 1
OBJECTS: Final = node_id(85)
DEVICE: Final = node_id(1, NAMESPACE)
DEVICE_NAME: Final = "Device"
SERIAL_NUMBER: Final = node_id(2, NAMESPACE)
IS_SINGLETON: Final = node_id(3, NAMESPACE)
READ: Final = (SERIAL_NUMBER, IS_SINGLETON)
"""Variables, each read by a request of its own."""

PATH: Final = (DEVICE_NAME, "IsSingleton")
"""Names to translate, from the Objects folder on."""

_GROUP, _TYPE = node_id(14156), node_id(12560)
_HANDLE = ua.Variant(7, ua.VariantType.UInt32)
_CHANGED = ua.Variant(True, ua.VariantType.Boolean)


def _bytes(size: int) -> ua.Variant:
    return ua.Variant(bytes(range(256)) * (size // 256) + bytes(size % 256))


def _node(identifier: ua.NodeId) -> ua.Variant:
    return ua.Variant(identifier, ua.VariantType.NodeId)


def _string(text: str) -> ua.Variant:
    return ua.Variant(text, ua.VariantType.String)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCall:
    """A Method of the Device, with the arguments of its one call."""

    name: str
    method_id: ua.NodeId
    inputs: tuple[ua.Variant, ...] = ()
    outputs: tuple[ua.Variant, ...] = ()


_OPEN: Final = MethodCall(
    name="Open",
    method_id=node_id(11, NAMESPACE),
    inputs=(ua.Variant(1, ua.VariantType.Byte),),
    outputs=(_HANDLE,),
)

CALLS: Final[Sequence[MethodCall]] = (
    MethodCall(
        name="CreateSigningRequest",
        method_id=node_id(10, NAMESPACE),
        inputs=(
            _node(_GROUP),
            _node(_TYPE),
            _string("CN=Device"),
            ua.Variant(False, ua.VariantType.Boolean),
            _bytes(32),
        ),
        outputs=(_bytes(900),),
    ),
    _OPEN,
    MethodCall(
        name="Read",
        method_id=node_id(12, NAMESPACE),
        inputs=(_HANDLE, ua.Variant(65_536, ua.VariantType.Int32)),
        outputs=(_bytes(3000),),
    ),
    MethodCall(name="Close", method_id=node_id(13, NAMESPACE), inputs=(_HANDLE,)),
    _OPEN,
    MethodCall(name="Write", method_id=node_id(14, NAMESPACE), inputs=(_HANDLE, _bytes(4000))),
    MethodCall(
        name="CloseAndUpdate",
        method_id=node_id(15, NAMESPACE),
        inputs=(_HANDLE,),
        outputs=(_CHANGED,),
    ),
    MethodCall(
        name="UpdateCertificate",
        method_id=node_id(16, NAMESPACE),
        inputs=(
            _node(_GROUP),
            _node(_TYPE),
            _bytes(1200),
            ua.Variant([_bytes(1000).Value], ua.VariantType.ByteString, is_array=True),
            _string("PFX"),
            _bytes(0),
        ),
        outputs=(_CHANGED,),
    ),
    MethodCall(name="ApplyChanges", method_id=node_id(17, NAMESPACE)),
)
"""The calls in their order, each in a request of its own."""


class Stage(StrEnum):
    """How far a conversation goes; each stage has those before it."""

    DISCOVERY = "discovery"
    """TCP, HEL, OPN without security, GetEndpoints, CLO."""
    VALIDATION = "validation"
    """The certificate is read and judged."""
    CHANNEL = "channel"
    """TCP, HEL, OPN with SignAndEncrypt, CLO."""
    SESSION = "session"
    """CreateSession, ActivateSession, CloseSession."""
    SERVICES = "services"
    """The twelve services."""


MOST_AT_ONCE: Final = 64
"""Conversations between the same two addresses; in a plant each Device has its own."""

SERVICES: Final = len(READ) + 1 + len(CALLS)
