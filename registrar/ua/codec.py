"""Messages and structures to bytes and back (OPC 10000-6 §5.2).

Only ``DecodingError`` leaves a decoder, whatever the bytes are: what ``struct``, ``str`` and
Python itself raise on short or wrong input is translated here, once.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from asyncua import ua

from registrar.errors import DecodingError, Misuse
from registrar.status import StatusCode
from registrar.ua import binary, node_id
from registrar.ua.binary import Budget, Decoder, Encoder
from registrar.ua.limits import DecoderLimits
from registrar.ua.structure import decoder_of, encoder_of
from registrar.ua.variant import decode_variant, encode_variant

T = TypeVar("T")

MESSAGES: tuple[type, ...] = (
    ua.ServiceFault,
    ua.FindServersRequest,
    ua.FindServersResponse,
    ua.GetEndpointsRequest,
    ua.GetEndpointsResponse,
    ua.OpenSecureChannelRequest,
    ua.OpenSecureChannelResponse,
    ua.CloseSecureChannelRequest,
    ua.CreateSessionRequest,
    ua.CreateSessionResponse,
    ua.ActivateSessionRequest,
    ua.ActivateSessionResponse,
    ua.CloseSessionRequest,
    ua.CloseSessionResponse,
    ua.ReadRequest,
    ua.ReadResponse,
    ua.WriteRequest,
    ua.WriteResponse,
    ua.BrowseRequest,
    ua.BrowseResponse,
    ua.BrowseNextRequest,
    ua.BrowseNextResponse,
    ua.TranslateBrowsePathsToNodeIdsRequest,
    ua.TranslateBrowsePathsToNodeIdsResponse,
    ua.CallRequest,
    ua.CallResponse,
)
"""The services we speak, in either role."""

_ENCODING_IDS: Mapping[type, int] = MappingProxyType(
    {cls: cls().TypeId.Identifier for cls in MESSAGES}
)
_BY_ENCODING_ID: Mapping[object, type] = MappingProxyType(
    {number: cls for cls, number in _ENCODING_IDS.items()}
)
_REFUSALS = (struct.error, IndexError, ValueError, OverflowError, RecursionError)
_DEFAULT_LIMITS = DecoderLimits()
_FOUR_BYTE_ID = struct.Struct("<BBH")


def encode_message(message: Any) -> bytes:
    """Return the body of a request or response: its type and its fields.

    Raises:
        Misuse: not a message of ``MESSAGES``, or a field holds what its type cannot.
    """
    kind: type = type(message)
    prefix, encode = _message_encoder(kind)
    return _encoded(encode, message, prefix)


def decode_message(body: bytes, limits: DecoderLimits = _DEFAULT_LIMITS) -> Any:
    """Decode the body of a request or response of ``MESSAGES``.

    Raises:
        DecodingError: malformed, beyond a limit, or, with the status BadServiceUnsupported, a
            message of another type.
    """
    return _decoded(_decode_message, body, limits)


def encode_structure(value: Any) -> bytes:
    """Return the fields of a structure without its type, as in a file of a TrustList.

    Raises:
        Misuse: a field holds what its type cannot.
    """
    return _encoded(encoder_of(type(value)), value, b"")


def decode_structure(cls: type[T], data: bytes, limits: DecoderLimits = _DEFAULT_LIMITS) -> T:
    """Decode a structure that fills ``data``.

    Raises:
        DecodingError: malformed, beyond a limit, or longer than the structure.
    """
    value: T = _decoded(decoder_of(cls), data, limits)
    return value


def encode_value(value: ua.Variant) -> bytes:
    """Return a Variant alone."""
    return _encoded(encode_variant, value, b"")


def decode_value(data: bytes, limits: DecoderLimits = _DEFAULT_LIMITS) -> ua.Variant:
    """Decode a Variant that fills ``data``.

    Raises:
        DecodingError: malformed or beyond a limit.
    """
    value: ua.Variant = _decoded(decode_variant, data, limits)
    return value


def read_request_handle(body: bytes) -> int:
    """Return the RequestHandle of a request, 0 if it cannot be read.

    A ServiceFault names it even when the rest of the request does not decode.
    """
    try:
        budget = Budget(_DEFAULT_LIMITS)
        _, at = node_id.decode_node_id(body, 0, budget)
        _, at = node_id.decode_node_id(body, at, budget)
        handle: int = binary.UINT32.unpack_from(body, at + 8)[0]
    except (DecodingError, *_REFUSALS):
        return 0
    return handle


@functools.cache
def _message_encoder(cls: type) -> tuple[bytes, Encoder]:
    number = _ENCODING_IDS.get(cls)
    if number is None:
        raise Misuse(f"{cls.__name__} is not a message we send")
    return _FOUR_BYTE_ID.pack(1, 0, number), encoder_of(cls)


def _decode_message(data: bytes, at: int, budget: Budget) -> tuple[Any, int]:
    type_id, at = node_id.decode_node_id(data, at, budget)
    cls = _BY_ENCODING_ID.get(type_id.Identifier) if type_id.NamespaceIndex == 0 else None
    if cls is None:
        raise DecodingError(
            f"message of type {type_id.to_string()[:80]}", status=StatusCode.BadServiceUnsupported
        )
    return decoder_of(cls)(data, at, budget)


def _encoded(encode: Encoder, value: Any, prefix: bytes) -> bytes:
    out = bytearray(prefix)
    try:
        encode(out, value)
    except (struct.error, TypeError, AttributeError, ValueError, KeyError) as error:
        raise Misuse(f"{type(value).__name__} cannot be encoded: {error}") from error
    return bytes(out)


def _decoded(decode: Decoder, data: bytes, limits: DecoderLimits) -> Any:
    data = bytes(data)
    try:
        value, end = decode(data, 0, Budget(limits))
    except _REFUSALS as error:
        raise DecodingError(f"malformed bytes: {error}") from error
    if end != len(data):
        raise DecodingError(f"{len(data) - end} bytes behind the end of the message")
    return value
