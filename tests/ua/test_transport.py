"""HEL, ACK, ERR and RHE, with their limits."""

from __future__ import annotations

import struct
from dataclasses import replace
from inspect import unwrap

import pytest
from asyncua import ua
from asyncua.ua import ua_binary
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import DecodingError, RegistrarError
from registrar.status import StatusCode
from registrar.ua.limits import MAX_URL, MIN_BUFFER_SIZE, ChannelLimits
from registrar.ua.server_channel import ServerChannel
from registrar.ua.transport import (
    HEADER,
    Acknowledge,
    ErrorMessage,
    Hello,
    ReverseHello,
    answer,
    decode_acknowledge,
    decode_error,
    decode_hello,
    decode_reverse_hello,
    encode_acknowledge,
    encode_error,
    encode_hello,
    encode_reverse_hello,
    negotiate,
    offer,
)

DECODERS = [decode_hello, decode_acknowledge, decode_error, decode_reverse_hello]
sizes = st.integers(MIN_BUFFER_SIZE, 2**32 - 1)


def body_of(chunk: bytes) -> bytes:
    """Return a chunk without its header, which must tell its length."""
    assert HEADER.unpack_from(chunk)[1:] == (b"F", len(chunk))
    return chunk[HEADER.size :]


def hello(url: str = "opc.tcp://x", receive: int = 65536, send: int = 65536) -> Hello:
    """Return a HEL without limits for messages."""
    return Hello(
        receive_buffer_size=receive,
        send_buffer_size=send,
        max_message_size=0,
        max_chunk_count=0,
        endpoint_url=url,
    )


@pytest.mark.clause("OPC 10000-6 §7.1.2.3")
def test_hello_is_the_bytes_of_asyncua() -> None:
    size, none = ua.UInt32(65536), ua.UInt32(0)
    foreign = ua.Hello(none, size, size, none, none, ua.String("opc.tcp://x"))

    data = encode_hello(hello())

    assert data == ua_binary.uatcp_to_binary(ua.MessageType.Hello, foreign)  # type: ignore[arg-type]
    assert decode_hello(body_of(data)) == hello()


@pytest.mark.clause("OPC 10000-6 §7.1.2.4")
def test_acknowledge_returns_unchanged() -> None:
    acknowledge = answer(ChannelLimits(), hello())

    assert decode_acknowledge(body_of(encode_acknowledge(acknowledge))) == acknowledge


@pytest.mark.clause("OPC 10000-6 §7.1.2.5")
def test_error_returns_unchanged_and_its_reason_is_cut() -> None:
    short = ErrorMessage(error=0x80820000, reason="why")
    long = ErrorMessage(error=1, reason="ä" * MAX_URL)

    assert decode_error(body_of(encode_error(short))) == short
    assert decode_error(body_of(encode_error(long))).reason == "ä" * (MAX_URL // 2)


@pytest.mark.clause("OPC 10000-6 §7.1.2.6")
def test_reverse_hello_returns_unchanged() -> None:
    reverse = ReverseHello(server_uri="urn:server", endpoint_url="opc.tcp://x")

    assert decode_reverse_hello(body_of(encode_reverse_hello(reverse))) == reverse


@pytest.mark.clause("OPC 10000-6 §7.1.2.3")
@pytest.mark.parametrize(("length", "fits"), [(4094, True), (4095, True), (4096, False)])
def test_an_endpoint_url_is_shorter_than_4096_bytes(length: int, fits: bool) -> None:
    body = body_of(encode_hello(hello("x" * length)))

    if fits:
        assert len(decode_hello(body).endpoint_url) == length
        return
    with pytest.raises(DecodingError) as caught:
        decode_hello(body)
    assert caught.value.status is StatusCode.BadTcpEndpointUrlInvalid


@pytest.mark.clause("OPC 10000-6 §7.1.2.3")
@pytest.mark.parametrize(("size", "fits"), [(0, False), (8191, False), (8192, True), (8193, True)])
def test_buffers_have_at_least_8192_bytes(size: int, fits: bool) -> None:
    acknowledge = Acknowledge(
        receive_buffer_size=size, send_buffer_size=65536, max_message_size=0, max_chunk_count=0
    )
    for decode, data in (
        (decode_hello, encode_hello(hello(receive=size))),
        (decode_hello, encode_hello(hello(send=size))),
        (decode_acknowledge, encode_acknowledge(acknowledge)),
    ):
        if fits:
            decode(body_of(data))
            continue
        with pytest.raises(DecodingError):
            decode(body_of(data))


@given(receive=sizes, send=sizes)
def test_the_peer_never_raises_our_buffers(receive: int, send: int) -> None:
    limits = ChannelLimits(receive_buffer_size=20_000, send_buffer_size=30_000)
    wanted = hello(receive=receive, send=send)

    granted = answer(limits, wanted)
    agreed = negotiate(limits, wanted)

    assert granted.receive_buffer_size <= min(20_000, send)
    assert granted.send_buffer_size <= min(30_000, receive)
    assert agreed.receive_chunk_size == granted.receive_buffer_size
    assert agreed.send_chunk_size == granted.send_buffer_size


def test_the_client_offers_its_limits() -> None:
    limits = ChannelLimits(receive_buffer_size=9000, max_message_size=70_000, max_chunk_count=5)

    offered = offer(limits, "opc.tcp://x")

    assert (offered.receive_buffer_size, offered.max_message_size) == (9000, 70_000)
    assert offered.max_chunk_count == 5


@pytest.mark.parametrize("decode", DECODERS)
@given(data=st.binary(max_size=60))
def test_arbitrary_bytes_raise_only_decoding_errors(decode: object, data: bytes) -> None:
    assert callable(decode)
    try:
        decode(data)
    except DecodingError:
        return


@pytest.mark.parametrize("length", [-2, -(2**31), 5, 2**31 - 1])
def test_strings_with_wrong_lengths_are_refused(length: int) -> None:
    with pytest.raises(DecodingError):
        decode_error(bytes(4) + struct.pack("<i", length) + b"four")


ODD_HELLOS = {
    "usual": hello(),
    "longest URL": hello("u" * 4095),
    "URL too long": hello("u" * 4096),
    "no URL": hello(""),
    "beyond ASCII": hello("opc.tcp://geräte/\ufffd"),
    "small": hello(receive=8191),
    "another version": replace(hello(), protocol_version=7),
}
"""HEL by what is special about it."""


@pytest.mark.parametrize("data", [*map(encode_hello, ODD_HELLOS.values())], ids=[*ODD_HELLOS])
@pytest.mark.parametrize("spoilt", [None, 28, -1], ids=["whole", "length", "last byte"])
def test_both_channels_take_the_same_hello(data: bytes, spoilt: int | None) -> None:
    changed = bytearray(data)
    if spoilt is not None:
        changed[spoilt] ^= 0xFF

    assert _answer(ServerChannel, bytes(changed)) == _answer(unwrap(ServerChannel), bytes(changed))


def _answer(make: type[ServerChannel], data: bytes) -> object:
    channel = make(channel_id=1, identity_of=lambda _: None)
    try:
        events = channel.receive(data, 0)
        return events, channel.acknowledge()
    except RegistrarError as error:
        return type(error), str(error), error.status
