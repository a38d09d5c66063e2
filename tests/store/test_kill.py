"""Killed at any instant, the store holds all it acknowledged and nothing by halves (F40 to F50)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.core.issuance import IssuanceState
from registrar.store import Store, enrolments, invariants, issuances
from tests.store.writer import DEVICES, STORE_IS_GONE

ROOT = Path(__file__).parents[2]
KILLS = 6
ORDER = list(State)
STEPS = list(IssuanceState)


@dataclass
class Told:
    """What a killed process was told by its store, and what it showed the world."""

    enrolments: dict[int, State] = field(default_factory=dict)
    issuances: dict[int, IssuanceState] = field(default_factory=dict)
    world: set[bytes] = field(default_factory=set)

    def take(self, lines: Iterable[str]) -> None:
        for line in lines:
            if not line.endswith("\n"):
                continue  # cut by the kill
            kind, *words = line.split()
            if kind == "world":
                self.world.add(bytes.fromhex(words[0]))
            elif kind == "enrolment":
                self.enrolments[int(words[0])] = State(words[1])
            else:
                self.issuances[int(words[0])] = IssuanceState(words[1])


def start(path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.writer", str(path), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def kill_after(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Read so many lines, kill the process, and return all it wrote."""
    assert process.stdout is not None
    read = [line for _, line in zip(range(lines), process.stdout, strict=False)]
    process.kill()
    read += process.stdout.readlines()
    process.stdout.close()
    process.wait(20)
    return read


def check(path: Path, told: Told) -> None:
    """Compare the database with what was acknowledged, as it was left."""
    with Store.open(path) as store:
        for number, state in told.enrolments.items():
            reached = enrolments.get(store.reader, number).state
            assert ORDER.index(reached) >= ORDER.index(state)
        for number, step in told.issuances.items():
            assert STEPS.index(issuances.get(store.reader, number).state) >= STEPS.index(step)
    assert invariants.check(path, told.world) == []


@pytest.mark.slow
@pytest.mark.clause("I8")
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    told = Told()

    for _ in range(KILLS):
        told.take(kill_after(start(path), chance.randrange(1, DEVICES * 2)))
        if path.exists() and path.stat().st_size:
            check(path, told)
    last = start(path)
    output, _ = last.communicate(timeout=60)
    told.take(output.splitlines(keepends=True))

    assert last.returncode == 0
    check(path, told)
    with Store.open(path) as store:
        assert enrolments.counts(store.reader) == {State.ONBOARDED: DEVICES}
        held = [issuances.active(store.reader, enrolment_id=n) for n in told.enrolments]
        assert [len(active) for active in held] == [1] * len(held)
        assert {one.state for active in held for one in active} == {IssuanceState.CONFIRMED}
        assert told.world <= set(issuances.certificates(store.reader))


@pytest.mark.slow
@pytest.mark.clause("F50")
@pytest.mark.parametrize("limit_bytes", [60_000, 140_000, 250_001, 400_000])
def test_nothing_acknowledged_is_lost_when_the_disk_takes_no_more(
    path: Path, limit_bytes: int
) -> None:
    Store.open(path).close()
    told = Told()

    process = start(path, str(limit_bytes))
    output, _ = process.communicate(timeout=60)
    told.take(output.splitlines(keepends=True))

    assert process.returncode == STORE_IS_GONE
    check(path, told)
