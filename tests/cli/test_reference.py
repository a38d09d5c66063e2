"""The documentation of the commands is complete, true and fresh."""

from __future__ import annotations

import inspect
import shlex
from pathlib import Path

import click
import pytest

from registrar.cli.reference import DEFAULT, commands, render

ALL = dict(commands())
PAGE = Path(__file__).parents[2] / DEFAULT


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m registrar.cli.reference"


@pytest.mark.parametrize("name", ALL)
def test_every_command_stands_on_the_page_with_every_option(name: str) -> None:
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]

    for parameter in ALL[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} is not explained"
            assert all(option in section for option in parameter.opts)


@pytest.mark.parametrize("name", ALL)
def test_help_opens_with_a_sentence_and_ends_with_two_examples(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    section = page.split(f"\n## {name}\n")[1].split("\n```\n")[0]
    opening = section.split("\n\n")[1]
    ending = section.split("\n\n")[-1].splitlines()

    assert opening.endswith((".", ")."))
    assert ending[0] == "  Examples:"
    assert [line.strip() for line in ending[1:]] == example_lines(name)
    assert len(ending) == 3


@pytest.mark.parametrize("name", ALL)
def test_examples_name_commands_and_options_that_exist(name: str) -> None:
    for line in example_lines(name):
        words = shlex.split(line.split(">")[0])
        depth = max(n for n in range(1, len(words) + 1) if " ".join(words[:n]) in ALL)
        command = ALL[" ".join(words[:depth])]

        context = command.make_context("registrar", words[depth:])

        assert context.command is command


def test_every_command_has_a_file_of_its_own() -> None:
    callbacks = [inspect.unwrap(one.callback) for one in ALL.values() if one.callback]

    assert len({callback.__code__.co_filename for callback in callbacks}) == len(callbacks)


def example_lines(name: str) -> list[str]:
    return [line.strip() for line in (ALL[name].epilog or "").splitlines()[2:]]
