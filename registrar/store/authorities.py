"""What each authority may vouch for, which keys were stopped, and the newest CRL of each (T7, T22).

A stopped key stays stopped whatever list its certificate is on, comes onto, or comes back to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from registrar.core.certificate import Certificate
from registrar.core.crl import MAX_NUMBER_BYTES, Crl
from registrar.core.scope import Scope
from registrar.core.trust import TrustListName
from registrar.core.valid_ticket import ValidTicket
from registrar.errors import FileInvalid, Reason, TicketInvalid
from registrar.store import audit
from registrar.store.moments import from_stored, to_stored
from registrar.store.transaction import Cause, Readable, Transaction


def set_scope(
    tx: Transaction, name: TrustListName, digest: str, scope: Scope, *, cause: Cause
) -> None:
    """Limit a trusted certificate of a list, in the place of its former limits.

    Args:
        digest: SHA-256 of the certificate, hexadecimal.
    """
    if scope == dict(scopes(tx, name)).get(digest, Scope()):
        return
    tx.change("DELETE FROM scopes WHERE list = ? AND digest = ?", (name, digest))
    if scope != Scope():
        tx.change(
            "INSERT INTO scopes (list, digest, manufacturer, uri_prefix, until, count)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                name,
                digest,
                scope.manufacturer,
                scope.uri_prefix,
                None if scope.until is None else to_stored(scope.until),
                scope.count,
            ),
        )
    detail = f"{digest} {scope or 'without limits'}"
    audit.append(tx, audit.Kind.TRUST, name, "scope_set", cause=cause, detail=detail)


def scopes(reader: Readable, name: TrustListName) -> list[tuple[str, Scope]]:
    """Return the limits of one list by the digests of its certificates."""
    rows = reader.query("SELECT * FROM scopes WHERE list = ? ORDER BY digest", (name,))
    return [
        (
            row["digest"],
            Scope(
                manufacturer=row["manufacturer"],
                uri_prefix=row["uri_prefix"],
                until=None if row["until"] is None else from_stored(row["until"]),
                count=row["count"],
            ),
        )
        for row in rows
    ]


class Quota:
    """How many Tickets may rest on an authority, and how many do; counts along with a change."""

    def __init__(self, *, limits: dict[str, int], used: dict[str, int]) -> None:
        self._limits = limits
        self._used = used

    @classmethod
    def read(cls, tx: Transaction) -> Self:
        """Return how it stands now."""
        rows = tx.query(
            "SELECT s.digest, s.count,"
            " (SELECT count(*) FROM tickets t WHERE t.authority = s.digest)"
            " FROM scopes s WHERE s.list = ? AND s.count IS NOT NULL",
            (TrustListName.TICKET_AUTHORITIES,),
        )
        return cls(limits={row[0]: row[1] for row in rows}, used={row[0]: row[2] for row in rows})

    def refusal(self, ticket: ValidTicket) -> TicketInvalid | None:
        """Return why ``ticket`` is one more than may be (``Reason.AUTHORITY_OUT_OF_SCOPE``)."""
        limit, used = self._limits.get(ticket.authority), self._used.get(ticket.authority, 0)
        if limit is None or used < limit:
            return None
        error = TicketInvalid(
            f"{used} Tickets rest on authority {ticket.authority}, its maximum is {limit}",
            reason=Reason.AUTHORITY_OUT_OF_SCOPE,
            subject=ticket.uri,
        )
        error.claimed_uri = ticket.uri
        return error

    def count(self, former: ValidTicket | None, ticket: ValidTicket) -> None:
        """Count ``ticket``, which takes the place of ``former``."""
        if former is not None and former.authority in self._used:
            self._used[former.authority] -= 1
        if ticket.authority in self._used:
            self._used[ticket.authority] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A key through which no path may lead."""

    key_digest: str
    subject: str
    at: datetime


def stop(tx: Transaction, certificate: Certificate, *, cause: Cause) -> bool:
    """Believe nothing any more that rests on the key of ``certificate``; return whether new."""
    is_new = tx.change(
        "INSERT OR IGNORE INTO stopped_keys (key_digest, subject, at) VALUES (?, ?, ?)",
        (certificate.key_digest, certificate.subject, cause.stamp()),
    )
    if is_new:
        _note(tx, certificate, "authority_stopped", cause)
    return bool(is_new)


def lift(tx: Transaction, certificate: Certificate, *, cause: Cause) -> bool:
    """Take a stop back; return whether there was one."""
    gone = tx.change("DELETE FROM stopped_keys WHERE key_digest = ?", (certificate.key_digest,))
    if gone:
        _note(tx, certificate, "authority_lifted", cause)
    return bool(gone)


def _note(tx: Transaction, certificate: Certificate, event: str, cause: Cause) -> None:
    detail = f"{certificate.thumbprint} {certificate.subject}"
    audit.append(
        tx,
        audit.Kind.TRUST,
        certificate.key_digest,
        event,
        cause=cause,
        detail=detail,
    )


def stopped(reader: Readable) -> list[Stopped]:
    """Return every key that is stopped."""
    return [
        Stopped(key_digest=row["key_digest"], subject=row["subject"], at=from_stored(row["at"]))
        for row in reader.query("SELECT * FROM stopped_keys ORDER BY at, key_digest")
    ]


def remember_crl(
    tx: Transaction, name: TrustListName, signer: Certificate, crl: Crl, *, beside: Iterable[Crl]
) -> None:
    """Keep the number of a CRL that comes onto a list, also after it is taken off (T22).

    Args:
        signer: whose key made the signature of ``crl``.
        beside: others of this key on the list; some may have come before the certificate of
            ``signer``, and so were not remembered.

    Raises:
        FileInvalid: the list has seen a newer one of this key.
    """
    rows = tx.query(
        "SELECT number, this_update FROM seen_crls WHERE list = ? AND key_digest = ?",
        (name, signer.key_digest),
    )
    newest = max([tuple(row) for row in rows] + [_age(one) for one in beside], default=_age(crl))
    if newest > _age(crl):
        raise FileInvalid(
            f"CRL number {crl.number} of {crl.issuer} is older than"
            f" {int.from_bytes(newest[0], 'big')}, which the list has seen",
            subject=name,
        )
    tx.change(
        "INSERT INTO seen_crls (list, key_digest, number, this_update) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET number = excluded.number, this_update = excluded.this_update",
        (name, signer.key_digest, *_age(crl)),
    )


def _age(crl: Crl) -> tuple[bytes, int]:
    """Return what grows from one CRL to the next; a CRLNumber exceeds the integers of SQLite."""
    number = (crl.number or 0).to_bytes(MAX_NUMBER_BYTES, "big")
    return number, to_stored(crl.this_update) if crl.this_update else 0
