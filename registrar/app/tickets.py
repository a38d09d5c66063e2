"""Importing Tickets: verified first, kept if believed, remembered with the reason if not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Self, TypeVar

import orjson

from registrar.app.causes import by_operator, now
from registrar.app.files import Document, Meter, Unreadable, find_tickets
from registrar.app.settings import Settings
from registrar.core.reasons import describe
from registrar.core.ticket_snapshot import TicketSnapshot
from registrar.core.verify import Route, TicketPolicy, TicketVerifier, ValidTicket
from registrar.errors import Reason, TicketInvalid, Unavailable
from registrar.store import inbox
from registrar.store import tickets as stored
from registrar.store import trust as stored_trust
from registrar.store.store import Store
from registrar.store.transaction import Cause, Transaction

T = TypeVar("T")

BATCH: Final = 1024
"""Tickets verified together and kept in one transaction; some 6 MB. Fewer of them wait for the disk
more often and write the same pages of indexes again: with 256 an import took a sixth longer."""

AHEAD: Final = 2
"""Batches verified, or waiting to be, while another is stored."""

MAX_LINE_BYTES: Final = 1 << 20
"""Of what another process says about one Ticket."""

MAX_SAID_BYTES: Final = 4_096
"""Of what another process says on stderr."""

RECEIVED_COLUMNS: Final = ("source", "result", "kind", "uri", "reason", "detail", "next_action")
KEPT_COLUMNS: Final = (
    "kind",
    "uri",
    "manufacturer",
    "model",
    "serial_number",
    "software_revision",
    "signer",
)
REFUSED_COLUMNS: Final = ("uri", "reason", "detail", "at", "next_action")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of one Ticket, or of a file that holds none."""

    source: str
    """The file and the place in it."""
    uri: str = ""
    """Whom it describes; of a refused Ticket whom it claims to describe."""
    kind: str = ""
    reason: Reason | None = None
    """Why it was refused; None where it was not."""
    detail: str = ""

    @property
    def is_valid(self) -> bool:
        """Whether the Ticket is believed."""
        return self.reason is None

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Self:
        """Make it again from what ``row`` gave."""
        reason = Reason(row["reason"]) if row["reason"] else None
        return cls(
            source=row["source"],
            uri=row["uri"],
            kind=row["kind"],
            reason=reason,
            detail=row["detail"],
        )

    def row(self) -> dict[str, str]:
        """Return the values of ``RECEIVED_COLUMNS``."""
        return {
            "source": self.source,
            "result": "valid" if self.is_valid else "refused",
            "kind": self.kind,
            "uri": self.uri,
            "reason": str(self.reason or ""),
            "detail": self.detail,
            "next_action": describe(self.reason).next_action if self.reason else "",
        }


def import_files(
    store: Store, settings: Settings, paths: Iterable[Path], *, meter: Meter | None = None
) -> Iterator[Received]:
    """Verify every Ticket in the files, keep the valid ones, and yield what became of each.

    Args:
        store: the site's.
        settings: the site's; says what happens where revocation is unknown.
        paths: files and folders, see ``app.files``.
        meter: counts the bytes that were read.
    """
    for batch in _verified(ticket_verifier(store, settings), paths, meter):
        yield from store.write_sync(partial(_keep, batch=batch))


async def import_beside(directory: Path, paths: Sequence[Path]) -> AsyncGenerator[Received, None]:
    """Import in a process of its own, beside an event loop; yield what is refused.

    A thread of this process would take the interpreter from the loop for milliseconds at a time.
    A Registrar that is open hears of new Tickets as from any other process.

    Args:
        directory: the site's.
        paths: files and folders, see ``app.files``.

    Raises:
        Unavailable: the process could not do its work; what it said is in the message.
    """
    command = [sys.executable, "-m", "registrar", "tickets", "import", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command,
        str(directory),
        *map(str, paths),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=MAX_LINE_BYTES,
    )
    assert process.stdout is not None  # noqa: S101 - a pipe
    assert process.stderr is not None  # noqa: S101 - a pipe
    # Not niceness: beside a nice process of several threads the loop waited over 3 ms for its turn.
    # It has ended already, or this system does not know idle processes.
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    said = asyncio.create_task(process.stderr.read(MAX_SAID_BYTES))
    try:
        async for line in process.stdout:
            yield Received.of(orjson.loads(line))
        if await process.wait() > 1:
            raise Unavailable((await said).decode("utf-8", "replace").strip())
    finally:
        said.cancel()
        if process.returncode is None:
            process.terminate()
            await process.wait()


def verify_files(
    store: Store, settings: Settings, paths: Iterable[Path], *, meter: Meter | None = None
) -> Iterator[Received]:
    """Verify every Ticket in the files and yield what would become of each."""
    for batch in _verified(ticket_verifier(store, settings), paths, meter):
        yield from (received for _, received, _ in batch)


_Verified = tuple[Document | Unreadable, Received, ValidTicket | None]


def ticket_policy(settings: Settings) -> TicketPolicy:
    """Return what the owner allows beyond the strict reading."""
    return TicketPolicy(
        suppress_revocation_unknown=settings.revocation.accept_unknown_ticket_signers
    )


def ticket_verifier(store: Store, settings: Settings) -> TicketVerifier:
    """Return a verifier that believes whom the site trusts now."""
    return TicketVerifier(
        stored_trust.ticket_authorities(store.reader), policy=ticket_policy(settings)
    )


def looked_up(
    store: Store, settings: Settings, what: str
) -> Iterator[tuple[str, ValidTicket | Received]]:
    """Yield the Tickets in a file, or those the site has for a URI, each with its source.

    Args:
        store: the site's.
        settings: the site's.
        what: the name of a file or folder, else a ProductInstanceUri or CompositeInstanceUri.
    """
    path = Path(what)
    if not path.exists():
        for known in stored.tickets_for(store.reader, [what]):
            yield known.uri, known
        return
    for batch in _verified(ticket_verifier(store, settings), [path], None):
        for _, received, ticket in batch:
            yield received.source, ticket or received


def unreadable(found: Unreadable) -> Received:
    """Return what became of a file that holds no Ticket."""
    return Received(source=found.source, reason=Reason.FILE_INVALID, detail=found.problem)


def refused(document: Document, error: TicketInvalid) -> Received:
    """Return what became of a Ticket that is not believed."""
    return Received(
        source=document.source, uri=error.claimed_uri, reason=error.reason, detail=str(error)
    )


def _verified(
    verifier: TicketVerifier, paths: Iterable[Path], meter: Meter | None
) -> Iterator[list[_Verified]]:
    """Yield what became of each Ticket, a batch at a time, while the next ones are verified.

    Most of verifying holds no lock of the interpreter, so that reading and storing go on beside.
    """
    snapshot = TicketSnapshot(verifier, route=Route.OUT_OF_BAND, now=now())
    ahead: deque[tuple[list[Document | Unreadable], Future[list[ValidTicket | TicketInvalid]]]]
    ahead = deque()
    worker = ThreadPoolExecutor(1, thread_name_prefix="tickets")
    try:
        for found in _batches(find_tickets(paths, meter), BATCH):
            texts = [one.text for one in found if isinstance(one, Document)]
            ahead.append((found, worker.submit(snapshot.verify_all, texts)))
            if len(ahead) > AHEAD:
                yield _settled(*ahead.popleft())
        while ahead:
            yield _settled(*ahead.popleft())
    finally:
        worker.shutdown(cancel_futures=True)


def _settled(
    found: list[Document | Unreadable], results: Future[list[ValidTicket | TicketInvalid]]
) -> list[_Verified]:
    verdicts = iter(results.result())
    return [
        (one, unreadable(one), None)
        if isinstance(one, Unreadable)
        else _judged(one, next(verdicts))
        for one in found
    ]


def _judged(document: Document, result: ValidTicket | TicketInvalid) -> _Verified:
    if isinstance(result, TicketInvalid):
        return document, refused(document, result), None
    received = Received(source=document.source, uri=result.uri, kind=result.ticket.type)
    return document, received, result


def _keep(tx: Transaction, batch: Sequence[_Verified]) -> list[Received]:
    """Store a batch, and return what became of each."""
    cause = by_operator()
    believed = [(ticket, f"from {received.source}") for _, received, ticket in batch if ticket]
    results = stored.put_all(tx, believed, cause=cause)
    remaining = iter(results)
    kept: list[Received] = []
    for found, received, ticket in batch:
        result = next(remaining) if ticket else False
        if isinstance(found, Document) and isinstance(result, TicketInvalid):
            received = refused(found, result)
        if isinstance(found, Document) and received.reason is not None:
            _remember(tx, found, received, cause)
        kept.append(received)
    if True in results:
        inbox.append(tx, inbox.News.TICKETS, "", now=cause.now)
    return kept


def _remember(tx: Transaction, found: Document, received: Received, cause: Cause) -> None:
    why = replace(
        cause, reason=str(received.reason), detail=f"{received.source}: {received.detail}"
    )
    stored.remember_rejected(tx, uri=received.uri, document=found.text, cause=why)


def kept_rows(store: Store) -> Iterator[dict[str, str]]:
    """Yield the values of ``KEPT_COLUMNS`` of every Ticket of the site."""
    for one in stored.all_of(store.reader):
        ticket = one.ticket
        yield {
            "kind": ticket.type,
            "uri": one.uri,
            "manufacturer": ticket.manufacturer_name,
            "model": ticket.model_name,
            "serial_number": ticket.serial_number,
            "software_revision": ticket.software_revision,
            "signer": one.signer_subject,
        }


def refused_rows(store: Store) -> Iterator[dict[str, str]]:
    """Yield the values of ``REFUSED_COLUMNS`` of every Ticket that was refused."""
    after = 0
    while page := stored.rejected_page(store.reader, after=after):
        after = page[-1].id
        for one in page:
            yield {
                "uri": one.uri,
                "reason": one.reason,
                "detail": one.detail,
                "at": one.at.isoformat(timespec="seconds"),
                "next_action": describe(Reason(one.reason)).next_action,
            }


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch
