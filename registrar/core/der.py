"""The little of DER that X.509 libraries do not give back: the exact bytes of the fields.

Names and keys are compared as the bytes that were signed, so they are cut out of the
certificate instead of being encoded again. Source: ITU-T X.690 §8, §10.
"""

from __future__ import annotations

from registrar.errors import DecodingError

SEQUENCE = 0x30
INTEGER = 0x02
BIT_STRING = 0x03
CONTEXT_0 = 0xA0

_MAX_LENGTH_BYTES = 4
"""A length of more bytes announces over 4 GiB."""


def read_header(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Read the tag and length at ``at``.

    Args:
        data: the bytes that hold the element.
        at: where its tag stands.
        end: where its parent ends.

    Returns:
        The tag, where the content begins, where the element ends.

    Raises:
        DecodingError: the element leaves its parent, or its length is not the shortest form.
    """
    if end > len(data) or end - at < 2:
        raise DecodingError(f"a DER element at offset {at} leaves its parent")
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise DecodingError(f"a DER tag of several bytes at offset {at}")
    if length >= 0x80:
        count = length & 0x7F
        if not 0 < count <= _MAX_LENGTH_BYTES or count > end - start:
            raise DecodingError(f"a DER length of {count} bytes at offset {at}")
        length = int.from_bytes(data[start : start + count])
        if length < 0x80 or length >> (8 * (count - 1)) == 0:
            raise DecodingError(f"a DER length at offset {at} is not the shortest form")
        start += count
    if length > end - start:
        raise DecodingError(f"a DER element of {length} bytes at offset {at} leaves its parent")
    return tag, start, start + length


def expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Read the element at ``at``, which must carry ``tag``; return its content's bounds.

    Raises:
        DecodingError: as ``read_header``, or the tag is another.
    """
    found, start, stop = read_header(data, at, end)
    if found != tag:
        raise DecodingError(f"a DER tag 0x{found:02x} at offset {at}, not 0x{tag:02x}")
    return start, stop


def expect_signature(data: bytes, at: int, end: int) -> None:
    """Check the BIT STRING at ``at``, which must consist of whole bytes.

    Nobody signs its unused bits, so with them one document could be had in other bytes.

    Raises:
        DecodingError: as ``expect``, or it is empty or does not end with a byte.
    """
    start, stop = expect(data, at, end, BIT_STRING)
    if start == stop or data[start]:
        raise DecodingError("the signature does not end with a byte")


def encode(tag: int, content: bytes) -> bytes:
    """Return one element; its length takes the shortest form."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content
