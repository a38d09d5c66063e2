"""The configuration: what is written can be read, and every mistake is named with its line."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.app.config import (
    MAX_DOTS,
    MAX_FILE_SIZE_BYTES,
    MAX_TABLE_KEYS,
    SECTIONS,
    load,
    parse,
    render,
)
from registrar.app.settings import Settings
from registrar.errors import ConfigurationInvalid, Reason

FIELDS = [(name, item) for name, kind in SECTIONS.items() for item in dataclasses.fields(kind)]
NUMBERS = [(name, item) for name, item in FIELDS if item.metadata["low"] is not None]


def refusal(text: str) -> ConfigurationInvalid:
    with pytest.raises(ConfigurationInvalid) as caught:
        parse(text)
    assert caught.value.reason is Reason.CONFIGURATION_INVALID
    return caught.value


def test_what_is_written_is_read_back() -> None:
    wanted = MappingProxyType({'Pump "X"': "1.2", "a.b = c": "2", "Ünit": "3\\4"})
    settings = Settings(wanted_software=wanted)

    assert parse(render(settings)) == settings


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_the_number_of_models_is_limited(extra: int) -> None:
    keys = "\n".join(f"m{number} = '1'" for number in range(MAX_TABLE_KEYS + extra))
    text = f"[wanted_software]\n{keys}"

    if extra > 0:
        assert "more than" in str(refusal(text))
    else:
        assert len(parse(text).wanted_software) == MAX_TABLE_KEYS + extra


def test_an_empty_file_means_the_defaults() -> None:
    assert parse("") == Settings()


@pytest.mark.parametrize(("section", "item"), FIELDS, ids=lambda one: getattr(one, "name", one))
def test_every_field_stands_in_the_file_below_a_comment(
    section: str, item: dataclasses.Field[object]
) -> None:
    lines = render(Settings()).splitlines()
    begin = lines.index(f"[{section}]")
    at = next(n for n in range(begin, len(lines)) if lines[n].startswith(f"{item.name} = "))

    assert lines[at - 1].startswith("# ")
    assert item.metadata["says"].split()[0] in "".join(lines[begin:at])


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("\n[onboarding]\nconcurency = 3", ":3", "onboarding.concurency is not known"),
        ("[onbording]\n", ":1", "onbording is not known"),
        ("[onboarding]\nattempts = 1\nconcurrency = 'x'", ":3", "has to be a whole number"),
        ("[onboarding]\nconcurrency = true", ":2", "is True, but has to be a whole number"),
        ("[onboarding]\nconcurrency = 1.5", ":2", "is 1.5, but has to be a whole number"),
        ("[onboarding]\nstep_budget_s = nan", ":2", "is nan"),
        ("onboarding.concurrency = 0", ":1", "is 0, but has to be 1 or more"),
        ("[onboarding]\n\nconcurrency = 1025", ":3", "is 1025, but has to be 1024 or less"),
        ("[onboarding]\npolicies = []", ":2", "is empty"),
        ("[onboarding]\npolicies = [\n 'None'\n]", ":2", "'None', but has to be one of"),
        ("[networks]\ndesignated = ['10.0.0.1/8']", ":2", "which is no network"),
        ("[networks]\ndesignated = '10.0.0.0/8'", ":2", "has to be a list of strings"),
        ("[listener]\nhost = 'plc'", ":2", "has to be an IP address"),
        ("[registrar]\napplication_uri = 'x y'", ":2", "has to be a URI"),
        ("[registrar]\napplication_name = ''", ":2", "is empty"),
        ('[registrar]\napplication_name = "a\\nb"', ":2", "not printable"),
        ("[wanted_software]\n'a b' = 1", ":2", "wanted_software.a b is 1"),
        ("wanted_software = 4", ":1", "has to be a table"),
        ("[software_update_users]\n\nann = 'secret'", ":3", "software_update_users.ann is no hash"),
        ("registrar = 'x'", ":1", "registrar has to be a table"),
        ("[[onboarding]]\nconcurrency = 1", ":1", "onboarding has to be a table"),
        ("[onboarding]\nconcurrency =", ":2", "not TOML"),
        ("a = 1\na = 2", ":2", "not TOML"),
        ("a = " + "[" * 5000, "", "not TOML"),
        pytest.param("a = " + "9" * 5000, "", "not TOML", id="long-number"),
    ],
)
def test_a_mistake_is_named_with_key_and_line(text: str, where: str, words: str) -> None:
    error = refusal(text)

    assert error.subject == f"config.toml{where}"
    assert words in str(error)


@pytest.mark.parametrize(("section", "item"), NUMBERS, ids=lambda one: getattr(one, "name", one))
def test_limits_hold_at_their_edges(section: str, item: dataclasses.Field[object]) -> None:
    low, high = item.metadata["low"], item.metadata["high"]

    for value in (low, high):
        parse(f"[{section}]\n{item.name} = {value}")
    for value in (low - 1, high + 1):
        assert refusal(f"[{section}]\n{item.name} = {value}").subject.endswith(":2")


@pytest.mark.parametrize("part", [".a", " . a", '."a"', ".'='", '.""'])
def test_a_key_has_only_so_many_dots(part: str) -> None:
    """A hundred thousand of them would keep the parser busy for minutes."""
    assert "not known" in str(refusal("\na" + MAX_DOTS * part + " = 1"))
    for count in (MAX_DOTS + 1, 100_000):
        error = refusal("\na" + count * part + " = 1")
        assert (error.subject, "dots" in str(error)) == ("config.toml:2", True)


def test_a_long_value_is_cut_in_the_message() -> None:
    error = refusal(f"[listener]\nport = '{'x' * 10_000}'")

    assert len(str(error)) < 200


def test_unreadable_files_are_refused_by_name(tmp_path: Path) -> None:
    missing, binary, large = (tmp_path / name for name in ("missing", "binary", "large"))
    binary.write_bytes(b"\xff")
    large.write_bytes(b" " * (MAX_FILE_SIZE_BYTES + 1))

    for path, words in ((missing, "No such file"), (binary, "not UTF-8"), (large, "larger than")):
        with pytest.raises(ConfigurationInvalid, match=words) as caught:
            load(path)
        assert caught.value.subject == str(path)


@given(st.text())
def test_arbitrary_text_raises_only_configuration_invalid(text: str) -> None:
    with contextlib.suppress(ConfigurationInvalid):
        parse(text)
