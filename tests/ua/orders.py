"""Every order of up to three messages, at both ends; one table for each says what must follow.

Each message is well formed for the place where it comes: numbers, channel and token are right, so
that the order alone decides. Threat-model 5.2: HEL, then OPN, then MSG; anything else closes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import pytest
from asyncua import ua

from registrar.errors import RegistrarError
from registrar.status import StatusCode
from registrar.ua import transport
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.channel import ChannelState
from registrar.ua.codec import encode_message
from registrar.ua.events import (
    Acknowledged,
    ChannelOpened,
    CloseReceived,
    ErrorReceived,
    Event,
    HelloReceived,
    MessageReceived,
    OpenReceived,
    OpenRequested,
)
from registrar.ua.limits import ChannelLimits
from registrar.ua.open_chunk import OpenContent, seal_plain
from registrar.ua.security_policy import NONE
from tests.ua.pairing import MOMENT, URL, Mode, forge_open, heard, make_pair, plain_chunk

CHANNEL = 7
LONGEST = 3
VIOLATION = StatusCode.BadTcpMessageTypeInvalid
CHECKS_FAILED = StatusCode.BadSecurityChecksFailed
SILENTLY = "silently"
"""Nothing is done and nothing is said: the channel is over."""

Outcome = tuple[str, "str | StatusCode"]
"""The state a message leads to, and what is reported or said of it."""

REFUSED: Outcome = ("closed", VIOLATION)
FORGED: Outcome = ("closed", CHECKS_FAILED)
ENDED: Outcome = ("closed", ErrorReceived.__name__)

Table = Mapping[str, Mapping[str, Outcome]]

SERVER: Table = {
    "start": {
        "HEL": ("acknowledged", HelloReceived.__name__),
        **dict.fromkeys(("OPN", "renewal", "MSG", "CLO", "ERR", "RHE", "unknown"), REFUSED),
    },
    "acknowledged": {
        "OPN": ("open", OpenRequested.__name__),
        "renewal": FORGED,  # for a channel that is none yet
        "ERR": ENDED,
        **dict.fromkeys(("HEL", "MSG", "CLO", "RHE", "unknown"), REFUSED),
    },
    "open": {
        "OPN": FORGED,  # one connection carries one channel
        "renewal": ("open", OpenRequested.__name__),
        "MSG": ("open", MessageReceived.__name__),
        "CLO": ("closed", CloseReceived.__name__),
        "ERR": ENDED,
        **dict.fromkeys(("HEL", "RHE", "unknown"), REFUSED),
    },
}
"""By state and message of the client."""

CLIENT: Table = {
    "greeted": {
        "ACK": ("opening", Acknowledged.__name__),
        "ERR": ENDED,
        **dict.fromkeys(("HEL", "OPN", "renewal", "MSG", "CLO", "RHE", "unknown"), REFUSED),
    },
    "opening": {
        "OPN": ("open", ChannelOpened.__name__),
        "renewal": REFUSED,  # for a request nobody made
        "ERR": ENDED,
        **dict.fromkeys(("ACK", "HEL", "MSG", "CLO", "RHE", "unknown"), REFUSED),
    },
    "open": {
        "OPN": REFUSED,  # nobody asked
        "renewal": ("open", ChannelOpened.__name__),
        "MSG": ("open", MessageReceived.__name__),
        "ERR": ENDED,
        **dict.fromkeys(("ACK", "HEL", "CLO", "RHE", "unknown"), REFUSED),
    },
}
"""By state and message of the server; a renewal is asked for just before, where it can be."""

BESIDE: Mapping[str, bytes] = {
    "HEL": transport.encode_hello(transport.offer(ChannelLimits(), URL)),
    "ACK": transport.encode_acknowledge(
        transport.Acknowledge(
            receive_buffer_size=65_536,
            send_buffer_size=65_536,
            max_message_size=0,
            max_chunk_count=0,
        )
    ),
    "ERR": transport.encode_error(
        transport.ErrorMessage(error=StatusCode.BadTcpInternalError, reason="")
    ),
    "RHE": transport.encode_reverse_hello(
        transport.ReverseHello(server_uri="urn:s", endpoint_url=URL)
    ),
    "unknown": transport.HEADER.pack(b"XYZ", b"F", 16) + bytes(8),
}
"""Messages without a sequence number."""


class ToServer:
    """Says a client's messages to a ServerChannel and reports what came of each."""

    def __init__(self, client: ApplicationIdentity, server: ApplicationIdentity) -> None:
        self._identities = client, server
        self._channel = make_pair(NONE, Mode.None_, client, server).server
        self._sequence = 0
        self._token = 0

    def say(self, message: str) -> Outcome:
        """Return the state after ``message`` and what was reported or said."""
        channel, data = self._channel, self._bytes(message)
        was_closed = channel.state is ChannelState.CLOSED
        try:
            event = self._take(data)
        except RegistrarError as error:
            return channel.state, StatusCode(heard(channel.error_message(error)))
        return channel.state, SILENTLY if was_closed else type(event).__name__

    def _bytes(self, message: str) -> bytes:
        if message in BESIDE:
            return BESIDE[message]
        self._sequence += 1
        if message in {"MSG", "CLO"}:
            kind, token = f"{message}F".encode(), self._token
            return plain_chunk(kind, self._sequence, 9, b"body", token_id=token)
        renewal = message == "renewal"
        return forge_open(
            NONE,
            Mode.None_,
            *self._identities,
            channel_id=CHANNEL if renewal else 0,
            sequence=self._sequence,
            renew=renewal,
        )

    def _take(self, data: bytes) -> object:
        channel = self._channel
        event = _only(channel.receive(data, 0))
        if isinstance(event, HelloReceived):
            channel.acknowledge()
        if not isinstance(event, OpenReceived):
            return event
        requested = channel.process_open(event)
        self._token += 1
        channel.accept_open(requested, token_id=self._token, nonce=b"", created_at=MOMENT, now=0)
        return requested


class ToClient:
    """Says a server's messages to a ClientChannel and reports what came of each."""

    def __init__(self, client: ApplicationIdentity, server: ApplicationIdentity) -> None:
        self._channel = make_pair(NONE, Mode.None_, client, server).client
        self._channel.hello()
        self._sequence = 0
        self._tokens = 0

    def say(self, message: str) -> Outcome:
        """Return the state after ``message`` and what was reported or said."""
        channel, data = self._channel, BESIDE.get(message) or self._bytes(message)
        was_closed = channel.state is ChannelState.CLOSED
        try:
            event = self._take(data)
        except RegistrarError as error:
            return channel.state, error.status
        return channel.state, SILENTLY if was_closed else type(event).__name__

    def _bytes(self, message: str) -> bytes:
        channel, renewal = self._channel, message == "renewal"
        self._sequence += 1
        if message in {"MSG", "CLO"}:
            request_id = channel.next_request_id()
            if channel.state is ChannelState.OPEN:
                channel.send(request_id, b"request", 0)
            kind = f"{message}F".encode()
            return plain_chunk(kind, self._sequence, request_id, b"body", token_id=self._tokens)
        if renewal and channel.state is ChannelState.OPEN:
            channel.open_request(nonce=b"", requested_lifetime_s=60, now=0, timestamp=MOMENT)
        self._tokens += 1
        response = _opened(self._tokens)
        wrong = renewal and channel.state is not ChannelState.OPEN
        content = OpenContent(
            sequence_number=self._sequence,
            request_id=channel.next_request_id() - (not wrong),
            body=encode_message(response),
        )
        return seal_plain(NONE, channel_id=CHANNEL, content=content)

    def _take(self, data: bytes) -> object:
        channel = self._channel
        event = _only(channel.receive(data, 0))
        if isinstance(event, Acknowledged):
            channel.open_request(nonce=b"", requested_lifetime_s=60, now=0, timestamp=MOMENT)
        return channel.process_open(event) if isinstance(event, OpenReceived) else event


def _only(events: list[Event]) -> Event | None:
    """Return what one message led to: one event, or none where the channel is closed."""
    assert len(events) <= 1
    return events[0] if events else None


def _opened(token_id: int) -> ua.OpenSecureChannelResponse:
    token = ua.ChannelSecurityToken(
        ua.UInt32(CHANNEL), ua.UInt32(token_id), MOMENT, ua.UInt32(60_000)
    )
    result = ua.OpenSecureChannelResult(SecurityToken=token)
    return ua.OpenSecureChannelResponse(Parameters=result)


def orders(table: Table) -> Iterator[tuple[str, ...]]:
    """Return every order of one to three messages; a client may also hear an ACK."""
    [messages] = {tuple(sorted(row)) for row in table.values()}
    for length in range(1, LONGEST + 1):
        yield from product(messages, repeat=length)


def expected(table: Table, start: str, order: tuple[str, ...]) -> list[Outcome]:
    """Return what has to follow each message of ``order``; nothing follows the end."""
    state, outcomes = start, []
    for message in order:
        outcome = table[state][message] if state in table else ("closed", SILENTLY)
        outcomes.append(outcome)
        state = outcome[0]
    return outcomes


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
def test_every_order_of_a_servers_messages(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    tried = 0
    for order in orders(CLIENT):
        speaker = ToClient(client, server)
        assert [speaker.say(message) for message in order] == expected(CLIENT, "greeted", order), (
            order
        )
        tried += 1

    assert tried == 9 + 9**2 + 9**3
