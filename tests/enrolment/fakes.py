"""A journal in memory and a driver that plays a script, with a clock that only they move."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from registrar.core.enrolment import ENDED, Command, Event, State, advance
from registrar.core.ports import Enrolment, Facts, Lease, Mail, Step
from registrar.core.software import SoftwareReport
from registrar.errors import Reason, Rejected, Unavailable

Act = Callable[[Enrolment], Awaitable[Step | None]]
"""What a pretended device does on one command."""


@dataclass
class MemoryJournal:
    """Fits ``Journal``; leases are fenced as the store does it."""

    rows: dict[int, Enrolment] = field(default_factory=dict)
    fences: dict[int, int] = field(default_factory=dict)
    bindings: dict[str, int] = field(default_factory=dict)
    arrows: list[tuple[str, State]] = field(default_factory=list)
    letters: list[Mail] = field(default_factory=list)

    async def discover(self, urls: Sequence[str]) -> list[Enrolment]:
        known = {row.url: row for row in self.rows.values()}
        for url in urls:
            if url not in known:
                row = Enrolment(id=len(self.rows) + 1, url=url, state=State.DISCOVERED)
                known[url] = self.rows[row.id] = row
        return [known[url] for url in urls]

    async def known(self, urls: Sequence[str]) -> list[Enrolment]:
        return [row for row in self.rows.values() if row.url in urls]

    async def unfinished(self) -> list[Enrolment]:
        return [row for row in self.rows.values() if row.state not in ENDED]

    async def find(self, enrolment_id: int) -> Enrolment:
        return self.rows[enrolment_id]

    async def acquire(self, enrolment: Enrolment) -> Lease:
        fence = self.fences.get(enrolment.id, 0) + 1
        self.fences[enrolment.id] = fence
        return Lease(enrolment_id=enrolment.id, fence=fence)

    async def release(self, lease: Lease) -> None:
        return None

    async def advance(self, enrolment: Enrolment, lease: Lease, step: Step) -> Enrolment:
        await asyncio.sleep(0)
        if lease.fence != self.fences[enrolment.id]:
            raise Unavailable("the lease was taken over", reason=Reason.BUSY)
        if step.event is Event.IDENTITY_PROVEN:
            self._bind(enrolment)
        uri = step.facts.product_instance_uri
        row = replace(
            self.rows[enrolment.id],
            state=advance(enrolment.state, step.event),
            reason=step.reason,
            detail=step.detail,
            facts=step.facts if uri else self.rows[enrolment.id].facts,
        )
        self.rows[row.id] = row
        self.arrows.append((row.url, row.state))
        return row

    def _bind(self, enrolment: Enrolment) -> None:
        holder = self.bindings.setdefault(enrolment.facts.product_instance_uri, enrolment.id)
        if holder != enrolment.id:
            raise Rejected("bound to another", reason=Reason.PRODUCT_INSTANCE_URI_CONFLICT)

    async def mail(self) -> list[Mail]:
        taken, self.letters = self.letters, []
        return taken

    def report(self, uri: str, report: SoftwareReport) -> None:
        for row in self.rows.values():
            if row.facts.product_instance_uri == uri:
                self.rows[row.id] = replace(row, software=report)
        self.letters.append(Mail(product_instance_uris=(uri,)))


async def _identify(enrolment: Enrolment) -> Step:
    name = enrolment.url.rpartition("/")[2]
    facts = Facts(product_instance_uri=f"urn:{name}", serial_number=name, model="m")
    return Step(event=Event.TICKET_MATCHED, facts=facts)


def does(event: Event) -> Act:
    """Answer a command with ``event``."""

    async def act(_: Enrolment) -> Step:
        return Step(event=event)

    return act


async def _await_software(enrolment: Enrolment) -> Step | None:
    if enrolment.software is not None and enrolment.software.is_current:
        return Step(event=Event.SOFTWARE_CURRENT)
    return None


HEALTHY: Mapping[Command, Act] = {
    Command.READ_IDENTITIES: _identify,
    Command.PROVE_IDENTITY: does(Event.IDENTITY_PROVEN),
    Command.BEGIN_PROVISIONING: does(Event.PROVISIONING_BEGUN),
    Command.PROVISION_DCA: does(Event.DCA_CONFIRMED),
    Command.AWAIT_SOFTWARE: _await_software,
    Command.CONFIGURE_APPLICATIONS: does(Event.APPLICATIONS_CONFIRMED),
}


@dataclass
class ScriptedVisit:
    acts: Mapping[Command, Act]
    on_close: Callable[[], None]
    on_refused: Callable[[Command], None]

    async def carry_out(self, command: Command, enrolment: Enrolment) -> Step | None:
        await asyncio.sleep(0)
        return await self.acts[command](enrolment)

    async def refused(self, command: Command, error: Rejected) -> None:
        self.on_refused(command)

    async def close(self) -> None:
        self.on_close()


@dataclass
class ScriptedDriver:
    """Every device is healthy but for what ``special`` says about its URL."""

    special: dict[str, Mapping[Command, Act]] = field(default_factory=dict)
    open: int = 0
    most_open: int = 0
    begun: list[str] = field(default_factory=list)
    refused: list[Command] = field(default_factory=list)
    unconcerned: set[str] = field(default_factory=set)

    def begin(self, url: str, lease: Lease) -> ScriptedVisit:
        self.begun.append(url)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        acts = {**HEALTHY, **self.special.get(url, {})}
        return ScriptedVisit(acts, self._closed, self.refused.append)

    async def concerned(self, urls: Sequence[str]) -> Collection[str]:
        return [url for url in urls if url not in self.unconcerned]

    def _closed(self) -> None:
        self.open -= 1
