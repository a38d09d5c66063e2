"""The command line: reads arguments, calls one function of ``app``, prints."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command ``registrar``."""
    from registrar.cli.root import root

    root.main(prog_name="registrar")
