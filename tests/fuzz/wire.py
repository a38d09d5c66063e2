"""Runs mutants of conversations and messages against the targets on the wire.

    python -m tests.fuzz.wire [server …] [--mutants 100000] [--seed 1] [--keep build/fuzz]

Exits with 1 where a target failed, was slow or kept memory; the mutants are in the folder.
"""

from __future__ import annotations

import hashlib
import random
import resource
import secrets
import sys
import warnings
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time

from registrar.native import missing_extensions
from tests.fuzz.wire_mutator import mutate, mutate_stream
from tests.fuzz.wire_targets import WIRE_TARGETS, WireTarget

SLOWEST_S = 0.1
"""CPU time one mutant may take."""

MOST_GROWTH = 16 * 1024 * 1024
"""Bytes of the largest resident size that may be added after the warm-up."""

WARM_UP = 0.2
MOST_KEPT = 20
"""Failures after which a run ends."""


@dataclass(kw_only=True)
class Findings:
    """What a run over one target found."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    grown_bytes: int = 0


def mutants(name: str, target: WireTarget, count: int, seed: int) -> Iterator[bytes]:
    """Draw ``count`` mutants for a target."""
    source = random.Random(f"{name} {seed}")
    change = mutate if name == "decoder" else mutate_stream
    for _ in range(count):
        yield change(source.choice(target.seeds), source)


def run(name: str, count: int, seed: int, keep: Path | None = None) -> Findings:
    """Let ``count`` mutants into one target."""
    target, findings, before = WIRE_TARGETS[name], Findings(), 0
    for done, data in enumerate(mutants(name, target, count, seed)):
        if done == int(count * WARM_UP):
            before = _largest_size()
        try:
            findings.outcomes[_timed(target, data, findings)] += 1
        except Exception as error:  # whatever it is, it is what we look for
            findings.failures.append(_kept(name, data, error, keep))
            if len(findings.failures) >= MOST_KEPT:
                break
    findings.grown_bytes = _largest_size() - before
    return findings


def _timed(target: WireTarget, data: bytes, findings: Findings) -> str:
    begin = process_time()
    outcome = target.read(data)
    taken = process_time() - begin
    if taken > SLOWEST_S:
        # Once more, because a busy machine also makes cheap inputs late.
        begin = process_time()
        target.read(data)
        taken = min(taken, process_time() - begin)
        assert taken <= SLOWEST_S, f"{taken:.3f} s"
    findings.slowest_s = max(findings.slowest_s, taken)
    return outcome


def _kept(name: str, data: bytes, error: Exception, keep: Path | None) -> str:
    file = f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / file).write_bytes(data)
    return f"{file}: {type(error).__name__}: {error}"[:200]


def _largest_size() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    """Run each target, print what became of its mutants, and return 1 where one failed."""
    parser = ArgumentParser(prog="python -m tests.fuzz.wire", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target", default=[*WIRE_TARGETS])
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"))
    options = parser.parse_args()
    warnings.simplefilter("error")
    failed = False
    for name in options.targets:
        print(f"{name}: {options.mutants} mutants, seed {options.seed}", end=", ", flush=True)
        findings = run(name, options.mutants, options.seed, options.keep)
        print(f"slowest {findings.slowest_s * 1000:.1f} ms, grown {findings.grown_bytes >> 10} KiB")
        for outcome, number in findings.outcomes.most_common():
            print(f"  {outcome:44} {number:10}")
        for failure in findings.failures:
            print(f"  FAILED {failure}", file=sys.stderr)
        failed |= bool(findings.failures) or findings.grown_bytes > MOST_GROWTH
    print(f"not compiled: {missing_extensions()}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
