"""The README's first screen: two commands, output of today's demo, an example that runs."""

from __future__ import annotations

import ast
import re

from registrar.cli.reference import commands
from registrar.core.enrolment import State
from registrar.errors import Reason
from tests.docs.pages import ROOT

PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_SCREEN_LINES = 50


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_the_first_screen_shows_the_two_commands_and_their_output() -> None:
    screen = "\n".join(PAGE.splitlines()[:FIRST_SCREEN_LINES])

    assert "$ make demo\n" in screen
    assert "$ make test\n" in screen
    assert "0 wrong" in screen


def test_the_output_speaks_of_states_and_reasons_that_exist() -> None:
    (output,) = blocks("text")
    rows = [line.split()[:2] for line in output.splitlines() if re.match(r"[a-z_]+  ", line)]

    words = {state for state, _ in rows[1:]} - set(State)
    reasons = {reason for _, reason in rows[1:] if not reason.isdigit()} - set(Reason)
    assert (words, reasons) == (set(), set())
    assert len(rows) > len(State) // 2


def test_every_command_shown_exists() -> None:
    known = {name for name, _ in commands()}
    for block in blocks("console"):
        for line in block.splitlines():
            words = line.removeprefix("$ ").split()
            if words[0] == "registrar" and words[1] != "--version":
                assert " ".join(words[:2]) in known, line


def test_the_example_of_the_library_is_python() -> None:
    (example,) = blocks("python")

    compile(example, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
