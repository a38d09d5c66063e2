"""Engines that died leave nothing locked; engines that live are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.ports import Lease
from registrar.errors import Misuse, StoreUnavailable, Unavailable
from registrar.store import Store, leases
from registrar.store.leases import MAX_ENGINE_NAME, EngineLock
from tests.store.building import CAUSE, ENGINE, NOW, discover, take


def start(store: Store, name: str) -> tuple[EngineLock, int]:
    lock = EngineLock.take(store.path, name)
    freed = store.write_sync(lambda tx: leases.take_over(tx, store.path, name, cause=CAUSE))
    return lock, freed


def held_by(store: Store, owner: str, number: int = 1) -> Lease:
    row = discover(store, number)
    return store.write_sync(lambda tx: take(tx, row.id, owner=owner))


@pytest.mark.clause("F40")
def test_the_leases_of_a_dead_engine_are_free_at_once(store: Store) -> None:
    lock, _ = start(store, ENGINE)
    lease = held_by(store, ENGINE)
    lock.close()

    new, freed = start(store, "engine2")

    with new:
        assert freed == 1
        taken = store.write_sync(lambda tx: take(tx, lease.enrolment_id, owner="engine2", now=NOW))
        assert taken.fence > lease.fence


@pytest.mark.clause("F52")
def test_an_engine_that_lives_keeps_its_leases(store: Store) -> None:
    lock, _ = start(store, ENGINE)
    lease = held_by(store, ENGINE)

    new, freed = start(store, "engine2")

    with lock, new:
        assert freed == 0
        with pytest.raises(Unavailable):
            store.write_sync(lambda tx: take(tx, lease.enrolment_id, owner="engine2", now=NOW))
        store.write_sync(lambda tx: leases.check_lease(tx, lease))


def test_a_file_that_is_gone_means_a_dead_engine(store: Store) -> None:
    lock, _ = start(store, ENGINE)
    held_by(store, ENGINE)
    lock.close()
    folder = store.path.with_name(f"{store.path.name}-engines")

    assert list(folder.iterdir()) == []
    new, freed = start(store, "engine2")

    with new:
        assert freed == 1


def test_an_orderly_end_frees_everything(store: Store) -> None:
    lock, _ = start(store, ENGINE)
    held_by(store, ENGINE)
    store.write_sync(lambda tx: leases.leave(tx, ENGINE))
    lock.close()

    new, freed = start(store, "engine2")

    with new:
        assert freed == 0


def test_two_engines_cannot_have_one_name(store: Store) -> None:
    with EngineLock.take(store.path, ENGINE), pytest.raises(StoreUnavailable):
        EngineLock.take(store.path, ENGINE)

    EngineLock.take(store.path, ENGINE).close()


@pytest.mark.parametrize("name", ["", "../x", "a b", "ü", "x" * (MAX_ENGINE_NAME + 1)])
def test_a_name_is_a_safe_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misuse):
        EngineLock.take(tmp_path / "registrar.db", name)


@pytest.mark.parametrize("length", [1, MAX_ENGINE_NAME - 1, MAX_ENGINE_NAME])
def test_names_up_to_the_limit_work(tmp_path: Path, length: int) -> None:
    EngineLock.take(tmp_path / "registrar.db", "x" * length).close()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    lock = EngineLock.take(tmp_path / "registrar.db", ENGINE)

    lock.close()
    lock.close()
