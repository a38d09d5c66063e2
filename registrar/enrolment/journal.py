"""The engine's journal over the store: one transaction an arrow, with all that belongs to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final, cast

from registrar.core.enrolment import ENDED, Event, State
from registrar.core.ports import NOTHING_NEW, Enrolment, Facts, Lease, Mail, Step
from registrar.core.software import SoftwareReport
from registrar.errors import Misuse, Reason
from registrar.store import audit, bindings, enrolments, inbox, leases, software, tickets
from registrar.store.enrolments import Columns, EnrolmentRow
from registrar.store.moments import to_stored
from registrar.store.store import Store
from registrar.store.transaction import Cause, Change, Readable, Transaction

LEASE: Final = timedelta(minutes=10)
"""Longer than any device may take; an engine that died is recognised by its lock, not by this."""


class StoreJournal:
    """Fits ``core.ports.Journal``.

    Args:
        store: of the site.
        worker: the name of this engine, as ``store.leases`` registered it.
        now: the present, timezone-aware.
    """

    def __init__(self, store: Store, *, worker: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._worker = worker
        self._now = now
        self._seen: dict[int, _Seen] = {}
        """What this worker read or wrote last of each enrolment whose lease it has."""

    async def discover(self, urls: Sequence[str]) -> list[Enrolment]:
        """Return the enrolments of ``urls`` in their order, creating those that are new."""
        cause = self._cause()
        return await self._store.write(
            lambda tx: [_read(tx, row) for row in enrolments.discover(tx, urls, cause=cause)]
        )

    async def known(self, urls: Sequence[str]) -> list[Enrolment]:
        """Return the enrolments there are of ``urls``, in no order; writes nothing."""
        reader = self._store.reader
        return [_read(reader, row) for row in enrolments.at(reader, urls)]

    async def unfinished(self) -> list[Enrolment]:
        """Return every enrolment that has not ended."""
        states = frozenset(State) - ENDED
        reader = self._store.reader
        found: list[EnrolmentRow] = []
        while page := enrolments.in_states(reader, states, after=found[-1].id if found else 0):
            found += page
        return [_read(reader, row) for row in found]

    async def find(self, enrolment_id: int) -> Enrolment:
        """Return one enrolment as it stands now."""
        reader = self._store.reader
        return _read(reader, enrolments.get(reader, enrolment_id))

    async def acquire(self, enrolment: Enrolment) -> Lease:
        """Take the lease; every older one is void from now on.

        Raises:
            Unavailable: another engine that lives holds it.
        """
        now = self._now()
        lease, row = await self._store.write(
            lambda tx: enrolments.acquire(
                tx, enrolment.id, owner=self._worker, now=now, ends=now + LEASE
            )
        )
        self._seen[row.id] = _seen(row, enrolment.software)
        return lease

    async def release(self, lease: Lease) -> None:
        """Give the lease back; an arrow to an end did so already."""
        if self._seen.pop(lease.enrolment_id, None) is not None:
            await self._store.write(lambda tx: leases.release(tx, lease))

    async def advance(self, enrolment: Enrolment, lease: Lease, step: Step) -> Enrolment:
        """Go the arrow of ``step`` and write what it brought.

        Raises:
            Rejected: the ProductInstanceUri is bound to another device (T3).
            Unavailable: the lease was taken over, or the store cannot write.
        """
        cause = self._cause(step)
        known = self._seen.get(lease.enrolment_id)
        seen = await self._store.write(
            lambda tx: _advance(tx, enrolment, known, lease, step, cause)
        )
        if seen.enrolment.state in ENDED:
            self._seen.pop(lease.enrolment_id, None)
        else:
            self._seen[lease.enrolment_id] = seen
        return seen.enrolment

    async def mail(self) -> list[Mail]:
        """Take in what arrived since the last call; empty and cheap where nothing did."""
        messages = inbox.waiting(self._store.reader)
        if not messages:
            return []
        last = messages[-1].id
        await self._store.write(lambda tx: inbox.take(tx, last))
        reported = [one.payload for one in messages if one.kind is inbox.News.SOFTWARE]
        mail = [Mail(product_instance_uris=tuple(dict.fromkeys(reported)))] if reported else []
        if any(one.kind is inbox.News.TICKETS for one in messages):
            mail.append(Mail(product_instance_uris=()))
        return mail

    def _cause(self, step: Step | None = None) -> Cause:
        reason = step.reason if step else None
        return Cause(
            actor=self._worker,
            now=self._now(),
            reason=reason or "",
            detail=step.detail if step else "",
        )


@asynccontextmanager
async def open_journal(
    store: Store, *, name: str, now: Callable[[], datetime]
) -> AsyncIterator[StoreJournal]:
    """Register an engine, free what dead ones held, and give it its journal.

    Args:
        store: of the site.
        name: unique among all engines ever, letters and digits.
        now: the present, timezone-aware.

    Raises:
        StoreUnavailable: the engine cannot be registered.
    """
    with leases.EngineLock.take(store.path, name):
        cause = Cause(actor=name, now=now())
        await store.write(lambda tx: leases.take_over(tx, store.path, name, cause=cause))
        try:
            yield StoreJournal(store, worker=name, now=now)
        finally:
            await store.write(lambda tx: leases.leave(tx, name))


@dataclass(frozen=True, slots=True)
class _Seen:
    """An enrolment, and when it was changed last, as the database holds it."""

    enrolment: Enrolment
    updated: int


def _seen(row: EnrolmentRow, report: SoftwareReport | None) -> _Seen:
    return _Seen(_value(row, report), to_stored(row.updated))


def _advance(
    tx: Transaction,
    enrolment: Enrolment,
    known: _Seen | None,
    lease: Lease,
    step: Step,
    cause: Cause,
) -> _Seen:
    plain = Cause(actor=cause.actor, now=cause.now) if cause.reason or cause.detail else cause
    if step.also is not None:
        cast(Change, step.also)(tx)
    for ticket in step.tickets:
        tickets.put(tx, ticket, cause=plain)
    for note in step.notes:
        audit.append(
            tx,
            audit.Kind.ENROLMENT,
            enrolment.id,
            note.action,
            cause=plain,
            enrolment_id=enrolment.id,
            detail=note.detail,
        )
    seen = _go(tx, enrolment, known, lease, step, cause)
    if step.event is Event.IDENTITY_PROVEN:
        facts = seen.enrolment.facts
        if not facts.product_instance_uri or not facts.key_digest:
            raise Misuse("an identity is proven by a name and a key")
        bindings.bind(
            tx, seen.enrolment.id, facts.product_instance_uri, facts.key_digest, cause=plain
        )
    if step.then is not None:
        seen = _go(tx, seen.enrolment, seen, lease, Step(event=step.then), plain)
    return seen


def _go(
    tx: Transaction,
    enrolment: Enrolment,
    known: _Seen | None,
    lease: Lease,
    step: Step,
    cause: Cause,
) -> _Seen:
    """Go the arrow from what is known, or else from what the database holds."""
    if known is not None:
        before = known.enrolment
        columns = _columns(step.facts, before.facts)
        after = enrolments.advance_from(
            tx, lease, (before.state, known.updated), step.event, cause=cause, columns=columns
        )
        if after is not None:
            moved = Enrolment(
                id=before.id,
                url=before.url,
                state=after,
                facts=_together(before.facts, step.facts) if columns else before.facts,
                reason=step.reason,
                detail=step.detail[: audit.MAX_DETAIL],
                software=enrolment.software,
            )
            return _Seen(moved, cause.stamp())
    columns = _columns(step.facts, NOTHING_NEW)
    row = enrolments.advance(tx, lease, step.event, cause=cause, columns=columns)
    return _seen(row, enrolment.software)


def _together(known: Facts, new: Facts) -> Facts:
    return Facts(**{name: getattr(new, name) or getattr(known, name) for name in _COLUMNS})


def _columns(new: Facts, known: Facts) -> Columns:
    """Return what ``new`` says that ``known`` does not, by column."""
    columns: dict[str, str] = {}
    for name, column in _COLUMNS.items():
        value = getattr(new, name)
        if value and value != getattr(known, name):
            columns[column] = value
    return cast(Columns, columns)


_COLUMNS: Final[Mapping[str, str]] = {
    **{one.name: one.name for one in fields(Facts)},
    "ticket_digest": "ticket_digests",
}
"""Where each of the facts is kept."""


def _read(reader: Readable, row: EnrolmentRow) -> Enrolment:
    """Return ``row`` with the last report about the device."""
    uri = row.product_instance_uri
    return _value(row, software.last_report(reader, uri) if uri else None)


def _value(row: EnrolmentRow, report: SoftwareReport | None) -> Enrolment:
    return Enrolment(
        id=row.id,
        url=row.url,
        state=row.state,
        facts=Facts(
            product_instance_uri=row.product_instance_uri,
            serial_number=row.serial_number,
            manufacturer=row.manufacturer,
            model=row.model,
            software_revision=row.software_revision,
            ticket_digest=row.ticket_digests,
            identity_thumbprint=row.identity_thumbprint,
            key_digest=row.key_digest,
        ),
        reason=Reason(row.reason) if row.reason else None,
        detail=row.detail,
        software=report,
    )
