"""What a Client takes as one whole response it would take in pieces as well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import RegistrarError
from registrar.ua.channel import ClientChannel
from registrar.ua.events import Event, MessageReceived
from registrar.ua.limits import ChannelLimits
from registrar.ua.security_policy import NONE
from tests.ua.pairing import Mode, Pair, feed, make_identity, open_pair, plain_chunk

LIMITS = ChannelLimits(max_message_size=8192)
SOMEBODY = make_identity(2048, "somebody")
REQUESTS = (2, 3)
"""Of the two that wait for their response; the OPN was 1."""

NEXT = 2
"""SequenceNumber of the next chunk of the server."""


def waiting() -> ClientChannel:
    """Return a channel without security, on which everything is determined."""
    pair: Pair = open_pair(NONE, Mode.None_, SOMEBODY, SOMEBODY, client_limits=LIMITS)
    for _ in REQUESTS:
        pair.client.send(pair.client.next_request_id(), b"a request", 0)
    return pair.client


def by_receiving(client: ClientChannel, data: bytes, now: float) -> list[Event]:
    return client.receive(data, now)


def by_one_piece(client: ClientChannel, data: bytes, now: float) -> list[Event]:
    response = client.receive_response(data, now)
    return client.receive(data, now) if response is None else [MessageReceived(*response)]


Pieces = list[tuple[bytes, float]]


def outcomes(pieces: Pieces) -> list[list[object]]:
    """Return what happened piece by piece, either way."""
    told: list[list[object]] = []
    for take in (by_receiving, by_one_piece):
        client, seen = waiting(), list[object]()
        for data, now in pieces:
            try:
                seen.append(take(client, data, now))
            except RegistrarError as error:
                seen.append((type(error), error.status, str(error)))
            seen.append((client.state, client.outstanding))
        told.append(seen)
    return told


WHOLE = plain_chunk(b"MSGF", NEXT, 2, b"a response")
CASES: dict[str, Pieces] = {
    "a response": [(WHOLE, 0)],
    "two responses": [(WHOLE, 0), (plain_chunk(b"MSGF", NEXT + 1, 3, b"another"), 0)],
    "two at once": [(WHOLE + plain_chunk(b"MSGF", NEXT + 1, 3, b"another"), 0)],
    "half a response": [(WHOLE[:20], 0), (WHOLE[20:], 0)],
    "a whole one behind half a one": [(WHOLE[:20], 0), (WHOLE, 0)],
    "the same twice": [(WHOLE, 0), (WHOLE, 0)],
    "a number left out": [(plain_chunk(b"MSGF", NEXT + 1, 2, b"x"), 0)],
    "to no request": [(plain_chunk(b"MSGF", NEXT, 9, b"x"), 0)],
    "on another channel": [(plain_chunk(b"MSGF", NEXT, 2, b"x", channel_id=8), 0)],
    "by another token": [(plain_chunk(b"MSGF", NEXT, 2, b"x", token_id=2), 0)],
    "by a token that is over": [(WHOLE, 1e6)],
    "too long a message": [(plain_chunk(b"MSGF", NEXT, 2, bytes(8193)), 0)],
    "in parts": [
        (plain_chunk(b"MSGC", NEXT, 2, b"in "), 0),
        (plain_chunk(b"MSGF", NEXT + 1, 3, b"between"), 0),
        (plain_chunk(b"MSGF", NEXT + 2, 2, b"parts"), 0),
    ],
    "too long in parts": [
        (plain_chunk(b"MSGC", NEXT, 2, bytes(8000)), 0),
        (plain_chunk(b"MSGF", NEXT + 1, 2, bytes(8000)), 0),
    ],
    "aborted": [(plain_chunk(b"MSGA", NEXT, 2, bytes(8)), 0)],
    "too short": [(b"MSGF\x10\x00\x00\x00" + bytes(8), 0)],
    "nothing": [(b"", 0)],
    "after the end": [(b"RHEF\x10\x00\x00\x00" + bytes(8), 0), (WHOLE, 0)],
}


@pytest.mark.clause("OPC 10000-6 §6.7.2")
@pytest.mark.parametrize("pieces", CASES.values(), ids=CASES)
def test_both_ways_agree(pieces: Pieces) -> None:
    long, short = outcomes(pieces)

    assert short == long


@given(
    at=st.integers(0, len(WHOLE) - 1),
    byte=st.integers(0, 255),
    tail=st.sampled_from([b"", b"M", WHOLE]),
)
def test_both_ways_agree_on_changed_bytes(at: int, byte: int, tail: bytes) -> None:
    data = WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :] + tail

    long, short = outcomes([(data, 0), (WHOLE, 0)])

    assert short == long


def test_one_piece_takes_what_it_is_for() -> None:
    channel = waiting()

    assert channel.receive_response(WHOLE, 0) == (2, b"a response")
    assert channel.receive_response(WHOLE[:-1], 0) is None
    assert feed(channel, plain_chunk(b"MSGF", NEXT + 1, 3, b"x"), 5) == [MessageReceived(3, b"x")]
