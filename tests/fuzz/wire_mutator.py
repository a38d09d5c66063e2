"""Changes conversations so that most still look like one: sizes that fit, numbers that follow."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

NUMBERS = (0, 1, 2, 7, 8, 255, 8_192, 65_536, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
"""Values that lengths, counts and identifiers are wrong with."""

KINDS = (b"HEL", b"ACK", b"OPN", b"MSG", b"CLO", b"ERR", b"RHE", b"XXX")
MARKS = (b"F", b"C", b"A", b"X")
MOST_CHANGES = 3
REPAIRED = 0.7
"""Share of conversations whose sizes and sequence numbers are made to fit again."""

_HEADER, _NUMBERED = 8, 24
"""Bytes of a chunk's header, and up to behind its sequence number and RequestId."""


def mutate(data: bytes, source: random.Random) -> bytes:
    """Return ``data`` with one to three changes."""
    changed = bytearray(data)
    for _ in range(source.randint(1, MOST_CHANGES)):
        source.choice(_CHANGES)(changed, source)
    return bytes(changed)


def mutate_stream(data: bytes, source: random.Random) -> bytes:
    """Return a stream of chunks with changes in some chunks, or in their order.

    Its first byte, which says how the bytes arrive, stays.
    """
    chunks = _split(data[1:])
    for _ in range(source.randint(1, MOST_CHANGES)):
        at = source.randrange(len(chunks))
        match source.randrange(6):
            case 0:
                chunks.insert(source.randrange(len(chunks) + 1), chunks[at])
            case 1 if len(chunks) > 1:
                del chunks[at]
            case 2:
                chunks[at] = source.choice(KINDS) + chunks[at][3:]
            case 3:
                chunks[at] = chunks[at][:3] + source.choice(MARKS) + chunks[at][4:]
            case _:
                chunks[at] = mutate(chunks[at], source)
    if source.random() < REPAIRED:
        chunks = _repaired(chunks)
    return data[:1] + b"".join(chunks)


def _split(stream: bytes) -> list[bytes]:
    chunks, at = [], 0
    while at < len(stream):
        end = at + int.from_bytes(stream[at + 4 : at + 8], "little")
        chunks.append(stream[at:end])
        at = end
    return chunks


def _repaired(chunks: Sequence[bytes]) -> list[bytes]:
    """Let each chunk announce what it has, and each message follow the one before."""
    repaired, sequence = [], 0
    for chunk in chunks:
        fitting = bytearray(chunk)
        if len(fitting) >= _HEADER:
            struct.pack_into("<I", fitting, 4, len(fitting))
        kind = bytes(fitting[:3])
        sequence += kind in {b"OPN", b"MSG", b"CLO"}
        if kind in {b"MSG", b"CLO"} and len(fitting) >= _NUMBERED:
            struct.pack_into("<I", fitting, 16, sequence)
        repaired.append(bytes(fitting))
    return repaired


def _place(data: bytearray, source: random.Random) -> int:
    return source.randrange(len(data) + 1)


def _flip(data: bytearray, source: random.Random) -> None:
    if data:
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def _overwrite(data: bytearray, source: random.Random) -> None:
    at = _place(data, source)
    data[at : at + 4] = struct.pack("<I", source.choice(NUMBERS))


def _remove(data: bytearray, source: random.Random) -> None:
    at = _place(data, source)
    del data[at : at + source.randrange(1, 9)]


def _insert(data: bytearray, source: random.Random) -> None:
    at = _place(data, source)
    data[at:at] = source.randbytes(source.randrange(1, 9))


def _repeat(data: bytearray, source: random.Random) -> None:
    at = _place(data, source)
    data[at:at] = bytes(data[at : at + 32]) * source.randrange(1, 40)


def _cut_off(data: bytearray, source: random.Random) -> None:
    del data[_place(data, source) :]


_CHANGES: Sequence[Callable[[bytearray, random.Random], None]] = (
    _flip,
    _overwrite,
    _remove,
    _insert,
    _repeat,
    _cut_off,
)
