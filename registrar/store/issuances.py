"""The ledger: every certificate there is, written before it is signed.

One row is one certificate of one application, CertificateGroup and CertificateType. Its serial
and its to-be-signed bytes are durable before the CA key is used (threat model, ground rule 3), so
a killed Registrar signs the same bytes again and no certificate exists that is not here.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from registrar.core.certificate import outline
from registrar.core.issuance import ACTIVE, IssuanceState
from registrar.core.issuance import advance as next_state
from registrar.core.ports import Lease
from registrar.errors import Misuse, Reason, Rejected
from registrar.store import audit
from registrar.store.leases import check_lease
from registrar.store.moments import from_stored, to_stored
from registrar.store.transaction import Cause, Readable, Transaction, Value

MAX_PAGE: Final = 100_000
"""Rows in one answer."""

KEPT_AFTER_EXPIRY: Final = timedelta(days=366)
"""A revoked certificate stays on CRLs until this long after its end (RFC 5280 §3.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuanceRequest:
    """What is to be certified, and for whom."""

    enrolment_id: int | None
    """The Device; None for the site's own certificates."""

    application_uri: str
    certificate_group: str
    """Names the group, e.g. its NodeId as text."""

    certificate_type: str
    profile: str
    """Which profile the certificate follows."""

    issuer: str
    """Which CA signs."""

    key_digest: str
    """SHA-256 of the SubjectPublicKeyInfo, hexadecimal."""

    serial: int
    tbs: bytes
    """What will be signed, DER."""

    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuance:
    """One row of the ledger."""

    id: int
    enrolment_id: int | None
    application_uri: str
    certificate_group: str
    certificate_type: str
    profile: str
    issuer: str
    key_digest: str
    serial: int
    tbs: bytes
    certificate: bytes | None
    """DER; None until it is signed."""

    state: IssuanceState
    not_after: datetime
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """An entry of a CRL."""

    serial: int
    revoked_at: datetime
    reason: str
    """A CRLReason by its name in RFC 5280 §5.3.1."""


def reserve(
    tx: Transaction, request: IssuanceRequest, *, lease: Lease | None, cause: Cause
) -> Issuance:
    """Write serial and to-be-signed bytes into the ledger, or find that they are there.

    For a key that has an active certificate of the same profile and issuer the existing row
    is returned, so that the same certificate is delivered again (T20, F28). For another key the
    former certificate is closed for revocation and the new one reserved, in this transaction.

    Args:
        request: what to certify.
        lease: of the Device; None only for the site's own certificates.
        cause: who, when, why.

    Raises:
        Rejected: the key belongs to another application (``KEY_REUSED``, T21), or another
            Device has the ApplicationUri (``PRODUCT_INSTANCE_URI_CONFLICT``, R132).
        Unavailable: another worker took the Device over.
        Misuse: the serial was used before, or the lease is of another Device.
    """
    _check_writer(tx, request.enrolment_id, lease)
    _check_key(tx, request)
    _check_uri(tx, request)
    for former in active(
        tx, enrolment_id=request.enrolment_id, application_uri=request.application_uri
    ):
        if not _same_slot(former, request):
            continue
        if _still_fits(former, request, cause.now):
            return former
        _close(tx, former, "superseded", cause)
    return _insert(tx, request, cause)


def _check_writer(tx: Transaction, enrolment_id: int | None, lease: Lease | None) -> None:
    if lease is None and enrolment_id is None:
        return
    if lease is None or lease.enrolment_id != enrolment_id:
        raise Misuse(f"an issuance of enrolment {enrolment_id} needs the lease of it")
    check_lease(tx, lease)


def _check_key(tx: Transaction, request: IssuanceRequest) -> None:
    """Refuse a key that another application certified or another Device proved."""
    others = tx.query(
        "SELECT application_uri FROM issuances WHERE key_digest = ?1 AND (application_uri != ?2"
        " OR (enrolment_id IS NOT ?3 AND state != 'revoked'))"
        " UNION ALL SELECT product_instance_uri FROM bindings"
        " WHERE key_digest = ?1 AND enrolment_id IS NOT ?3 LIMIT 1",
        (request.key_digest, request.application_uri, request.enrolment_id),
    )
    if others:
        raise Rejected(
            f"the key {request.key_digest[:16]} for {request.application_uri} belongs to "
            f"{others[0][0]}",
            reason=Reason.KEY_REUSED,
            subject=request.application_uri,
        )


def _check_uri(tx: Transaction, request: IssuanceRequest) -> None:
    """Refuse the ApplicationUri that another Device is known by."""
    others = tx.query(
        "SELECT enrolment_id FROM issuances WHERE application_uri = ?1 AND enrolment_id IS NOT ?2"
        " AND state != 'revoked' UNION ALL SELECT enrolment_id FROM bindings"
        " WHERE product_instance_uri = ?1 AND enrolment_id IS NOT ?2 LIMIT 1",
        (request.application_uri, request.enrolment_id),
    )
    if others:
        holder = "the site itself" if others[0][0] is None else f"enrolment {others[0][0]}"
        raise Rejected(
            f"the ApplicationUri {request.application_uri} is held by {holder}",
            reason=Reason.PRODUCT_INSTANCE_URI_CONFLICT,
            subject=request.application_uri,
        )


def _same_slot(former: Issuance, request: IssuanceRequest) -> bool:
    return (former.certificate_group, former.certificate_type) == (
        request.certificate_group,
        request.certificate_type,
    )


def _still_fits(former: Issuance, request: IssuanceRequest, now: datetime) -> bool:
    return (
        former.key_digest == request.key_digest
        and former.profile == request.profile
        and former.issuer == request.issuer
        and former.not_after > now
    )


def _insert(tx: Transaction, request: IssuanceRequest, cause: Cause) -> Issuance:
    stamp = cause.stamp()
    try:
        number = tx.insert(
            "INSERT INTO issuances (enrolment_id, application_uri, certificate_group,"
            " certificate_type, profile, issuer, key_digest, serial, tbs, state, not_after,"
            " created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                request.enrolment_id,
                request.application_uri,
                request.certificate_group,
                request.certificate_type,
                request.profile,
                request.issuer,
                request.key_digest,
                f"{request.serial:x}",
                request.tbs,
                IssuanceState.RESERVED,
                to_stored(request.not_after),
                stamp,
                stamp,
            ),
        )
    except sqlite3.IntegrityError as error:
        raise Misuse(f"serial {request.serial:x} cannot be reserved: {error}") from error
    issuance = Issuance(
        id=number,
        enrolment_id=request.enrolment_id,
        application_uri=request.application_uri,
        certificate_group=request.certificate_group,
        certificate_type=request.certificate_type,
        profile=request.profile,
        issuer=request.issuer,
        key_digest=request.key_digest,
        serial=request.serial,
        tbs=request.tbs,
        certificate=None,
        state=IssuanceState.RESERVED,
        not_after=from_stored(to_stored(request.not_after)),
        created=from_stored(stamp),
    )
    _note(tx, issuance, "", IssuanceState.RESERVED, cause)
    return issuance


def record_signed(
    tx: Transaction,
    issuance_id: int,
    certificate: bytes,
    *,
    lease: Lease | None,
    cause: Cause,
) -> Issuance:
    """Keep the signed certificate, before anybody sees it.

    Said twice with the same bytes, nothing happens the second time.

    Raises:
        Misuse: it does not carry exactly the to-be-signed bytes of the ledger.
        Unavailable: another worker took the Device over.
    """
    issuance = _writable(tx, issuance_id, lease)
    if issuance.certificate == certificate and issuance.state in ACTIVE:
        return issuance
    if outline(certificate).tbs != issuance.tbs:
        raise Misuse(f"the certificate of issuance {issuance_id} is not the one reserved")
    thumbprint = hashlib.sha256(certificate).hexdigest()
    return _move(
        tx,
        issuance,
        IssuanceState.SIGNED,
        cause,
        {"certificate": certificate, "thumbprint": thumbprint},
        certificate=certificate,
    )


def record_delivered(
    tx: Transaction, issuance_id: int, *, lease: Lease | None, cause: Cause
) -> Issuance:
    """Note that the certificate was, or is about to be, handed to the Device; repeatable.

    A confirmed one stays confirmed.
    """
    issuance = _writable(tx, issuance_id, lease)
    if issuance.state in (IssuanceState.DELIVERED, IssuanceState.CONFIRMED):
        return issuance
    return _move(tx, issuance, IssuanceState.DELIVERED, cause)


def record_confirmed(
    tx: Transaction, issuance_id: int, *, lease: Lease | None, cause: Cause
) -> Issuance:
    """Note that the certificate was read back from the Device; repeatable.

    A certificate whose delivery was recorded nowhere, because we were killed in between, is
    noted as delivered first.
    """
    issuance = _writable(tx, issuance_id, lease)
    if issuance.state is IssuanceState.CONFIRMED:
        return issuance
    if issuance.state is IssuanceState.SIGNED:
        issuance = _move(tx, issuance, IssuanceState.DELIVERED, cause)
    return _move(tx, issuance, IssuanceState.CONFIRMED, cause)


def revoke(
    tx: Transaction,
    issuance_id: int,
    *,
    lease: Lease | None,
    cause: Cause,
    reason: str = "unspecified",
) -> Issuance:
    """Close the certificate; it will stand on the next CRL of its issuer. Repeatable."""
    issuance = _writable(tx, issuance_id, lease)
    if issuance.state is IssuanceState.REVOKED:
        return issuance
    return _close(tx, issuance, reason, cause)


def revoke_all(tx: Transaction, enrolment_id: int, *, reason: str, cause: Cause) -> int:
    """Close every active certificate of a Device that retires; return how many there were."""
    held = active(tx, enrolment_id=enrolment_id)
    for issuance in held:
        _close(tx, issuance, reason, cause)
    return len(held)


def _close(tx: Transaction, issuance: Issuance, reason: str, cause: Cause) -> Issuance:
    return _move(
        tx,
        issuance,
        IssuanceState.REVOKED,
        cause,
        {"revoked_at": cause.stamp(), "revocation_reason": reason},
    )


def _writable(tx: Transaction, issuance_id: int, lease: Lease | None) -> Issuance:
    issuance = get(tx, issuance_id)
    _check_writer(tx, issuance.enrolment_id, lease)
    return issuance


def _move(
    tx: Transaction,
    issuance: Issuance,
    to: IssuanceState,
    cause: Cause,
    columns: Mapping[str, Value] = MappingProxyType({}),
    *,
    certificate: bytes | None = None,
) -> Issuance:
    after = next_state(issuance.state, to)
    assignments = "".join(f", {name} = ?" for name in columns)
    tx.change(
        f"UPDATE issuances SET state = ?, updated = ?{assignments} WHERE id = ?",  # noqa: S608
        (after, cause.stamp(), *columns.values(), issuance.id),
    )
    _note(tx, issuance, issuance.state, after, cause)
    return replace(issuance, state=after, certificate=certificate or issuance.certificate)


def _note(tx: Transaction, issuance: Issuance, before: str, after: str, cause: Cause) -> None:
    what = (
        f"serial {issuance.serial:x} by {issuance.issuer} for {issuance.application_uri}, "
        f"{issuance.profile}, key {issuance.key_digest}"
    )
    detail = f"{what}; {cause.detail}" if cause.detail else what
    audit.append(
        tx,
        audit.Kind.ISSUANCE,
        issuance.id,
        after,
        cause=replace(cause, detail=detail),
        before=before,
        after=after,
    )


def get(reader: Readable, issuance_id: int) -> Issuance:
    """Return one row.

    Raises:
        Misuse: there is none of that number.
    """
    rows = reader.query("SELECT * FROM issuances WHERE id = ?", (issuance_id,))
    if not rows:
        raise Misuse(f"there is no issuance {issuance_id}")
    return _issuance(rows[0])


def find(reader: Readable, certificate: bytes) -> Issuance | None:
    """Return the row of a certificate (DER, the leaf alone), or None if it is not ours."""
    rows = reader.query(
        "SELECT * FROM issuances WHERE thumbprint = ?", (hashlib.sha256(certificate).hexdigest(),)
    )
    return _issuance(rows[0]) if rows else None


def active(
    reader: Readable, *, enrolment_id: int | None, application_uri: str | None = None
) -> list[Issuance]:
    """Return what is not revoked of one Device, or of one of its applications; oldest first."""
    if application_uri is None:
        # With IS, which None needs, SQLite would visit the whole ledger.
        which = "IS" if enrolment_id is None else "="
        rows = reader.query(
            f"SELECT * FROM issuances WHERE enrolment_id {which} ?"  # noqa: S608
            " AND state != 'revoked' ORDER BY id",
            (enrolment_id,),
        )
    else:
        rows = reader.query(
            "SELECT * FROM issuances WHERE application_uri = ? AND enrolment_id IS ?"
            " AND state != 'revoked' ORDER BY id",
            (application_uri, enrolment_id),
        )
    return [_issuance(row) for row in rows]


def history(reader: Readable, enrolment_id: int | None) -> list[Issuance]:
    """Return everything ever issued to one Device, revoked or not; oldest first."""
    rows = reader.query(
        "SELECT * FROM issuances WHERE enrolment_id IS ? ORDER BY id LIMIT ?",
        (enrolment_id, MAX_PAGE),
    )
    return [_issuance(row) for row in rows]


def pending(reader: Readable) -> list[Issuance]:
    """Return what a killed Registrar left on its way: reserved, signed or delivered."""
    rows = reader.query(
        "SELECT * FROM issuances WHERE state IN ('reserved', 'signed', 'delivered')"
        " ORDER BY id LIMIT ?",
        (MAX_PAGE,),
    )
    return [_issuance(row) for row in rows]


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


def certificates(reader: Readable) -> Iterable[bytes]:
    """Yield every certificate in the ledger, page by page."""
    last = 0
    while rows := reader.query(
        "SELECT id, certificate FROM issuances WHERE id > ? AND certificate IS NOT NULL"
        " ORDER BY id LIMIT 1000",
        (last,),
    ):
        for row in rows:
            yield row["certificate"]
        last = rows[-1]["id"]


def _issuance(row: sqlite3.Row) -> Issuance:
    # By position, in the order of the table: looking columns up by name costs more than the query.
    (
        number,
        enrolment_id,
        application_uri,
        certificate_group,
        certificate_type,
        profile,
        issuer,
        key_digest,
        serial,
        tbs,
        certificate,
        _thumbprint,
        state,
        not_after,
        _revoked_at,
        _revocation_reason,
        created,
        _updated,
    ) = row
    return Issuance(
        id=number,
        enrolment_id=enrolment_id,
        application_uri=application_uri,
        certificate_group=certificate_group,
        certificate_type=certificate_type,
        profile=profile,
        issuer=issuer,
        key_digest=key_digest,
        serial=int(serial, 16),
        tbs=tbs,
        certificate=certificate,
        state=IssuanceState(state),
        not_after=from_stored(not_after),
        created=from_stored(created),
    )
