"""A journal that forgets: what a campaign would find, without writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from registrar.core.enrolment import State, advance
from registrar.core.ports import Enrolment, Lease, Mail, Step

BEGUN: Final = frozenset(
    {State.PROVISIONING, State.SOFTWARE_PENDING, State.CONFIGURING, State.ONBOARDED}
)
"""Such a device may serve what this site gave it, which no Ticket speaks for."""


class PreviewJournal:
    """Fits ``Journal``.

    Args:
        known: devices with an enrolment; all but those in ``BEGUN`` are looked at as if new.
    """

    def __init__(self, known: Sequence[Enrolment] = ()) -> None:
        self._known = {one.url: one for one in known}
        self._enrolments: dict[int, Enrolment] = {}

    async def known(self, urls: Sequence[str]) -> list[Enrolment]:
        """Return the enrolments that were given."""
        return [self._known[url] for url in urls if url in self._known]

    async def discover(self, urls: Sequence[str]) -> list[Enrolment]:
        """Return an enrolment for each URL; those that are new have negative numbers."""
        found = [self._of(-number, url) for number, url in enumerate(urls, 1)]
        self._enrolments = {one.id: one for one in found}
        return found

    def _of(self, number: int, url: str) -> Enrolment:
        one = self._known.get(url) or Enrolment(id=number, url=url, state=State.DISCOVERED)
        return one if one.state in BEGUN else replace(one, state=State.DISCOVERED)

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
