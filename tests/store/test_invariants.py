"""The checker finds each kind of damage: without it, the other tests would prove nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from registrar.core.enrolment import Event
from registrar.core.ports import Lease
from registrar.errors import StoreUnavailable
from registrar.store import Store, Transaction, enrolments, invariants, issuances
from registrar.store.schema import connect
from tests.store.building import CAUSE, REFUSAL, TO_ONBOARDED, Wanted, device, go, proven, wanted

DAMAGES = [
    ("I1", "UPDATE issuances SET certificate = NULL"),
    ("I1", "UPDATE issuances SET certificate = x'3000'"),
    ("I1", "UPDATE issuances SET tbs = x'3000'"),
    ("I2", "UPDATE issuances SET serial = 'ff' WHERE id = 1"),
    ("I4", "UPDATE issuances SET key_digest = (SELECT min(key_digest) FROM issuances)"),
    ("I5", "DELETE FROM bindings"),
    ("I5", "UPDATE bindings SET key_digest = 'another'"),
    ("I6", "UPDATE enrolments SET state = 'retired'"),
    ("I6", "UPDATE issuances SET state = 'revoked'"),
    ("I6", "DROP TRIGGER audit_never_shrinks; DELETE FROM audit WHERE sequence = 2"),
    ("I6", "DROP TRIGGER audit_never_changes; UPDATE audit SET state_after = 'refused'"),
    ("I6", "DROP TRIGGER audit_never_changes; UPDATE audit SET at = 0"),
    ("I7", "UPDATE enrolments SET state = 'lost in space'"),
    ("I7", "UPDATE enrolments SET reason = ''"),
    ("I8", "DELETE FROM issuances"),
]


@pytest.fixture
def filled(path: Path) -> Path:
    """Return a database with an onboarded Device, two certificates and a refused Device."""
    with Store.open(path) as store:
        lease = proven(store)
        for number in (5, 6):
            sought = wanted(lease.enrolment_id, number, application_uri=f"urn:app:{number}")
            store.write_sync(lambda tx, one=sought: _issue(tx, lease, one))  # type: ignore[misc]
        for event in TO_ONBOARDED[2:]:
            store.write_sync(lambda tx, event=event: go(tx, lease, event))  # type: ignore[misc]
        other = device(store, 2)
        store.write_sync(lambda tx: enrolments.advance(tx, other, Event.REFUSED, cause=REFUSAL))
    return path


def _issue(tx: Transaction, lease: Lease, sought: Wanted) -> None:
    issuance = issuances.reserve(tx, sought.request, lease=lease, cause=CAUSE)
    issuances.record_signed(tx, issuance.id, sought.certificate, lease=lease, cause=CAUSE)


def test_an_honest_database_has_no_violation(filled: Path) -> None:
    with Store.open(filled) as store:
        held = list(issuances.certificates(store.reader))

    assert len(held) == 2
    assert invariants.check(filled, held) == []


@pytest.mark.parametrize(("invariant", "damage"), DAMAGES)
def test_damage_is_found(filled: Path, invariant: str, damage: str) -> None:
    with closing(connect(filled)) as connection:
        connection.executescript(damage)

    assert any(found.startswith(invariant) for found in invariants.check(filled))


@pytest.mark.parametrize(
    ("invariant", "drop", "damage"),
    [
        ("I3", "issuances_one_active", "UPDATE issuances SET application_uri = 'urn:one'"),
    ],
)
def test_what_an_index_forbids_is_checked_all_the_same(
    filled: Path, invariant: str, drop: str, damage: str
) -> None:
    with closing(connect(filled)) as connection:
        connection.executescript(f"DROP INDEX {drop}; {damage}")

    assert any(found.startswith(invariant) for found in invariants.check(filled))


@pytest.mark.clause("I1")
def test_a_certificate_in_the_world_must_be_in_the_ledger(filled: Path) -> None:
    stranger = wanted(None, 99).certificate

    (violation,) = invariants.check(filled, [stranger])

    assert violation.startswith("I1")


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        invariants.check(tmp_path / "missing" / "registrar.db")
