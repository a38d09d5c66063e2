"""``docs/reference/bad-input.md``, from the ``bad_input`` marks of the tests."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.core import bad_tickets

FAMILIES: Mapping[str, str] = {
    **bad_tickets.FAMILIES,
    "B32": "Paths: what is missing",
    "B33": "Paths: loops and meshes",
    "B34": "Paths: too many, too deep",
    "B35": "Signatures of certificates",
    "B36": "Keys",
    "B37": "Names",
    "B38": "basicConstraints",
    "B39": "keyUsage of issuers",
    "B40": "Extensions",
    "B41": "Usage by role",
    "B42": "Dates",
    "B43": "Form and size",
    "B44": "Trust: list, scope, stopped",
    "B45": "Revocation",
    "B63": "CRLs: form",
    "B64": "CRLs: issuer and signature",
    "B65": "CRLs: dates",
    "B66": "CRLs: number",
    "B67": "CRLs: critical extensions",
    "B68": "CRLs: deltas",
    "B69": "CRLs: indirect and partial",
    "B70": "CRLs: entries",
    "B71": "CRLs: size",
    "B72": "CRLs: missing",
}
"""The numbers that must have a member, by the order of the page."""

NO_REFUSAL = "none"
"""In the place of a reason: the input is hostile, and the right answer is found all the same."""

_HEAD = """\
# Bad input

What hostile or broken input is refused for, and the test that feeds it.
The numbers are those of the threat model; [reasons](reasons.md) explains the reason codes.
`none` says that the right answer is found in spite of the input.

This page is generated from the `bad_input` marks of the tests and from
`tests/core/bad_tickets.py` by `python -m tests.docs`.
A test fails when it is stale or a number has no member.
"""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Member:
    """One bad input and the test that feeds it."""

    number: str
    what: str
    reason: str
    path: str
    """Of the test's file, from the root of the project."""

    test: str


def members(root: Path) -> list[Member]:
    """Return the bad Tickets and every ``bad_input`` mark below ``root / "tests"``, sorted."""
    found = [
        Member(
            number=one.number,
            what=one.what,
            reason=str(one.reason or NO_REFUSAL),
            path="tests/core/test_bad_tickets.py",
            test="test_a_bad_ticket_has_its_reason",
        )
        for one in bad_tickets.BAD_TICKETS
    ]
    for path in (root / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found += (
                    Member(
                        number=number,
                        what=what,
                        reason=reason,
                        path=path.relative_to(root).as_posix(),
                        test=node.name,
                    )
                    for number, what, reason in _marks(node)
                )
    return sorted(found, key=lambda one: (int(one.number[1:]), one.what, one.test))


def _marks(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, str, str]]:
    for call in node.decorator_list:
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "bad_input"
        ):
            number, what, reason = (ast.literal_eval(argument) for argument in call.args)
            yield number, what, reason


def render(root: Path) -> str:
    """Return the page."""
    by_number: dict[str, list[Member]] = defaultdict(list)
    for member in members(root):
        by_number[member.number].append(member)
    lines = [_HEAD]
    for number, found in by_number.items():
        lines += [f"## {number}: {FAMILIES[number]}", "", "| input | reason | test |"]
        lines += ["| --- | --- | --- |", *map(_row, found), ""]
    return "\n".join(lines)


def _row(member: Member) -> str:
    name = member.test.removeprefix("test_")
    return f"| {member.what} | `{member.reason}` | [{name}](../../{member.path}) |"
