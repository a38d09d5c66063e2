"""Whatever the bytes are, only DecodingError leaves the decoder, within its limits."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from asyncua import ua
from hypothesis import example, given
from hypothesis import strategies as st

from registrar.errors import DecodingError
from registrar.ua.codec import MESSAGES, Codec, encode_message, read_request_handle
from registrar.ua.limits import MAX_DIAGNOSTIC_DEPTH, DecoderLimits
from registrar.ua.variant import MAX_DIMENSIONS
from tests.ua.samples import Sampler

SAMPLES = [encode_message(Sampler(3).instance(cls)) for cls in MESSAGES]
int32 = struct.Struct("<i").pack


@given(data=st.binary(max_size=300))
@example(data=b"\x98" + int32(2**31 - 1))
@example(data=b"\x98" * 1000)
@example(data=b"\x96" + int32(1) + b"\x01\x00\x60\x01\x01" + int32(-2))
def test_arbitrary_bytes_raise_only_decoding_errors(codec: Codec, data: bytes) -> None:
    for decode in (
        codec.decode_message,
        codec.decode_value,
        lambda d: codec.decode_structure(ua.Argument, d),
    ):
        try:
            decode(data)
        except DecodingError:
            continue
    read_request_handle(data)


@given(
    sample=st.sampled_from(SAMPLES),
    at=st.integers(0, 2000),
    patch=st.binary(max_size=8) | st.sampled_from([int32(-1), int32(-2), int32(2**31 - 1)]),
    drop=st.integers(0, 8),
)
def test_changed_messages_raise_only_decoding_errors(
    codec: Codec, sample: bytes, at: int, patch: bytes, drop: int
) -> None:
    at %= len(sample)
    try:
        codec.decode_message(sample[:at] + patch + sample[at + drop :])
    except DecodingError:
        return


@pytest.mark.parametrize("sample", SAMPLES, ids=[cls.__name__ for cls in MESSAGES])
def test_a_message_cut_anywhere_is_refused(codec: Codec, sample: bytes) -> None:
    for end in range(len(sample)):
        with pytest.raises(DecodingError):
            codec.decode_message(sample[:end])
    with pytest.raises(DecodingError):
        codec.decode_message(sample + b"\0")


@pytest.mark.parametrize(
    ("kind", "element"),
    [(1, 1), (3, 1), (6, 4), (11, 8), (12, 4), (14, 16), (17, 2), (21, 1), (22, 3), (23, 1)],
)
def test_an_array_longer_than_its_bytes_is_refused_before_it_is_built(
    codec: Codec, kind: int, element: int
) -> None:
    head = bytes([0x80 | kind])
    body = bytes(element * 10)

    with pytest.raises(DecodingError, match="leaves the body"):
        codec.decode_value(head + int32(11) + body)
    with pytest.raises(DecodingError, match="leaves the body"):
        codec.decode_value(head + int32(2**31 - 1) + body)
    with pytest.raises(DecodingError):
        codec.decode_value(head + int32(-2) + body)


def test_arrays_of_what_needs_no_bytes_are_refused(codec: Codec) -> None:
    with pytest.raises(DecodingError, match="no bytes"):
        codec.decode_value(b"\x80" + int32(1))
    assert codec.decode_value(b"\x80" + int32(0)).Value == []


def nested_variants(levels: int) -> bytes:
    """Return a Variant that holds ``levels`` arrays of one Variant each."""
    return (b"\x98" + int32(1)) * levels + b"\0"


@pytest.mark.clause("OPC 10000-6 §5.1.5")
@pytest.mark.parametrize(("levels", "fits"), [(99, True), (100, True), (101, False)])
def test_nesting_is_bounded(codec: Codec, levels: int, fits: bool) -> None:
    if fits:
        codec.decode_value(nested_variants(levels))
        return
    with pytest.raises(DecodingError, match="nested"):
        codec.decode_value(nested_variants(levels))


@pytest.mark.parametrize(("limit", "fits"), [(4, False), (5, True), (6, True)])
def test_a_lower_depth_may_be_asked_for(codec: Codec, limit: int, fits: bool) -> None:
    limits = DecoderLimits(max_depth=limit)

    if fits:
        codec.decode_value(nested_variants(5), limits)
        return
    with pytest.raises(DecodingError):
        codec.decode_value(nested_variants(5), limits)


def test_extension_objects_and_data_values_count_as_levels(codec: Codec) -> None:
    data = b"\0"
    for _ in range(60):
        # A DataValue in an array of Variants; each pair is two levels.
        data = b"\x98" + int32(1) + b"\x17\x01" + data
    with pytest.raises(DecodingError, match="nested"):
        codec.decode_value(data)
    variant: Any = ua.Variant(True)
    for _ in range(101):
        variant = ua.Variant(ua.LiteralOperand(Value=variant))
    with pytest.raises(DecodingError, match="nested"):
        codec.decode_value(codec.encode_value(variant))


@pytest.mark.parametrize(("offset", "fits"), [(-1, True), (0, True), (1, False)])
def test_diagnostic_info_is_bounded(codec: Codec, offset: int, fits: bool) -> None:
    levels = MAX_DIAGNOSTIC_DEPTH + offset
    data = b"\x19" + b"\x40" * (levels - 1) + b"\0"

    if fits:
        codec.decode_value(data)
        return
    with pytest.raises(DecodingError, match="levels"):
        codec.decode_value(data)


@pytest.mark.parametrize(("offset", "fits"), [(-1, True), (0, True), (1, False)])
def test_the_elements_of_a_message_are_bounded(codec: Codec, offset: int, fits: bool) -> None:
    limits = DecoderLimits(max_elements=15)
    # Two arrays of bytes in an array of two Variants: 10, 2, and the three Variants.
    data = b"\x98" + int32(2) + (b"\x83" + int32(5) + bytes(5)) + b"\x83" + int32(5 + offset)
    data += bytes(5 + offset)

    if fits:
        codec.decode_value(data, limits)
        return
    with pytest.raises(DecodingError, match="elements"):
        codec.decode_value(data, limits)


NESTED = {
    "DataValues in Variants": b"\x17\x01" * 10 + b"\0",
    "levels of a DiagnosticInfo": b"\x19" + b"\x40" * 9 + b"\0",
    "an array of them": b"\x99" + int32(2) + (b"\x40" * 3 + b"\0") + (b"\x40" * 4 + b"\0"),
}
"""Ten elements each. Uncounted, 1 MB of them took a second, at two bytes each."""


@pytest.mark.parametrize("data", NESTED.values(), ids=NESTED)
def test_what_is_nested_in_a_value_counts_as_elements(codec: Codec, data: bytes) -> None:
    codec.decode_value(data, DecoderLimits(max_elements=10))

    with pytest.raises(DecodingError, match="elements"):
        codec.decode_value(data, DecoderLimits(max_elements=9))


@pytest.mark.clause("OPC 10000-6 §5.2.2.16")
@pytest.mark.parametrize(
    ("dimensions", "fits"),
    [
        ([6], True),
        ([2, 3], True),
        ([1, 2, 3], True),
        ([2, 2], False),
        ([7], False),
        ([-2, -3], False),
        ([0, 6], False),
        ([6, 1_000_000], False),
        ([1] * (MAX_DIMENSIONS - 1) + [6], True),
        ([1] * MAX_DIMENSIONS + [6], False),
    ],
)
def test_dimensions_must_fit_the_array(codec: Codec, dimensions: list[int], fits: bool) -> None:
    data = b"\xc3" + int32(6) + bytes(6)
    data += int32(len(dimensions)) + struct.pack(f"<{len(dimensions)}i", *dimensions)

    if fits:
        assert codec.decode_value(data).Dimensions == dimensions
        return
    with pytest.raises(DecodingError):
        codec.decode_value(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x20",  # built-in type 32
        b"\x43\x01",  # Dimensions without an array
        b"\x18\x00",  # a Variant in a Variant
        b"\x15\x04",  # LocalizedText with an unknown bit
        b"\x17\x40",  # DataValue with an unknown bit
        b"\x19\x80",  # DiagnosticInfo with an unknown bit
        b"\x11\x06\x00",  # NodeId of an unknown form
        b"\x11\x80\x00",  # NodeId with a namespace URI
        b"\x16\x00\x01\x03",  # ExtensionObject with an unknown encoding
        b"\x16\x01\x00\x2a\x01\x01" + int32(40) + bytes(10),  # longer than the rest
        b"\x16\x01\x00\x2a\x01\x01" + int32(1) + bytes(1),  # shorter than its structure
        b"\x0c" + int32(2) + b"\xff\xff",  # not UTF-8
    ],
)
def test_what_the_standard_does_not_define_is_refused(codec: Codec, data: bytes) -> None:
    with pytest.raises(DecodingError):
        codec.decode_value(data)
