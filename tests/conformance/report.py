"""Lays the requirements beside the tests that carry them: ``docs/conformance.md``."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.marks import Mark

REQUIREMENTS = Path(__file__).with_name("requirements.toml")

LEFT_OPEN = frozenset({"MAY", "SHOULD"})
"""Levels at which a written reason may stand in for a test."""

PEOPLE = frozenset({"Admin"})
"""Whose duties no program can keep: a written reason may stand in for a test as well."""

_HEAD = """\
# Conformance

What OPC 10000-21 asks of the Registrar, and of the pretended Devices and the CertificateManager
beside it, and the tests that show it.

This page is generated: `python -m tests.conformance` writes it from the `clause` marks of the tests
and from `tests/conformance/requirements.toml`; a test fails when it is stale.
Levels are the verbs of the standard; FACT: stated as how the protocol works; EXPECT: expected;
DERIVED: our consequence.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One demand of the standard, in our words."""

    number: str
    level: str
    who: str
    clause: str
    text: str
    reason: str = ""


def read_requirements(path: Path = REQUIREMENTS) -> tuple[Requirement, ...]:
    """Read the table of requirements in its order."""
    table: Mapping[str, dict[str, str]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(Requirement(number=number, **row) for number, row in table.items())


def uncovered(requirements: Iterable[Requirement], marks: Iterable[Mark]) -> list[str]:
    """Return what is wrong: a requirement without test or reason, a mark or reason in vain."""
    requirements = tuple(requirements)
    tests = _by_requirement(marks)
    return [
        *(
            f"{each.number} ({each.level}, {each.clause}) has no test: {each.text}"
            for each in requirements
            if not tests.get(each.number) and not each.reason
        ),
        *(
            f"{each.number} is {each.level}: a reason cannot stand in for a test"
            for each in requirements
            if each.reason and each.level not in LEFT_OPEN and each.who not in PEOPLE
        ),
        *(
            f"{each.number} has a test and a reason for having none"
            for each in requirements
            if each.reason and tests.get(each.number)
        ),
    ]


def render(requirements: Sequence[Requirement], marks: Sequence[Mark]) -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_requirement_table(requirements, marks), "", *_clause_table(marks)])


def _requirement_table(requirements: Sequence[Requirement], marks: Sequence[Mark]) -> Iterator[str]:
    tests = _by_requirement(marks)
    yield "| | level | who | clause | requirement | carried by |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for each in requirements:
        carried = _links(tests[each.number]) if each.number in tests else f"no test: {each.reason}"
        yield (
            f"| {each.number} | {each.level} | {each.who} | {each.clause} "
            f"| {each.text} | {carried} |"
        )


def _clause_table(marks: Sequence[Mark]) -> Iterator[str]:
    tests: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        tests[mark.text].append(mark)
    yield "## By clause"
    yield ""
    yield "Every mark as it stands in the tests."
    yield ""
    yield "| clause | tests |"
    yield "| --- | --- |"
    yield from (f"| {text} | {_links(tests[text])} |" for text in sorted(tests))
    yield ""


def _by_requirement(marks: Iterable[Mark]) -> Mapping[str, list[Mark]]:
    tests: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        for number in mark.requirements:
            tests[number].append(mark)
    return tests


def _links(marks: Iterable[Mark]) -> str:
    pairs = sorted({(mark.path, mark.test) for mark in marks})
    return ", ".join(f"[{test.removeprefix('test_')}](../{path})" for path, test in pairs)
