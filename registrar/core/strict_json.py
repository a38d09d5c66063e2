"""JSON as RFC 8259 has it, and not one way more.

No member twice, no text that is not Unicode, no number that is not one, nothing deep or long
beyond a limit: two readers of one document must not see two documents.
Source: RFC 7515 §4, §10.12; RFC 8259.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn, TypeAlias

from registrar.errors import DecodingError

MAX_DEPTH = 16
"""Objects and arrays inside each other; a Ticket needs four."""

MARKS_FREE = 256
CHARACTERS_PER_MARK = 16
"""A text may begin that many objects, arrays and members, and one more for so many characters.

An empty object of three characters takes 110 bytes of memory; a Ticket has 60 characters for each.
"""

MAX_NUMBER_LENGTH = 32
"""Characters of one number."""

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | Mapping[str, JsonValue] | None"

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
"""Possessive, because a way back for each character takes 100 times the text in memory."""

_ENDS_OF_NAMES = ('":', " :", "\t:", "\n:", "\r:")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def decode_text(data: str | bytes, limit: int) -> str:
    """Return ``data`` as text.

    Raises:
        DecodingError: more than ``limit`` bytes, or not UTF-8.
    """
    if len(data) > limit:
        raise DecodingError(f"{len(data)} bytes exceed the limit of {limit}")
    try:
        if isinstance(data, bytes):
            return data.decode("utf-8")
        if not data.isascii() and len(data.encode("utf-8")) > limit:
            raise DecodingError(f"more than {limit} bytes")
    except UnicodeError as error:
        raise DecodingError("not UTF-8") from error
    return data


def decode_object(text: str) -> Mapping[str, JsonValue]:
    """Read one JSON object.

    Raises:
        DecodingError: the text is not one, or breaks a rule of this module.
    """
    begun = text.count("{") + text.count("[")
    marks = begun + text.count(":")
    allowed = MARKS_FREE + len(text) // CHARACTERS_PER_MARK
    if marks > allowed:  # then look closer: a text may hold colons, and a URI does
        marks = begun + sum(text.count(end) for end in _ENDS_OF_NAMES)
    if marks > allowed:
        raise DecodingError(f"{marks} JSON marks in {len(text)} characters")
    if begun > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise DecodingError(f"more than {MAX_DEPTH} levels of JSON")
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise DecodingError(f"not JSON: {str(error)[:80]}") from error
    if not isinstance(value, Mapping):
        raise DecodingError("not a JSON object")
    if _SURROGATE.search(text):
        _check_text(value)
    return value


def _depth(text: str) -> int:
    """Return how deep brackets outside strings nest, without recursion."""
    depth = deepest = 0
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _members(pairs: list[tuple[str, JsonValue]]) -> Mapping[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DecodingError("a member stands twice in one object")
    return MappingProxyType(members)


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_LENGTH:
        raise DecodingError(f"a number of {len(text)} characters")
    return int(text)


def _real(text: str) -> float:
    if len(text) > MAX_NUMBER_LENGTH:
        raise DecodingError(f"a number of {len(text)} characters")
    return float(text)


def _constant(text: str) -> NoReturn:
    raise DecodingError(f"{text} is not JSON")


def _check_text(value: JsonValue) -> None:
    """Refuse half a surrogate pair; the depth is already bounded."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeError as error:
            raise DecodingError("half a surrogate pair in a string") from error
    elif isinstance(value, list):
        for element in value:
            _check_text(element)
    elif isinstance(value, Mapping):
        for name, element in value.items():
            _check_text(name)
            _check_text(element)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_int=_integer,
    parse_float=_real,
    parse_constant=_constant,
)
