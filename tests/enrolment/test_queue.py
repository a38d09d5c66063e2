"""Fairness and bounds of the queue, for any order of puts, takes and dones."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from registrar.enrolment.queue import ReadyQueue


def test_subnets_take_turns() -> None:
    queue = ReadyQueue(total=10, per_subnet=10)
    for item, subnet in enumerate("aaab"):
        queue.put(item, subnet)

    taken = [queue.take() for _ in range(4)]

    assert taken == [(0, "a"), (3, "b"), (1, "a"), (2, "a")]


def test_what_comes_again_goes_before_what_is_new() -> None:
    queue = ReadyQueue(total=10, per_subnet=10)
    queue.put(0, "a")
    queue.put(1, "a")
    queue.put(2, "a", again=True)

    taken = [queue.take() for _ in range(3)]

    assert taken == [(2, "a"), (0, "a"), (1, "a")]


def test_what_comes_again_and_again_keeps_nothing_new_from_its_turn() -> None:
    queue = ReadyQueue(total=1, per_subnet=1)
    for item in range(3):
        queue.put(item, "a")
    queue.put(9, "a", again=True)
    taken: list[int] = []

    for _ in range(6):
        found = queue.take()
        assert found is not None
        taken.append(found[0])
        queue.done("a")
        if found[0] == 9:
            queue.put(9, "a", again=True)

    assert taken == [9, 0, 9, 1, 9, 2]


def test_a_full_subnet_does_not_block_another() -> None:
    queue = ReadyQueue(total=10, per_subnet=1)
    for item, subnet in enumerate("aab"):
        queue.put(item, subnet)

    assert [queue.take(), queue.take(), queue.take()] == [(0, "a"), (2, "b"), None]
    queue.done("a")
    assert queue.take() == (1, "a")


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_everything_is_taken_once_within_both_bounds(
    items: list[tuple[str, bool]], total: int, per_subnet: int
) -> None:
    queue = ReadyQueue(total=total, per_subnet=per_subnet)
    for item, (subnet, again) in enumerate(items):
        queue.put(item, subnet, again=again)
    seen: list[int] = []
    busy: list[str] = []

    while len(seen) < len(items) or busy:
        taken = queue.take()
        if taken is None:
            queue.done(busy.pop(0))
            continue
        seen.append(taken[0])
        busy.append(taken[1])
        assert queue.running == len(busy) <= total
        assert max(Counter(busy).values()) <= per_subnet

    assert sorted(seen) == list(range(len(items)))
    assert queue.running == 0
