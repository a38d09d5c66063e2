"""What the engine needs from others, said by the engine's side.

The classes that fit stand elsewhere: a driver carries the commands out (``onboarding`` calls the
devices), a journal keeps what happened (over ``store``). Nothing here is ever imported by them
to be inherited; they fit by shape.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Never, Protocol

from registrar.core.enrolment import Command, Event, State
from registrar.core.software import SoftwareReport
from registrar.core.valid_ticket import ValidTicket
from registrar.errors import Reason, Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about a device; an empty field says nothing new."""

    product_instance_uri: str = ""
    serial_number: str = ""
    manufacturer: str = ""
    model: str = ""
    software_revision: str = ""
    """As its Ticket states it."""
    ticket_digest: str = ""
    """Which Tickets decided, separated by blanks, the device's own first."""
    identity_thumbprint: str = ""
    """SHA-256 of the selected DeviceIdentity Certificate, hexadecimal."""
    key_digest: str = ""
    """SHA-256 of the SubjectPublicKeyInfo that was proven; binds the ProductInstanceUri (T3)."""


NOTHING_NEW: Final = Facts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """One device's way through onboarding, as the journal holds it."""

    id: int
    url: str
    state: State
    facts: Facts = NOTHING_NEW
    reason: Reason | None = None
    detail: str = ""
    software: SoftwareReport | None = None
    """The last report about its software."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something an auditor must find beside the arrow: a choice, a suppressed check."""

    action: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a command led to: one event and what was learned on the way."""

    event: Event
    then: Event | None = None
    """What follows without anything to be done for it; goes into the same transaction."""
    facts: Facts = NOTHING_NEW
    reason: Reason | None = None
    detail: str = ""
    notes: tuple[Note, ...] = ()
    tickets: tuple[ValidTicket, ...] = ()
    """Tickets the device brought along; kept with the arrow they led to."""
    also: Callable[[Never], object] | None = None
    """What is written just before the arrow, with it; who made it and the journal know on what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to write about one enrolment, until somebody takes a newer one."""

    enrolment_id: int
    fence: int


class Visit(Protocol):
    """One run of one device; it may keep a connection between its commands."""

    def carry_out(self, command: Command, enrolment: Enrolment) -> Awaitable[Step | None]:
        """Do ``command``, looking before writing; None where somebody else must act first.

        Raises:
            Rejected: the device is at fault; the reason says how.
            Unavailable: try again later.
        """
        ...

    def refused(self, command: Command, error: Rejected) -> Awaitable[None]:
        """Take back what ``command`` gave the device, since the ledger refuses what it did."""
        ...

    def close(self) -> Awaitable[None]:
        """Let go of the device; never raises."""
        ...


class Driver(Protocol):
    """Who carries out the commands."""

    def begin(self, url: str, lease: Lease) -> Visit:
        """Start a run; nothing is sent before the first command.

        Args:
            url: where the device is.
            lease: under which the ledger is written.
        """
        ...

    def concerned(self, urls: Sequence[str]) -> Awaitable[Collection[str]]:
        """Return which of these devices, waiting for a Ticket, new ones may speak for.

        Whoever is named is looked at again from the beginning, so too many do no harm.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What came from outside a campaign while it runs."""

    product_instance_uris: tuple[str, ...]
    """Whom it concerns; empty: whoever waits for a Ticket."""


class Journal(Protocol):
    """Where enrolments are kept; each call is one durable transaction with its audit entries."""

    def discover(self, urls: Sequence[str]) -> Awaitable[list[Enrolment]]:
        """Return the enrolments of ``urls`` in their order, creating those that are new."""
        ...

    def known(self, urls: Sequence[str]) -> Awaitable[list[Enrolment]]:
        """Return the enrolments there are of ``urls``, in no order; writes nothing."""
        ...

    def unfinished(self) -> Awaitable[list[Enrolment]]:
        """Return every enrolment that has not ended."""
        ...

    def find(self, enrolment_id: int) -> Awaitable[Enrolment]:
        """Return one enrolment as it stands now."""
        ...

    def acquire(self, enrolment: Enrolment) -> Awaitable[Lease]:
        """Take the lease; every older one is void from now on."""
        ...

    def release(self, lease: Lease) -> Awaitable[None]:
        """Give the lease back."""
        ...

    def advance(self, enrolment: Enrolment, lease: Lease, step: Step) -> Awaitable[Enrolment]:
        """Go the arrow of ``step`` and write what it brought.

        Raises:
            Rejected: the ProductInstanceUri is bound to another device (T3).
            Unavailable: the lease was taken over, or the store cannot write.
        """
        ...

    def mail(self) -> Awaitable[list[Mail]]:
        """Take in what arrived since the last call; empty and cheap where nothing did."""
        ...
