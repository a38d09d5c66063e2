"""The command ``registrar`` and what all its commands share: loading, help and exit codes.

    done ─▶ 0    a device or file was refused ─▶ 1    misuse ─▶ 2    unavailable ─▶ 3

A command's module is imported when the command is named, so that ``registrar --help`` does not
wait for a protocol stack it does not use.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import click

from registrar import __version__, native
from registrar.cli.logs import TRACEBACK
from registrar.cli.text import printable
from registrar.core.reasons import describe
from registrar.errors import (
    ConfigurationInvalid,
    FileInvalid,
    Misuse,
    Reason,
    RegistrarError,
    Unavailable,
)

REFUSED: Final = 1
MISUSED: Final = 2
UNAVAILABLE: Final = 3
INTERRUPTED: Final = 130
"""What a shell expects after Ctrl-C."""
PIPE_CLOSED: Final = 141
"""What a shell expects of one whose reader has gone."""

_GOES_ON: Final = frozenset({"onboard", "import", "add"})
"""Commands that look first at what was done already."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_EXIT_CODES: Final[tuple[tuple[type[RegistrarError], int], ...]] = (
    (ConfigurationInvalid, MISUSED),
    (FileInvalid, MISUSED),
    (Unavailable, UNAVAILABLE),
    (Misuse, UNAVAILABLE),
    (RegistrarError, REFUSED),
)


class Failure(click.ClickException):
    """An error as the user sees it: one line that names what, where and the next action."""

    def __init__(self, error: RegistrarError) -> None:
        where = f"{error.subject}: " if error.subject else ""
        action = error.next_action or describe(error.reason).next_action
        message = f"{where}{error} [{error.reason}]; next: {action}"
        super().__init__(printable(message))
        self._code = next(code for kind, code in _EXIT_CODES if isinstance(error, kind))

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """What the process ends with."""
        return self._code

    def show(self, file: Any = None) -> None:
        """Print the line on stderr."""
        click.echo(f"registrar: {self.message}", err=True)


class Commands(click.Group):
    """A group whose commands live in one module each, imported when named."""

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a site needs them."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command of this name; None where there is none."""
        module = self._modules.get(cmd_name)
        if module is None:
            return None
        command = importlib.import_module(f"registrar.cli.{module}").command
        assert isinstance(command, click.Command)  # noqa: S101 - a fact about our own modules
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it raises becomes one line and an exit code."""
        try:
            return super().invoke(ctx)
        except RegistrarError as error:
            raise Failure(error) from error
        except KeyboardInterrupt:
            goes_on = "; the same command goes on from here"
            click.echo(
                f"registrar: stopped{goes_on if ctx.invoked_subcommand in _GOES_ON else ''}",
                err=True,
            )
            raise click.exceptions.Exit(INTERRUPTED) from None
        except click.Abort:
            click.echo("registrar: nothing was changed; next: answer y, or give --yes", err=True)
            raise click.exceptions.Exit(MISUSED) from None
        except BrokenPipeError:
            # What is left in the buffer would be written, and fail, once more at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(PIPE_CLOSED) from None
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            if os.environ.get(TRACEBACK):
                raise
            raise Failure(_of_any(error)) from error


def _of_any(error: Exception) -> RegistrarError:
    """Return what nobody expected as an error that names a next action."""
    if isinstance(error, OSError) and error.filename is not None:
        return FileInvalid(
            f"cannot be used: {error.strerror}",
            subject=os.fsdecode(error.filename),
            next_action="Check name, permissions and free disk space.",
        )
    if isinstance(error, OSError) and error.errno in _FULL:
        return Unavailable(
            f"nothing more can be written: {error.strerror}", reason=Reason.STORE_UNAVAILABLE
        )
    return Misuse(f"{type(error).__name__}: {error}"[:300], reason=Reason.INTERNAL)


def examples(first: str, second: str) -> str:
    """Return the end of a command's help: two examples that work when pasted."""
    return f"\b\nExamples:\n  {first}\n  {second}"


def _version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    missing = native.missing_extensions()
    build = f"pure, without {', '.join(missing)}" if missing else "compiled"
    click.echo(f"registrar {__version__} ({build})")
    ctx.exit()


@click.group(
    cls=Commands,
    epilog=examples(
        "registrar demo --devices 24",
        "registrar init plant",
    ),
    modules={
        "init": "init",
        "trust": "trust",
        "tickets": "tickets",
        "onboard": "onboard",
        "software": "software",
        "status": "status",
        "explain": "explain",
        "fleet": "fleet",
        "demo": "demo",
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version, and whether the extensions are compiled; then exit.",
)
def root() -> None:
    """Take factory-new OPC UA devices into a site, and refuse the impostors (OPC 10000-21).

    Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 a device or a
    file was refused, 2 misuse, 3 unavailable.
    """
