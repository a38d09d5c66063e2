"""CRLNumber strictly grows in the database, whoever asks and whatever was killed (T22)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from registrar.core.crl import Crl
from registrar.errors import CertificateRejected, Misuse
from registrar.store import Store, crls
from tests.ca.building import make_root
from tests.store.building import CAUSE, NOW


def number(store: Store, issuer: str = "dca", at_least: int = 1) -> int:
    return store.write_sync(lambda tx: crls.next_number(tx, issuer, at_least=at_least, cause=CAUSE))


def make(of: int) -> bytes:
    return make_root().make_crl([], number=of, now=NOW, lifetime=timedelta(days=7))


def publish(store: Store, der: bytes) -> None:
    store.write_sync(lambda tx: crls.publish(tx, "dca", der, cause=CAUSE))


@pytest.mark.clause("T22")
def test_each_ca_counts_for_itself(store: Store) -> None:
    assert [number(store), number(store), number(store, "root"), number(store)] == [1, 2, 1, 3]


@pytest.mark.clause("T22")
def test_a_ca_that_counted_elsewhere_goes_on(store: Store) -> None:
    assert [number(store, at_least=41), number(store, at_least=41), number(store)] == [41, 42, 43]


def test_the_published_list_is_the_one_in_force(store: Store) -> None:
    number(store)
    der = make(1)

    publish(store, der)

    held = crls.get(store.reader, "dca")
    assert held is not None
    assert (held.number, held.der) == (1, der)
    assert crls.in_force(store.reader) == [held]
    assert Crl.from_der(der).number == 1


@pytest.mark.clause("T22")
@pytest.mark.parametrize("wrong", [1, 3])
def test_a_number_that_was_not_given_out_or_is_in_force_is_refused(
    store: Store, wrong: int
) -> None:
    number(store)
    publish(store, make(1))
    number(store)

    with pytest.raises(Misuse):
        publish(store, make(wrong))

    publish(store, make(2))


def test_a_number_lost_in_a_crash_does_not_come_back(store: Store) -> None:
    number(store)

    assert number(store) == 2
    publish(store, make(2))
    with pytest.raises(Misuse):
        publish(store, make(1))


def test_nothing_is_published_without_a_number(store: Store) -> None:
    with pytest.raises(Misuse):
        publish(store, make(1))
    with pytest.raises(CertificateRejected):
        publish(store, b"nonsense")


@pytest.mark.clause("T22")
@pytest.mark.parametrize("sql", ["UPDATE crls SET number = 1", "DELETE FROM crls"])
def test_the_database_itself_lets_no_number_sink(store: Store, sql: str) -> None:
    number(store)
    number(store)

    with pytest.raises(Misuse):
        store.write_sync(lambda tx: tx.change(sql))

    assert number(store) == 3


def test_lists_that_were_never_published_are_not_in_force(store: Store) -> None:
    number(store)

    assert crls.in_force(store.reader) == []
    assert crls.get(store.reader, "root") is None
