"""Every family of bad inputs has members, each with a reason there is."""

from __future__ import annotations

import pytest

from registrar.errors import Reason
from tests.docs.bad_input import FAMILIES, NO_REFUSAL, members
from tests.docs.pages import ROOT

MEMBERS = members(ROOT)


@pytest.mark.parametrize("number", FAMILIES)
def test_every_number_has_a_member(number: str) -> None:
    assert [member for member in MEMBERS if member.number == number]


def test_every_member_has_a_number_and_a_reason_there_is() -> None:
    assert {member.number for member in MEMBERS} <= set(FAMILIES)
    assert {member.reason for member in MEMBERS} <= {*map(str, Reason), NO_REFUSAL}
