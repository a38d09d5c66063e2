"""Changes DER: bits, tags, lengths, elements left out, doubled, exchanged and borrowed.

An OCTET STRING that holds DER, as the value of an extension does, is opened like a SEQUENCE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

_OCTET_STRING = 0x04
_CONSTRUCTED = 0x20
_TAGS = (0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x17, 0x18, 0x30, 0x31, 0x80, 0xA0, 0xA3, 0x1F, 0x00)


@dataclass(eq=False)
class Element:
    """One element, as it will be written again."""

    tag: int
    content: bytes = b""
    """Of an element without ``parts``."""

    parts: list[Element] = field(default_factory=list)
    header: bytes | None = None
    """Written in the place of tag and length, right or wrong."""

    def encode(self) -> bytes:
        """Write it, with the shortest length unless ``header`` says otherwise."""
        content = b"".join(part.encode() for part in self.parts) or self.content
        header = bytes([self.tag]) + _length(len(content)) if self.header is None else self.header
        return header + content

    def walk(self) -> Iterator[Element]:
        """Yield it and everything in it."""
        yield self
        for part in self.parts:
            yield from part.walk()


def parse(data: bytes) -> Element:
    """Read one well-formed element that ``data`` is made of.

    Raises:
        ValueError: it is not one.
    """
    (element,) = _parse_all(data)
    return element


def mutate(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Change one well-formed element in one or two places; ``others`` lend theirs."""
    root = parse(data)
    for _ in range(random.choice((1, 1, 2))):
        random.choice(_CHANGES)(root, random, others)
    return root.encode()


def _parse_all(data: bytes) -> list[Element]:
    elements: list[Element] = []
    at = 0
    while at < len(data):
        tag, length, start = data[at], *_read_length(data, at + 1)
        content = data[start : start + length]
        if len(content) != length:
            raise ValueError("an element leaves its parent")
        elements.append(_open(tag, content))
        at = start + length
    return elements


def _open(tag: int, content: bytes) -> Element:
    if tag & _CONSTRUCTED:
        return Element(tag, parts=_parse_all(content))
    if tag == _OCTET_STRING:
        try:
            return Element(tag, content, parts=_parse_all(content))
        except ValueError:
            return Element(tag, content)
    return Element(tag, content)


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise ValueError("a length is missing")
    if data[at] < 0x80:
        return data[at], at + 1
    count = data[at] & 0x7F
    return int.from_bytes(data[at + 1 : at + 1 + count]), at + 1 + count


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    encoded = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([0x80 | len(encoded)]) + encoded


def _any(root: Element, random: Random) -> Element:
    return random.choice(list(root.walk()))


def _parent(root: Element, random: Random) -> Element:
    return random.choice([element for element in root.walk() if element.parts])


def _flip(root: Element, random: Random, _: Sequence[bytes]) -> None:
    element = random.choice([one for one in root.walk() if one.content and not one.parts])
    content = bytearray(element.content)
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    element.content = bytes(content)


def _retag(root: Element, random: Random, _: Sequence[bytes]) -> None:
    _any(root, random).tag = random.choice(_TAGS)


def _relength(root: Element, random: Random, _: Sequence[bytes]) -> None:
    element = _any(root, random)
    size = len(element.encode()) - 2
    forms = (
        b"\x80",
        b"\x84\xff\xff\xff\xff",
        b"\x85\x01\x00\x00\x00\x00",
        b"\x88" + b"\xff" * 8,
        b"\x81" + bytes([size % 256]),
        b"\x83" + (size % 2**24).to_bytes(3),
        _length(size + random.choice((-2, -1, 1, 2, 127))) if size > 1 else b"\x01",
    )
    element.header = bytes([element.tag]) + random.choice(forms)


def _resize(root: Element, random: Random, _: Sequence[bytes]) -> None:
    element = random.choice([one for one in root.walk() if not one.parts])
    sizes = (0, len(element.content) // 2, len(element.content) * 2 + 1, 20, 21)
    content = (element.content or b"\x01") * 2
    size = random.choice(sizes)
    element.content = (content * (size // len(content) + 1))[:size]


def _drop(root: Element, random: Random, _: Sequence[bytes]) -> None:
    parent = _parent(root, random)
    del parent.parts[random.randrange(len(parent.parts))]
    parent.content = b""


def _double(root: Element, random: Random, _: Sequence[bytes]) -> None:
    parent = _parent(root, random)
    parent.parts.insert(random.randrange(len(parent.parts) + 1), random.choice(parent.parts))


def _shuffle(root: Element, random: Random, _: Sequence[bytes]) -> None:
    random.shuffle(_parent(root, random).parts)


def _borrow(root: Element, random: Random, others: Sequence[bytes]) -> None:
    """Take the element at the same place of another one, such as its signature."""
    mine, theirs = root, parse(random.choice(others))
    while True:
        at = random.randrange(len(mine.parts))
        if at >= len(theirs.parts):
            return
        if not mine.parts[at].parts or not theirs.parts[at].parts or random.random() < 0.3:
            mine.parts[at] = theirs.parts[at]
            return
        mine, theirs = mine.parts[at], theirs.parts[at]


def _wrap(root: Element, random: Random, _: Sequence[bytes]) -> None:
    parent = _parent(root, random)
    at = random.randrange(len(parent.parts))
    for _level in range(random.choice((1, 2, 60))):
        parent.parts[at] = Element(0x30, parts=[parent.parts[at]])


_CHANGES: tuple[Callable[[Element, Random, Sequence[bytes]], None], ...] = (
    _flip,
    _retag,
    _relength,
    _resize,
    _drop,
    _double,
    _shuffle,
    _borrow,
    _wrap,
)
