"""What the rooms log, as one line each on stderr."""

from __future__ import annotations

import logging
import os
from typing import Final

import click

from registrar.cli.text import printable

TRACEBACK: Final = "REGISTRAR_TRACEBACK"
"""The environment variable that asks for tracebacks; for developers."""

MAX_LENGTH: Final = 500
"""Characters of one line."""


class OneLine(logging.Formatter):
    """Names the fault in the line itself; a traceback only where one was asked for."""

    def format(self, record: logging.LogRecord) -> str:
        """Return ``record`` as a line."""
        if os.environ.get(TRACEBACK):
            return f"registrar: {super().format(record)}"
        fault = record.exc_info[1] if record.exc_info else None
        why = f": {type(fault).__name__}: {fault}" if fault is not None else ""
        return f"registrar: {printable(record.getMessage() + why)[:MAX_LENGTH]}"


class ToStderr(logging.Handler):
    """Writes to stderr as it is now, which a live view may have put itself in front of."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        click.echo(self.format(record), err=True)


def log_to_stderr() -> None:
    """Send warnings and worse of every room to stderr; called once, when a command starts."""
    handler = ToStderr()
    handler.setFormatter(OneLine())
    logger = logging.getLogger("registrar")
    logger.handlers[:] = [handler]
    logger.propagate = False
