"""What was last reported about the software of a Device (OPC 10000-21 §9.2.4)."""

from __future__ import annotations

from registrar.core.software import SoftwareReport
from registrar.store import audit
from registrar.store.transaction import Cause, Readable, Transaction


def report(
    tx: Transaction, product_instance_uri: str, told: SoftwareReport, *, cause: Cause
) -> None:
    """Keep ``told`` as the newest report about the Device; earlier ones are in the audit."""
    tx.change(
        "INSERT INTO software (product_instance_uri, revision, is_current, reported)"
        " VALUES (?, ?, ?, ?) ON CONFLICT (product_instance_uri) DO UPDATE SET"
        " revision = excluded.revision, is_current = excluded.is_current,"
        " reported = excluded.reported",
        (product_instance_uri, told.revision, int(told.is_current), cause.stamp()),
    )
    audit.append(
        tx,
        audit.Kind.SOFTWARE,
        product_instance_uri,
        "current" if told.is_current else "outdated",
        cause=cause,
        detail=f"revision {told.revision}",
    )


def last_report(reader: Readable, product_instance_uri: str) -> SoftwareReport | None:
    """Return the newest report about the Device, or None."""
    rows = reader.query(
        "SELECT revision, is_current FROM software WHERE product_instance_uri = ?",
        (product_instance_uri,),
    )
    if not rows:
        return None
    return SoftwareReport(is_current=bool(rows[0]["is_current"]), revision=rows[0]["revision"])
