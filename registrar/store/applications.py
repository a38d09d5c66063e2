"""The applications that live on a Device, as its DCA shows them (OPC 10000-12 §7.10.14)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from registrar.core.ports import Lease
from registrar.errors import Reason, Rejected
from registrar.store import audit
from registrar.store.leases import check_lease
from registrar.store.transaction import Cause, Readable, Transaction

MAX_PER_DEVICE: Final = 256
"""Applications of one Device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRecord:
    """One application of one Device."""

    node: str
    """Its ApplicationConfiguration object, a NodeId as text."""

    application_uri: str
    product_uri: str = ""
    application_type: str = ""
    name: str = ""
    is_confirmed: bool = False
    """Its certificate and TrustList were read back."""


def put(tx: Transaction, lease: Lease, record: ApplicationRecord, *, cause: Cause) -> None:
    """Keep what is known of one application; see ``put_all``."""
    put_all(tx, lease, (record,), cause=cause)


def put_all(
    tx: Transaction, lease: Lease, records: Iterable[ApplicationRecord], *, cause: Cause
) -> None:
    """Keep what is known of applications; an audit entry only for those new or changed.

    Raises:
        Rejected: another Device, or another object of this one, has an ApplicationUri (R132).
        Unavailable: another worker took the Device over.
    """
    check_lease(tx, lease)
    _put_all(tx, lease.enrolment_id, of(tx, lease.enrolment_id), records, cause)


def put_new(
    tx: Transaction, lease: Lease, records: Iterable[ApplicationRecord], *, cause: Cause
) -> list[ApplicationRecord]:
    """Keep what the Device did not show before, as ``put_all``; what is confirmed stays so.

    Returns:
        What was known before, in the order it was found.

    Raises:
        Rejected, Unavailable: as ``put_all``.
    """
    check_lease(tx, lease)
    known = of(tx, lease.enrolment_id)
    confirmed = {record.application_uri for record in known if record.is_confirmed}
    same = {(record.node, record.application_uri) for record in known}
    new = [
        record
        for record in records
        if record.application_uri not in confirmed
        and (record.node, record.application_uri) not in same
    ]
    _put_all(tx, lease.enrolment_id, known, new, cause)
    return known


def _put_all(
    tx: Transaction,
    enrolment_id: int,
    before: Iterable[ApplicationRecord],
    records: Iterable[ApplicationRecord],
    cause: Cause,
) -> None:
    known = {record.node: record for record in before}
    for record in records:
        former = known.get(record.node)
        if former == record:
            continue
        if former is None and len(known) >= MAX_PER_DEVICE:
            raise Rejected(f"the Device has more than {MAX_PER_DEVICE} applications")
        if former is None or former.application_uri != record.application_uri:
            _check_uri(tx, enrolment_id, record)
        _put(tx, enrolment_id, record, cause)
        known[record.node] = record


def _put(tx: Transaction, enrolment_id: int, record: ApplicationRecord, cause: Cause) -> None:
    stamp = cause.stamp()
    tx.change(
        "INSERT INTO applications (enrolment_id, node, application_uri, product_uri,"
        " application_type, name, confirmed, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (enrolment_id, node) DO UPDATE SET application_uri ="
        " excluded.application_uri, product_uri = excluded.product_uri, application_type ="
        " excluded.application_type, name = excluded.name, confirmed = excluded.confirmed,"
        " updated = excluded.updated",
        (
            enrolment_id,
            record.node,
            record.application_uri,
            record.product_uri,
            record.application_type,
            record.name,
            int(record.is_confirmed),
            stamp,
            stamp,
        ),
    )
    audit.append(
        tx,
        audit.Kind.APPLICATION,
        record.application_uri,
        "confirmed" if record.is_confirmed else "found",
        cause=cause,
        enrolment_id=enrolment_id,
        detail=record.node,
    )


def _check_uri(tx: Transaction, enrolment_id: int, record: ApplicationRecord) -> None:
    rows = tx.query(
        "SELECT e.url, a.node FROM applications a JOIN enrolments e ON e.id = a.enrolment_id"
        " WHERE a.application_uri = ? AND NOT (a.enrolment_id = ? AND a.node = ?)",
        (record.application_uri, enrolment_id, record.node),
    )
    if rows:
        raise Rejected(
            f"the ApplicationUri {record.application_uri} belongs to {rows[0]['node']} on "
            f"{rows[0]['url']}",
            reason=Reason.PRODUCT_INSTANCE_URI_CONFLICT,
            subject=record.application_uri,
        )


def forget(tx: Transaction, enrolment_id: int, *, cause: Cause) -> int:
    """Drop the applications of a Device that retires; return how many there were."""
    gone = tx.query(
        "DELETE FROM applications WHERE enrolment_id = ? RETURNING application_uri",
        (enrolment_id,),
    )
    for row in gone:
        audit.append(
            tx,
            audit.Kind.APPLICATION,
            row["application_uri"],
            "forgotten",
            cause=cause,
            enrolment_id=enrolment_id,
        )
    return len(gone)


def of(reader: Readable, enrolment_id: int) -> list[ApplicationRecord]:
    """Return the applications of one Device, in the order they were found."""
    rows = reader.query(
        "SELECT * FROM applications WHERE enrolment_id = ? ORDER BY id", (enrolment_id,)
    )
    return [_record(row) for row in rows]


def _record(row: sqlite3.Row) -> ApplicationRecord:
    # By position, in the order of the table: looking columns up by name costs more than the query.
    _, _, node, application_uri, product_uri, application_type, name, confirmed, _, _ = row
    return ApplicationRecord(
        node=node,
        application_uri=application_uri,
        product_uri=product_uri,
        application_type=application_type,
        name=name,
        is_confirmed=bool(confirmed),
    )
