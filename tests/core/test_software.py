"""When an update is due."""

from __future__ import annotations

import pytest

from registrar.core.software import SoftwarePolicy, SoftwareReport, is_update_due

POLICY = SoftwarePolicy(wanted_revisions={"pump": "2.1", "valve": "R7"})


@pytest.mark.parametrize(
    ("model", "installed", "due"),
    [
        ("pump", "2.1", False),
        ("pump", "2.1.0", False),
        ("pump", "v2.1", False),
        ("pump", "2.10", False),
        ("pump", "2.0.9", True),
        ("pump", "1", True),
        ("pump", "beta", True),
        ("pump", "", True),
        ("valve", "R7", False),
        ("valve", "R8", True),
        ("motor", "0.1", False),
        ("motor", "", False),
    ],
)
def test_the_wanted_revision_of_the_model_decides(model: str, installed: str, due: bool) -> None:
    assert is_update_due(POLICY, model=model, installed=installed, report=None) is due


def test_an_unknown_revision_may_be_let_through_by_policy() -> None:
    policy = SoftwarePolicy(wanted_revisions={"pump": "2"}, wait_for_unknown=False)

    assert not is_update_due(policy, model="pump", installed="", report=None)


@pytest.mark.parametrize("is_current", [True, False])
def test_a_report_overrules_the_ticket(is_current: bool) -> None:
    report = SoftwareReport(is_current=is_current, revision="1")

    due = is_update_due(POLICY, model="pump", installed="1.0", report=report)

    assert due is not is_current


def test_numbers_too_long_for_a_revision_are_compared_as_text() -> None:
    policy = SoftwarePolicy(wanted_revisions={"pump": "9" * 40})

    assert not is_update_due(policy, model="pump", installed="9" * 40, report=None)
