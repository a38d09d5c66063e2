"""JSON that has one reading only."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.core.strict_json import (
    CHARACTERS_PER_MARK,
    MARKS_FREE,
    MAX_DEPTH,
    MAX_NUMBER_LENGTH,
    decode_object,
    decode_text,
)
from registrar.errors import DecodingError

TWICE = "^a member stands twice in one object$"
SYNTAX = "^not JSON: "
HALF = "^half a surrogate pair in a string$"


@pytest.mark.clause("R76")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a":1,"a":1}', TWICE),
        ('{"a":1,"\\u0061":2}', TWICE),
        ('{"b":{"a":1,"a":2}}', TWICE),
        ('{"b":[{"a":1,"a":2}]}', TWICE),
        ('{"a":NaN}', "^NaN is not JSON$"),
        ('{"a":Infinity}', "^Infinity is not JSON$"),
        ('{"a":-Infinity}', "^-Infinity is not JSON$"),
        ('{"a":1,}', SYNTAX),
        ('{"a":01}', SYNTAX),
        ("{'a':1}", SYNTAX),
        ('{"a":"\t"}', SYNTAX),
        ('{"a":"\\ud800"}', HALF),
        ('{"\\udfff":1}', HALF),
        ('{"a":["x",{"b":"\\ud83d"}]}', HALF),
        ('{"a":1}x', SYNTAX + "Extra data: line 1"),
        ('\ufeff{"a":1}', SYNTAX),
        ("[]", "^not a JSON object$"),
        ('"text"', "^not a JSON object$"),
        ("", SYNTAX),
        ("{", SYNTAX),
    ],
)
def test_another_reading_is_refused(text: str, why: str) -> None:
    with pytest.raises(DecodingError, match=why):
        decode_object(text)


def test_what_is_json_is_read() -> None:
    text = ' {"a": [1, -2.5e3, true, null, "\\ud83d\\ude00 \\\\ [ {"], "b": {}} '

    assert decode_object(text) == json.loads(text)


@pytest.mark.clause("R76")
@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 100_000])
def test_the_depth_is_limited(depth: int) -> None:
    text = '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"

    if depth > MAX_DEPTH:
        with pytest.raises(DecodingError, match=r"levels|marks"):
            decode_object(text)
    else:
        assert decode_object(text)


@pytest.mark.clause("R76")
@pytest.mark.parametrize("excess", [0, 1])
def test_levels_that_end_are_not_counted_and_those_around_them_are(excess: int) -> None:
    """A list ends one level above the deepest; the next goes on from where that one began."""
    inner = MAX_DEPTH - 3 + excess
    text = '{"a":' + "[" * inner + "[],[[]]" + "]" * inner + ',"b":[]}'

    if excess:
        with pytest.raises(DecodingError, match=f"more than {MAX_DEPTH} levels"):
            decode_object(text)
    else:
        assert decode_object(text)["b"] == []


def test_brackets_in_strings_and_side_by_side_have_no_depth() -> None:
    text = json.dumps({"a": "[" * 50 + '"\\{' * 50, "b": [[]] * 50, "c": [{}] * 50})

    assert decode_object(text)["b"] == [[]] * 50


@pytest.mark.clause("R76")
@pytest.mark.parametrize("excess", [-1, 0, 1])
@pytest.mark.parametrize("mark", ["{}", "[]", '{"":1}', '{"" :1}', '{"a" \n:1}'])
def test_what_begins_is_limited_by_the_length(mark: str, excess: int) -> None:
    """The object around it, its two members and the array are four marks."""
    each = 1 if len(mark) == 2 else 2
    inner = ",".join([mark] * (400 // each))
    marks = 4 + 400
    length = (marks - MARKS_FREE) * CHARACTERS_PER_MARK
    text = f'{{"a":[{inner}],"b":"@"}}'
    text = text.replace("@", "x" * (length - excess - len(text) + 1))

    if excess > 0:
        with pytest.raises(DecodingError, match=f"^{marks} JSON marks in {len(text)} characters$"):
            decode_object(text)
    else:
        assert len(decode_object(text)) == 2


def test_colons_inside_a_text_begin_nothing() -> None:
    text = json.dumps({"uris": ":" * 4096})

    assert decode_object(text) == {"uris": ":" * 4096}


@pytest.mark.clause("R76")
@pytest.mark.parametrize(
    "length", [MAX_NUMBER_LENGTH - 1, MAX_NUMBER_LENGTH, MAX_NUMBER_LENGTH + 1]
)
@pytest.mark.parametrize("head", ["", "0."])
def test_the_length_of_numbers_is_limited(length: int, head: str) -> None:
    text = '{"a":' + head + "1" * (length - len(head)) + "}"

    if length > MAX_NUMBER_LENGTH:
        with pytest.raises(DecodingError, match="characters"):
            decode_object(text)
    else:
        assert decode_object(text)


@pytest.mark.clause("R76")
def test_text_is_utf8_of_limited_length() -> None:
    assert decode_text("äb".encode(), 3) == "äb"
    assert decode_text("äb", 3) == "äb"
    bad: list[tuple[str | bytes, int, str]] = [
        (b"abcd", 3, "4 bytes exceed the limit of 3"),
        ("abcd", 3, "4 bytes exceed the limit of 3"),
        ("äb", 2, "more than 2 bytes"),
        (b"\xff", 9, "not UTF-8"),
        (b"\xc0\x80", 9, "not UTF-8"),
        (b"\xed\xa0\x80", 9, "not UTF-8"),
        ("\ud800", 9, "not UTF-8"),
    ]
    for text, limit, why in bad:
        with pytest.raises(DecodingError, match=f"^{why}$"):
            decode_text(text, limit)


@given(text=st.text() | st.text(alphabet='{}[]":,\\ud8a01tf') | st.binary().map(repr))
def test_arbitrary_text_raises_only_decoding_errors(text: str) -> None:
    with suppress(DecodingError):
        decode_object(text)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=st.dictionaries(st.text(), _json, max_size=5), plain=st.booleans())
def test_what_the_standard_library_writes_is_read_back(
    value: dict[str, object], plain: bool
) -> None:
    assert decode_object(json.dumps(value, ensure_ascii=plain)) == value
