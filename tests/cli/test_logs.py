"""What the rooms log reaches a person as one line, whatever a device put into it."""

from __future__ import annotations

import logging
import sys

import pytest

from registrar.cli.logs import MAX_LENGTH, TRACEBACK, OneLine


def record(message: str) -> logging.LogRecord:
    try:
        raise ValueError("the value")
    except ValueError:
        return logging.LogRecord("x", logging.ERROR, "f", 1, message, None, sys.exc_info())


def test_a_fault_is_one_line() -> None:
    assert OneLine().format(record("it failed")) == "registrar: it failed: ValueError: the value"


def test_a_device_can_neither_break_the_line_nor_fill_the_screen() -> None:
    line = OneLine().format(record("\x1b[2J\n" * 1000))

    assert len(line) <= MAX_LENGTH + len("registrar: ")
    assert line.isprintable()


def test_a_developer_can_ask_for_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACEBACK, "1")

    assert "Traceback" in OneLine().format(record("it failed"))
