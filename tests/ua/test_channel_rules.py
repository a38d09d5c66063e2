"""States, numbers and tokens of a channel; whoever breaks a rule ends it."""

from __future__ import annotations

import pytest
from asyncua import ua

from registrar.errors import (
    Misuse,
    ProtocolViolation,
    Rejected,
    SecurityChecksFailed,
)
from registrar.status import StatusCode
from registrar.ua import transport
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.channel import ChannelState
from registrar.ua.conversation import GRACE
from registrar.ua.security_policy import (
    AES128_SHA256_RSAOAEP,
    BASIC256SHA256,
    NONE,
    SecurityPolicy,
)
from tests.ua.pairing import (
    ALL,
    Mode,
    forge_open,
    heard,
    make_identity,
    make_pair,
    open_pair,
    plain_chunk,
    take_open,
)

# State machine


@pytest.mark.clause("OPC 10000-6 §7.1.2.2")
@pytest.mark.parametrize("kind", [b"OPN", b"MSG", b"CLO", b"ACK", b"ERR", b"RHE", b"XXX"])
def test_a_server_takes_nothing_before_hello(
    kind: bytes, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(NONE, Mode.None_, client, server)

    with pytest.raises(ProtocolViolation):
        pair.server.receive(transport.HEADER.pack(kind, b"F", 100), 0)

    assert pair.server.state is ChannelState.CLOSED


@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize("kind", [b"HEL", b"MSG", b"CLO", b"ACK"])
def test_a_server_takes_nothing_but_open_before_the_channel_is_open(
    kind: bytes, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(NONE, Mode.None_, client, server)
    pair.greet()

    with pytest.raises(ProtocolViolation):
        pair.server.receive(transport.HEADER.pack(kind, b"F", 100), 0)


@pytest.mark.clause("OPC 10000-6 §6.7.4")
@pytest.mark.parametrize("kind", [b"MSG", b"ACK", b"HEL", b"CLO"])
def test_a_client_takes_nothing_but_open_before_the_channel_is_open(
    kind: bytes, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(NONE, Mode.None_, client, server)
    pair.greet()
    pair.request_open()

    with pytest.raises(ProtocolViolation):
        pair.client.receive(transport.HEADER.pack(kind, b"F", 100), 0)


def test_a_client_takes_no_open_it_did_not_ask_for(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = make_pair(NONE, Mode.None_, client, server)
    pair.greet()
    answer = pair.answer_open(pair.request_open())
    pair.finish_open(answer)

    with pytest.raises(ProtocolViolation):
        pair.client.receive(answer, 0)


@pytest.mark.parametrize("kind", [b"OPNC", b"OPNA", b"CLOC", b"MSGX", b"ERRC"])
@pytest.mark.clause("OPC 10000-6 §6.7.2.2")
def test_only_messages_have_chunks(
    kind: bytes, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(NONE, Mode.None_, client, server)

    with pytest.raises(ProtocolViolation):
        pair.server.receive(plain_chunk(kind, 2, 1, b""), 0)


# Channel, token, sequence, request


@pytest.mark.clause("OPC 10000-6 §6.7.2")
@pytest.mark.parametrize(
    ("chunk", "status"),
    [
        (plain_chunk(b"MSGF", 2, 1, b"", channel_id=8), StatusCode.BadTcpSecureChannelUnknown),
        (plain_chunk(b"MSGF", 2, 1, b"", token_id=2), StatusCode.BadSecureChannelTokenUnknown),
        (plain_chunk(b"MSGF", 1, 1, b""), StatusCode.BadSequenceNumberInvalid),
        (plain_chunk(b"MSGF", 3, 1, b""), StatusCode.BadSequenceNumberInvalid),
        (plain_chunk(b"MSGF", 0, 1, b""), StatusCode.BadSequenceNumberInvalid),
    ],
)
def test_a_wrong_number_ends_the_channel(
    chunk: bytes, status: StatusCode, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(NONE, Mode.None_, client, server)

    with pytest.raises(ProtocolViolation) as caught:
        pair.server.receive(chunk, 0)

    assert caught.value.status is status
    assert pair.server.state is ChannelState.CLOSED
    told = heard(pair.server.error_message(caught.value))
    # A wrong sequence number is for the log alone.
    secret = status is StatusCode.BadSequenceNumberInvalid
    assert told == (StatusCode.BadSecurityChecksFailed if secret else status)


@pytest.mark.clause("OPC 10000-6 §6.7.2.4")
def test_a_replayed_message_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    data = pair.client.send(pair.client.next_request_id(), b"once", 0)
    pair.server.receive(data, 0)

    with pytest.raises(Rejected):
        pair.server.receive(data, 0)


def test_a_response_to_a_request_nobody_made_ends_the_channel(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    request_id = pair.request(b"?")

    with pytest.raises(ProtocolViolation):
        pair.client.receive(pair.server.send(request_id + 1, b"!", 0), 0)


def test_a_second_response_to_one_request_ends_the_channel(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(NONE, Mode.None_, client, server)
    request_id = pair.request(b"?")
    pair.respond(request_id, b"!")

    with pytest.raises(ProtocolViolation):
        pair.client.receive(pair.server.send(request_id, b"!", 0), 0)


# Renewal


@pytest.mark.clause("OPC 10000-4 §5.6.2")
@pytest.mark.parametrize(("policy", "mode"), ALL)
def test_renewal_changes_the_token_and_nothing_else(
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    client: ApplicationIdentity,
    server: ApplicationIdentity,
) -> None:
    pair = open_pair(policy, mode, client, server)
    assert pair.client.renew_at == 45

    for token_id in range(2, 6):
        opened = pair.open(now=45.0 * (token_id - 1))
        pair.exchange(b"x", now=45.0 * (token_id - 1))
        assert opened.renewed
        assert (opened.channel_id, opened.token_id) == (7, token_id)


@pytest.mark.clause("OPC 10000-4 §5.6.2")
def test_the_old_token_serves_until_the_new_one_is_used(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.SignAndEncrypt, client, server)
    before = pair.client.send(pair.client.next_request_id(), b"before", 0)
    renewal = pair.request_open(now=45)
    [_] = pair.server.receive(before, 45)
    answer = pair.answer_open(renewal, 45)
    # The server answers with the old token, because the client may not know the new one yet.
    late = pair.server.send(2, b"late", 45)
    pair.finish_open(answer, 45)
    [_] = pair.client.receive(late, 45)
    assert list(pair.server.tokens) == [1, 2]

    pair.exchange(b"with the new token", 45)

    assert list(pair.server.tokens) == [2]
    assert list(pair.client.tokens) == [2]


def test_many_renewals_without_a_message_keep_two_tokens(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.Sign, client, server)
    request_id = pair.request(b"?")
    for _ in range(4):
        pair.open()

    pair.respond(request_id, b"!")

    assert len(pair.server.tokens) == 2


@pytest.mark.clause("OPC 10000-4 §5.6.2")
@pytest.mark.parametrize(("late_s", "taken"), [(-0.001, True), (0, True), (0.001, False)])
def test_a_token_is_over_a_quarter_after_its_lifetime(
    late_s: float, taken: bool, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(BASIC256SHA256, Mode.Sign, client, server)
    data = pair.client.send(pair.client.next_request_id(), b"x", 0)
    now = 60 * GRACE + late_s

    if taken:
        assert len(pair.server.receive(data, now)) == 1
        pair.client.send(pair.client.next_request_id(), b"x", now)
        return
    with pytest.raises(ProtocolViolation):
        pair.server.receive(data, now)
    with pytest.raises(ProtocolViolation):
        pair.client.send(pair.client.next_request_id(), b"x", now)


@pytest.mark.clause("OPC 10000-6 §6.7.4")
def test_a_renewal_keeps_certificate_policy_and_mode(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    stranger = make_identity(2048, "stranger")
    for policy, mode, identity in (
        (AES128_SHA256_RSAOAEP, Mode.Sign, client),
        (BASIC256SHA256, Mode.SignAndEncrypt, client),
        (BASIC256SHA256, Mode.Sign, stranger),
        (NONE, Mode.None_, client),
    ):
        pair = open_pair(BASIC256SHA256, Mode.Sign, client, server)
        data = forge_open(policy, mode, identity, server, channel_id=7, sequence=2, renew=True)
        with pytest.raises(SecurityChecksFailed) as caught:
            take_open(pair, data)
        assert heard(pair.server.error_message(caught.value)) == 0x80130000


@pytest.mark.parametrize("lifetime_s", [-1, 4_294_968, float("nan"), float("inf")])
def test_a_lifetime_that_cannot_be_asked_for_is_misuse(lifetime_s: float) -> None:
    pair = make_pair(NONE, Mode.None_, *(make_identity(2048, name) for name in "ab"))
    pair.greet()

    with pytest.raises(Misuse):
        pair.request_open(lifetime_s=lifetime_s)
