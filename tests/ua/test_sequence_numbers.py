"""Both rules of sequence numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import ProtocolViolation
from registrar.ua.sequence_numbers import (
    LEGACY_WRAP_AFTER,
    MAX_UINT32,
    ReceiveSequence,
    SendSequence,
)

numbers = st.integers(0, MAX_UINT32)


@pytest.mark.clause("OPC 10000-6 §6.7.2.4")
@pytest.mark.parametrize("legacy", [True, False])
@given(first=numbers | st.integers(LEGACY_WRAP_AFTER - 3, MAX_UINT32))
def test_what_we_send_is_what_we_accept(legacy: bool, first: int) -> None:
    send = SendSequence(legacy=legacy, first=first if legacy else None)
    receive = ReceiveSequence(legacy=legacy)

    for _ in range(10):
        number = send.take()
        assert 0 <= number <= MAX_UINT32
        receive.check(number)


@pytest.mark.clause("OPC 10000-6 §6.7.2.4")
@given(last=numbers, number=numbers)
def test_legacy_numbers_follow_each_other_or_wrap_late(last: int, number: int) -> None:
    receive = ReceiveSequence(legacy=True)
    receive.check(last)

    if number == last + 1 or (last > 4_294_966_271 and number < 1024):
        receive.check(number)
        return
    with pytest.raises(ProtocolViolation):
        receive.check(number)


@pytest.mark.clause("OPC 10000-6 §6.7.2.4")
@pytest.mark.parametrize(
    ("last", "number", "fits"),
    [
        (4_294_966_270, 0, False),
        (4_294_966_271, 0, False),
        (4_294_966_272, 0, True),
        (4_294_966_272, 1023, True),
        (4_294_966_272, 1024, False),
        (4_294_966_272, 4_294_966_273, True),
        (MAX_UINT32, 0, True),
        (5, 5, False),
        (5, 7, False),
        (5, 4, False),
    ],
)
def test_legacy_wraps_at_the_limit(last: int, number: int, fits: bool) -> None:
    receive = ReceiveSequence(legacy=True)
    receive.check(last)

    if fits:
        receive.check(number)
        return
    with pytest.raises(ProtocolViolation):
        receive.check(number)


@pytest.mark.clause("OPC 10000-6 §6.7.2.4")
def test_other_numbers_begin_at_zero_and_wrap_at_the_end() -> None:
    send = SendSequence(legacy=False, first=MAX_UINT32)
    assert [send.take(), send.take(), send.take()] == [MAX_UINT32, 0, 1]
    assert SendSequence(legacy=False).take() == 0

    for first in (0, 1):
        ReceiveSequence(legacy=False).check(first)
    with pytest.raises(ProtocolViolation):
        ReceiveSequence(legacy=False).check(2)
