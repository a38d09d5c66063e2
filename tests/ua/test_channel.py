"""A client and a server of ours talk over bytes alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from asyncua import ua

from registrar.errors import Misuse, ProtocolViolation
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.channel import ChannelState
from registrar.ua.events import (
    CloseReceived,
    ErrorReceived,
    MessageAborted,
    MessageReceived,
    OpenReceived,
)
from registrar.ua.security_policy import BASIC256SHA256, NONE, SecurityPolicy
from registrar.ua.sequence_numbers import LEGACY_WRAP_AFTER
from tests.ua.pairing import (
    ALL,
    MOMENT,
    Mode,
    feed,
    make_identity,
    make_pair,
    open_pair,
    plain_chunk,
)

SIZES = (0, 1, 7, 8, 9, 15, 16, 17, 1000, 200_000)


@pytest.mark.clause("OPC 10000-6 §6.7.2")
@pytest.mark.parametrize(("policy", "mode"), ALL)
def test_messages_of_any_size_pass_unchanged(
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    client: ApplicationIdentity,
    server: ApplicationIdentity,
) -> None:
    pair = open_pair(policy, mode, client, server)

    for size in SIZES:
        pair.exchange(bytes(i & 0xFF for i in range(size)))


@pytest.mark.slow
@pytest.mark.clause("OPC 10000-6 §6.7.2.5")
@pytest.mark.parametrize(("policy", "mode"), ALL[1:])
@pytest.mark.parametrize(
    ("client_bits", "server_bits"), list(itertools.permutations((2048, 3072, 4096), 2))
)
def test_keys_may_be_longer_on_either_side(
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    client_bits: int,
    server_bits: int,
    long_keys: Mapping[int, ApplicationIdentity],
) -> None:
    pair = make_pair(policy, mode, long_keys[client_bits], long_keys[server_bits])
    pair.greet()

    opened = pair.open()
    pair.exchange(b"longer keys")

    assert opened.channel_id == 7
    assert pair.server.peer_certificate == long_keys[client_bits].certificate


@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize(("policy", "mode"), ALL)
def test_opening_costs_three_private_operations_a_side(
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    client: ApplicationIdentity,
    server: ApplicationIdentity,
) -> None:
    pair = open_pair(policy, mode, client, server)

    # One signature and two blocks each.
    expected = 0 if policy.is_none else 3
    assert pair.client.private_key_operations == expected
    assert pair.server.private_key_operations == expected


@pytest.mark.clause("OPC 10000-6 §7.1.2.2")
@pytest.mark.parametrize("step", [1, 2, 3, 7, 8, 9, 11, 12, 13, 23, 24, 25, 31, 1000])
def test_any_fragmentation_gives_the_same_messages(
    step: int, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    feed(pair.server, pair.client.hello(), step)
    feed(pair.client, pair.server.acknowledge(), step)
    [received] = feed(pair.server, pair.request_open(), step)
    assert isinstance(received, OpenReceived)
    [answered] = feed(pair.client, pair.accept_open(pair.server.process_open(received)), step)
    assert isinstance(answered, OpenReceived)
    pair.client.process_open(answered)
    requests = b"".join(pair.client.send(pair.client.next_request_id(), bytes(i), 0) for i in SIZES)

    events = feed(pair.server, requests, step)

    assert [event.body for event in events if isinstance(event, MessageReceived)] == [
        bytes(i) for i in SIZES
    ]


def test_a_message_may_be_cut_at_every_byte(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    length = len(pair.client.send(pair.client.next_request_id(), bytes(40), 0))
    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)

    for cut in range(length + 1):
        request_id = pair.client.next_request_id()
        data = pair.client.send(request_id, bytes(40), 0)
        events = pair.server.receive(data[:cut], 0) + pair.server.receive(data[cut:], 0)
        assert events == [MessageReceived(request_id, bytes(40))]
        pair.respond(request_id, b"")


@pytest.mark.clause("OPC 10000-6 §6.7.2.2")
def test_chunks_of_several_messages_may_interleave(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(NONE, Mode.None_, client, server)
    sequence = itertools.count(2)

    def chunk(kind: bytes, request_id: int, body: bytes) -> bytes:
        return plain_chunk(kind, next(sequence), request_id, body)

    events = pair.server.receive(
        chunk(b"MSGC", 5, b"a1")
        + chunk(b"MSGC", 6, b"b1")
        + chunk(b"MSGC", 5, b"a2")
        + chunk(b"MSGF", 7, b"c")
        + chunk(b"MSGF", 6, b"b2")
        + chunk(b"MSGF", 5, b"a3"),
        0,
    )

    assert events == [
        MessageReceived(7, b"c"),
        MessageReceived(6, b"b1b2"),
        MessageReceived(5, b"a1a2a3"),
    ]


@pytest.mark.clause("OPC 10000-6 §6.7.3")
def test_an_abort_chunk_ends_a_response(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    request_id = pair.request(b"?")
    status = StatusCode.BadResponseTooLarge

    events = pair.client.receive(
        pair.server.abort(request_id, status=status, now=0, reason="too large"), 0
    )

    assert events == [MessageAborted(request_id, status, "too large")]
    assert pair.client.outstanding == 0
    pair.exchange(b"the channel goes on")


@pytest.mark.clause("OPC 10000-4 §5.6.3")
def test_close_ends_the_channel_on_both_sides(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.Sign, client, server)

    events = pair.server.receive(pair.client.close_message(now=0, timestamp=MOMENT), 0)

    assert events == [CloseReceived()]
    assert pair.server.state is ChannelState.CLOSED
    assert pair.client.state is ChannelState.CLOSED
    with pytest.raises(ProtocolViolation):
        pair.client.send(pair.client.next_request_id(), b"", 0)


@pytest.mark.clause("OPC 10000-6 §7.1.5")
def test_an_error_message_is_understood_by_both_sides(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    error = ProtocolViolation("inner detail", status=StatusCode.BadTcpSecureChannelUnknown)
    heard = ErrorReceived(StatusCode.BadTcpSecureChannelUnknown, "BadTcpSecureChannelUnknown")
    pair = open_pair(NONE, Mode.None_, client, server)
    other = open_pair(NONE, Mode.None_, client, server)

    assert pair.client.receive(pair.server.error_message(error), 0) == [heard]
    assert other.server.receive(other.client.error_message(error), 0) == [heard]
    assert pair.client.receive(b"more", 0) == []


@pytest.mark.clause("OPC 10000-6 §6.7.2.3")
def test_certificate_chains_are_sent_and_taken_apart(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    issuer = make_identity(2048, "issuer").certificate
    with_chain = ApplicationIdentity(
        certificate=client.certificate, private_key=client.private_key, chain=(issuer,)
    )
    other = ApplicationIdentity(
        certificate=server.certificate, private_key=server.private_key, chain=(issuer,)
    )

    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, with_chain, other)
    pair.exchange(b"x")

    assert pair.server.peer_certificate == client.certificate
    assert pair.server.peer_chain == (issuer,)
    assert pair.client.peer_chain == (issuer,)


@pytest.mark.clause("OPC 10000-6 §6.7.2.3")
def test_the_client_chooses_one_of_several_identities(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    second = make_identity(2048, "second identity")
    pair = make_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, second, others=(server,))
    pair.greet()

    pair.open()

    assert pair.server.identity is second


@pytest.mark.parametrize("first", [1, 0, 1000, LEGACY_WRAP_AFTER - 3, 0xFFFF_FFFF])
@pytest.mark.clause("OPC 10000-6 §6.7.2.4")
def test_sequence_numbers_wrap_in_the_middle_of_a_channel(
    first: int, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(
        BASIC256SHA256, Mode.SignAndEncrypt, client, server, first_sequence_number=first
    )

    for _ in range(10):
        pair.exchange(b"x")


def test_our_own_mistakes_are_misuse(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(BASIC256SHA256, Mode.Sign, client, server)

    with pytest.raises(Misuse):
        pair.request_open()
    with pytest.raises(Misuse):
        pair.server.acknowledge()
    with pytest.raises(Misuse):
        make_pair(NONE, Mode.Sign, client, server)
    with pytest.raises(Misuse):
        make_pair(BASIC256SHA256, Mode.None_, client, server)
