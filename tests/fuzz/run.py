"""One run over many mutants: what became of them, and what the process has grown by."""

from __future__ import annotations

import hashlib
import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time

from tests.fuzz.corpus import make_corpus
from tests.fuzz.judges import Judge, Violation
from tests.fuzz.mutants import Mutant, Mutator

WARM_UP = 0.2
"""Share of a run after which caches are full and memory must not grow."""

SLOWEST_S = 0.05
"""CPU time one mutant may take."""


@dataclass(kw_only=True)
class Summary:
    """What a run found."""

    seed: int
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many mutants by kind and reason; ``believed`` stands for no reason."""

    compiled_yes: int = 0
    settled: Counter[str] = field(default_factory=Counter)
    """How many mutants of a kind the compiled batch said yes to, without the reference."""

    most_calls: int = 0
    slowest_s: float = 0.0
    grown_bytes: int = 0
    """Of the largest resident size, after the warm-up."""

    violations: list[str] = field(default_factory=list)

    @property
    def believed(self) -> int:
        """How many mutants were believed, so that compiled and Python bodies could disagree."""
        return sum(number for (_, what), number in self.outcomes.items() if what == "believed")


def run(
    count: int,
    seed: int,
    *,
    keep: Path | None = None,
    progress: Callable[[int, Summary], None] = lambda done, summary: None,
) -> Summary:
    """Judge ``count`` mutants; those for which something does not hold are written to ``keep``."""
    corpus = make_corpus()
    judge, mutator = Judge(corpus), Mutator(corpus, seed)
    summary = Summary(seed=seed)
    size_before = 0
    for done, mutant in enumerate(mutator.draw(count)):
        if done == int(count * WARM_UP):
            size_before = _largest_size()
        try:
            _take(judge, mutant, summary)
        except Violation as violation:
            summary.violations.append(_keep(mutant, violation, keep))
        progress(done + 1, summary)
    summary.grown_bytes = _largest_size() - size_before
    return summary


def _take(judge: Judge, mutant: Mutant, summary: Summary) -> None:
    begin = process_time()
    verdict = judge.judge(mutant)
    taken = process_time() - begin
    if taken > SLOWEST_S:
        # Once more, because a busy machine also makes cheap inputs late.
        begin = process_time()
        judge.judge(mutant)
        taken = min(taken, process_time() - begin)
    summary.outcomes[mutant.kind, str(verdict.reason or "believed")] += 1
    summary.compiled_yes += verdict.compiled_yes
    summary.settled[mutant.kind] += verdict.is_settled
    summary.most_calls = max(summary.most_calls, verdict.calls)
    summary.slowest_s = max(summary.slowest_s, taken)


def _keep(mutant: Mutant, violation: Violation, folder: Path | None) -> str:
    name = f"{mutant.kind}-{hashlib.sha256(mutant.data).hexdigest()[:16]}"
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(mutant.data)
    return f"{name} ({mutant.change}): {violation}"


def _largest_size() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
