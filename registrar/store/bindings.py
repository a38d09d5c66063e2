"""Which key holds which ProductInstanceUri (threat-model T3, T4).

One active binding each: the first Device that proves its key keeps the name, the second is
refused, and the first goes on undisturbed. Only ``unbind`` (the Device retires) frees a name.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from registrar.errors import Reason, Rejected
from registrar.store import audit
from registrar.store.transaction import Cause, Readable, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A ProductInstanceUri and the proven key that holds it."""

    product_instance_uri: str
    enrolment_id: int
    key_digest: str
    """SHA-256 of the SubjectPublicKeyInfo, hexadecimal."""

    url: str
    """Where the Device is."""


_COLUMNS: Final = "b.product_instance_uri, b.enrolment_id, b.key_digest, e.url"
_SELECT: Final = f"SELECT {_COLUMNS} FROM bindings b JOIN enrolments e ON e.id = b.enrolment_id"  # noqa: S608


def bind(
    tx: Transaction,
    enrolment_id: int,
    product_instance_uri: str,
    key_digest: str,
    *,
    cause: Cause,
) -> None:
    """Bind the name to the key until the Device retires; the holder may say it again.

    Raises:
        Rejected: another Device or another key holds the name, the key holds another name, or
            the Device at this URL is bound to another; the message names the holder.
    """
    wanted = (product_instance_uri, enrolment_id, key_digest)
    is_new = tx.change(
        "INSERT INTO bindings (product_instance_uri, enrolment_id, key_digest, bound)"
        " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (*wanted, cause.stamp()),
    )
    if not is_new:
        _check_same(tx, wanted)
        return
    audit.append(
        tx,
        audit.Kind.BINDING,
        product_instance_uri,
        "bound",
        cause=cause,
        enrolment_id=enrolment_id,
        detail=f"key {key_digest}",
    )


def _check_same(tx: Transaction, wanted: tuple[str, int, str]) -> None:
    """Refuse what is in the way of ``wanted``, unless it is the same."""
    for row in tx.query(
        f"{_SELECT} WHERE b.product_instance_uri = ? OR b.enrolment_id = ? OR b.key_digest = ?",
        wanted,
    ):
        if tuple(row)[:3] != wanted:
            uri, _, key_digest = wanted
            raise _conflict(_binding(row), uri, key_digest)


def _conflict(held: Binding, uri: str, key_digest: str) -> Rejected:
    return Rejected(
        f"{held.url} holds {held.product_instance_uri} with key {held.key_digest[:16]}; "
        f"{uri} with key {key_digest[:16]} is in conflict with it",
        reason=Reason.PRODUCT_INSTANCE_URI_CONFLICT,
        subject=uri,
    )


def unbind(tx: Transaction, enrolment_id: int, *, cause: Cause) -> None:
    """Free the name that an enrolment holds, if it holds one."""
    rows = tx.query(
        "DELETE FROM bindings WHERE enrolment_id = ? RETURNING product_instance_uri",
        (enrolment_id,),
    )
    for row in rows:
        audit.append(
            tx,
            audit.Kind.BINDING,
            row["product_instance_uri"],
            "unbound",
            cause=cause,
            enrolment_id=enrolment_id,
        )


def holder_of(reader: Readable, product_instance_uri: str) -> Binding | None:
    """Return who holds ``product_instance_uri``, or None."""
    rows = reader.query(f"{_SELECT} WHERE b.product_instance_uri = ?", (product_instance_uri,))
    return _binding(rows[0]) if rows else None


def holder_of_key(reader: Readable, key_digest: str) -> Binding | None:
    """Return which Device proved the key, or None."""
    rows = reader.query(f"{_SELECT} WHERE b.key_digest = ?", (key_digest,))
    return _binding(rows[0]) if rows else None


def _binding(row: sqlite3.Row) -> Binding:
    return Binding(
        product_instance_uri=row["product_instance_uri"],
        enrolment_id=row["enrolment_id"],
        key_digest=row["key_digest"],
        url=row["url"],
    )
