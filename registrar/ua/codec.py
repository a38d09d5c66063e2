"""Messages and structures to bytes and back (OPC 10000-6 §5.2).

A ``Codec`` knows messages; the ``Coder`` in it walks values. There are two coders, made from the
same ``fields``: one of generated Python, and its compiled twin. Only ``DecodingError`` leaves
either, whatever the bytes are: what ``struct``, ``str`` and Python itself raise on short or wrong
input is translated there, once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType, ModuleType
from typing import Any, Protocol, TypeAlias, TypeVar

from asyncua import ua

from registrar.errors import DecodingError, Misuse
from registrar.native import compiled
from registrar.status import StatusCode
from registrar.ua import binary, fields, node_id
from registrar.ua.binary import Budget, Encoder
from registrar.ua.limits import DecoderLimits
from registrar.ua.structure import decoder_of, encoder_of
from registrar.ua.variant import decode_variant, encode_variant

T = TypeVar("T")

RequestHead: TypeAlias = tuple[ua.NodeId | None, int, int, int]
"""Of a RequestHeader AuthenticationToken, Timestamp in microseconds since 1601, RequestHandle and
TimeoutHint in milliseconds; the rest is empty."""

ResponseHead: TypeAlias = tuple[int, int, int]
"""Of a ResponseHeader Timestamp in microseconds since 1601, RequestHandle and ServiceResult; the
rest is empty."""

CallResult = tuple[int, int, int, list[ua.Variant]]
"""RequestHandle, ServiceResult, StatusCode of the Method, output arguments."""

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

_FOUR_BYTE_ID = struct.Struct("<BBH")
_ENCODING_IDS: Mapping[type, int] = MappingProxyType(
    {cls: cls().TypeId.Identifier for cls in MESSAGES}
)
_PREFIXES: Mapping[type, bytes] = MappingProxyType(
    {cls: _FOUR_BYTE_ID.pack(1, 0, number) for cls, number in _ENCODING_IDS.items()}
)
_BY_PREFIX: Mapping[bytes, type] = MappingProxyType(
    {prefix: cls for cls, prefix in _PREFIXES.items()}
)
_BY_ENCODING_ID: Mapping[object, type] = MappingProxyType(
    {number: cls for cls, number in _ENCODING_IDS.items()}
)
_REFUSED_BYTES = (struct.error, IndexError, ValueError, OverflowError, RecursionError)
_REFUSED_VALUES = (
    *(struct.error, TypeError, AttributeError, ValueError, LookupError),
    *(OverflowError, RecursionError),
)
_DEFAULT_LIMITS = DecoderLimits()


class Coder(Protocol):
    """What turns values into bytes and back."""

    def encode(self, cls: type, value: Any, prefix: bytes) -> bytes:
        """Return ``prefix`` and the fields of ``value``, a structure ``cls`` or a Variant.

        Raises:
            Misuse: a field holds what its type cannot.
        """
        ...

    def decode(
        self,
        cls: type,
        data: bytes,
        at: int,
        limits: DecoderLimits,
        again: list[Any] | None = None,
    ) -> Any:
        """Decode the ``cls`` that fills ``data`` from offset ``at`` on.

        Args:
            again: structures decoded before; where a list holds the same bytes, it may be ``again``
                itself instead of one that equals it.

        Raises:
            DecodingError: malformed, beyond a limit, or longer than the value.
        """
        ...

    def make(self, cls: type[T], *values: Any) -> T:
        """Return a structure ``cls`` of its fields, in the order of the wire, without a TypeId.

        The constructors of asyncua make defaults for fields that are given, too.

        Raises:
            Misuse: more or fewer values than fields.
        """
        ...

    def same(self, cls: type, first: list[Any], second: list[Any]) -> bool:
        """Tell whether two lists hold equal structures ``cls``, in the same order."""
        ...


class _PythonCoder:
    """The specification of the compiled one."""

    def encode(self, cls: type, value: Any, prefix: bytes) -> bytes:
        out = bytearray(prefix)
        try:
            encode: Encoder = encode_variant if cls is ua.Variant else encoder_of(cls)
            encode(out, value)
        except _REFUSED_VALUES as error:
            raise Misuse(f"{type(value).__name__} cannot be encoded: {error}") from error
        return bytes(out)

    def decode(
        self,
        cls: type,
        data: bytes,
        at: int,
        limits: DecoderLimits,
        again: list[Any] | None = None,
    ) -> Any:
        decode = decode_variant if cls is ua.Variant else decoder_of(cls)
        try:
            value, end = decode(data, at, Budget(limits))
        except _REFUSED_BYTES as error:
            raise DecodingError(f"malformed bytes: {error}") from error
        if end != len(data):
            raise DecodingError(f"{len(data) - end} bytes behind the end of the message")
        return value

    def make(self, cls: type[T], *values: Any) -> T:
        structure: type = cls
        names = [field.name for field in fields.fields_of(structure)]
        if len(values) != len(names):
            raise Misuse(f"{len(values)} values for the {len(names)} fields of a {cls.__name__}")
        return cls(**dict(zip(names, values, strict=True)))

    def same(self, cls: type, first: list[Any], second: list[Any]) -> bool:
        return first == second


def _header_of(head: RequestHead) -> ua.RequestHeader:
    token, moment_us, handle, hint_ms = head
    return ua.RequestHeader(
        AuthenticationToken=token,
        Timestamp=binary.EPOCH + timedelta(microseconds=moment_us),
        RequestHandle=ua.IntegerId(handle),
        TimeoutHint=ua.UInt32(hint_ms),
    )


def _response_header_of(head: ResponseHead) -> ua.ResponseHeader:
    moment_us, handle, status = head
    return ua.ResponseHeader(
        Timestamp=binary.EPOCH + timedelta(microseconds=moment_us),
        RequestHandle=ua.IntegerId(handle),
        ServiceResult=ua.StatusCode(ua.UInt32(status)),
    )


@compiled
def make_coder(analysis: ModuleType) -> Coder:
    """Return a coder of the classes ``analysis`` (the module ``fields``) can read."""
    return _PythonCoder()


def _message_type(body: bytes, limits: DecoderLimits) -> tuple[type, int]:
    """Return the type of a message that names it in a longer form than need be."""
    try:
        type_id, at = node_id.decode_node_id(body, 0, Budget(limits))
    except _REFUSED_BYTES as error:
        raise DecodingError(f"malformed bytes: {error}") from error
    cls = _BY_ENCODING_ID.get(type_id.Identifier) if type_id.NamespaceIndex == 0 else None
    if cls is None:
        raise DecodingError(
            f"message of type {type_id.to_string()[:80]}", status=StatusCode.BadServiceUnsupported
        )
    return cls, at


@compiled
class MessageCoder:
    """Messages to bytes and back, each with its type in front.

    Args:
        coder: walks their fields.
        prefixes: the type of each message in its usual form, and ``by_prefix`` the other way.
        type_of: reads a type in another form; returns the class and where its fields begin.
        limits: of a message where ``decode`` is given none.
    """

    __slots__ = ("_by_prefix", "_coder", "_limits", "_prefixes", "_type_of")

    def __init__(
        self,
        coder: Coder,
        *,
        prefixes: Mapping[type, bytes],
        by_prefix: Mapping[bytes, type],
        type_of: Callable[[bytes, DecoderLimits], tuple[type, int]],
        limits: DecoderLimits,
    ) -> None:
        self._coder = coder
        self._prefixes = prefixes
        self._by_prefix = by_prefix
        self._type_of = type_of
        self._limits = limits

    def encode(self, message: Any) -> bytes:
        """Return the body of a request or response: its type and its fields.

        Raises:
            Misuse: not one of ``MESSAGES``, or a field holds what its type cannot.
        """
        cls = type(message)
        prefix = self._prefixes.get(cls)
        if prefix is None:
            raise Misuse(f"{cls.__name__} is not a message we send")
        return self._coder.encode(cls, message, prefix)

    def encode_request(self, request: Any, head: RequestHead) -> bytes:
        """Return the body of a request with this head for its RequestHeader; else as ``encode``."""
        if not hasattr(request, "RequestHeader"):
            raise Misuse(f"a {type(request).__name__} has no RequestHeader")
        request.RequestHeader = _header_of(head)
        return self.encode(request)

    def encode_response(self, response: Any, head: ResponseHead) -> bytes:
        """Return the body of a response with this head for its ResponseHeader; as ``encode``."""
        if not hasattr(response, "ResponseHeader"):
            raise Misuse(f"a {type(response).__name__} has no ResponseHeader")
        response.ResponseHeader = _response_header_of(head)
        return self.encode(response)

    def decode(
        self,
        body: bytes,
        limits: DecoderLimits | None = None,
        again: list[Any] | None = None,
    ) -> Any:
        """Decode the body of a request or response of ``MESSAGES``.

        Args:
            again: as ``Coder.decode`` has it.

        Raises:
            DecodingError: malformed, beyond a limit, or, with the status BadServiceUnsupported, a
                message of another type.
        """
        body, limits = bytes(body), limits or self._limits
        cls, at = self._by_prefix.get(body[: _FOUR_BYTE_ID.size]), _FOUR_BYTE_ID.size
        if cls is None:
            cls, at = self._type_of(body, limits)
        return self._coder.decode(cls, body, at, limits, again)

    def decode_response(
        self, body: bytes, limits: DecoderLimits, again: list[Any] | None = None
    ) -> tuple[int | None, int, Any]:
        """Decode the body of a response; else as ``decode``.

        Returns:
            RequestHandle, None if it is no response; ServiceResult; the response, whose
            ResponseHeader is None.
        """
        message = self.decode(body, limits, again)
        header = getattr(message, "ResponseHeader", None)
        if header is None:
            return None, 0, message
        message.ResponseHeader = None
        return header.RequestHandle, header.ServiceResult.value, message

    def encode_call(
        self,
        head: RequestHead,
        object_id: ua.NodeId,
        method_id: ua.NodeId,
        arguments: Sequence[ua.Variant],
    ) -> bytes:
        """Return the body of a CallRequest for one Method; else as ``encode_request``."""
        method = ua.CallMethodRequest(object_id, method_id, list(arguments))
        parameters = ua.CallParameters(MethodsToCall=[method])
        return self.encode_request(ua.CallRequest(Parameters=parameters), head)

    def decode_call(self, body: bytes, limits: DecoderLimits) -> CallResult | None:
        """Decode a CallResponse with one result that says nothing of its inputs.

        Returns:
            None where the message is another, or not that simple: ``decode`` then says what it is.

        Raises:
            DecodingError: as ``decode``.
        """
        message = self.decode(body, limits)
        if type(message) is not ua.CallResponse or len(message.Results or ()) != 1:
            return None
        header, (result,) = message.ResponseHeader, message.Results
        if result.InputArgumentResults or result.InputArgumentDiagnosticInfos:
            return None
        status, outputs = result.StatusCode.value, list(result.OutputArguments or ())
        return header.RequestHandle, header.ServiceResult.value, status, outputs


class Codec:
    """Messages, structures and Variants to bytes and back."""

    def __init__(self, coder: Coder, message_coder: type[MessageCoder] = MessageCoder) -> None:
        self._coder = coder
        self.make = coder.make
        messages = message_coder(
            coder,
            prefixes=_PREFIXES,
            by_prefix=_BY_PREFIX,
            type_of=_message_type,
            limits=_DEFAULT_LIMITS,
        )
        self.encode_message = messages.encode
        self.decode_message = messages.decode
        self.encode_request = messages.encode_request
        self.encode_response = messages.encode_response
        self.decode_response = messages.decode_response
        self.encode_call = messages.encode_call
        self.decode_call = messages.decode_call

    def are_same(self, cls: type[T], first: list[T], second: list[T]) -> bool:
        """Tell whether two lists hold equal structures ``cls``, in the same order."""
        return self._coder.same(cls, first, second)

    def encode_structure(self, value: Any) -> bytes:
        """Return the fields of a structure without its type, as in a file of a TrustList.

        Raises:
            Misuse: a field holds what its type cannot.
        """
        return self._coder.encode(type(value), value, b"")

    def decode_structure(
        self, cls: type[T], data: bytes, limits: DecoderLimits = _DEFAULT_LIMITS
    ) -> T:
        """Decode a structure that fills ``data``.

        Raises:
            DecodingError: malformed, beyond a limit, or longer than the structure.
        """
        value: T = self._coder.decode(cls, bytes(data), 0, limits)
        return value

    def encode_value(self, value: ua.Variant) -> bytes:
        """Return a Variant alone.

        Raises:
            Misuse: it holds what its type cannot.
        """
        return self._coder.encode(ua.Variant, value, b"")

    def decode_value(self, data: bytes, limits: DecoderLimits = _DEFAULT_LIMITS) -> ua.Variant:
        """Decode a Variant that fills ``data``.

        Raises:
            DecodingError: malformed or beyond a limit.
        """
        value: ua.Variant = self._coder.decode(ua.Variant, bytes(data), 0, limits)
        return value


_CODEC = Codec(make_coder(fields))
encode_message = _CODEC.encode_message
decode_message = _CODEC.decode_message
make = _CODEC.make
encode_request = _CODEC.encode_request
encode_response = _CODEC.encode_response
decode_response = _CODEC.decode_response
encode_call = _CODEC.encode_call
decode_call = _CODEC.decode_call
are_same = _CODEC.are_same
encode_structure = _CODEC.encode_structure
decode_structure = _CODEC.decode_structure
encode_value = _CODEC.encode_value
decode_value = _CODEC.decode_value


def read_request_handle(body: bytes) -> int:
    """Return the RequestHandle of a request, 0 if it cannot be read.

    A ServiceFault names it even when the rest of the request does not decode.
    """
    try:
        budget = Budget(_DEFAULT_LIMITS)
        _, at = node_id.decode_node_id(body, 0, budget)
        _, at = node_id.decode_node_id(body, at, budget)
        handle: int = binary.UINT32.unpack_from(body, at + 8)[0]
    except (DecodingError, *_REFUSED_BYTES):
        return 0
    return handle
