"""A journal that forgets: what a campaign would find, without writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from registrar.core.enrolment import State, advance
from registrar.core.ports import Enrolment, Lease, Mail, Step


class PreviewJournal:
    """Fits ``Journal``; every device is new to it."""

    def __init__(self) -> None:
        self._enrolments: list[Enrolment] = []

    async def discover(self, urls: Sequence[str]) -> list[Enrolment]:
        """Return a new enrolment for each URL."""
        self._enrolments = [
            Enrolment(id=number, url=url, state=State.DISCOVERED) for number, url in enumerate(urls)
        ]
        return list(self._enrolments)

    async def unfinished(self) -> list[Enrolment]:
        """Return nothing: a preview names its devices."""
        return []

    async def find(self, enrolment_id: int) -> Enrolment:
        """Return the enrolment as the preview left it."""
        return self._enrolments[enrolment_id]

    async def acquire(self, enrolment: Enrolment) -> Lease:
        """Return a lease nobody competes for."""
        return Lease(enrolment_id=enrolment.id, fence=0)

    async def release(self, lease: Lease) -> None:
        """Do nothing."""

    async def advance(self, enrolment: Enrolment, lease: Lease, step: Step) -> Enrolment:
        """Return where ``step`` would lead."""
        moved = replace(
            enrolment,
            state=advance(enrolment.state, step.event),
            facts=step.facts,
            reason=step.reason,
            detail=step.detail,
        )
        self._enrolments[lease.enrolment_id] = moved
        return moved

    async def mail(self) -> list[Mail]:
        """Return nothing: nobody writes to a preview."""
        return []
