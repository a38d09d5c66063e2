"""The Listener's benchmark opens, calls, floods and counts what it says."""

from __future__ import annotations

import pytest

from benchmarks.listener import SPARED, Workload, is_enough, measure, p99_ms, spread


def test_addresses_are_spread_over_the_loopback_network() -> None:
    assert spread(1) == "127.0.0.1"
    assert spread(SPARED) == "127.1.0.0"
    assert spread(2**24 - 2) == "127.255.255.254"


@pytest.mark.parametrize(("count", "expected"), [(1, 1000), (100, 99_000), (101, 100_000)])
def test_one_in_a_hundred_exceeds_the_p99(count: int, expected: float) -> None:
    assert p99_ms([float(number) for number in range(count, 0, -1)]) == expected


GOOD: dict[str, object] = {
    "kib_per_channel": 14.0,
    "call_p99_ms": 5.0,
    "handshake_ratio": 0.75,
    "flood_served": 1.0,
    "flood_p99_ms": 250.0,
    "flood_extra_mib": 64.0,
    "healthy_slowdown": 1.1,
}


@pytest.mark.parametrize("name", GOOD)
def test_each_figure_decides(name: str) -> None:
    worse = {"handshake_ratio": 0.74, "flood_served": 0.99}.get(name, 251.0)

    assert is_enough(GOOD)
    assert not is_enough({**GOOD, name: worse})


@pytest.mark.slow
async def test_a_small_workload_is_measured() -> None:
    small = Workload(channels=4, idle=3, calls_per_s=50, seconds=1.0, handshakes=4, rounds=1)

    results = await measure(small)

    assert (results["channels"], results["idle_connections"]) == (4, 3)
    assert results["flood_served"] == 1
    assert results["scaled"] is False
    for name in ("call_p99_ms", "handshake_ratio", "flood_p99_ms", "healthy_slowdown"):
        figure = results[name]
        assert isinstance(figure, float)
        assert figure > 0, name
