"""The Registrar dies between any two durable writes, and is started again.

    write 1 ─▶ write 2 ─▶ … ─╳ write n      next campaign: looks, then goes on

Wherever it was cut, the device ends onboarded, no slot has two active certificates, and the
ledger holds every certificate the device has (threat-model F40 to F48; ground rules 3, 8, 9).
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from registrar.core.certificate import split_chain
from registrar.core.enrolment import State
from registrar.core.issuance import IssuanceState
from registrar.enrolment import Engine
from registrar.enrolment.journal import StoreJournal, open_journal
from registrar.errors import StoreUnavailable
from registrar.simulate.plant import Validation
from registrar.store.invariants import check
from registrar.store.store import Store
from registrar.store.transaction import Transaction
from tests.onboarding.stage import (
    LIMITS,
    Backdrop,
    Stage,
    device,
    now,
    push_driver,
    push_settings,
)

T = TypeVar("T")

WRITES = 20
"""More than one device needs; cuts behind the last one cut nothing."""

DELIVERED_AFTER = 7
"""Writes after which the device has a certificate that nobody confirmed."""


class DyingStore:
    """A store of which nothing is written any more after a number of writes."""

    def __init__(self, store: Store, *, writes: int, acknowledged: bool) -> None:
        self._store = store
        self._left = writes
        self._acknowledged = acknowledged
        self.reader = store.reader
        self.path = store.path

    async def write(self, function: Callable[[Transaction], T]) -> T:
        """Write, or die: before the write, or after it and before anybody knows."""
        self._left -= 1
        if self._left < 0 and self._acknowledged:
            raise StoreUnavailable("dead")
        result = await self._store.write(function)
        if self._left < 0:
            self._acknowledged = True
            raise StoreUnavailable("dead")
        return result


@pytest.mark.slow
@pytest.mark.clause("R136")
@pytest.mark.parametrize("acknowledged", [True, False])
@pytest.mark.parametrize("validation", [Validation.STAGED, Validation.ACTIVE])
async def test_a_campaign_goes_on_wherever_it_was_cut(
    backdrop: Backdrop, tmp_path: Path, validation: Validation, acknowledged: bool
) -> None:
    plans = [device(index, validation=validation) for index in range(WRITES)]

    async with backdrop.stage(tmp_path, *plans) as stage:
        for number in range(WRITES):
            await cut(stage, number, writes=number, acknowledged=acknowledged)

        outcomes = await stage.onboard()

        assert {url: str(one.state) for url, one in outcomes.items()} == dict.fromkeys(
            stage.urls, State.ONBOARDED
        )
        for number in range(WRITES):
            assert_the_ledger_agrees(stage, number)
        assert check(stage.store.path) == []


async def cut(stage: Stage, device: int, *, writes: int, acknowledged: bool) -> None:
    """Run the campaign of one device until a number of durable writes, whoever makes them."""
    dying: Any = DyingStore(stage.store, writes=writes, acknowledged=acknowledged)
    name = uuid.uuid4().hex
    async with open_journal(stage.store, name=name, now=now):
        engine = Engine(
            driver=push_driver(stage.site, dying, push_settings()),
            journal=StoreJournal(dying, worker=name, now=now),
            random=lambda: 0.0,
            limits=replace(LIMITS, attempts=1),
        )
        with contextlib.suppress(StoreUnavailable):
            async for _ in engine.run([stage.urls[device]]):
                pass


def assert_the_ledger_agrees(stage: Stage, number: int) -> None:
    issued = stage.issued(number)
    active = [one for one in issued if one.state is not IssuanceState.REVOKED]
    held = {
        split_chain(slot.certificate)[0]
        for group in stage.devices[number].configuration.groups
        for slot in group.slots.values()
    }
    assert {one.certificate for one in active} == held
    assert {one.state for one in active} == {IssuanceState.CONFIRMED}
    assert len({one.application_uri for one in active}) == len(active)


@pytest.mark.clause("R136")
async def test_a_device_that_lost_its_key_gets_a_new_certificate_and_the_old_is_revoked(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device(applications=0)) as stage:
        await cut(stage, 0, writes=DELIVERED_AFTER, acknowledged=True)
        assert [one.state for one in stage.issued()] == [IssuanceState.DELIVERED]
        stage.devices[0].reset()

        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED
        assert [one.state for one in stage.issued()] == [
            IssuanceState.REVOKED,
            IssuanceState.CONFIRMED,
        ]
