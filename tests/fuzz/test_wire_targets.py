"""What the mutants of the wire find is what a target gets wrong, and they get everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import wire
from tests.fuzz.pieces import is_spoiled
from tests.fuzz.wire import MOST_KEPT, run
from tests.fuzz.wire_targets import WIRE_TARGETS, WireTarget

REACHED = {
    "chunks": {"1 chunks, waiting", "10 chunks, waiting", "0 chunks, ChunkTooLarge"},
    "decoder": {"taken", "DecodingError"},
    "server": {"open", "closed", "open, ProtocolViolation", "acknowledged, ProtocolViolation"},
    "client": {"open", "closed", "open, ProtocolViolation", "opening, ProtocolViolation"},
    "secured-server": {
        *("open", "closed", "open, ProtocolViolation", "open, SecurityChecksFailed"),
        *("open, DecodingError", "acknowledged, SecurityChecksFailed"),
    },
    "secured-client": {
        *("open", "closed", "open, ProtocolViolation", "open, SecurityChecksFailed"),
        *("open, DecodingError", "opening, SecurityChecksFailed"),
    },
}


@pytest.mark.parametrize("name", WIRE_TARGETS)
def test_seeds_pass(name: str) -> None:
    target = WIRE_TARGETS[name]

    for seed in target.seeds:
        if not is_spoiled(seed):
            assert "," not in target.read(seed) or name == "chunks"


@pytest.mark.clause("T33")
@pytest.mark.parametrize("name", WIRE_TARGETS)
def test_mutants_get_everywhere_and_break_nothing(name: str) -> None:
    findings = run(name, 600, seed=1)

    assert not findings.failures
    assert findings.outcomes.total() == 600
    assert findings.outcomes.keys() >= REACHED[name]


def test_a_target_that_fails_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read(data: bytes) -> str:
        raise IndexError(len(data))

    broken = WireTarget(read=read, seeds=WIRE_TARGETS["server"].seeds)
    monkeypatch.setattr(wire, "WIRE_TARGETS", {"server": broken})

    findings = run("server", 100, seed=1, keep=tmp_path)

    assert len(findings.failures) == MOST_KEPT
    assert len([*tmp_path.iterdir()]) > 1
    assert "IndexError" in findings.failures[0]
