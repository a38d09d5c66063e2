"""The targets of the guided search hold for what it begins with, and for what it once found."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import make_corpus
from tests.fuzz.mutants import Mutator
from tests.fuzz.targets import TARGETS, Target

CORPUS = make_corpus()


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_seeds_and_some_mutants_pass(target: Target) -> None:
    mutants = [one.data for one in Mutator(CORPUS, 3).draw(100)]

    for data in (*target.seeds(CORPUS), *mutants):
        target.read(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"p":111111111111111111111111}',
        b'{"p":-0}',
        b'{"p":1e999}',
        b'{"\\u0000":"\\ud83d\\ude00"}',
    ],
)
def test_json_that_readers_could_disagree_on(data: bytes) -> None:
    TARGETS["json"].read(data)
