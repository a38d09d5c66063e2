"""What must follow each message at both ends, by state, and speakers that say them.

Each message is well formed for the place where it comes: numbers, channel and token are right, so
that the order alone decides. Threat-model 5.2: HEL, then OPN, then MSG; anything else closes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from asyncua import ua

from registrar.errors import RegistrarError
from registrar.status import StatusCode
from registrar.ua import transport
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.channel import ChannelState, ClientChannel, ServerChannel
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

What = str | StatusCode
"""The event a message is reported as, or the status it is refused with."""

Outcome = tuple[str, What]
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
    "renewing": {
        "OPN": REFUSED,  # for another request than the renewal's
        "renewal": ("open", ChannelOpened.__name__),
        "MSG": ("renewing", MessageReceived.__name__),
        "ERR": ENDED,
        **dict.fromkeys(("ACK", "HEL", "CLO", "RHE", "unknown"), REFUSED),
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

UNASKED: Table = {
    before: {
        "MSG": message,
        "ERR": ENDED,
        **dict.fromkeys(("ACK", "HEL", "OPN", "renewal", "CLO", "RHE", "unknown"), REFUSED),
    }
    for before, message in {
        "opening": REFUSED,  # nothing could be asked before the channel is open
        "open": ("open", MessageReceived.__name__),
    }.items()
}
"""What a server may say while its OPN is processed, by the state in which that came."""

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


class Speaker:
    """Says messages to a channel and reports what came of each."""

    def __init__(self, channel: ClientChannel | ServerChannel) -> None:
        self._channel = channel
        self._sequence = 0
        self._opens = 0
        """OPNs said, each for a token of its own."""
        self._held: OpenReceived | None = None

    @property
    def state(self) -> str:
        """Where the channel stands, as the tables call it."""
        return self._channel.state

    def say(self, message: str) -> Outcome:
        """Return the state after ``message`` and what was reported or said."""
        channel, data = self._channel, BESIDE.get(message) or self._bytes(message)
        was_closed = channel.state is ChannelState.CLOSED
        try:
            event = self._take(_only(channel.receive(data, 0)))
        except RegistrarError as error:
            return self.state, self._heard(error)
        return self.state, SILENTLY if was_closed else type(event).__name__

    def open(self, message: str) -> None:
        """Say an OPN and leave it to be processed."""
        event = _only(self._channel.receive(self._bytes(message), 0))
        assert isinstance(event, OpenReceived)
        self._held = event

    def hold(self, message: str) -> list[Event]:
        """Say something while an OPN is processed."""
        return self._channel.receive(BESIDE.get(message) or self._bytes(message), 0)

    def settle(self) -> list[What]:
        """Process the OPN, and return what came of all that was said meanwhile."""
        outcomes: list[What] = []
        try:
            self._take(self._held)
            while events := self._channel.receive(b"", 0):
                outcomes += [type(self._take(event)).__name__ for event in events]
        except RegistrarError as error:
            outcomes.append(self._heard(error))
        return outcomes

    def _bytes(self, message: str) -> bytes:
        raise NotImplementedError

    def _take(self, event: Event | None) -> object:
        raise NotImplementedError

    def _heard(self, error: RegistrarError) -> StatusCode:
        return error.status


class ToServer(Speaker):
    """Says a client's messages to a ServerChannel."""

    _channel: ServerChannel

    def __init__(self, client: ApplicationIdentity, server: ApplicationIdentity) -> None:
        super().__init__(make_pair(NONE, Mode.None_, client, server).server)
        self._identities = client, server
        self._tokens = 0

    def _bytes(self, message: str) -> bytes:
        self._sequence += 1
        if message in {"MSG", "CLO"}:
            kind, token = f"{message}F".encode(), self._opens
            return plain_chunk(kind, self._sequence, 9, b"body", token_id=token)
        renewal = message == "renewal"
        self._opens += 1
        return forge_open(
            NONE,
            Mode.None_,
            *self._identities,
            channel_id=CHANNEL if renewal else 0,
            sequence=self._sequence,
            renew=renewal,
        )

    def _take(self, event: Event | None) -> object:
        channel = self._channel
        if isinstance(event, HelloReceived):
            channel.acknowledge()
        if not isinstance(event, OpenReceived):
            return event
        requested = channel.process_open(event)
        self._tokens += 1
        channel.accept_open(requested, token_id=self._tokens, nonce=b"", created_at=MOMENT, now=0)
        return requested

    def _heard(self, error: RegistrarError) -> StatusCode:
        return StatusCode(heard(self._channel.error_message(error)))


class ToClient(Speaker):
    """Says a server's messages to a ClientChannel."""

    _channel: ClientChannel

    def __init__(self, client: ApplicationIdentity, server: ApplicationIdentity) -> None:
        super().__init__(make_pair(NONE, Mode.None_, client, server).client)
        self._channel.hello()
        self._asked = 0
        """RequestId of an OPN without an answer, or 0."""

    @property
    def state(self) -> str:
        """Where the channel stands; a renewal without an answer is a state of its own."""
        is_renewing = self._asked and self._channel.state is ChannelState.OPEN
        return "renewing" if is_renewing else self._channel.state

    def ask(self) -> None:
        """Let the client ask for a channel, or for a new token."""
        self._channel.open_request(nonce=b"", requested_lifetime_s=60, now=0, timestamp=MOMENT)
        self._asked = self._channel.next_request_id() - 1

    def _bytes(self, message: str) -> bytes:
        channel = self._channel
        is_open = channel.state is ChannelState.OPEN
        self._sequence += 1
        if message in {"MSG", "CLO"}:
            request_id = channel.next_request_id()
            if is_open:
                channel.send(request_id, b"request", 0)
            kind = f"{message}F".encode()
            return plain_chunk(kind, self._sequence, request_id, b"body", token_id=self._opens)
        if message == "renewal" and is_open and not self._asked:
            self.ask()
        is_answer = (message == "renewal") == is_open
        self._opens += 1
        content = OpenContent(
            sequence_number=self._sequence,
            request_id=self._asked if is_answer else channel.next_request_id(),
            body=encode_message(_opened(self._opens)),
        )
        return seal_plain(NONE, channel_id=CHANNEL, content=content)

    def _take(self, event: Event | None) -> object:
        if isinstance(event, Acknowledged):
            self.ask()
        if not isinstance(event, OpenReceived):
            return event
        opened = self._channel.process_open(event)
        self._asked = 0
        return opened


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


def kept(outcomes: Iterable[What]) -> list[What]:
    """Leave out the messages that came along with a refusal, which are not served any more."""
    left: list[What] = []
    for outcome in outcomes:
        if isinstance(outcome, StatusCode):
            while left and left[-1] == MessageReceived.__name__:
                left.pop()
        left.append(outcome)
    return left


def expected(table: Table, start: str, order: tuple[str, ...]) -> list[Outcome]:
    """Return what has to follow each message of ``order``; nothing follows the end."""
    state, outcomes = start, []
    for message in order:
        outcome = table[state][message] if state in table else ("closed", SILENTLY)
        outcomes.append(outcome)
        state = outcome[0]
    return outcomes
