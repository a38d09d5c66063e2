"""A change at any byte ends the channel, and all failures of an OPN look alike."""

from __future__ import annotations

import os

import pytest
from asyncua import ua

from registrar.errors import (
    Rejected,
)
from registrar.status import StatusCode
from registrar.ua import transport
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.channel import ChannelState, ClientChannel
from registrar.ua.events import OpenReceived
from registrar.ua.security_policy import (
    AES256_SHA256_RSAPSS,
    BASIC256SHA256,
    SecurityPolicy,
)
from tests.ua.pairing import (
    MOMENT,
    SECURED,
    Mode,
    Pair,
    flip,
    heard,
    make_pair,
    open_pair,
    take_open,
)


@pytest.mark.clause("T15")
@pytest.mark.slow
@pytest.mark.clause("OPC 10000-6 §6.7.2")
def test_a_change_at_any_byte_of_an_open_request_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    pair.greet()
    data = pair.request_open()

    for at in range(len(data)):
        victim = make_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
        victim.greet()
        told = told_after(victim, flip(data, at))
        # Only a greater MessageSize may make us wait, and 8 KiB is its end; behind the message
        # header all failures are one (T15).
        assert told is not None or 4 <= at < 8
        assert at < 12 or told == StatusCode.BadSecurityChecksFailed


def told_after(pair: Pair, data: bytes) -> int | None:
    """Return what the client hears after an OPN that must not open the channel."""
    try:
        requested = take_open(pair, data)
    except Rejected as error:
        return heard(pair.server.error_message(error))
    assert requested is None
    return None


@pytest.mark.clause("OPC 10000-6 §6.7.2")
def test_a_change_at_any_byte_of_an_open_response_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(AES256_SHA256_RSAPSS, Mode.Sign, client, server)
    pair.greet()
    nonce = os.urandom(32)

    def client_waits() -> ClientChannel:
        victim = make_pair(AES256_SHA256_RSAPSS, Mode.Sign, client, server).client
        victim.hello()
        victim.receive(acknowledge, 0)
        victim.open_request(nonce=nonce, requested_lifetime_s=60, now=0, timestamp=MOMENT)
        return victim

    acknowledge = transport.encode_acknowledge(
        transport.Acknowledge(
            receive_buffer_size=65536, send_buffer_size=65536, max_message_size=0, max_chunk_count=0
        )
    )
    data = pair.answer_open(pair.request_open())
    step = 7
    for at in [*range(12), *range(12, len(data), step)]:
        victim = client_waits()
        try:
            events = victim.receive(flip(data, at), 0)
            if events:
                [received] = events
                assert isinstance(received, OpenReceived)
                victim.process_open(received)
                pytest.fail(f"byte {at} may be changed")
        except Rejected:
            assert victim.state is ChannelState.CLOSED
        else:
            assert 4 <= at < 8


@pytest.mark.clause("OPC 10000-6 §6.7.2")
@pytest.mark.parametrize(("policy", "mode"), SECURED)
def test_a_change_of_a_message_is_refused(
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    client: ApplicationIdentity,
    server: ApplicationIdentity,
) -> None:
    """The header byte by byte; what is encrypted byte by byte in test_symmetric."""
    for at in (*range(16), 16, 31, 40, -33, -32, -1):
        victim = open_pair(policy, mode, client, server)
        data = victim.client.send(victim.client.next_request_id(), b"a small request", 0)
        try:
            events = victim.server.receive(flip(data, at % len(data)), 0)
        except Rejected:
            assert victim.server.state is ChannelState.CLOSED
        else:
            assert events == []
            assert 4 <= at < 8
