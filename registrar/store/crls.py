"""The revocation list of each CA: its newest form, and a number that only grows (T22)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from registrar.core.crl import Crl
from registrar.errors import Misuse
from registrar.store import audit
from registrar.store.moments import from_stored, to_stored
from registrar.store.transaction import Cause, Readable, Transaction

KEPT_AFTER_EXPIRY: Final = timedelta(days=366)
"""A revoked certificate stays on CRLs until this long after its end (RFC 5280 §3.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCrl:
    """What is in force for one CA."""

    issuer: str
    number: int
    """The highest CRLNumber ever given out, whether or not that list was finished."""

    der: bytes | None
    """None while none was published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """An entry of a CRL."""

    serial: int
    revoked_at: datetime
    reason: str
    """A CRLReason by its name in RFC 5280 §5.3.1."""


def next_number(tx: Transaction, issuer: str, *, at_least: int = 1, cause: Cause) -> int:
    """Give out the next CRLNumber of ``issuer``; the same is never given out twice.

    Args:
        issuer: the CA's name in the ledger.
        at_least: for a CA that published lists before it came here.
    """
    rows = tx.query(
        "INSERT INTO crls (issuer, number) VALUES (?1, ?2) ON CONFLICT (issuer)"
        " DO UPDATE SET number = max(number + 1, ?2) RETURNING number",
        (issuer, at_least),
    )
    number: int = rows[0]["number"]
    audit.append(
        tx,
        audit.Kind.CRL,
        issuer,
        "number_reserved",
        cause=cause,
        detail=f"CRLNumber {number}",
    )
    return number


def publish(tx: Transaction, issuer: str, der: bytes, *, cause: Cause) -> None:
    """Make a signed list the one in force.

    Raises:
        Misuse: its number was not given out, or is not above that of the list in force.
    """
    crl = Crl.from_der(der)
    known = get(tx, issuer)
    in_force = _number(known.der) if known is not None and known.der is not None else 0
    if known is None or crl.number is None or not in_force < crl.number <= known.number:
        given = known.number if known is not None else 0
        raise Misuse(f"CRLNumber {crl.number} of {issuer} is not above {in_force} and to {given}")
    ends = to_stored(crl.next_update) if crl.next_update else 0
    tx.change("UPDATE crls SET der = ?, next_update = ? WHERE issuer = ?", (der, ends, issuer))
    audit.append(
        tx,
        audit.Kind.CRL,
        issuer,
        "published",
        cause=cause,
        detail=f"CRLNumber {crl.number}, {crl.size} entries",
    )


def _number(der: bytes) -> int:
    return Crl.from_der(der).number or 0


def get(reader: Readable, issuer: str) -> StoredCrl | None:
    """Return the list of one CA, or None."""
    rows = reader.query("SELECT issuer, number, der FROM crls WHERE issuer = ?", (issuer,))
    if not rows:
        return None
    return StoredCrl(issuer=rows[0]["issuer"], number=rows[0]["number"], der=rows[0]["der"])


def in_force(reader: Readable) -> list[StoredCrl]:
    """Return the list of every CA that has published one."""
    rows = reader.query(
        "SELECT issuer, number, der FROM crls WHERE der IS NOT NULL ORDER BY issuer"
    )
    return [StoredCrl(issuer=row["issuer"], number=row["number"], der=row["der"]) for row in rows]


def revoked(reader: Readable, issuer: str, *, now: datetime) -> list[Revoked]:
    """Return what the next CRL of ``issuer`` must hold, oldest first.

    Reserved serials that were never recorded as signed are among them: a certificate may exist.
    """
    rows = reader.query(
        "SELECT serial, revoked_at, revocation_reason FROM issuances"
        " WHERE issuer = ? AND state = 'revoked' AND not_after >= ? ORDER BY revoked_at, id",
        (issuer, to_stored(now - KEPT_AFTER_EXPIRY)),
    )
    return [
        Revoked(
            serial=int(row["serial"], 16),
            revoked_at=from_stored(row["revoked_at"]),
            reason=row["revocation_reason"],
        )
        for row in rows
    ]
