"""The floor counts what the standard makes necessary, kind by kind."""

from __future__ import annotations

import pytest

from benchmarks.floor import (
    EXAMPLES,
    Kind,
    Operation,
    floor_s,
    measure,
    private_key_operations,
    work_for,
)

A_CONNECTION = 4
"""Private operations: two signatures, two blocks decrypted."""


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind(singleton=True), 2 * A_CONNECTION + 1),
        (Kind(applications=3), 2 * A_CONNECTION + 4),
        (Kind(applications=1, ticket_on_device=True), 2 * A_CONNECTION + 2),
        (Kind(applications=1, two_transactions=True), 3 * A_CONNECTION + 2),
        (Kind(applications=1, outdated=True), 3 * A_CONNECTION + 2),
        (Kind(singleton=True, composite=True), 2 * A_CONNECTION + 1),
    ],
)
def test_private_key_operations_are_counted(kind: Kind, expected: int) -> None:
    assert private_key_operations(kind) == expected


def test_a_composite_adds_the_signature_of_its_builder() -> None:
    alone, member = (
        work_for(Kind(singleton=True, composite=composite)) for composite in (False, True)
    )

    assert member - alone == {Operation.VERIFY: 1}


def test_the_floor_is_the_sum_of_what_is_counted() -> None:
    costs = dict.fromkeys(Operation, 1.0)
    kinds = [*EXAMPLES.values()]

    assert floor_s(kinds, costs) == sum(work_for(kind).total() for kind in kinds)


@pytest.mark.slow
def test_every_operation_is_timed() -> None:
    costs = measure()

    assert set(costs) == set(Operation)
    assert all(0 <= seconds < 1 for seconds in costs.values())
    assert costs[Operation.SIGN] > costs[Operation.VERIFY]
