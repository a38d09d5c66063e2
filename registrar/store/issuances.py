"""The ledger: every certificate there is, written before it is signed.

One row is one certificate of one application, CertificateGroup and CertificateType. Its serial
and its to-be-signed bytes are durable before the CA key is used (threat model, ground rule 3), so
a killed Registrar signs the same bytes again and no certificate exists that is not here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from registrar.core import der as asn1
from registrar.core.certificate import Certificate
from registrar.core.issuance import ACTIVE, IssuanceState
from registrar.core.issuance import advance as next_state
from registrar.core.ports import Lease
from registrar.errors import CertificateRejected, DecodingError, Misuse
from registrar.store import audit
from registrar.store.claims import check_claims
from registrar.store.issuance_request import IssuanceRequest
from registrar.store.leases import check_lease
from registrar.store.moments import from_stored, to_stored
from registrar.store.transaction import Cause, Readable, Transaction, Value

MAX_PAGE: Final = 100_000
"""Rows in one answer."""


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


def reserve(
    tx: Transaction, request: IssuanceRequest, *, lease: Lease | None, cause: Cause
) -> Issuance:
    """Reserve one certificate; see ``reserve_all``."""
    return reserve_all(tx, (request,), lease=lease, cause=cause)[0]


def reserve_all(
    tx: Transaction, requests: Sequence[IssuanceRequest], *, lease: Lease | None, cause: Cause
) -> list[Issuance]:
    """Write serials and to-be-signed bytes into the ledger, or find that they are there.

    For a key that has an active certificate of the same profile and issuer the existing row
    is returned, so that the same certificate is delivered again (T20, F28). For another key the
    former certificate is closed for revocation and the new one reserved, in this transaction.

    Args:
        requests: what to certify, all of one Device or of the site itself.
        lease: of the Device; None only for the site's own certificates.
        cause: who, when, why.

    Raises:
        Rejected: a key belongs to another application (``KEY_REUSED``, T21), or another
            Device has the ApplicationUri (``PRODUCT_INSTANCE_URI_CONFLICT``, R132).
        Unavailable: another worker took the Device over.
        Misuse: the serial was used before, or the lease is of another Device.
    """
    _check_writer(tx, (request.enrolment_id for request in requests), lease)
    # One after the other, because each counts among the claims the next one is held against.
    return [_reserve(tx, request, cause) for request in requests]


def _reserve(tx: Transaction, request: IssuanceRequest, cause: Cause) -> Issuance:
    check_claims(tx, request.enrolment_id, request.application_uri, request.key_digest)
    # Most slots are empty, which the index of the INSERT sees as well as a query would. Only the
    # site's own certificates have no such index.
    if request.enrolment_id is not None and (made := _insert(tx, request, cause)):
        return made
    for former in _in_slot(tx, request):
        if _still_fits(former, request, cause.now):
            return former
        _close(tx, former, "superseded", cause)
    made = _insert(tx, request, cause)
    if made is None:
        raise Misuse(f"serial {request.serial:x} cannot be reserved: it was used before")
    return made


def _check_writer(
    tx: Transaction, enrolment_ids: Iterable[int | None], lease: Lease | None
) -> None:
    """Make sure that ``lease`` is of all these enrolments, and the newest."""
    for enrolment_id in enrolment_ids:
        if enrolment_id != (lease.enrolment_id if lease else None):
            raise Misuse(f"an issuance of enrolment {enrolment_id} needs the lease of it")
    if lease is not None:
        check_lease(tx, lease)


def _in_slot(tx: Transaction, request: IssuanceRequest) -> list[Issuance]:
    """Return what is not revoked where the new certificate belongs; one at most of a Device."""
    rows = tx.query(
        "SELECT * FROM issuances WHERE application_uri = ? AND enrolment_id IS ?"
        " AND certificate_group = ? AND certificate_type = ? AND state != 'revoked' ORDER BY id",
        (
            request.application_uri,
            request.enrolment_id,
            request.certificate_group,
            request.certificate_type,
        ),
    )
    return [_issuance(row) for row in rows]


def _still_fits(former: Issuance, request: IssuanceRequest, now: datetime) -> bool:
    return (
        former.key_digest == request.key_digest
        and former.profile == request.profile
        and former.issuer == request.issuer
        and former.not_after > now
    )


def _insert(tx: Transaction, request: IssuanceRequest, cause: Cause) -> Issuance | None:
    """Write a row; return None where the slot is taken, or the serial was used before."""
    stamp, not_after = cause.stamp(), to_stored(request.not_after)
    try:
        made = tx.query(
            "INSERT INTO issuances (enrolment_id, application_uri, certificate_group,"
            " certificate_type, profile, issuer, key_digest, serial, tbs, state, not_after,"
            " created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING RETURNING id",
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
                str(IssuanceState.RESERVED),
                not_after,
                stamp,
                stamp,
            ),
        )
    except sqlite3.IntegrityError as error:
        raise Misuse(f"serial {request.serial:x} cannot be reserved: {error}") from error
    if not made:
        return None
    issuance = Issuance(
        id=made[0][0],
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
        not_after=from_stored(not_after),
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
    (issuance,) = _writable(tx, (issuance_id,), lease)
    if issuance.certificate == certificate and issuance.state in ACTIVE:
        return issuance
    steps = (IssuanceState.SIGNED,)
    return _at_once(_move(tx, issuance, steps, cause, certificate=certificate), issuance)


def record_delivered(
    tx: Transaction, issuance_id: int, *, lease: Lease | None, cause: Cause
) -> Issuance:
    """Note that one signed certificate is handed over; see ``record_delivered_all``."""
    return record_delivered_all(tx, (issuance_id,), {}, lease=lease, cause=cause)[0]


def record_delivered_all(
    tx: Transaction,
    issuance_ids: Sequence[int | Issuance],
    certificates: Mapping[int, bytes],
    *,
    lease: Lease | None,
    cause: Cause,
) -> list[Issuance]:
    """Note that certificates were, or are about to be, handed to the Device; repeatable.

    A confirmed one stays confirmed.

    Args:
        issuance_ids: the certificates, all of one Device; a row that was read before is only
            read again where it has changed.
        certificates: those of them that were just signed, DER, by id; kept first.
        lease: of the Device.
        cause: who, when, why.

    Returns:
        The rows in the order of ``issuance_ids``.

    Raises:
        Misuse: a certificate is not signed, or not over the bytes of the ledger.
        Unavailable: another worker took the Device over.
    """
    return [
        _again(tx, issuance, lambda one: _deliver(tx, one, certificates.get(one.id), cause))
        for issuance in _writable(tx, issuance_ids, lease)
    ]


def _deliver(
    tx: Transaction, issuance: Issuance, certificate: bytes | None, cause: Cause
) -> Issuance | None:
    if certificate is not None and certificate != issuance.certificate:
        steps = (IssuanceState.SIGNED, IssuanceState.DELIVERED)
        return _move(tx, issuance, steps, cause, certificate=certificate)
    if issuance.state in (IssuanceState.DELIVERED, IssuanceState.CONFIRMED):
        return _unchanged(tx, issuance)
    return _move(tx, issuance, (IssuanceState.DELIVERED,), cause)


def record_confirmed(
    tx: Transaction, issuance_id: int, *, lease: Lease | None, cause: Cause
) -> Issuance:
    """Note that one certificate was read back; see ``record_confirmed_all``."""
    return record_confirmed_all(tx, (issuance_id,), lease=lease, cause=cause)[0]


def record_confirmed_all(
    tx: Transaction, issuance_ids: Sequence[int | Issuance], *, lease: Lease | None, cause: Cause
) -> list[Issuance]:
    """Note that certificates were read back from the Device; repeatable.

    A certificate whose delivery was recorded nowhere, because we were killed in between, is
    noted as delivered first.
    """
    return [
        _again(tx, issuance, lambda one: _confirm(tx, one, cause))
        for issuance in _writable(tx, issuance_ids, lease)
    ]


def _confirm(tx: Transaction, issuance: Issuance, cause: Cause) -> Issuance | None:
    if issuance.state is IssuanceState.CONFIRMED:
        return _unchanged(tx, issuance)
    first = (IssuanceState.DELIVERED,) if issuance.state is IssuanceState.SIGNED else ()
    return _move(tx, issuance, (*first, IssuanceState.CONFIRMED), cause)


def _unchanged(tx: Transaction, issuance: Issuance) -> Issuance | None:
    """Return ``issuance`` if its row is in that state."""
    return issuance if get(tx, issuance.id).state is issuance.state else None


def _again(
    tx: Transaction, seen: Issuance, change: Callable[[Issuance], Issuance | None]
) -> Issuance:
    """Change a row as it was seen, or else as it is."""
    return change(seen) or _at_once(change(get(tx, seen.id)), seen)


def _at_once(moved: Issuance | None, issuance: Issuance) -> Issuance:
    """Return what became of a row that was read in this transaction."""
    if moved is None:
        raise Misuse(f"issuance {issuance.id} changes while it is written")
    return moved


def revoke(
    tx: Transaction,
    issuance_id: int,
    *,
    lease: Lease | None,
    cause: Cause,
    reason: str = "unspecified",
) -> Issuance:
    """Close the certificate; it will stand on the next CRL of its issuer. Repeatable."""
    (issuance,) = _writable(tx, (issuance_id,), lease)
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
    columns: Mapping[str, Value] = {"revoked_at": cause.stamp(), "revocation_reason": reason}
    return _at_once(_move(tx, issuance, (IssuanceState.REVOKED,), cause, columns), issuance)


def _writable(
    tx: Transaction, issuance_ids: Sequence[int | Issuance], lease: Lease | None
) -> list[Issuance]:
    """Return the rows in the order of ``issuance_ids``, where ``lease`` may write them."""
    found = [one if isinstance(one, Issuance) else get(tx, one) for one in issuance_ids]
    _check_writer(tx, (one.enrolment_id for one in found), lease)
    return found


def _move(
    tx: Transaction,
    issuance: Issuance,
    steps: Sequence[IssuanceState],
    cause: Cause,
    columns: Mapping[str, Value] = MappingProxyType({}),
    *,
    certificate: bytes | None = None,
) -> Issuance | None:
    """Go ``steps`` at once, each with an entry of its own; ``certificate`` was just signed.

    Returns:
        The row as it is now; None where it is in another state than ``issuance``, and so nothing
        was written. All else of a row is as it was reserved, or follows from its state.
    """
    if certificate is not None:
        if not _carries(certificate, issuance.tbs):
            raise Misuse(f"the certificate of issuance {issuance.id} is not the one reserved")
        columns = {**columns, "certificate": certificate}
    states = [issuance.state]
    for to in steps:
        states.append(next_state(states[-1], to))
    assignments = "".join(f", {name} = ?" for name in columns)
    is_written = tx.change(
        f"UPDATE issuances SET state = ?, updated = ?{assignments} WHERE id = ? AND state = ?",  # noqa: S608
        (str(states[-1]), cause.stamp(), *columns.values(), issuance.id, str(issuance.state)),
    )
    if not is_written:
        return None
    for before, after in pairwise(states):
        _note(tx, issuance, before, after, cause)
    return replace(issuance, state=states[-1], certificate=certificate or issuance.certificate)


def _carries(certificate: bytes, tbs: bytes) -> bool:
    """Tell whether ``certificate`` begins with the element ``tbs``, which fills its own length."""
    try:
        start, end = asn1.expect(certificate, 0, len(certificate), asn1.SEQUENCE)
    except DecodingError:
        return False
    return end == len(certificate) and certificate.startswith(tbs, start)


def _note(tx: Transaction, issuance: Issuance, before: str, after: str, cause: Cause) -> None:
    what = (
        f"serial {issuance.serial:x} by {issuance.issuer} for {issuance.application_uri}, "
        f"{issuance.profile}, key {issuance.key_digest}"
    )
    audit.append(
        tx,
        audit.Kind.ISSUANCE,
        issuance.id,
        after,
        cause=cause,
        enrolment_id=issuance.enrolment_id,
        detail=f"{what}; {cause.detail}" if cause.detail else what,
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
    try:
        serial = Certificate.from_der(certificate).serial_number
    except CertificateRejected:
        return None
    rows = reader.query(
        "SELECT * FROM issuances WHERE serial = ? AND certificate = ?",
        (f"{serial:x}", certificate),
    )
    return _issuance(rows[0]) if rows else None


def active(reader: Readable, *, enrolment_id: int | None) -> list[Issuance]:
    """Return what is not revoked of one Device; oldest first."""
    rows = reader.query(
        "SELECT * FROM issuances WHERE enrolment_id IS ? AND state != 'revoked' ORDER BY id",
        (enrolment_id,),
    )
    return [_issuance(row) for row in rows]


def history(reader: Readable, enrolment_id: int | None) -> list[Issuance]:
    """Return everything ever issued to one Device, revoked or not; oldest first."""
    rows = reader.query(
        "SELECT * FROM issuances WHERE enrolment_id IS ? ORDER BY id LIMIT ?",
        (enrolment_id, MAX_PAGE),
    )
    return [_issuance(row) for row in rows]


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
