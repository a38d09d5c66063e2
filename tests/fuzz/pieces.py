"""How the bytes of an input arrive, and what else its first byte says."""

from __future__ import annotations

PIECES = (1, 7, 0)
"""Bytes that arrive at once, 0 for a chunk as its header says."""

MODES = 2
SPOILED = 3
SHARES = 4
"""One of so many inputs of a secured channel is spoiled after it was secured."""


def cut(data: bytes) -> list[bytes]:
    """Cut an input as its first byte says; a peer waits for our answers between its chunks."""
    size, stream = PIECES[data[0] % len(PIECES)] if data else 1, data[1:]
    return split(stream, size)


def split(stream: bytes, size: int = 0) -> list[bytes]:
    """Cut a stream into pieces of ``size`` bytes, or where its headers say."""
    pieces, at = [], 0
    while at < len(stream):
        announced = int.from_bytes(stream[at + 4 : at + 8], "little")
        end = at + (size or max(announced, 1))
        pieces.append(stream[at:end])
        at = end
    return pieces


def is_encrypted(data: bytes) -> bool:
    """Tell whether the channel of an input also encrypts."""
    return data[0] // len(PIECES) % MODES == 1 if data else False


def is_spoiled(data: bytes) -> bool:
    """Tell whether one bit of an input is changed on its way."""
    return data[0] // (len(PIECES) * MODES) % SHARES == SPOILED if data else False


def first_bytes() -> range:
    """Return each first byte that means something else on a secured channel."""
    return range(len(PIECES) * MODES * SHARES)
