"""Every order of up to three messages at both ends, from every state; ``orders`` has the tables."""

from __future__ import annotations

import pytest

from registrar.ua.application_identity import ApplicationIdentity
from tests.ua.orders import (
    CLIENT,
    SERVER,
    SILENTLY,
    UNASKED,
    Outcome,
    Speaker,
    ToClient,
    ToServer,
    expected,
    kept,
    orders,
)


@pytest.mark.clause("threat-model 5.2")
@pytest.mark.clause("OPC 10000-6 §6.7.4")
def test_every_order_of_a_clients_messages(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    tried = 0
    for order in orders(SERVER):
        speaker = ToServer(client, server)
        assert [speaker.say(message) for message in order] == expected(SERVER, "start", order), (
            order
        )
        tried += 1

    assert tried == 8 + 8**2 + 8**3


@pytest.mark.clause("T24")
@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize("start", ["greeted", "renewing"])
def test_every_order_of_a_servers_messages(
    client: ApplicationIdentity, server: ApplicationIdentity, start: str
) -> None:
    """From the start, and while a renewal has no answer yet."""
    tried = 0
    for order in orders(CLIENT):
        speaker = ToClient(client, server)
        if start == "renewing":
            speaker.say("ACK")
            speaker.say("OPN")
            speaker.ask()
        assert speaker.state == start
        assert [speaker.say(message) for message in order] == expected(CLIENT, start, order), order
        tried += 1

    assert tried == 9 + 9**2 + 9**3


def check_held(speaker: Speaker, order: tuple[str, ...], outcomes: list[Outcome]) -> None:
    """Say ``order`` while an OPN is processed: nothing happens before, and all of it after that."""
    state = speaker.state

    assert [speaker.hold(message) for message in order] == [[]] * len(order)
    assert speaker.state == state
    settled = speaker.settle()

    wanted = [what for _, what in outcomes if what is not SILENTLY]
    assert kept(settled) == kept(wanted), order
    assert speaker.state == outcomes[-1][0], order


@pytest.mark.clause("threat-model 5.2")
@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize("opening", ["OPN", "renewal"])
def test_every_order_of_a_clients_messages_while_its_open_is_processed(
    client: ApplicationIdentity, server: ApplicationIdentity, opening: str
) -> None:
    for order in orders(SERVER):
        speaker = ToServer(client, server)
        speaker.say("HEL")
        if opening == "renewal":
            speaker.say("OPN")
        speaker.open(opening)

        check_held(speaker, order, expected(SERVER, "open", order))


@pytest.mark.clause("T24")
@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize("opening", ["OPN", "renewal"])
def test_every_order_of_a_servers_messages_while_its_open_is_processed(
    client: ApplicationIdentity, server: ApplicationIdentity, opening: str
) -> None:
    for order in orders(CLIENT):
        speaker = ToClient(client, server)
        speaker.say("ACK")
        if opening == "renewal":
            speaker.say("OPN")
        speaker.open(opening)

        start = "open" if opening == "renewal" else "opening"
        check_held(speaker, order, expected(UNASKED, start, order))
