"""The engine against scripted devices: states, failures, waiting, fairness, resume."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import replace

import pytest

from registrar.core.enrolment import Command, Event, State
from registrar.core.ports import Enrolment, Mail, Step
from registrar.core.software import SoftwareReport
from registrar.enrolment import Engine, EngineLimits, Outcome
from registrar.errors import Reason, Rejected, StoreUnavailable, Unavailable
from tests.enrolment.fakes import Act, MemoryJournal, ScriptedDriver, does

FAST = EngineLimits(
    step_s=0.2,
    device_s=0.5,
    attempts=3,
    backoff_initial_s=0.001,
    backoff_maximum_s=0.002,
    software_wait_s=0.05,
    mail_interval_s=0.001,
)


def urls(count: int) -> list[str]:
    return [f"opc.tcp://10.0.{n // 200}.{n % 200 + 1}:4840/d{n}" for n in range(count)]


def engine(journal: MemoryJournal, driver: ScriptedDriver, limits: EngineLimits = FAST) -> Engine:
    return Engine(driver=driver, journal=journal, random=lambda: 0.5, limits=limits)


async def run(
    it: Engine,
    of: list[str] | None,
    *,
    retry: Collection[State] = (),
    listen: bool = False,
) -> dict[str, Outcome]:
    found = [outcome async for outcome in it.run(of, retry=retry, listen=listen)]
    assert len({outcome.url for outcome in found}) == len(found)
    return {outcome.url: outcome for outcome in found}


def raises(error: Exception) -> Act:
    async def act(_: Enrolment) -> Step:
        raise error

    return act


async def hangs(_: Enrolment) -> Step:
    await asyncio.Event().wait()
    raise AssertionError


async def test_healthy_devices_end_onboarded_one_arrow_at_a_time() -> None:
    journal, driver = MemoryJournal(), ScriptedDriver()

    outcomes = await run(engine(journal, driver), urls(1))

    assert [state for _, state in journal.arrows] == [
        State.IDENTIFIED,
        State.PROVEN,
        State.PROVISIONING,
        State.CONFIGURING,
        State.ONBOARDED,
    ]
    (outcome,) = outcomes.values()
    assert (outcome.state, outcome.reason, outcome.next_action) == (State.ONBOARDED, None, "")
    assert outcome.serial_number == "d0"
    assert driver.open == 0


async def test_an_onboarded_device_is_left_alone() -> None:
    journal, driver = MemoryJournal(), ScriptedDriver()
    it = engine(journal, driver)
    await run(it, urls(1))
    driver.begun.clear()

    outcomes = await run(it, urls(1))

    assert outcomes[urls(1)[0]].state is State.ONBOARDED
    assert driver.begun == []


async def test_a_refusal_names_reason_detail_and_next_action() -> None:
    (url,) = urls(1)
    error = Rejected("d0: prove_identity: no key", reason=Reason.KEY_NOT_PROVEN)
    driver = ScriptedDriver({url: {Command.PROVE_IDENTITY: raises(error)}})

    outcome = (await run(engine(MemoryJournal(), driver), [url]))[url]

    assert (outcome.state, outcome.reason) == (State.REFUSED, Reason.KEY_NOT_PROVEN)
    assert outcome.detail == "d0: prove_identity: no key"
    assert "copy" in outcome.next_action


@pytest.mark.parametrize("reason", [Reason.ALREADY_OWNED, Reason.PRODUCT_INSTANCE_URI_CONFLICT])
async def test_what_belongs_to_another_is_a_conflict(reason: Reason) -> None:
    (url,) = urls(1)
    error = Rejected("taken", reason=reason)
    driver = ScriptedDriver({url: {Command.PROVISION_DCA: raises(error)}})

    outcome = (await run(engine(MemoryJournal(), driver), [url]))[url]

    assert (outcome.state, outcome.reason) == (State.CONFLICT, reason)


@pytest.mark.clause("R14")
@pytest.mark.clause("R16")
async def test_one_product_instance_uri_is_bound_once() -> None:
    first, second = "opc.tcp://10.0.0.1:4840/same", "opc.tcp://10.0.0.2:4840/same"

    driver = ScriptedDriver()

    outcomes = await run(engine(MemoryJournal(), driver), [first, second])

    assert driver.refused == [Command.PROVE_IDENTITY], "what it did can be taken back"
    assert sorted(outcome.state for outcome in outcomes.values()) == [
        State.CONFLICT,
        State.ONBOARDED,
    ]
    (loser,) = [o for o in outcomes.values() if o.state is State.CONFLICT]
    assert loser.reason is Reason.PRODUCT_INSTANCE_URI_CONFLICT


async def test_an_unreachable_device_gets_all_its_attempts_then_ends() -> None:
    (url,) = urls(1)
    driver = ScriptedDriver({url: {Command.READ_IDENTITIES: raises(Unavailable("refused"))}})

    outcome = (await run(engine(MemoryJournal(), driver), [url]))[url]

    assert (outcome.state, outcome.reason) == (State.UNREACHABLE, Reason.UNREACHABLE)
    assert len(driver.begun) == FAST.attempts


async def test_a_device_that_comes_back_is_onboarded() -> None:
    (url,) = urls(1)
    failures = iter([Unavailable("reset")] * (FAST.attempts - 1))

    async def flaky(_: Enrolment) -> Step:
        for failure in failures:
            raise failure
        return Step(event=Event.DCA_CONFIRMED)

    driver = ScriptedDriver({url: {Command.PROVISION_DCA: flaky}})

    outcome = (await run(engine(MemoryJournal(), driver), [url]))[url]

    assert outcome.state is State.ONBOARDED


async def test_a_stuck_device_ends_in_its_budget_and_delays_nobody() -> None:
    stuck, *healthy = urls(65)
    driver = ScriptedDriver({stuck: {Command.READ_IDENTITIES: hangs}})
    limits = replace(FAST, concurrency=2, concurrency_per_subnet=2)
    ended = []

    async for outcome in engine(MemoryJournal(), driver, limits).run([stuck, *healthy]):
        ended.append(outcome)

    assert ended[-1].url == stuck
    assert (ended[-1].state, ended[-1].reason) == (State.UNREACHABLE, Reason.TIMED_OUT)
    assert all(outcome.state is State.ONBOARDED for outcome in ended[:-1])


@pytest.mark.parametrize(("total", "per_subnet", "most"), [(3, 9, 3), (9, 2, 4), (1, 1, 1)])
async def test_concurrency_is_bounded_in_total_and_per_subnet(
    total: int, per_subnet: int, most: int
) -> None:
    two_subnets = [f"opc.tcp://10.0.{n % 2}.{n + 1}:4840/d{n}" for n in range(30)]
    driver = ScriptedDriver()
    limits = replace(FAST, concurrency=total, concurrency_per_subnet=per_subnet)

    await run(engine(MemoryJournal(), driver, limits), two_subnets)

    assert driver.most_open == most


async def test_our_own_failure_leaves_the_device_where_it_stands() -> None:
    (url,) = urls(1)
    driver = ScriptedDriver({url: {Command.PROVISION_DCA: raises(StoreUnavailable("disk full"))}})
    journal = MemoryJournal()

    outcome = (await run(engine(journal, driver), [url]))[url]

    assert (outcome.state, outcome.reason) == (State.PROVISIONING, Reason.STORE_UNAVAILABLE)


async def test_a_fault_of_ours_ends_one_device_only(caplog: pytest.LogCaptureFixture) -> None:
    bad, good = urls(2)
    driver = ScriptedDriver({bad: {Command.READ_IDENTITIES: raises(KeyError("x"))}})

    outcomes = await run(engine(MemoryJournal(), driver), [bad, good])

    assert outcomes[bad].reason is Reason.INTERNAL
    assert outcomes[good].state is State.ONBOARDED
    assert "ended unexpectedly" in caplog.text


async def test_a_device_without_ticket_waits_and_is_taken_up_when_tickets_come() -> None:
    slow, waiting = urls(2)
    journal = MemoryJournal()
    looked_once, looked_twice = asyncio.Event(), asyncio.Event()

    async def look(_: Enrolment) -> Step:
        if looked_once.is_set():
            looked_twice.set()
            return Step(event=Event.TICKET_MATCHED)
        looked_once.set()
        return Step(event=Event.TICKET_MISSING, reason=Reason.TICKET_MISSING)

    async def tickets_arrive(_: Enrolment) -> Step:
        await looked_once.wait()
        journal.letters.append(Mail(product_instance_uris=()))
        await looked_twice.wait()
        return Step(event=Event.DCA_CONFIRMED)

    driver = ScriptedDriver(
        {
            waiting: {Command.READ_IDENTITIES: look},
            slow: {Command.PROVISION_DCA: tickets_arrive},
        }
    )

    outcomes = await run(engine(journal, driver), [slow, waiting])

    assert outcomes[waiting].state is State.ONBOARDED


async def test_tickets_for_others_wake_nobody() -> None:
    slow, concerned, other = urls(3)
    journal = MemoryJournal()
    looks = {concerned: 0, other: 0}
    looked_twice = asyncio.Event()

    async def look(enrolment: Enrolment) -> Step:
        looks[enrolment.url] += 1
        if looks[enrolment.url] == 2:
            looked_twice.set()
        return Step(event=Event.TICKET_MISSING, reason=Reason.TICKET_MISSING)

    async def tickets_arrive(_: Enrolment) -> Step:
        while not looked_twice.is_set():
            journal.letters.append(Mail(product_instance_uris=()))
            await asyncio.sleep(FAST.mail_interval_s)
        return Step(event=Event.DCA_CONFIRMED)

    driver = ScriptedDriver(
        {
            concerned: {Command.READ_IDENTITIES: look},
            other: {Command.READ_IDENTITIES: look},
            slow: {Command.PROVISION_DCA: tickets_arrive},
        },
        unconcerned={other},
    )

    outcomes = await run(engine(journal, driver), [slow, concerned, other])

    assert looks[concerned] > looks[other] == 1
    assert outcomes[other].state is State.AWAITING_TICKET


async def test_a_device_that_waits_in_vain_is_reported_last() -> None:
    waiting, *healthy = urls(3)
    driver = ScriptedDriver({waiting: {Command.READ_IDENTITIES: does(Event.TICKET_MISSING)}})
    ended = [o async for o in engine(MemoryJournal(), driver).run([waiting, *healthy])]

    assert (ended[-1].url, ended[-1].state) == (waiting, State.AWAITING_TICKET)
    assert ended[-1].reason is Reason.TICKET_MISSING


@pytest.mark.clause("R128")
async def test_a_listening_campaign_goes_on_when_the_software_is_reported() -> None:
    (url,) = urls(1)
    journal = MemoryJournal()
    driver = ScriptedDriver({url: {Command.PROVISION_DCA: does(Event.SOFTWARE_OUTDATED)}})
    seen: list[State] = []

    def observe(enrolment: Enrolment) -> None:
        seen.append(enrolment.state)
        if enrolment.state is State.SOFTWARE_PENDING:
            asyncio.get_running_loop().call_later(0.005, report, False)
            asyncio.get_running_loop().call_later(0.01, report, True)

    def report(is_current: bool) -> None:
        journal.report("urn:d0", SoftwareReport(is_current=is_current, revision="2"))

    it = engine(journal, driver, replace(FAST, software_wait_s=5))
    found = [o async for o in it.run([url], listen=True, observe=observe)]

    assert [o.state for o in found] == [State.ONBOARDED]
    assert State.SOFTWARE_PENDING in seen


async def test_a_device_that_is_woken_goes_on_before_others_begin() -> None:
    first, *others = urls(3)
    journal = MemoryJournal()
    driver = ScriptedDriver({first: {Command.PROVISION_DCA: does(Event.SOFTWARE_OUTDATED)}})

    def observe(enrolment: Enrolment) -> None:
        if enrolment.state is State.SOFTWARE_PENDING:
            journal.report("urn:d0", SoftwareReport(is_current=True, revision="2"))

    it = engine(journal, driver, replace(FAST, concurrency=1))
    found = [o.url async for o in it.run([first, *others], listen=True, observe=observe)]

    assert driver.begun == [first, first, *others]
    assert found == [first, *others]


@pytest.mark.parametrize("listen", [True, False])
async def test_nobody_waits_for_ever_for_software(listen: bool) -> None:
    (url,) = urls(1)
    driver = ScriptedDriver({url: {Command.PROVISION_DCA: does(Event.SOFTWARE_OUTDATED)}})

    outcome = (await run(engine(MemoryJournal(), driver), [url], listen=listen))[url]

    assert (outcome.state, outcome.reason) == (State.SOFTWARE_PENDING, Reason.SOFTWARE_OUTDATED)


async def test_refused_devices_are_retried_only_when_asked() -> None:
    (url,) = urls(1)
    error = Rejected("no", reason=Reason.TICKET_SIGNER_UNTRUSTED)
    driver = ScriptedDriver({url: {Command.READ_IDENTITIES: raises(error)}})
    it = engine(MemoryJournal(), driver)
    await run(it, [url])
    driver.special.clear()

    left = await run(it, [url])
    retried = await run(it, [url], retry={State.REFUSED})

    assert left[url].state is State.REFUSED
    assert left[url].reason is Reason.TICKET_SIGNER_UNTRUSTED
    assert retried[url].state is State.ONBOARDED


async def test_unreachable_devices_are_tried_again_by_the_next_campaign() -> None:
    (url,) = urls(1)
    driver = ScriptedDriver({url: {Command.READ_IDENTITIES: raises(Unavailable("off"))}})
    it = engine(MemoryJournal(), driver)
    await run(it, [url])
    driver.special.clear()

    assert (await run(it, [url]))[url].state is State.ONBOARDED


async def test_a_campaign_resumes_at_the_command_of_the_state() -> None:
    (url,) = urls(1)
    journal, cut = MemoryJournal(), ScriptedDriver({urls(1)[0]: {Command.PROVISION_DCA: hangs}})
    reached = asyncio.Event()

    def observe(enrolment: Enrolment) -> None:
        if enrolment.state is State.PROVISIONING:
            reached.set()

    async def campaign() -> None:
        async with aclosing(engine(journal, cut).run([url], observe=observe)) as outcomes:
            async for _ in outcomes:
                pass

    task = asyncio.create_task(campaign())
    await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    journal.arrows.clear()

    outcomes = await run(engine(journal, ScriptedDriver()), None)

    assert outcomes[url].state is State.ONBOARDED
    assert [state for _, state in journal.arrows] == [State.CONFIGURING, State.ONBOARDED]
    assert cut.open == 0


async def test_who_lost_the_lease_writes_nothing() -> None:
    (url,) = urls(1)
    journal = MemoryJournal()

    async def taken_over(enrolment: Enrolment) -> Step:
        await journal.acquire(enrolment)
        return Step(event=Event.IDENTITY_PROVEN)

    driver = ScriptedDriver({url: {Command.PROVE_IDENTITY: taken_over}})

    outcome = (await run(engine(journal, driver), [url]))[url]

    assert (outcome.state, outcome.reason) == (State.IDENTIFIED, Reason.BUSY)
    assert journal.rows[1].state is State.IDENTIFIED


async def test_a_preview_writes_nothing_and_stops_before_the_proof() -> None:
    journal, driver = MemoryJournal(), ScriptedDriver()
    refused, fine = urls(2)
    error = Rejected("no", reason=Reason.DEVICE_CERTIFICATE_REVOKED)
    driver.special[refused] = {Command.READ_IDENTITIES: raises(error)}

    found = {o.url: o async for o in engine(journal, driver).preview([refused, fine])}

    assert journal.rows == {}
    assert found[fine].state is State.IDENTIFIED
    assert found[fine].product_instance_uri == "urn:d1"
    assert found[refused].reason is Reason.DEVICE_CERTIFICATE_REVOKED


async def test_a_preview_looks_again_but_not_at_devices_that_are_ours() -> None:
    journal, driver = MemoryJournal(), ScriptedDriver()
    error = Rejected("no", reason=Reason.DEVICE_CERTIFICATE_REVOKED)
    ours, refused, new = urls(3)
    driver.special[refused] = {Command.READ_IDENTITIES: raises(error)}
    await run(engine(journal, driver), [ours, refused])
    before = dict(journal.rows)
    del driver.special[refused]

    found = {o.url: o.state async for o in engine(journal, driver).preview([ours, refused, new])}

    assert found == {
        ours: State.ONBOARDED,
        refused: State.IDENTIFIED,
        new: State.IDENTIFIED,
    }
    assert journal.rows == before


async def test_a_consumer_that_leaves_early_leaves_no_task_behind() -> None:
    driver = ScriptedDriver()
    before = asyncio.all_tasks()

    async with aclosing(engine(MemoryJournal(), driver).run(urls(40))) as outcomes:
        async for _ in outcomes:
            break

    assert asyncio.all_tasks() == before
    assert driver.open == 0


async def test_a_thousand_devices_go_through_one_campaign() -> None:
    outcomes = await run(engine(MemoryJournal(), ScriptedDriver()), urls(1000))

    assert all(outcome.state is State.ONBOARDED for outcome in outcomes.values())
