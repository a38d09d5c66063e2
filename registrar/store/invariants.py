"""What must hold in a database at any moment, whatever was killed before (threat model 6).

| | checked here |
| --- | --- |
| I1 | every certificate given, and every one stored, is in the ledger with the bytes reserved |
| I2 | no serial twice, and each certificate carries the serial of its row |
| I3 | at most one active certificate per Device, application, group and type |
| I4 | no key in certificates of two applications |
| I5 | no ProductInstanceUri onboarded twice; the binding names who holds it |
| I6 | audit numbered without gaps; each change of state has its entry, with actor and time |
| I7 | each Device in exactly one known state, with a reason where it did not go well |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from registrar.core.certificate import Certificate
from registrar.core.enrolment import Event, State
from registrar.core.enrolment import advance as next_enrolment
from registrar.core.issuance import IssuanceState
from registrar.core.issuance import advance as next_issuance
from registrar.errors import Misuse, RegistrarError
from registrar.store import issuances
from registrar.store.audit import Kind
from registrar.store.schema import connect
from registrar.store.transaction import Readable, Snapshot

_BOUND: Final = (
    State.PROVEN,
    State.PROVISIONING,
    State.SOFTWARE_PENDING,
    State.CONFIGURING,
    State.ONBOARDED,
)
"""States of a Device that proved its key."""

_EXPLAINED: Final = (State.REFUSED, State.CONFLICT, State.UNREACHABLE)
"""States that need a reason."""


def check(path: Path, certificates: Iterable[bytes] = ()) -> list[str]:
    """Return every violation found, none if all is well.

    Args:
        path: of the database; others may be using it.
        certificates: DER, seen in the world and issued by this site; each must be in the ledger.

    Raises:
        StoreUnavailable: there is no such database.
    """
    with closing(connect(path, read_only=True)) as connection:
        connection.execute("BEGIN")
        reader = Snapshot(connection)
        found = [violation for rule in _RULES for violation in rule(reader)]
        found += [
            f"I1: a certificate in the world is not in the ledger: {der.hex()[:32]}…"
            for der in certificates
            if issuances.find(reader, der) is None
        ]
        return found


def _ledger_holds_what_was_signed(reader: Readable) -> Iterator[str]:
    rows = reader.query("SELECT id, state, serial, tbs, certificate FROM issuances")
    for row in rows:
        if row["certificate"] is None:
            if row["state"] not in (IssuanceState.RESERVED, IssuanceState.REVOKED):
                yield f"I1: issuance {row['id']} is {row['state']} without a certificate"
            continue
        try:
            certificate = Certificate.from_der(row["certificate"])
        except RegistrarError as error:
            yield f"I1: issuance {row['id']} holds no certificate: {error}"
            continue
        if certificate.tbs_bytes != row["tbs"]:
            yield f"I1: issuance {row['id']} was signed over other bytes than reserved"
        if f"{certificate.serial_number:x}" != row["serial"]:
            yield f"I2: issuance {row['id']} has serial {row['serial']}, its certificate another"


def _serials_are_unique(reader: Readable) -> Iterator[str]:
    for row in reader.query(
        "SELECT serial, count(*) AS number FROM issuances GROUP BY serial HAVING number > 1"
    ):
        yield f"I2: serial {row['serial']} was used {row['number']} times"


def _one_certificate_is_active(reader: Readable) -> Iterator[str]:
    for row in reader.query(
        "SELECT enrolment_id, application_uri, count(*) AS number FROM issuances"
        " WHERE state != 'revoked' AND enrolment_id IS NOT NULL"
        " GROUP BY enrolment_id, application_uri, certificate_group, certificate_type"
        " HAVING number > 1"
    ):
        yield (
            f"I3: {row['application_uri']} of enrolment {row['enrolment_id']} has "
            f"{row['number']} active certificates"
        )


def _keys_are_not_shared(reader: Readable) -> Iterator[str]:
    for row in reader.query(
        "SELECT key_digest, count(DISTINCT application_uri) AS number FROM issuances"
        " GROUP BY key_digest HAVING number > 1"
    ):
        yield f"I4: key {row['key_digest']} is certified for {row['number']} applications"


def _names_are_bound_once(reader: Readable) -> Iterator[str]:
    for row in reader.query(
        "SELECT e.id, e.state, e.product_instance_uri, e.key_digest, b.enrolment_id AS holder,"
        " b.key_digest AS bound_key FROM enrolments e"
        " LEFT JOIN bindings b ON b.product_instance_uri = e.product_instance_uri"
        " WHERE e.state IN (SELECT value FROM json_each(?))",
        (json.dumps(_BOUND),),
    ):
        if row["holder"] != row["id"]:
            yield (
                f"I5: enrolment {row['id']} is {row['state']}, but "
                f"{row['product_instance_uri']} is bound to {row['holder']}"
            )
        elif row["bound_key"] != row["key_digest"]:
            yield f"I5: enrolment {row['id']} is bound with another key than it proved"


def _audit_has_no_gaps(reader: Readable) -> Iterator[str]:
    row = reader.query(
        "SELECT count(*) AS number, coalesce(max(sequence), 0) AS last,"
        " coalesce(min(sequence), 1) AS first FROM audit"
    )[0]
    if (row["first"], row["number"]) != (1, row["last"]):
        yield f"I6: audit has {row['number']} entries from {row['first']} to {row['last']}"
    for entry in reader.query("SELECT sequence FROM audit WHERE actor = '' OR at <= 0"):
        yield f"I6: audit entry {entry['sequence']} lacks actor or time"


def _enrolments_have_their_entries(reader: Readable) -> Iterator[str]:
    yield from _replayed(reader, Kind.ENROLMENT, "enrolments", _enrolment_step)


def _issuances_have_their_entries(reader: Readable) -> Iterator[str]:
    yield from _replayed(reader, Kind.ISSUANCE, "issuances", _issuance_step)


def _enrolment_step(before: str, event: str) -> str:
    if not before:
        return State.DISCOVERED
    return next_enrolment(State(before), Event(event))


def _issuance_step(before: str, event: str) -> str:
    if not before:
        return IssuanceState.RESERVED
    return next_issuance(IssuanceState(before), IssuanceState(event))


def _replayed(
    reader: Readable, kind: Kind, table: str, step: Callable[[str, str], str]
) -> Iterator[str]:
    """Walk the entries of every subject through the table of states, to where it stands."""
    reached: dict[str, str] = {}
    for row in reader.query(
        "SELECT sequence, subject, event, state_before, state_after FROM audit"
        " WHERE kind = ? AND state_after != '' ORDER BY sequence",
        (kind,),
    ):
        before = reached.get(row["subject"], "")
        try:
            expected = step(before, row["event"])
        except (Misuse, ValueError):
            expected = "a forbidden step"
        if (before, expected) != (row["state_before"], row["state_after"]):
            yield f"I6: audit entry {row['sequence']} does not follow from {before or 'nothing'}"
        reached[row["subject"]] = row["state_after"]
    for row in reader.query(f"SELECT id, state FROM {table}"):  # noqa: S608
        seen = reached.pop(str(row["id"]), "")
        if seen != row["state"]:
            yield f"I6: {kind} {row['id']} is {row['state']}, audit says {seen or 'nothing'}"
    for subject in reached:
        yield f"I8: {kind} {subject} is in the audit, but no longer stored"


def _states_are_explained(reader: Readable) -> Iterator[str]:
    for row in reader.query("SELECT id, state, reason FROM enrolments"):
        if row["state"] not in set(State):
            yield f"I7: enrolment {row['id']} is in the unknown state {row['state']}"
        elif row["state"] in _EXPLAINED and not row["reason"]:
            yield f"I7: enrolment {row['id']} is {row['state']} without a reason"


_RULES: Final[tuple[Callable[[Readable], Iterator[str]], ...]] = (
    _ledger_holds_what_was_signed,
    _serials_are_unique,
    _one_certificate_is_active,
    _keys_are_not_shared,
    _names_are_bound_once,
    _audit_has_no_gaps,
    _enrolments_have_their_entries,
    _issuances_have_their_entries,
    _states_are_explained,
)
