"""What no mutant may do; ``make fuzz`` runs a hundred thousand."""

from __future__ import annotations

from collections import Counter

import pytest

from registrar.native import is_compiled
from tests.core.building import device_payload, document, entry
from tests.fuzz.corpus import make_corpus
from tests.fuzz.judges import Judge, Violation
from tests.fuzz.mutants import Kind, Mutant, Mutator
from tests.fuzz.run import run

MUTANTS = 1_500
"""Of one seed; about two seconds of CPU time."""

CORPUS = make_corpus()


@pytest.mark.slow
@pytest.mark.clause("R56")
@pytest.mark.parametrize("seed", [1, 2])
def test_no_mutant_is_believed_crashes_or_costs_much(seed: int) -> None:
    summary = run(MUTANTS, seed)

    assert summary.violations == []
    assert sum(summary.outcomes.values()) == MUTANTS
    kinds = {kind for kind, what in summary.outcomes if what == "believed"}
    assert kinds == set(Kind), "nothing to compare"
    assert summary.compiled_yes > 0
    if is_compiled():
        assert min(summary.settled[Kind.TICKET], summary.settled[Kind.CERTIFICATE]) > 0


def test_mutants_depend_on_the_seed_alone() -> None:
    def changes(seed: int) -> list[tuple[Kind, str, bool]]:
        drawn = Mutator(CORPUS, seed).draw(60)
        return [(one.kind, one.change, one.signed_again) for one in drawn]

    assert changes(7) == changes(7)
    assert changes(7) != changes(8)


def test_every_kind_and_change_is_drawn() -> None:
    drawn = Counter((one.kind, one.change) for one in Mutator(CORPUS, 1).draw(600))

    assert len(drawn) == 8 + 3 + 3
    assert min(drawn.values()) > 5


def test_a_judge_notices_what_nobody_signed() -> None:
    """An insider's new Ticket, taken for an outsider's, is what a forged one would look like."""
    payload = device_payload("urn:example.com:forged")
    text = document(payload, entry(payload, CORPUS.makers["ES256"]))
    forged = Mutant(kind=Kind.TICKET, change="", data=text.encode(), signed_again=False)

    with pytest.raises(Violation, match="nobody trusted"):
        Judge(CORPUS).judge(forged)


def test_a_judge_notices_what_costs_too_much() -> None:
    good = Mutant(kind=Kind.TICKET, change="", data=CORPUS.tickets[0], signed_again=False)

    assert Judge(CORPUS).judge(good).reason is None
    with pytest.raises(Violation, match="calls"):
        Judge(CORPUS, most_calls=10).judge(good)
