"""The engine: a loop over the two tables of ``core.enrolment``, for many devices at once.

    discover ─▶ queue ─▶ run ─▶ command ─▶ step ─▶ journal ─▶ … ─▶ outcome
                  ▲       │ unavailable: wait with jitter
                  └───────┤
                  ▲       │ somebody else must act first
                  └ mail ─┘

A run occupies a place of the queue only while it works: a device that waits for its next attempt,
for a Ticket or for its software holds nothing. The engine decides nothing about devices; drivers
say what happened, the tables say what that means.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing

from registrar.core.enrolment import COMMANDS, Command, State
from registrar.core.ports import Driver, Enrolment, Journal
from registrar.enrolment.campaign import Campaign
from registrar.enrolment.limits import EngineLimits
from registrar.enrolment.outcome import Outcome
from registrar.enrolment.preview import PreviewJournal

RETRIED_ANYWAY = frozenset({State.AWAITING_TICKET, State.AWAITING_APPROVAL, State.UNREACHABLE})
"""States a new campaign looks at again without being told to."""

Observer = Callable[[Enrolment], None]
"""Hears where each step led, for views; must return at once."""


def ignore(_: Enrolment) -> None:
    """Observe nothing."""


class Engine:
    """Runs campaigns of devices through one driver.

    Args:
        driver: carries out the commands.
        journal: keeps the enrolments.
        limits: what happens at a time, and how long.
        random: numbers from [0, 1) for the jitter.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        driver: Driver,
        journal: Journal,
        random: Callable[[], float],
        limits: EngineLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = driver
        self._journal = journal
        self._random = random
        self._limits = limits or EngineLimits()
        self._clock = clock

    async def run(
        self,
        urls: Sequence[str] | None = None,
        *,
        retry: Collection[State] = (),
        listen: bool = False,
        observe: Observer = ignore,
    ) -> AsyncGenerator[Outcome, None]:
        """Work until every device has ended, and yield one outcome for each as it ends.

        Args:
            urls: the devices; None takes every enrolment that has not ended.
            retry: ended states to begin again, beside those of ``RETRIED_ANYWAY``.
            listen: stay for devices that wait for their software, see ``EngineLimits``.
            observe: hears where every step led.

        Raises:
            Unavailable: the journal cannot be read at the beginning.
        """
        journal = self._journal
        if urls is None:
            enrolments = await journal.unfinished()
        else:
            enrolments = await journal.discover(list(dict.fromkeys(urls)))
        campaign = self._campaign(journal, COMMANDS, RETRIED_ANYWAY | set(retry), observe)
        async with aclosing(campaign.outcomes(enrolments, listen=listen)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def preview(self, urls: Sequence[str]) -> AsyncGenerator[Outcome, None]:
        """Match and validate only: nothing is written, neither here nor on the devices."""
        unique = list(dict.fromkeys(urls))
        journal = PreviewJournal(await self._journal.known(unique))
        enrolments = await journal.discover(unique)
        commands = {State.DISCOVERED: Command.READ_IDENTITIES}
        campaign = self._campaign(journal, commands, frozenset(), ignore)
        async with aclosing(campaign.outcomes(enrolments, listen=False)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    def _campaign(
        self,
        journal: Journal,
        commands: Mapping[State, Command],
        retried: frozenset[State],
        observe: Observer,
    ) -> Campaign:
        return Campaign(
            driver=self._driver,
            journal=journal,
            commands=commands,
            retried=retried,
            observe=observe,
            limits=self._limits,
            random=self._random,
            clock=self._clock,
        )
