"""Changes JSON: members renamed, doubled, moved, left out and given other types."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any


class Members(list[tuple[str, Any]]):
    """An object whose members keep their order and may stand twice."""


class Raw(str):
    """Text that is written as it is, JSON or not."""


NAMES = (
    *("payload", "signatures", "protected", "header", "signature"),
    *("alg", "x5c", "cty", "opc-uri", "crit", "b64", "jwk", "jku", "x5u", "kid", "typ"),
    *("ProductInstanceUri", "productInstanceUri", "CompositeInstanceUri", "Devices", "Composites"),
    *("ManufacturerName", "SerialNumber", "ManufactureDate", "Authorities", "UaTypeId"),
    *("AuthorityCertificate", "IssuerCertificates", "TypeId", "Body", "", "__proto__"),
)

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7, 2**31, 2**63, 2**64, 1.5, "", "x", "\x00", "ä", "\U0001f600"),
    *([], [[]], Members(), Members([("a", 1)]), [None], ["", ""], "none", "HS256", "RS256"),
    *(Raw("NaN"), Raw("-Infinity"), Raw("1e999"), Raw("01"), Raw("1" * 33), Raw('"\\ud800"')),
    *(Raw('"\\u0000"'), Raw("[" * 20 + "]" * 20), Raw("'x'"), Raw(""), Raw("1,"), Raw("/**/1")),
    *("urn:example.com:other", "opc-ticket+json;type=CompositeIdentityTicketType", "AA==", "=" * 4),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999+23:59", "u" * 1025, "t" * 4097),
)


def load(text: str | bytes) -> Any:
    """Read well-formed JSON; objects come as ``Members``."""
    return json.loads(text, object_pairs_hook=Members)


def dump(value: object) -> str:
    """Write what ``load`` gave, with every change made to it."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, Members):
        return "{" + ",".join(f"{json.dumps(name)}:{dump(one)}" for name, one in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


def mutate(value: Any, random: Random) -> None:
    """Change one place of a document in place; it has at least one object with a member."""
    objects = [one for one in _containers(value) if isinstance(one, Members) and one]
    members = random.choice(objects)
    at = random.randrange(len(members))
    random.choice(_CHANGES)(members, at, random, objects)


def _containers(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, Members):
        yield value
        for _, one in value:
            yield from _containers(one)
    elif isinstance(value, list):
        yield value
        for one in value:
            yield from _containers(one)


def _rename(members: Members, at: int, random: Random, _: list[Members]) -> None:
    name, value = members[at]
    forms = (random.choice(NAMES), name.lower(), name.swapcase(), name + " ", name + "\0")
    members[at] = (random.choice(forms), value)


def _double(members: Members, at: int, random: Random, _: list[Members]) -> None:
    name, value = members[at]
    other = random.choice((value, random.choice(_VALUES)))
    members.insert(random.randrange(len(members) + 1), (name, other))


def _move(members: Members, at: int, random: Random, objects: list[Members]) -> None:
    """Give a member to another object, but never to itself, which would have no end."""
    moved = members.pop(at)
    inside = [id(one) for one in _containers(moved[1])]
    homes = [one for one in objects if id(one) not in inside]
    random.choice(homes).append(moved)


def _drop(members: Members, at: int, random: Random, _: list[Members]) -> None:
    del members[at]


def _retype(members: Members, at: int, random: Random, _: list[Members]) -> None:
    name, value = members[at]
    members[at] = (name, random.choice((*_VALUES, [value], Members([(name, value)]), str(value))))


def _add(members: Members, at: int, random: Random, _: list[Members]) -> None:
    members.insert(at, (random.choice(NAMES), random.choice(_VALUES)))


def _swap(members: Members, at: int, random: Random, _: list[Members]) -> None:
    other = random.randrange(len(members))
    (name, value), (name_there, value_there) = members[at], members[other]
    members[at], members[other] = (name, value_there), (name_there, value)


def _shuffle(members: Members, at: int, random: Random, _: list[Members]) -> None:
    random.shuffle(members)


def _edit(members: Members, at: int, random: Random, _: list[Members]) -> None:
    name, value = members[at]
    if isinstance(value, str) and value:
        cut = random.randrange(len(value))
        members[at] = (
            name,
            value[:cut] + random.choice("AaZ0-_+/= .:%\u00e9\n") + value[cut + 1 :],
        )


_CHANGES: tuple[Callable[[Members, int, Random, list[Members]], None], ...] = (
    _rename,
    _double,
    _move,
    _drop,
    _retype,
    _add,
    _swap,
    _shuffle,
    _edit,
)
