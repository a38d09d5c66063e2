"""Small faults put into good Tickets and certificates: bytes, JSON members, DER lengths, swaps."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

Delivery = tuple[bytes, bytes]
"""A document and the certificate of its Device."""

_VALUES: tuple[Any, ...] = (
    None,
    "",
    "x",
    0,
    -1.5,
    True,
    [],
    {},
    [{}],
    "\ud800",
    "\\",
    "Ü",
    {"a": 1},
)


def mutants(good: Sequence[Delivery], seed: int) -> Iterator[Delivery]:
    """Yield altered deliveries without end, the same for the same seed."""
    random = Random(seed)
    while True:
        document, certificate = random.choice(good)
        kind = random.randrange(8)
        if kind == 0:
            yield scratched(random, document), certificate
        elif kind == 1:
            yield document, scratched(random, certificate)
        elif kind == 2:
            yield document, random.choice(good)[1]
        elif kind == 3:
            yield swapped(random, document, random.choice(good)[0]), certificate
        elif kind == 4:
            yield rewritten(random, document, _in_document), certificate
        elif kind == 5:
            yield rewritten(random, document, _in_payload), certificate
        elif kind == 6:
            yield rewritten(random, document, _in_header), certificate
        else:
            yield document, stretched(random, certificate)


def scratched(random: Random, data: bytes) -> bytes:
    """Change, drop, double or insert a byte or a few."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        at = random.randrange(len(changed))
        kind = random.randrange(5)
        if kind == 0:
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            changed[at] = random.choice(b'{}[]",:\\ \n=-_0A\x00\xff')
        elif kind == 2:
            del changed[at : at + random.choice((1, 1, 4, 100))]
        elif kind == 3:
            changed[at:at] = changed[at : at + random.choice((1, 4, 100))]
        else:
            changed.insert(at, random.randrange(256))
        if not changed:
            break
    return bytes(changed)


def stretched(random: Random, der: bytes) -> bytes:
    """Change a byte that may be a DER tag or length."""
    changed = bytearray(der)
    places = [
        at for at, byte in enumerate(der) if byte in b"\x02\x03\x04\x06\x30\x80\x81\x82\xa0\xa3"
    ]
    at = random.choice(places) + random.randrange(2)
    at = min(at, len(changed) - 1)
    changed[at] = (changed[at] + random.choice((-1, 1, 2, 127, 128))) % 256
    return bytes(changed)


def swapped(random: Random, document: bytes, other: bytes) -> bytes:
    """Take a part of another document."""
    members, foreign = json.loads(document), json.loads(other)
    kind = random.randrange(4)
    if kind == 0:
        members["payload"] = foreign["payload"]
    elif kind == 1:
        members["signatures"] += foreign["signatures"]
    elif kind == 2:
        members["signatures"][0]["signature"] = foreign["signatures"][0]["signature"]
    else:
        members["signatures"][0]["protected"] = foreign["signatures"][0]["protected"]
    return json.dumps(members).encode()


def rewritten(random: Random, document: bytes, change: Callable[[Random, Any], None]) -> bytes:
    """Change members and write the document in another way."""
    members = json.loads(document)
    change(random, members)
    separators = random.choice(((",", ":"), (", ", ": "), (" ,\n", "\t:\r ")))
    return json.dumps(members, separators=separators).encode()


def _in_document(random: Random, members: dict[str, Any]) -> None:
    _alter(random, random.choice((members, random.choice(members["signatures"]))))


def _in_payload(random: Random, members: dict[str, Any]) -> None:
    payload = json.loads(_decode(members["payload"]))
    _alter(random, payload)
    members["payload"] = _encode(json.dumps(payload).encode())


def _in_header(random: Random, members: dict[str, Any]) -> None:
    signature = random.choice(members["signatures"])
    header = json.loads(_decode(signature["protected"]))
    _alter(random, header)
    signature["protected"] = _encode(json.dumps(header).encode())


def _alter(random: Random, members: dict[str, Any]) -> None:
    name = random.choice([*members, "header", "crit", "x"])
    kind = random.randrange(4)
    if kind == 0:
        members.pop(name, None)
    elif kind == 1:
        members[name] = random.choice(_VALUES)
    elif kind == 2 and name in members:
        members[random.choice((name.lower(), name + "x"))] = members.pop(name)
    else:
        value = members.pop(name, None)
        members[name] = [value] if random.randrange(2) else value


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
