"""Runs mutants by the hundred thousand: ``python -m tests.fuzz --mutants 100000``.

Exits with 1 where something did not hold; the mutants are in the folder it names.
"""

from __future__ import annotations

import secrets
import sys
import warnings
from argparse import ArgumentParser
from pathlib import Path

from registrar.native import missing_extensions
from tests.fuzz.run import SLOWEST_S, Summary, run

MOST_GROWTH = 16 * 1024 * 1024
"""Bytes that the caches may still take after the warm-up, fragmented as they are."""

_EVERY = 1000


def main() -> int:
    """Run, print the summary, and return what the process ends with."""
    parser = ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"))
    options = parser.parse_args()
    warnings.simplefilter("error")
    print(f"{options.mutants} mutants, seed {options.seed}, not compiled: {missing_extensions()}")

    def show(done: int, summary: Summary) -> None:
        if done % _EVERY == 0 or done == options.mutants:
            end = "\r" if done < options.mutants else "\n"
            found = len(summary.violations)
            print(f"{done} of {options.mutants}, {found} violations", end=end, file=sys.stderr)

    summary = run(options.mutants, options.seed, keep=options.keep, progress=show)
    for (kind, what), number in sorted(summary.outcomes.items()):
        print(f"{kind:12} {what:40} {number:8}")
    print(f"signatures the compiled body said yes to: {summary.compiled_yes}")
    print(f"mutants the compiled batch said yes to: {dict(summary.settled)}")
    print(f"most calls for one mutant: {summary.most_calls}")
    print(f"slowest mutant: {summary.slowest_s * 1000:.1f} ms of CPU time")
    print(f"grown after the warm-up: {summary.grown_bytes / 2**20:.1f} MiB")
    failures = list(summary.violations)
    if summary.slowest_s > SLOWEST_S:
        failures.append(f"a mutant took {summary.slowest_s:.3f} s, more than {SLOWEST_S}")
    if summary.grown_bytes > MOST_GROWTH:
        failures.append(f"{summary.grown_bytes} bytes grown, more than {MOST_GROWTH}")
    if not summary.believed or not summary.compiled_yes:
        failures.append("no mutant was believed: nothing was compared")
    for failure in failures:
        print(f"FAILED: {failure}; kept in {options.keep}", file=sys.stderr)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
