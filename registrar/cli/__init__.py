"""The command line: reads arguments, calls one function of ``app``, prints."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command ``registrar``."""
    from registrar.cli.logs import log_to_stderr
    from registrar.cli.root import root

    log_to_stderr()
    root.main(prog_name="registrar")
