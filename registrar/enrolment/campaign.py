"""One campaign: its queue, its runs, and the devices that wait for somebody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from registrar.core.enrolment import ENDED, Command, Event, State
from registrar.core.ports import Driver, Enrolment, Journal, Lease, Mail, Step, Visit
from registrar.enrolment.attempts import Attempts
from registrar.enrolment.limits import EngineLimits, backoff_s, subnet_of
from registrar.enrolment.outcome import Outcome, outcome_of
from registrar.enrolment.queue import ReadyQueue
from registrar.errors import Reason, RegistrarError, Rejected, TimedOut, Unavailable

_log = logging.getLogger(__name__)

MAX_DETAIL = 1_000
"""Characters that are kept of why a device failed; part of it comes from the device."""

CONFLICTS = frozenset({Reason.PRODUCT_INSTANCE_URI_CONFLICT, Reason.ALREADY_OWNED})
"""Reasons that say another device or another Registrar was first."""

OURS = frozenset({Reason.STORE_UNAVAILABLE, Reason.ISSUER_UNAVAILABLE, Reason.INTERNAL})
"""Reasons no device is to blame for: its state stays as it is."""

_BEGINNINGS: Mapping[State, Event] = {
    State.AWAITING_TICKET: Event.TICKETS_RECEIVED,
    State.AWAITING_APPROVAL: Event.RETRIED,
    State.REFUSED: Event.RETRIED,
    State.CONFLICT: Event.RETRIED,
    State.UNREACHABLE: Event.RETRIED,
    State.RETIRED: Event.RETRIED,
}
"""How a state without a command is left when a device is taken up again."""


class Campaign:
    """Runs a set of enrolments to their ends; used once."""

    def __init__(
        self,
        *,
        driver: Driver,
        journal: Journal,
        commands: Mapping[State, Command],
        retried: frozenset[State],
        observe: Callable[[Enrolment], None],
        limits: EngineLimits,
        random: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._driver = driver
        self._journal = journal
        self._commands = commands
        self._retried = retried
        self._observe = observe
        self._limits = limits
        self._random = random
        self._clock = clock
        self._queue = ReadyQueue(total=limits.concurrency, per_subnet=limits.concurrency_per_subnet)
        self._enrolments: dict[int, Enrolment] = {}
        self._attempts: dict[int, Attempts] = {}
        self._parked: set[int] = set()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Queue[Outcome | None] = asyncio.Queue()

    async def outcomes(
        self, enrolments: Sequence[Enrolment], *, listen: bool
    ) -> AsyncGenerator[Outcome, None]:
        """Yield one outcome for each of ``enrolments`` as it ends."""
        for enrolment in enrolments:
            if enrolment.state in ENDED and enrolment.state not in self._retried:
                self._ended.put_nowait(outcome_of(enrolment))
            else:
                self._enrolments[enrolment.id] = enrolment
                self._attempts[enrolment.id] = Attempts(self._limits)
                self._make_ready(enrolment.id, again=False)
        postman = asyncio.create_task(self._read_mail())
        try:
            remaining = len(enrolments)
            while remaining:
                outcome = await self._next(listen=listen)
                if outcome is None:
                    continue
                remaining -= 1
                yield outcome
        finally:
            await self._stop(postman)

    async def _next(self, *, listen: bool) -> Outcome | None:
        """Wait for an outcome; None says that something else changed."""
        if self._ended.empty() and len(self._parked) == len(self._enrolments):
            await self._let_go_of_parked(listen=listen)
        return await self._ended.get()

    async def _let_go_of_parked(self, *, listen: bool) -> None:
        """End the devices that wait for others, unless mail wakes one in time."""
        pending = (self._enrolments[number].state for number in self._parked)
        if listen and State.SOFTWARE_PENDING in pending:
            try:
                async with asyncio.timeout(self._limits.software_wait_s):
                    self._ended.put_nowait(await self._ended.get())
                    return
            except TimeoutError:
                pass
        for number in sorted(self._parked):
            self._end(number, outcome_of(self._enrolments[number]))
        self._ended.put_nowait(None)

    async def _stop(self, postman: asyncio.Task[None]) -> None:
        for timer in self._timers.values():
            timer.cancel()
        tasks = [postman, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- whose turn it is

    def _make_ready(self, number: int, *, again: bool = True) -> None:
        self._timers.pop(number, None)
        subnet = subnet_of(self._enrolments[number].url, self._limits)
        self._queue.put(number, subnet, again=again)
        self._fill()

    def _fill(self) -> None:
        while (taken := self._queue.take()) is not None:
            task = asyncio.create_task(self._run(*taken))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, number: int, subnet: str) -> None:
        enrolment = self._enrolments[number]
        again_s: float | None = None
        outcome: Outcome | None = None
        try:
            again_s, outcome = await self._work(enrolment)
        except RegistrarError as error:
            _log.warning("%s: %s", enrolment.url, error)
            outcome = self._left(number, error.reason, _detail(error))
        except Exception as error:
            _log.exception("%s: the run ended unexpectedly", enrolment.url)
            outcome = self._left(
                number, Reason.INTERNAL, f"{type(error).__name__}: {error}"[:MAX_DETAIL]
            )
        finally:
            self._queue.done(subnet)
        if outcome is not None:
            self._end(number, outcome)
        elif again_s is not None:
            loop = asyncio.get_running_loop()
            self._timers[number] = loop.call_later(again_s, self._make_ready, number)
        else:
            await self._park(number)
        self._fill()

    def _left(self, number: int, reason: Reason, detail: str) -> Outcome:
        return outcome_of(self._enrolments[number], reason=reason, detail=detail)

    def _end(self, number: int, outcome: Outcome) -> None:
        del self._enrolments[number], self._attempts[number]
        self._parked.discard(number)
        self._ended.put_nowait(outcome)

    # --- one device

    async def _work(self, enrolment: Enrolment) -> tuple[float | None, Outcome | None]:
        """Run one device as far as it goes now.

        Returns the seconds until its next attempt, or its outcome; neither where it is parked.
        """
        lease = await self._journal.acquire(enrolment)
        visit = self._driver.begin(enrolment.url, lease)
        attempts = self._attempts[enrolment.id]
        try:
            enrolment = await self._begin(enrolment, lease)
            while (command := self._commands.get(enrolment.state)) is not None:
                step, again_s = await self._attempt(visit, command, enrolment, attempts)
                if step is None:
                    return again_s, None
                try:
                    enrolment = await self._advance(enrolment, lease, step)
                except Rejected as error:
                    await visit.refused(command, error)
                    enrolment = await self._advance(enrolment, lease, _step_of(error))
                attempts.succeeded()
        finally:
            await self._close(visit, lease)
        if enrolment.state in ENDED or enrolment.state not in _BEGINNINGS:
            return None, outcome_of(enrolment)
        return None, None

    async def _begin(self, enrolment: Enrolment, lease: Lease) -> Enrolment:
        event = _BEGINNINGS.get(enrolment.state)
        if event is None:
            return enrolment
        return await self._advance(enrolment, lease, Step(event=event))

    async def _attempt(
        self, visit: Visit, command: Command, enrolment: Enrolment, attempts: Attempts
    ) -> tuple[Step | None, float | None]:
        """Carry ``command`` out once; what failed becomes a step, or seconds to wait."""
        started = self._clock()
        try:
            async with asyncio.timeout(attempts.step_s):
                return await visit.carry_out(command, enrolment), None
        except TimeoutError:
            failure: Unavailable = TimedOut(
                f"{enrolment.url}: {command} took more than {attempts.step_s:.3g} s"
            )
        except Rejected as error:
            return _step_of(error), None
        except Unavailable as error:
            failure = error
        finally:
            attempts.spend(self._clock() - started)
        if attempts.failed(failure.reason):
            return None, backoff_s(attempts.failures, self._limits, self._random())
        if failure.reason in OURS:
            raise failure
        return Step(event=Event.LOST, reason=failure.reason, detail=_detail(failure)), None

    async def _advance(self, enrolment: Enrolment, lease: Lease, step: Step) -> Enrolment:
        moved = await self._journal.advance(enrolment, lease, step)
        self._enrolments[moved.id] = moved
        self._observe(moved)
        return moved

    async def _close(self, visit: Visit, lease: Lease) -> None:
        try:
            async with asyncio.timeout(self._limits.close_s):
                await visit.close()
        except TimeoutError:
            _log.debug("a device did not let go in time")
        await self._journal.release(lease)

    # --- waiting for others

    async def _park(self, number: int) -> None:
        """Wait for mail; what came while the run ended counts too."""
        before = self._enrolments[number]
        self._parked.add(number)
        try:
            now = await self._journal.find(number)
        except Unavailable as error:
            _log.warning("%s: %s", before.url, error)
            now = before
        if number in self._parked and now.software != before.software:
            self._wake(number, now)
        elif len(self._parked) == len(self._enrolments):
            self._ended.put_nowait(None)

    def _wake(self, number: int, enrolment: Enrolment) -> None:
        self._parked.discard(number)
        self._enrolments[number] = enrolment
        self._make_ready(number)
        self._ended.put_nowait(None)

    async def _read_mail(self) -> None:
        while True:
            await asyncio.sleep(self._limits.mail_interval_s)
            try:
                await self._distribute()
            except Unavailable as error:
                _log.warning("the inbox cannot be read: %s", error)

    async def _distribute(self) -> None:
        for mail in await self._journal.mail():
            for number in await self._concerned(mail):
                if number in self._parked:
                    self._wake(number, await self._journal.find(number))

    async def _concerned(self, mail: Mail) -> list[int]:
        """Return the parked devices that ``mail`` may be about."""
        parked = [self._enrolments[number] for number in sorted(self._parked)]
        if mail.product_instance_uris:
            reported = set(mail.product_instance_uris)
            return [one.id for one in parked if one.facts.product_instance_uri in reported]
        waiting = {one.url: one.id for one in parked if one.state is State.AWAITING_TICKET}
        concerned = await self._driver.concerned(list(waiting))
        return [number for url, number in waiting.items() if url in concerned]


def _step_of(error: Rejected) -> Step:
    event = Event.CONFLICTED if error.reason in CONFLICTS else Event.REFUSED
    return Step(event=event, reason=error.reason, detail=_detail(error))


def _detail(error: RegistrarError) -> str:
    return str(error)[:MAX_DETAIL]
