"""A bad message is one line, and no peer can fill the log."""

from __future__ import annotations

import pytest

from registrar.errors import DecodingError
from registrar.wire.log import MAX_ADDRESSES, WINDOW_S, PeerLog


def test_an_address_causes_only_so_many_lines(caplog: pytest.LogCaptureFixture) -> None:
    log = PeerLog(2, lines_of_all=100)
    for _ in range(10):
        log.warn("10.0.0.1", "refused", DecodingError("x"), 0.0)
    log.warn("10.0.0.2", "refused", DecodingError("x"), 0.0)

    assert len(caplog.records) == 2 + 1 + 1
    log.warn("10.0.0.1", "refused", DecodingError("x"), WINDOW_S)
    assert len(caplog.records) == 5


@pytest.mark.clause("T25: threat-model 5.2")
def test_all_addresses_together_cause_only_so_many_lines(caplog: pytest.LogCaptureFixture) -> None:
    log = PeerLog(2, lines_of_all=3)
    for number in range(100):
        log.warn(f"10.0.0.{number}", "refused", DecodingError("x"), 0.0)

    assert len(caplog.records) == 3 + 1
    log.warn("10.0.0.1", "refused", DecodingError("x"), WINDOW_S)
    assert len(caplog.records) == 5


@pytest.mark.clause("T27")
def test_a_line_stays_one_line(caplog: pytest.LogCaptureFixture) -> None:
    PeerLog(1, lines_of_all=1).warn(
        "a", "refused", DecodingError("x\nroot: all is well\x1b[2J\u202e" + "y" * 999), 0.0
    )

    (record,) = caplog.records
    message = record.getMessage()
    assert message.isprintable()
    assert len(message) < 400
    assert record.exc_info is None


def test_addresses_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    log = PeerLog(1, lines_of_all=10_000)
    for number in range(MAX_ADDRESSES + 1):
        log.warn(str(number), "refused", DecodingError("x"), 0.0)
    before = len(caplog.records)

    log.warn("0", "refused", DecodingError("x"), 0.0)  # was forgotten
    log.warn(str(MAX_ADDRESSES), "refused", DecodingError("x"), 0.0)  # was not

    assert len(caplog.records) == before + 2
