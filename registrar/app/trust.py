"""Changing whom a site trusts, from files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from registrar.app.causes import by_operator
from registrar.app.files import DerFile, Unreadable, find_der
from registrar.core.certificate import Certificate
from registrar.core.crl import Crl
from registrar.core.scope import Scope
from registrar.core.trust import TrustListName
from registrar.errors import FileInvalid, RegistrarError, Rejected
from registrar.store import authorities
from registrar.store import trust as stored
from registrar.store.store import Store
from registrar.store.transaction import Cause, Transaction
from registrar.store.trust import EntryKind, Role, TrustEntry

COLUMNS: Final = ("list", "role", "kind", "thumbprint", "subject", "ends", "scope")

Change = Callable[[Transaction], object]

MIN_THUMBPRINT_LENGTH: Final = 8
"""Digits of a thumbprint that name an entry without mistaking it for another."""


_LISTED: Final = "Take the thumbprint from registrar trust list."


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A certificate or CRL of a list, or what was wrong with a file."""

    name: TrustListName
    role: Role = Role.TRUSTED
    kind: EntryKind = EntryKind.CERTIFICATE
    thumbprint: str = ""
    """SHA-256, hexadecimal."""
    subject: str = ""
    """Of a CRL its issuer."""
    ends: datetime | None = None
    """notAfter, or nextUpdate of a CRL."""
    scope: str = ""
    """What it may vouch for, where that is limited, or that it was stopped."""
    source: str = ""
    problem: str = ""
    """Empty where there is none."""

    def row(self) -> dict[str, str]:
        """Return the values of ``COLUMNS``, the source and the problem."""
        return {
            "list": self.name,
            "role": "" if self.problem else self.role,
            "kind": "" if self.problem else self.kind,
            "thumbprint": self.thumbprint,
            "subject": self.subject,
            "ends": self.ends.isoformat() if self.ends else "",
            "scope": self.scope,
            "source": self.source,
            "problem": self.problem,
        }


def add(
    store: Store,
    name: TrustListName,
    paths: Iterable[Path],
    *,
    as_issuer: bool = False,
    scope: Scope | None = None,
) -> Iterator[Entry]:
    """Put every certificate and CRL of the files into one list, and yield each.

    What cannot be read is yielded with its problem and does not stop the others. CRLs come after
    all certificates, because a list has to know their signers.

    Args:
        store: the site's.
        name: which list.
        paths: PEM and DER files, and folders of them.
        as_issuer: certificates are for building chains only.
        scope: what the certificates may vouch for; None leaves as it is what they may.
    """
    role = Role.ISSUER if as_issuer else Role.TRUSTED
    crls: list[tuple[Entry, bytes]] = []
    for found in find_der(paths):
        if isinstance(found, Unreadable):
            yield Entry(name=name, source=found.source, problem=found.problem)
            continue
        try:
            entry = _entry_of(name, role, found)
        except Rejected as error:
            yield Entry(name=name, source=found.source, problem=str(error))
            continue
        if entry.kind is EntryKind.CRL:
            crls.append((entry, found.der))
            continue
        if scope is not None:
            entry = replace(entry, scope=str(scope))
        yield _add(store, entry, found.der, scope)
    for entry, der in crls:
        yield _add(store, entry, der, None)


def _add(store: Store, entry: Entry, der: bytes, scope: Scope | None) -> Entry:
    try:
        store.write_sync(_adding(entry, der, scope, by_operator()))
    except Rejected as error:
        return Entry(name=entry.name, source=entry.source, problem=str(error))
    return entry


def _adding(entry: Entry, der: bytes, scope: Scope | None, cause: Cause) -> Change:
    put = stored.add_crl if entry.kind is EntryKind.CRL else stored.add_certificate

    def change(tx: Transaction) -> None:
        put(tx, entry.name, der, role=entry.role, cause=cause)
        if scope is not None:
            authorities.set_scope(tx, entry.name, entry.thumbprint, scope, cause=cause)

    return change


def entries(store: Store) -> Iterator[Entry]:
    """Yield the entries of all lists."""
    stopped = {one.key_digest: one.at for one in authorities.stopped(store.reader)}
    for name in TrustListName:
        scopes = dict(authorities.scopes(store.reader, name))
        for entry in stored.entries(store.reader, name):
            shown = _shown(entry)
            if entry.kind is EntryKind.CERTIFICATE:
                at = stopped.get(Certificate.from_der(entry.der).key_digest)
                scope = f"stopped {at.isoformat()}" if at else str(scopes.get(entry.digest, ""))
                shown = replace(shown, scope=scope)
            yield shown


def find(store: Store, name: TrustListName, thumbprint: str) -> Entry:
    """Return the one entry of a list whose thumbprint begins so.

    Raises:
        FileInvalid: there is none, or more than one.
    """
    return _shown(_only(thumbprint, stored.entries(store.reader, name), f"entries of {name}"))


def find_certificate(store: Store, thumbprint: str) -> Certificate:
    """Return the certificate in any list whose thumbprint begins so.

    Raises:
        FileInvalid: there is none, or more than one.
    """
    certificates = {
        entry.digest: entry
        for name in TrustListName
        for entry in stored.entries(store.reader, name)
        if entry.kind is EntryKind.CERTIFICATE
    }
    found = _only(thumbprint, certificates.values(), "certificates of all lists")
    return Certificate.from_der(found.der)


def _only(thumbprint: str, entries: Iterable[TrustEntry], what: str) -> TrustEntry:
    wanted = thumbprint.lower().replace(":", "")
    if len(wanted) < MIN_THUMBPRINT_LENGTH:
        problem = f"{len(wanted)} digits are fewer than {MIN_THUMBPRINT_LENGTH}"
        raise FileInvalid(problem, subject=thumbprint, next_action=_LISTED)
    found = [one for one in entries if one.digest.startswith(wanted)]
    if len(found) != 1:
        problem = f"names {len(found)} {what}, not one"
        raise FileInvalid(problem, subject=thumbprint, next_action=_LISTED)
    return found[0]


def remove(store: Store, entry: Entry) -> None:
    """Take an entry off its list."""
    cause = by_operator()

    def change(tx: Transaction) -> None:
        for one in stored.entries(tx, entry.name):
            if one.digest == entry.thumbprint and one.role is entry.role:
                stored.remove(tx, one, cause=cause)

    store.write_sync(change)


def _entry_of(name: TrustListName, role: Role, found: DerFile) -> Entry:
    """Read what the file holds; DER does not say which of the two it is."""
    entry = Entry(name=name, role=role, source=found.source)
    if found.is_crl is None:
        try:
            return _with_certificate(entry, Certificate.from_der(found.der))
        except RegistrarError:
            return _with_crl(entry, _crl(found.der))
    if found.is_crl:
        return _with_crl(entry, Crl.from_der(found.der))
    return _with_certificate(entry, Certificate.from_der(found.der))


def _crl(der: bytes) -> Crl:
    try:
        return Crl.from_der(der)
    except Rejected as error:
        raise FileInvalid("is neither a certificate nor a CRL") from error


def _with_certificate(entry: Entry, certificate: Certificate) -> Entry:
    return replace(
        entry,
        kind=EntryKind.CERTIFICATE,
        thumbprint=certificate.thumbprint,
        subject=certificate.subject,
        ends=certificate.not_after,
    )


def _with_crl(entry: Entry, crl: Crl) -> Entry:
    return replace(
        entry,
        kind=EntryKind.CRL,
        thumbprint=crl.thumbprint,
        subject=crl.issuer,
        ends=crl.next_update,
    )


def _shown(entry: TrustEntry) -> Entry:
    shown = Entry(name=entry.name, role=entry.role)
    if entry.kind is EntryKind.CRL:
        return _with_crl(shown, Crl.from_der(entry.der))
    return _with_certificate(shown, Certificate.from_der(entry.der))
