"""Mutates the trust core and counts the mutants that its tests notice.

``python -m tests.mutation [--each 120] [--seed 1] [MODULE …]`` needs mutmut (``pip install
'.[mutation]'``), works on a copy in ``mutants/`` and exits with 1 where fewer than 90 % are
noticed. ``mutmut results`` then names the others, ``mutmut show NAME`` prints one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Sequence
from json import loads
from pathlib import Path
from random import Random

from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name

LEAST = 0.9
"""Of the mutants that were run."""

COMPILED = frozenset({"issuers", "path", "signatures", "ticket_snapshot"})
"""Modules with lines that only run beside compiled twins; all others are run without."""

_UNNOTICED = frozenset({0, 5, 33})
"""What mutmut remembers of a mutant that every test passed, or that no test reached."""

_FOLDER = Path("mutants")


def main() -> int:
    """Draw, run, print a line for each module, and return what the process ends with."""
    parser = ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as path; default: all")
    parser.add_argument("--each", type=int, default=0, help="mutants of a module; default: all")
    parser.add_argument("--seed", type=int, default=1, help="for the draw")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    configured = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["mutmut"]
    drawn: dict[Path, list[str]] = {}
    for source in map(Path, configured["only_mutate"]):
        if not options.modules or source.stem in options.modules:
            names = mutants_of(source)
            least = min(options.each or len(names), len(names))
            drawn[source] = sorted(Random(options.seed).sample(names, least))
    for is_compiled in (False, True):
        wanted = [source for source in drawn if (source.stem in COMPILED) is is_compiled]
        run([name for source in wanted for name in drawn[source]], is_compiled, options.processes)
    return report(drawn)


def mutants_of(source: Path) -> list[str]:
    """Return the names of every mutant of one module."""
    mutated = mutate_file_contents(str(source), source.read_text())
    return [get_mutant_name(source, name) for name in mutated.mutant_names]


def run(names: Sequence[str], is_compiled: bool, processes: int) -> None:
    """Let mutmut run the tests against each of these mutants."""
    if not names:
        return
    # Which tests reach which function is another matter with other bodies.
    (_FOLDER / "mutmut-stats.json").unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-m", "mutmut", "run", f"--max-children={processes}", *names],
        env={**os.environ, "REGISTRAR_PURE": "0" if is_compiled else "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def report(drawn: dict[Path, list[str]]) -> int:
    """Print how many mutants were noticed, and return 1 where they are too few."""
    everything = noticed = 0
    for source, names in drawn.items():
        codes = loads((_FOLDER / f"{source}.meta").read_text())["exit_code_by_key"]
        found = sum(codes[name] not in _UNNOTICED for name in names)
        everything, noticed = everything + len(names), noticed + found
        print(f"{source.stem:20} {found:5} of {len(names):5} run, {len(codes):5} in all")
    print(f"{noticed} of {everything} mutants noticed: {noticed / everything:.1%}")
    return noticed / everything < LEAST


if __name__ == "__main__":
    sys.exit(main())
