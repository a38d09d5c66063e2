"""The compiled coder and the Python one take and refuse the same, and agree on what it means."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from hypothesis import example, given
from hypothesis import strategies as st

from registrar import native
from registrar.errors import Misuse
from registrar.status import StatusCode
from registrar.ua.codec import MESSAGES
from registrar.ua.fields import fields_of
from registrar.ua.limits import DecoderLimits
from registrar.wire.builtin import node_id
from tests.ua.codecs import COMPILED, PYTHON, result, seen
from tests.ua.samples import Sampler

LIMITS = DecoderLimits(max_depth=6, max_elements=60)
REQUESTS = tuple(cls for cls in MESSAGES if hasattr(cls, "RequestHeader"))
RESPONSES = tuple(cls for cls in MESSAGES if hasattr(cls, "ResponseHeader"))
MUTATIONS = 1_000
"""Changed encodings of each message."""

HEAD = (node_id(5, 1), 13_500_000_000_000_000, 7, 1000)
"""Of a request: token, microseconds since 1601, RequestHandle, TimeoutHint."""

int32 = struct.Struct("<i").pack
pytestmark = pytest.mark.skipif(
    "codec" in native.missing_extensions(), reason="there is one coder only: codec is not compiled"
)


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_messages_are_the_same_bytes_and_values(cls: type) -> None:
    for seed in range(60):
        message = Sampler(seed).instance(cls)

        data = COMPILED.encode_message(message)

        assert data == PYTHON.encode_message(message)
        assert seen(COMPILED.decode_message(data)) == seen(PYTHON.decode_message(data))


@pytest.mark.slow
@pytest.mark.parametrize("limits", [DecoderLimits(), LIMITS], ids=["wide", "narrow"])
@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_changed_messages_are_taken_or_refused_alike(cls: type, limits: DecoderLimits) -> None:
    taken = 0
    for data in changed(cls):
        outcome = result(COMPILED.decode_message, data, limits)

        assert outcome == result(PYTHON.decode_message, data, limits), data.hex()
        taken += not isinstance(outcome, type)
    assert 0 < taken < MUTATIONS


@given(data=st.binary(max_size=80))
@example(data=b"\x98" + int32(1) + b"\x98" * 90)
@example(data=b"\xc3" + int32(4) + bytes(4) + int32(2) + int32(65_536) * 2)
@example(data=b"\xc3" + int32(0) + int32(1) + int32(0))
@example(data=b"\x0a\x01\x00\xa0\x7f")  # a NaN that signals
@example(data=b"\x01\x02")  # a Boolean of 2
@example(data=b"\x12\xc1\x01\x02\x00\x01\x00\x00\x00u\x05\x00\x00\x00")
@example(data=b"\x16\x01\x00\x2a\x01\x01" + int32(0))
@example(data=b"\x16\x01\x00\x2a\x01\x02" + int32(1) + b"x")
@example(data=b"\x16\x00\x00\x01" + int32(1) + b"x")
@example(data=b"\x9f" + int32(1) + int32(-1))
def test_any_bytes_are_taken_or_refused_alike(data: bytes) -> None:
    outcome = result(COMPILED.decode_value, data, LIMITS)

    assert outcome == result(PYTHON.decode_value, data, LIMITS)


@pytest.mark.parametrize("kind", range(32))
def test_variants_of_every_type_agree(kind: int) -> None:
    source = random.Random(kind)
    for head in (bytes([kind]), bytes([0x80 | kind]) + int32(2), bytes([0xC0 | kind]) + int32(2)):
        for _ in range(300):
            body = bytes(
                source.choice((0, 0, 0, 1, 2, 4, 255, source.randrange(256))) for _ in "x" * 60
            )
            data = head + body[: source.randrange(60)]

            outcome = result(COMPILED.decode_value, data, LIMITS)

            assert outcome == result(PYTHON.decode_value, data, LIMITS), data.hex()


NUMBERS = [-(2**63) - 1, -(2**31) - 1, -32769, -129, -1, 0, 127, 128, 255, 256, 65_536, 2**31]
NUMBERS += [2**32, 2**63, 2**64]
VALUES: list[Any] = [
    *(*NUMBERS, 1.5, 1e300, float("inf"), float("nan"), True, None, "x", "\ud800", b"x"),
    *(bytearray(b"y"), memoryview(b"z"), [], [1], ["a", None], [[1, 2], [3, 4]], object()),
    *(ua.NodeId(), ua.StatusCode(), ua.Argument(), ua.Variant(1), ua.RelativePath()),
]


@pytest.mark.parametrize("kind", list(ua.VariantType), ids=lambda kind: kind.name)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_values_are_encoded_or_misused_alike(value: Any, kind: ua.VariantType) -> None:
    variant = ua.Variant()
    variant.Value, variant.VariantType = value, kind

    assert result(COMPILED.encode_value, variant) == result(PYTHON.encode_value, variant)


def test_a_value_that_holds_itself_is_misuse() -> None:
    variant = ua.Variant([], ua.VariantType.Variant)
    variant.Value.append(variant)

    for codec in (COMPILED, PYTHON):
        with pytest.raises(Misuse):
            codec.encode_value(variant)


@pytest.mark.parametrize(
    "cls", [*MESSAGES, ua.EndpointDescription, ua.TrustListDataType], ids=lambda cls: cls.__name__
)
def test_a_structure_is_made_of_its_fields(cls: type) -> None:
    expected = Sampler(1).instance(cls)
    values = [getattr(expected, field.name) for field in fields_of(cls)]

    for codec in (COMPILED, PYTHON):
        assert seen(codec.make(cls, *values)) == seen(expected)
        for wrong in (values[1:], [*values, None]):
            with pytest.raises(Misuse, match=f"of a {cls.__name__}"):
                codec.make(cls, *wrong)


@pytest.mark.parametrize("token", [None, node_id(5, 1), node_id(b"opaque", 3)])
@pytest.mark.parametrize("cls", REQUESTS, ids=lambda cls: cls.__name__)
def test_a_request_is_encoded_with_the_head_it_is_given(cls: type, token: ua.NodeId | None) -> None:
    expected = Sampler(1).instance(cls)
    expected.RequestHeader = ua.RequestHeader(
        AuthenticationToken=token or ua.NodeId(),
        Timestamp=datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=HEAD[1]),
        RequestHandle=ua.IntegerId(7),
        TimeoutHint=ua.UInt32(1000),
    )
    body = PYTHON.encode_message(expected)

    for codec in (COMPILED, PYTHON):
        assert codec.encode_request(Sampler(1).instance(cls), (token, *HEAD[1:])) == body


@pytest.mark.parametrize("cls", RESPONSES, ids=lambda cls: cls.__name__)
def test_a_response_is_encoded_with_the_head_it_is_given(cls: type) -> None:
    expected = Sampler(1).instance(cls)
    expected.ResponseHeader = ua.ResponseHeader(
        Timestamp=datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=HEAD[1]),
        RequestHandle=ua.IntegerId(7),
        ServiceResult=ua.StatusCode(ua.UInt32(StatusCode.BadNothingToDo)),
    )
    body = PYTHON.encode_message(expected)

    for codec in (COMPILED, PYTHON):
        message = Sampler(1).instance(cls)
        assert codec.encode_response(message, (HEAD[1], 7, StatusCode.BadNothingToDo)) == body


def test_only_the_header_a_message_has_is_written() -> None:
    for codec in (COMPILED, PYTHON):
        with pytest.raises(Misuse, match="no ResponseHeader"):
            codec.encode_response(ua.ReadRequest(), (HEAD[1], 7, 0))
        with pytest.raises(Misuse, match="no RequestHeader"):
            codec.encode_request(ua.ReadResponse(), HEAD)


@pytest.mark.parametrize("field", [1, 2])
@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_a_head_of_a_response_that_cannot_be_encoded_is_misuse(field: int, value: int) -> None:
    head: Any = (*(HEAD[1], 7, 0)[:field], value, *(HEAD[1], 7, 0)[field + 1 :])

    for codec in (COMPILED, PYTHON):
        with pytest.raises(Misuse):
            codec.encode_response(ua.ReadResponse(), head)


@pytest.mark.parametrize("field", [2, 3])
@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_a_head_that_cannot_be_encoded_is_misuse(field: int, value: Any) -> None:
    head: Any = (*HEAD[:field], value, *HEAD[field + 1 :])

    for codec in (COMPILED, PYTHON):
        with pytest.raises(Misuse):
            codec.encode_request(ua.ReadRequest(), head)


@pytest.mark.parametrize("usual", [True, False])
@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_the_header_of_a_response_is_told_beside_it(cls: type, usual: bool) -> None:
    message = Sampler(1).instance(cls)
    if usual and cls not in REQUESTS:
        message.ResponseHeader = ua.ResponseHeader(RequestHandle=ua.IntegerId(3))
        message.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(0x80010000))
    body = PYTHON.encode_message(message)

    told = COMPILED.decode_response(body, DecoderLimits())

    assert seen(told) == seen(PYTHON.decode_response(body, DecoderLimits()))
    if cls in REQUESTS:
        assert told[0] is None
    else:
        assert told[0] == message.ResponseHeader.RequestHandle
        assert told[1] == message.ResponseHeader.ServiceResult.value
        assert told[2].ResponseHeader is None


@given(
    changes=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=3),
    end=st.integers(0, 140),
)
def test_a_response_is_taken_or_refused_alike(changes: list[tuple[int, int]], end: int) -> None:
    response = ua.ReadResponse(Results=[ua.DataValue(ua.Variant(7, ua.VariantType.UInt32))])
    data = bytearray(PYTHON.encode_message(response))
    for at, byte in changes:
        data[at % len(data)] = byte

    taken = result(COMPILED.decode_response, bytes(data[:end]), LIMITS)

    assert taken == result(PYTHON.decode_response, bytes(data[:end]), LIMITS)


def test_a_call_is_encoded_as_its_request() -> None:
    arguments = [ua.Variant(b"x"), ua.Variant([1, 2], ua.VariantType.Int32)]
    method = ua.CallMethodRequest(node_id(1, 2), node_id(3, 4), arguments)
    request = ua.CallRequest(Parameters=ua.CallParameters(MethodsToCall=[method]))

    for codec in (COMPILED, PYTHON):
        body = codec.encode_call(HEAD, method.ObjectId, method.MethodId, arguments)
        assert body == PYTHON.encode_request(request, HEAD)


def test_a_call_with_what_cannot_be_encoded_is_misuse() -> None:
    argument = ua.Variant(1, ua.VariantType.Int32)
    argument.Value = "no number"

    for codec in (COMPILED, PYTHON):
        with pytest.raises(Misuse):
            codec.encode_call(HEAD, ua.NodeId(), ua.NodeId(), [argument])


def usual_call_response() -> ua.CallResponse:
    outputs = [ua.Variant(7, ua.VariantType.UInt32), ua.Variant(b"content"), ua.Variant(["a", "b"])]
    response = ua.CallResponse(Results=[ua.CallMethodResult(OutputArguments=outputs)])
    response.ResponseHeader.RequestHandle = ua.IntegerId(3)
    return response


def test_a_usual_response_to_a_call_is_taken_without_its_objects() -> None:
    body = PYTHON.encode_message(usual_call_response())

    taken = COMPILED.decode_call(body, LIMITS)

    assert taken is not None
    assert seen(taken) == seen(PYTHON.decode_call(body, LIMITS))


@given(
    changes=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=3),
    end=st.integers(30, 140),
)
def test_a_response_to_a_call_is_taken_as_its_objects_say(
    changes: list[tuple[int, int]], end: int
) -> None:
    """Where the compiled coder takes the short way, it takes what the long way would."""
    data = bytearray(PYTHON.encode_message(usual_call_response()))
    for at, byte in changes:
        data[at % len(data)] = byte

    taken = result(COMPILED.decode_call, bytes(data[:end]), LIMITS)

    if taken != seen(None):
        assert taken == result(PYTHON.decode_call, bytes(data[:end]), LIMITS)


ENDPOINTS = [Sampler(seed).instance(ua.EndpointDescription) for seed in range(6)]


def created_session(endpoints: list[ua.EndpointDescription]) -> bytes:
    response = ua.CreateSessionResponse()
    response.Parameters.ServerEndpoints = endpoints
    return PYTHON.encode_message(response)


@pytest.mark.parametrize("count", [-(2**31), -2, -1, 0, 1])
def test_the_last_array_of_a_call_is_no_shorter_than_null(count: int) -> None:
    body = PYTHON.encode_message(usual_call_response())[:-4] + int32(count)

    taken = COMPILED.decode_call(body, LIMITS) if count in (-1, 0) else None

    assert (taken is not None) is (count in (-1, 0))
    assert result(COMPILED.decode_call, body, LIMITS) in (
        seen(None),
        result(PYTHON.decode_call, body, LIMITS),
    )


def test_a_list_that_comes_again_is_not_decoded_again() -> None:
    body = created_session(ENDPOINTS)
    known = COMPILED.decode_message(body).Parameters.ServerEndpoints

    again = COMPILED.decode_message(body, LIMITS, known)

    assert again.Parameters.ServerEndpoints is known
    assert seen(again) == seen(PYTHON.decode_message(body, LIMITS, known))


@given(
    at=st.integers(0, 10**6),
    byte=st.integers(0, 255),
    cut=st.integers(0, 6),
    most=st.integers(1, 60),
)
def test_a_list_that_may_come_again_changes_no_verdict(
    at: int, byte: int, cut: int, most: int
) -> None:
    data = bytearray(created_session(ENDPOINTS))
    data[at % len(data)] = byte
    limits, known = DecoderLimits(max_elements=most), ENDPOINTS[cut:]

    for body in (bytes(data), created_session(known)):
        outcome = result(COMPILED.decode_message, body, limits, known)
        assert outcome == result(PYTHON.decode_message, body, limits)


@pytest.mark.parametrize("known", [[], [1], ["x", 2], [ENDPOINTS[0], "x"], [ua.Variant(1)]])
def test_what_is_no_list_of_structures_does_not_come_again(known: list[Any]) -> None:
    body = created_session(ENDPOINTS)

    assert result(COMPILED.decode_message, body, LIMITS, known) == result(
        PYTHON.decode_message, body, LIMITS
    )


def test_structures_are_the_same_or_not_alike() -> None:
    sampler = [Sampler(seed).instance(ua.EndpointDescription) for seed in range(12)]
    again = [Sampler(seed).instance(ua.EndpointDescription) for seed in range(12)]

    for codec in (COMPILED, PYTHON):
        assert codec.are_same(ua.EndpointDescription, sampler, again)
        assert not codec.are_same(ua.EndpointDescription, sampler, again[:-1])
        for one in range(12):
            for other in range(12):
                same = sampler[one] == again[other]
                pair = [sampler[one]], [again[other]]
                assert codec.are_same(ua.EndpointDescription, *pair) is same


@pytest.mark.parametrize("name", ["EndpointUrl", "Server", "UserIdentityTokens", "SecurityLevel"])
def test_a_structure_with_one_other_field_is_another(name: str) -> None:
    one, other = (Sampler(5).instance(ua.EndpointDescription) for _ in range(2))
    setattr(other, name, None)

    for codec in (COMPILED, PYTHON):
        same = codec.are_same(ua.EndpointDescription, [one], [other])
        assert same is (getattr(one, name) is None)


def changed(cls: type) -> Iterator[bytes]:
    """Yield encodings of ``cls``, each with one thing wrong that may do no harm."""
    source = random.Random(cls.__name__)
    for number in range(MUTATIONS):
        data = bytearray(PYTHON.encode_message(Sampler(number % 25).instance(cls)))
        at = source.randrange(len(data))
        match number % 4:
            case 0:
                data[at] ^= 1 << source.randrange(8)
            case 1:
                data[at : at + 4] = int32(source.choice((-2, -1, 0, 1, 2, 2**31 - 1)))
            case 2:
                del data[at : at + source.randrange(1, 9)]
            case _:
                data[at:at] = data[source.randrange(len(data)) :][: source.randrange(1, 20)]
        yield bytes(data)
