"""Bounds, back-off and subnets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.enrolment.attempts import Attempts
from registrar.enrolment.limits import EngineLimits, backoff_s, subnet_of
from registrar.errors import Misuse, Reason
from registrar.onboarding import PushSettings

LIMITS = EngineLimits(backoff_initial_s=1, backoff_maximum_s=8, attempts=3)


@pytest.mark.parametrize(("attempt", "longest"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (99, 8)])
def test_waits_double_up_to_the_maximum(attempt: int, longest: float) -> None:
    assert backoff_s(attempt, LIMITS, 1.0) == longest


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_keeps_to_the_upper_half(attempt: int, random: float) -> None:
    longest = backoff_s(attempt, LIMITS, 1.0)

    assert longest / 2 <= backoff_s(attempt, LIMITS, random) <= longest


@pytest.mark.parametrize(
    ("url", "subnet"),
    [
        ("opc.tcp://192.168.1.7:4840", "192.168.1.0/24"),
        ("opc.tcp://[fd00::1:2]:4840/x", "fd00::/64"),
        ("opc.tcp://device.example:4840", "opc.tcp://device.example:4840"),
        ("opc.tcp://[broken", "opc.tcp://[broken"),
    ],
)
def test_subnet_of_a_url(url: str, subnet: str) -> None:
    assert subnet_of(url, LIMITS) == subnet


@pytest.mark.parametrize(
    "bad",
    [{"concurrency": 0}, {"attempts": 0}, {"step_s": 0}, {"backoff_initial_s": 60}],
)
def test_limits_that_allow_nothing_are_misuse(bad: dict[str, int]) -> None:
    with pytest.raises(Misuse):
        EngineLimits(**bad)


def test_attempts_end_at_their_limit_and_begin_again_after_an_arrow() -> None:
    attempts = Attempts(LIMITS)

    assert [attempts.failed(), attempts.failed(), attempts.failed()] == [True, True, False]
    attempts.succeeded()
    assert attempts.failed()


def test_a_busy_device_has_more_attempts_than_a_session_lives() -> None:
    limits = EngineLimits()
    attempts = Attempts(limits)
    waited_s = 0.0

    while attempts.failed(Reason.BUSY):
        waited_s += backoff_s(attempts.failures, limits, 0.0)

    assert attempts.failures == limits.busy_attempts
    assert waited_s > PushSettings(designated_networks=()).session_timeout_s


def test_a_device_never_spends_more_than_its_budget() -> None:
    attempts = Attempts(LIMITS)

    assert attempts.step_s == 30
    attempts.spend(100)
    assert attempts.step_s == 20
    attempts.spend(100)
    assert attempts.step_s == 0
    assert not attempts.failed()
