"""The live view: counts, rate and last refusals; silent where there is no terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from registrar.cli.demo_view import CAMPAIGN, DemoView
from registrar.cli.view import LAST_REFUSALS, CampaignView
from registrar.core.enrolment import State
from registrar.core.ports import Enrolment
from registrar.enrolment.outcome import Outcome, outcome_of
from registrar.errors import Reason


def enrolment(number: int, state: State, reason: Reason | None = None) -> Enrolment:
    return Enrolment(id=number, url=f"opc.tcp://d{number}:4840", state=state, reason=reason)


def refusal(number: int) -> Outcome:
    return outcome_of(enrolment(number, State.REFUSED, Reason.TICKET_SIGNATURE_INVALID))


def rendered(view: CampaignView) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(view.render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_counts_stand_beside_their_states_and_the_rate_follows_the_clock() -> None:
    times = iter([0.0, 2.0])
    view = CampaignView(total=4, clock=lambda: next(times))
    view.observe(enrolment(1, State.PROVISIONING))
    view.observe(enrolment(1, State.ONBOARDED))
    view.observe(enrolment(2, State.PROVISIONING))
    view.end(outcome_of(enrolment(3, State.ONBOARDED)))

    text = rendered(view)

    assert [line.split() for line in text.splitlines()[1:]] == [
        ["provisioning", "1"],
        ["onboarded", "2"],
    ]
    assert "2 of 4 ended in 2.0 s, 1 a second" in text


def test_only_the_last_refusals_are_shown() -> None:
    view = CampaignView(total=None)
    for number in range(LAST_REFUSALS + 1):
        view.end(refusal(number))

    text = rendered(view)

    assert "opc.tcp://d0:4840" not in text
    assert text.count("ticket_signature_invalid") == LAST_REFUSALS


def test_names_from_devices_cannot_move_the_cursor() -> None:
    view = CampaignView(total=None)
    url = "opc.tcp://\x1b[2J"
    view.end(outcome_of(Enrolment(id=1, url=url, state=State.REFUSED, reason=Reason.NOT_A_DCA)))

    assert "\x1b" not in rendered(view)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_campaign_is_shown_on_terminals_only(is_terminal: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=is_terminal, width=100)

    with CampaignView(total=1, console=console) as view:
        view.end(refusal(1))

    assert bool(file.getvalue()) is is_terminal


def test_a_demo_says_its_phases_in_any_case() -> None:
    file = io.StringIO()

    with DemoView(total=1, console=Console(file=file, width=100)) as view:
        view.phase("making the site")
        view.phase(CAMPAIGN)
        view.end(refusal(1))

    assert [line.split(" s  ")[1] for line in file.getvalue().splitlines()] == [
        "making the site …",
        "onboarding …",
    ]
