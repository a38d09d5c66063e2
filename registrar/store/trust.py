"""The five trust lists, kept apart by name and type (threat-model K3, T8)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from registrar.core.certificate import Certificate
from registrar.core.crl import Crl, is_crl_of
from registrar.core.trust import (
    Administrators,
    Applications,
    DeviceIdentityAuthorities,
    SiteAuthorities,
    TicketAuthorities,
    TrustList,
    TrustListName,
)
from registrar.errors import FileInvalid
from registrar.store import audit, authorities
from registrar.store.moments import from_stored
from registrar.store.transaction import Cause, Readable, Transaction

MAX_ENTRIES: Final = 10_000
"""Entries of one list."""


class Role(StrEnum):
    """What an entry is good for."""

    TRUSTED = "trusted"
    ISSUER = "issuer"
    """Helps to build chains, confers no trust."""


class EntryKind(StrEnum):
    """What an entry is."""

    CERTIFICATE = "certificate"
    CRL = "crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustEntry:
    """One certificate or CRL of one list."""

    name: TrustListName
    role: Role
    kind: EntryKind
    digest: str
    """SHA-256 of ``der``, hexadecimal."""

    der: bytes
    added: datetime


def add_certificate(
    tx: Transaction, name: TrustListName, der: bytes, *, role: Role = Role.TRUSTED, cause: Cause
) -> bool:
    """Put a certificate on a list.

    Returns:
        False if it is there already.

    Raises:
        CertificateRejected: the bytes are no certificate.
        FileInvalid: the list is full.
    """
    certificate = Certificate.from_der(der)
    return _add(tx, name, role, EntryKind.CERTIFICATE, der, certificate.subject, cause)


def add_crl(
    tx: Transaction, name: TrustListName, der: bytes, *, role: Role = Role.TRUSTED, cause: Cause
) -> bool:
    """Put a CRL on a list; it takes the place of older ones of the same key.

    It does so only where a certificate of the list signed it, since anybody can write down a name
    and a number (T22). Others are kept beside what is there: a CA that only Tickets name is on no
    list, and paths heed no CRL but those its issuer signed.

    Returns:
        False if it is there already.

    Raises:
        CertificateRejected: the bytes are no CRL.
        FileInvalid: the list has seen a newer CRL of this key, or is full (T22).
    """
    crl = Crl.from_der(der)
    listed = entries(tx, name)
    certificates = (
        Certificate.from_der(one.der) for one in listed if one.kind is EntryKind.CERTIFICATE
    )
    signer = next((one for one in certificates if is_crl_of(crl, one)), None)
    if signer is not None:
        former = [
            (entry, known)
            for entry in listed
            if entry.kind is EntryKind.CRL
            and is_crl_of(known := Crl.from_der(entry.der), signer)
            and known != crl
        ]
        authorities.remember_crl(tx, name, signer, crl, beside=[known for _, known in former])
        for entry, _ in former:
            if entry.role is role:
                remove(tx, entry, cause=cause)
    return _add(tx, name, role, EntryKind.CRL, der, crl.issuer, cause)


def _add(
    tx: Transaction,
    name: TrustListName,
    role: Role,
    kind: EntryKind,
    der: bytes,
    subject: str,
    cause: Cause,
) -> bool:
    size: int = tx.query("SELECT count(*) FROM trust WHERE list = ?", (name,))[0][0]
    if size >= MAX_ENTRIES:
        raise FileInvalid(f"{name} has {size} entries, its maximum", subject=name)
    digest = hashlib.sha256(der).hexdigest()
    is_new = tx.change(
        "INSERT OR IGNORE INTO trust (list, role, kind, digest, der, added)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (name, role, kind, digest, der, cause.stamp()),
    )
    if is_new:
        _note(tx, name, f"{role}_{kind}_added", digest, subject, cause)
    return bool(is_new)


def remove(tx: Transaction, entry: TrustEntry, *, cause: Cause) -> bool:
    """Take an entry off its list; return whether it was there."""
    gone = tx.change(
        "DELETE FROM trust WHERE list = ? AND role = ? AND kind = ? AND digest = ?",
        (entry.name, entry.role, entry.kind, entry.digest),
    )
    if gone:
        tx.change("DELETE FROM scopes WHERE list = ? AND digest = ?", (entry.name, entry.digest))
        _note(tx, entry.name, f"{entry.role}_{entry.kind}_removed", entry.digest, "", cause)
    return bool(gone)


def _note(
    tx: Transaction, name: TrustListName, event: str, digest: str, subject: str, cause: Cause
) -> None:
    detail = f"{digest} {subject}".rstrip()
    audit.append(tx, audit.Kind.TRUST, name, event, cause=cause, detail=detail)


def entries(reader: Readable, name: TrustListName) -> list[TrustEntry]:
    """Return the entries of one list, in the order they were added."""
    rows = reader.query("SELECT * FROM trust WHERE list = ? ORDER BY rowid", (name,))
    return [
        TrustEntry(
            name=TrustListName(row["list"]),
            role=Role(row["role"]),
            kind=EntryKind(row["kind"]),
            digest=row["digest"],
            der=row["der"],
            added=from_stored(row["added"]),
        )
        for row in rows
    ]


def trusted_certificates(reader: Readable, name: TrustListName) -> list[Certificate]:
    """Return the certificates one list trusts, without what only helps to build chains."""
    rows = reader.query(
        "SELECT der FROM trust WHERE list = ? AND role = ? AND kind = ? ORDER BY rowid",
        (str(name), str(Role.TRUSTED), str(EntryKind.CERTIFICATE)),
    )
    return [Certificate.from_der(row["der"]) for row in rows]


def version(reader: Readable) -> int:
    """Return a number that grows with every change of any list, whatever the clock does."""
    number: int = reader.query(
        "SELECT count(*) FROM audit WHERE kind = ? AND enrolment_id IS NULL", (audit.Kind.TRUST,)
    )[0][0]
    return number


def ticket_authorities(reader: Readable) -> TicketAuthorities:
    """Return who may sign Tickets."""
    return TicketAuthorities(_load(reader, TrustListName.TICKET_AUTHORITIES))


def device_identity_authorities(reader: Readable) -> DeviceIdentityAuthorities:
    """Return who issues DeviceIdentity Certificates, beside the CAs that Tickets name."""
    return DeviceIdentityAuthorities(_load(reader, TrustListName.DEVICE_IDENTITY_AUTHORITIES))


def administrators(reader: Readable) -> Administrators:
    """Return who may administrate this Registrar."""
    return Administrators(_load(reader, TrustListName.ADMINISTRATORS))


def applications(reader: Readable) -> Applications:
    """Return which applications may open a channel to this Registrar."""
    return Applications(_load(reader, TrustListName.APPLICATIONS))


def site_authorities(reader: Readable) -> SiteAuthorities:
    """Return the CAs of this site."""
    return SiteAuthorities(_load(reader, TrustListName.SITE_AUTHORITIES))


def _load(reader: Readable, name: TrustListName) -> TrustList:
    found = entries(reader, name)
    return TrustList.from_der(
        trusted_certificates=_ders(found, Role.TRUSTED, EntryKind.CERTIFICATE),
        trusted_crls=_ders(found, Role.TRUSTED, EntryKind.CRL),
        issuer_certificates=_ders(found, Role.ISSUER, EntryKind.CERTIFICATE),
        issuer_crls=_ders(found, Role.ISSUER, EntryKind.CRL),
        scopes=authorities.scopes(reader, name),
        stopped=(one.key_digest for one in authorities.stopped(reader)),
    )


def _ders(found: Iterable[TrustEntry], role: Role, kind: EntryKind) -> list[bytes]:
    return [entry.der for entry in found if entry.role is role and entry.kind is kind]
