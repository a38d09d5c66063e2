"""The table at the end of a demo fits the screen it is printed on."""

from __future__ import annotations

import pytest

from registrar.app.demo import DemoReport
from registrar.cli.demo_report import TABLE_WIDTH, table
from registrar.core.enrolment import State
from registrar.core.ports import Enrolment
from registrar.enrolment.outcome import Outcome, outcome_of
from registrar.errors import Reason


def outcome(number: int, state: State, reason: Reason | None = None) -> Outcome:
    return outcome_of(Enrolment(id=number, url=f"opc.tcp://d{number}", state=state, reason=reason))


@pytest.fixture
def report() -> DemoReport:
    """Three devices onboarded, one refused."""
    return DemoReport(
        devices=4,
        genuine=3,
        onboarded=3,
        impostors=1,
        refused=1,
        reasons={},
        wrong=0,
        mistakes=(),
        tickets_imported=3,
        tickets_refused=0,
        wall_s=1.0,
        total_s=2.0,
        devices_per_s=4.0,
        registrar_cpu_ms_per_device=20.0,
        registrar_peak_rss_mb=90.0,
        exchanges=80,
        private_key_operations=16,
        outcomes=(
            outcome(1, State.REFUSED, Reason.DEVICE_CERTIFICATE_UNTRUSTED),
            *(outcome(number, State.ONBOARDED) for number in (2, 3, 4)),
        ),
    )


def test_eighty_columns_show_a_line_a_reason(report: DemoReport) -> None:
    assert list(table(report, 80)) == [
        "state      reason                        devices",
        "onboarded                                      3",
        "refused    device_certificate_untrusted        1",
    ]


def test_more_columns_show_what_each_reason_means(report: DemoReport) -> None:
    lines = list(table(report, TABLE_WIDTH))

    assert lines[0].endswith("devices  what was found")
    assert lines[1].endswith("3  Certificate and TrustList in place.")
    assert "not issued by an" in lines[2]
    assert lines[3].strip().endswith("its Ticket names.")


@pytest.mark.parametrize("width", [20, 80, 100, TABLE_WIDTH, 300])
def test_no_line_ends_with_a_space_or_breaks(report: DemoReport, width: int) -> None:
    for line in table(report, width):
        assert line == line.rstrip()
        assert len(line) <= max(width, 49)
