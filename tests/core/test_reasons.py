"""Every reason is explained, in sentences."""

from __future__ import annotations

import pytest

from registrar.core.reasons import DESCRIPTIONS, describe
from registrar.errors import Reason


@pytest.mark.parametrize("reason", sorted(Reason))
def test_every_reason_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    description = describe(reason)

    for sentence in (description.meaning, description.next_action):
        assert sentence[0].isupper()
        assert sentence.endswith(".")


def test_nothing_is_explained_that_does_not_exist() -> None:
    assert set(DESCRIPTIONS) == set(Reason)


def test_no_two_reasons_mean_the_same() -> None:
    meanings = [description.meaning for description in DESCRIPTIONS.values()]

    assert len(set(meanings)) == len(meanings)
