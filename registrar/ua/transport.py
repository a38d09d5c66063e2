"""HEL, ACK, ERR and RHE: what is said before and beside a SecureChannel (OPC 10000-6 §7.1.2).

client                        server
  HEL  ───────────────────────▶
       ◀───────────────────────  ACK      or ERR, and the socket closes
  OPN  ───────────────────────▶
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from registrar.errors import DecodingError
from registrar.native import compiled
from registrar.status import StatusCode
from registrar.ua.limits import MAX_URL, MIN_BUFFER_SIZE, ChannelLimits

PROTOCOL_VERSION = 0

HEADER = struct.Struct("<3scI")
"""MessageType, IsFinal or Reserved, MessageSize."""

_HELLO = struct.Struct("<5Ii")
_ACKNOWLEDGE = struct.Struct("<5I")
_ERROR = struct.Struct("<Ii")
_INT32 = struct.Struct("<i")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """HEL: what the client can take, and whom it wants to talk to."""

    protocol_version: int = PROTOCOL_VERSION
    receive_buffer_size: int
    send_buffer_size: int
    max_message_size: int
    """Bytes of a response; 0 means no limit."""
    max_chunk_count: int
    """Chunks of a response; 0 means no limit."""
    endpoint_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """ACK: what the server can take."""

    protocol_version: int = PROTOCOL_VERSION
    receive_buffer_size: int
    send_buffer_size: int
    max_message_size: int
    max_chunk_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMessage:
    """ERR: why the sender closes the connection."""

    error: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseHello:
    """RHE: a server that opened the socket asks to be called on it."""

    server_uri: str
    endpoint_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """What both sides agreed on; ours is never more than our limits."""

    receive_chunk_size: int
    """Bytes of a chunk we take."""
    send_chunk_size: int
    """Bytes of a chunk we may send."""
    send_message_size: int
    """Bytes of a message we may send; 0 means the peer set no limit."""
    send_chunk_count: int
    """Chunks of a message we may send; 0 means the peer set no limit."""


def encode_hello(hello: Hello) -> bytes:
    """Return the HEL chunk."""
    url = hello.endpoint_url.encode()
    body = _HELLO.pack(
        hello.protocol_version,
        hello.receive_buffer_size,
        hello.send_buffer_size,
        hello.max_message_size,
        hello.max_chunk_count,
        len(url),
    )
    return _with_header(b"HEL", body + url)


def decode_hello(body: bytes) -> Hello:
    """Decode the body of a HEL.

    Raises:
        DecodingError: too short, a URL too long, or buffers below 8192 bytes.
    """
    if len(body) < _HELLO.size:
        raise DecodingError(f"HEL of {len(body)} bytes")
    version, receive, send, size, count, _ = _HELLO.unpack_from(body)
    url, at = _string(
        body, _HELLO.size - 4, limit=MAX_URL - 1, status=StatusCode.BadTcpEndpointUrlInvalid
    )
    _check_end(body, at)
    _check_buffers(receive, send)
    return Hello(
        protocol_version=version,
        receive_buffer_size=receive,
        send_buffer_size=send,
        max_message_size=size,
        max_chunk_count=count,
        endpoint_url=url,
    )


def encode_acknowledge(acknowledge: Acknowledge) -> bytes:
    """Return the ACK chunk."""
    body = _ACKNOWLEDGE.pack(
        acknowledge.protocol_version,
        acknowledge.receive_buffer_size,
        acknowledge.send_buffer_size,
        acknowledge.max_message_size,
        acknowledge.max_chunk_count,
    )
    return _with_header(b"ACK", body)


@compiled
def decode_acknowledge(body: bytes) -> Acknowledge:
    """Decode the body of an ACK.

    Raises:
        DecodingError: of another length, or buffers below 8192 bytes.
    """
    if len(body) != _ACKNOWLEDGE.size:
        raise DecodingError(f"ACK of {len(body)} bytes")
    version, receive, send, size, count = _ACKNOWLEDGE.unpack(body)
    _check_buffers(receive, send)
    return Acknowledge(
        protocol_version=version,
        receive_buffer_size=receive,
        send_buffer_size=send,
        max_message_size=size,
        max_chunk_count=count,
    )


def encode_error(error: ErrorMessage) -> bytes:
    """Return the ERR chunk; a Reason beyond 4096 bytes is cut."""
    return _with_header(b"ERR", encode_error_body(error))


def encode_error_body(error: ErrorMessage) -> bytes:
    """Return Error and Reason alone, as an abort chunk carries them."""
    reason = error.reason.encode()[:MAX_URL].decode(errors="ignore").encode()
    return _ERROR.pack(error.error, len(reason)) + reason


def decode_error(body: bytes) -> ErrorMessage:
    """Decode Error and Reason, the body of an ERR and of an abort chunk.

    Raises:
        DecodingError: too short, or a Reason too long.
    """
    if len(body) < _ERROR.size:
        raise DecodingError(f"ERR of {len(body)} bytes")
    code, _ = _ERROR.unpack_from(body)
    reason, at = _string(body, 4, limit=MAX_URL, status=StatusCode.BadDecodingError)
    _check_end(body, at)
    return ErrorMessage(error=code, reason=reason)


def encode_reverse_hello(hello: ReverseHello) -> bytes:
    """Return the RHE chunk."""
    uri, url = hello.server_uri.encode(), hello.endpoint_url.encode()
    return _with_header(b"RHE", _INT32.pack(len(uri)) + uri + _INT32.pack(len(url)) + url)


def decode_reverse_hello(body: bytes) -> ReverseHello:
    """Decode the body of an RHE.

    Raises:
        DecodingError: cut off, or a URI too long.
    """
    uri, at = _string(body, 0, limit=MAX_URL, status=StatusCode.BadTcpEndpointUrlInvalid)
    url, at = _string(body, at, limit=MAX_URL, status=StatusCode.BadTcpEndpointUrlInvalid)
    _check_end(body, at)
    return ReverseHello(server_uri=uri, endpoint_url=url)


def offer(limits: ChannelLimits, endpoint_url: str) -> Hello:
    """Return the HEL of a client with ``limits``."""
    return Hello(
        receive_buffer_size=limits.receive_buffer_size,
        send_buffer_size=limits.send_buffer_size,
        max_message_size=limits.max_message_size,
        max_chunk_count=limits.max_chunk_count,
        endpoint_url=endpoint_url,
    )


def answer(limits: ChannelLimits, hello: Hello) -> Acknowledge:
    """Return the ACK of a server with ``limits``: never more than what the client offered."""
    return Acknowledge(
        receive_buffer_size=min(limits.receive_buffer_size, hello.send_buffer_size),
        send_buffer_size=min(limits.send_buffer_size, hello.receive_buffer_size),
        max_message_size=limits.max_message_size,
        max_chunk_count=limits.max_chunk_count,
    )


def negotiate(limits: ChannelLimits, peer: Hello | Acknowledge) -> Negotiated:
    """Return what holds after HEL and ACK; the peer's values can only lower ours."""
    return Negotiated(
        receive_chunk_size=min(limits.receive_buffer_size, peer.send_buffer_size),
        send_chunk_size=min(limits.send_buffer_size, peer.receive_buffer_size),
        send_message_size=peer.max_message_size,
        send_chunk_count=peer.max_chunk_count,
    )


def _with_header(message_type: bytes, body: bytes) -> bytes:
    return HEADER.pack(message_type, b"F", HEADER.size + len(body)) + body


def _check_buffers(receive: int, send: int) -> None:
    if min(receive, send) < MIN_BUFFER_SIZE:
        raise DecodingError(
            f"buffers of {receive} and {send} bytes, at least {MIN_BUFFER_SIZE} are needed",
            status=StatusCode.BadTcpNotEnoughResources,
        )


def _check_end(body: bytes, at: int) -> None:
    if at != len(body):
        raise DecodingError(f"{len(body) - at} bytes behind the end of the message")


def _string(body: bytes, at: int, *, limit: int, status: StatusCode) -> tuple[str, int]:
    if len(body) - at < 4:
        raise DecodingError(f"String at offset {at} leaves the body")
    (length,) = _INT32.unpack_from(body, at)
    at += 4
    if length < -1:
        raise DecodingError(f"String of length {length}")
    if length > limit:
        raise DecodingError(f"String of {length} bytes, at most {limit} are allowed", status=status)
    if length > len(body) - at:
        raise DecodingError(f"String of {length} bytes leaves the body")
    end = at + max(length, 0)
    try:
        return body[at:end].decode(), end
    except UnicodeDecodeError as error:
        raise DecodingError("String is not UTF-8") from error
