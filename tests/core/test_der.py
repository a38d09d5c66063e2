"""The checked reader of DER headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.core.der import SEQUENCE, encode, expect, read_header
from registrar.errors import DecodingError


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_every_length_is_read_back(length: int) -> None:
    size = (length.bit_length() + 7) // 8
    head = bytes([0x30, length]) if length < 128 else bytes([0x30, 0x80 + size])
    data = head + (length.to_bytes(size) if length >= 128 else b"") + bytes(length)

    assert read_header(data, 0, len(data)) == (SEQUENCE, len(data) - length, len(data))
    assert encode(SEQUENCE, bytes(length)) == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "a DER element at offset 0 leaves its parent"),
        (b"\x30", "a DER element at offset 0 leaves its parent"),
        (b"\x30\x01", "a DER element of 1 bytes at offset 0 leaves its parent"),
        (b"\x30\x80\x00\x00", "a DER length of 0 bytes at offset 0"),
        (b"\x30\x82\x01", "a DER length of 2 bytes at offset 0"),
        (b"\x30\x81\x80", "a DER element of 128 bytes at offset 0 leaves its parent"),
        (b"\x30\x81\x7f" + bytes(127), "a DER length at offset 0 is not the shortest form"),
        (b"\x30\x82\x00\xff" + bytes(255), "a DER length at offset 0 is not the shortest form"),
        (
            b"\x30\x84" + b"\xff" * 4,
            "a DER element of 4294967295 bytes at offset 0 leaves its parent",
        ),
        (b"\x30\x85\x01\x00\x00\x00\x00", "a DER length of 5 bytes at offset 0"),
        (b"\x3f\x01\x00", "a DER tag of several bytes at offset 0"),
    ],
    ids=map(str, range(11)),
)
def test_a_header_in_another_form_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(DecodingError) as caught:
        read_header(data, 0, len(data))

    assert str(caught.value) == why


def test_an_element_may_not_leave_its_parent() -> None:
    with pytest.raises(DecodingError):
        read_header(b"\x30\x02\x00\x00", 0, 3)


def test_another_tag_is_refused() -> None:
    with pytest.raises(DecodingError):
        expect(b"\x02\x01\x00", 0, 3, SEQUENCE)


@given(data=st.binary(max_size=32), at=st.integers(0, 40), end=st.integers(0, 40))
def test_arbitrary_bytes_raise_only_decoding_errors(data: bytes, at: int, end: int) -> None:
    try:
        _, start, stop = read_header(data, at, end)
    except DecodingError:
        return
    assert at < start <= stop <= end <= len(data)
