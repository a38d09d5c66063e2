"""What a Client bears on the wire itself: pieces, cuts, wrong numbers, endless and late answers.

The faults F3 to F16 of the threat model that an unsecured Server can show; what it says in its
answers stands in ``test_hostile_servers``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asyncua import ua

from registrar.errors import (
    MessageTooLarge,
    ProtocolViolation,
    Reason,
    RegistrarError,
    TimedOut,
)
from registrar.status import StatusCode
from registrar.ua.codec import encode_message
from registrar.ua.limits import ChannelLimits
from registrar.ua.symmetric import PlainChunks
from registrar.ua.transport import HEADER
from registrar.wire import Client, ClientLimits
from tests.wire.lying import (
    CHANNEL,
    TOKEN,
    Liar,
    acknowledge,
    answering,
    ask,
    granting,
    handle_of,
    lying,
)
from tests.wire.outcomes import LATE, NO_BUFFERS, TOO_LARGE, VIOLATION, told
from tests.wire.raw import refusal_of

QUICK = ClientLimits(connect_s=0.1, request_s=0.1, close_s=0.05)
MESSAGE_TOO_LARGE = (
    MessageTooLarge,
    StatusCode.BadTcpMessageTooLarge,
    Reason.PROTOCOL_VIOLATION,
)


def chunk(
    kind: bytes,
    request_id: int,
    body: bytes = b"",
    *,
    sequence: int = 2,
    channel: int = CHANNEL,
    token: int = TOKEN,
) -> bytes:
    """Return a chunk that follows the OPN of a ``Liar``."""
    return PlainChunks().seal(kind, channel, token, sequence, request_id, body)


@pytest.mark.clause("F3")
async def test_F3_a_server_that_answers_byte_by_byte_is_understood() -> None:
    """Slowness is bounded by the deadline alone; the pieces make no difference."""

    def crawling(liar: Liar, number: int, request: Any) -> bytes:
        loop = asyncio.get_running_loop()
        answer = liar.say(number, ua.GetEndpointsResponse(), handle_of(request))

        def send(at: int) -> None:
            liar.write(answer[at : at + 1])
            if at + 1 < len(answer):
                loop.call_soon(send, at + 1)

        send(0)
        return b""

    async with lying(crawling) as url, await Client.connect(url) as client:
        assert await client.get_endpoints() == []


@pytest.mark.clause("F3")
async def test_F3_a_server_that_never_comes_to_an_end_is_left() -> None:
    """A byte now and then does not put the deadline off."""

    def dripping(liar: Liar, number: int, request: Any) -> bytes:
        loop = asyncio.get_running_loop()
        answer = liar.say(number, ua.GetEndpointsResponse(), handle_of(request))

        def send(at: int) -> None:
            if at < len(answer) and not liar.lost.done():
                liar.write(answer[at : at + 1])
                loop.call_later(QUICK.request_s / 10, send, at + 1)

        send(0)
        return b""

    async with lying(dripping) as url, await Client.connect(url, limits=QUICK) as client:
        error = await refusal_of(client.get_endpoints())

    assert told(error) == LATE


@pytest.mark.clause("F4")
@pytest.mark.parametrize(("size", "is_taken"), [(8_191, False), (8_192, True), (2**32 - 1, True)])
async def test_F4_buffer_sizes_are_clamped_or_refused(size: int, is_taken: bool) -> None:
    """A greater buffer than ours raises nothing; a smaller one than 8,192 bytes is no offer."""
    async with answering(acknowledge(size)) as url:
        error = await refusal_of(Client.connect(url, limits=QUICK))

    assert told(error) == (LATE if is_taken else NO_BUFFERS)


@pytest.mark.clause("F5")
@pytest.mark.parametrize("kind", [b"ACK", b"ERR"])
async def test_F5_a_header_that_announces_gigabytes_is_not_waited_for(kind: bytes) -> None:
    async with answering(HEADER.pack(kind, b"F", 2**31)) as url:
        error = await refusal_of(Client.connect(url))

    assert told(error) == TOO_LARGE


@pytest.mark.clause("F5")
async def test_F5_an_answer_that_announces_gigabytes_is_not_waited_for() -> None:
    error = await ask(lambda *_: HEADER.pack(b"MSG", b"F", 2**31))

    assert told(error) == TOO_LARGE


@pytest.mark.clause("F6")
async def test_F6_half_an_answer_then_silence() -> None:
    def half(liar: Liar, number: int, request: Any) -> bytes:
        return liar.say(number, ua.GetEndpointsResponse(), handle_of(request))[:-1]

    assert told(await ask(half, QUICK)) == LATE


def endless(body_size: int) -> Callable[[Liar, int, Any], bytes]:
    """Return an answer of intermediate chunks that goes on until the Client ends it."""

    def answer(liar: Liar, number: int, request: Any) -> bytes:
        loop = asyncio.get_running_loop()
        body = bytes(body_size)

        def send(sequence: int) -> None:
            if not liar.lost.done():
                liar.write(chunk(b"MSGC", number, body, sequence=sequence))
                loop.call_soon(send, sequence + 1)

        send(2)
        return b""

    return answer


@pytest.mark.clause("F7")
@pytest.mark.parametrize(
    ("body_size", "limits"),
    [
        (0, ChannelLimits(max_chunk_count=20)),
        (8_000, ChannelLimits(max_message_size=40_000)),
    ],
    ids=["chunks", "bytes"],
)
async def test_F7_endless_intermediate_chunks_end_at_the_limit(
    body_size: int, limits: ChannelLimits
) -> None:
    error = await ask(endless(body_size), ClientLimits(channel=limits))

    assert told(error) == MESSAGE_TOO_LARGE


@pytest.mark.clause("F7")
async def test_F7_what_all_unfinished_answers_hold_is_one_budget() -> None:
    """Many answers begun at once may not hold more than one message may."""
    seen: list[int] = []

    def begun(liar: Liar, number: int, request: Any) -> bytes:
        seen.append(number)
        return chunk(b"MSGC", number, bytes(9_000), sequence=1 + len(seen))

    limits = ClientLimits(channel=ChannelLimits(max_message_size=20_000), request_s=5)
    async with lying(begun) as url, await Client.connect(url, limits=limits) as client:
        errors = await asyncio.gather(
            *(refusal_of(client.get_endpoints()) for _ in range(3)), return_exceptions=True
        )

    assert [told(error) for error in errors] == [MESSAGE_TOO_LARGE] * 3


@pytest.mark.clause("F7")
@pytest.mark.parametrize(("more", "is_taken"), [(-1, True), (0, True), (1, False)])
async def test_F7_who_proved_nothing_gives_only_short_answers(more: int, is_taken: bool) -> None:
    limit = 9_000

    def long(liar: Liar, number: int, request: Any) -> bytes:
        response = ua.FindServersResponse(Servers=[ua.ApplicationDescription()])
        url = "u" * (limit - len(encode_message(response)) + more)
        response.Servers[0].GatewayServerUri = ua.String(url)
        return liar.say(number, response, handle_of(request))

    limits = ClientLimits(discovery_size=limit)
    async with lying(long) as url, await Client.connect(url, limits=limits) as client:
        if is_taken:
            assert len(await client.find_servers()) == 1
        else:
            assert told(await refusal_of(client.find_servers())) == MESSAGE_TOO_LARGE


WRONG: dict[str, tuple[dict[str, int], StatusCode]] = {
    "sequence-again": ({"sequence": 1}, StatusCode.BadSequenceNumberInvalid),
    "sequence-ahead": ({"sequence": 3}, StatusCode.BadSequenceNumberInvalid),
    "channel": ({"channel": 8}, StatusCode.BadTcpSecureChannelUnknown),
    "channel-none": ({"channel": 0}, StatusCode.BadTcpSecureChannelUnknown),
    "token": ({"token": 2}, StatusCode.BadSecureChannelTokenUnknown),
}


@pytest.mark.clause("F8")
@pytest.mark.parametrize("what", WRONG)
async def test_F8_a_wrong_number_ends_the_connection(what: str) -> None:
    numbers, status = WRONG[what]

    def wrong(liar: Liar, number: int, request: Any) -> bytes:
        response = ua.GetEndpointsResponse()
        response.ResponseHeader.RequestHandle = handle_of(request)
        return chunk(b"MSGF", number, encode_message(response), **numbers)

    error = await ask(wrong)

    assert told(error) == (ProtocolViolation, status, Reason.PROTOCOL_VIOLATION)


@pytest.mark.clause("F8")
@pytest.mark.parametrize("offset", [1, 2**32 - 2])
async def test_F8_an_answer_with_another_request_number_ends_the_connection(offset: int) -> None:
    def wrong(liar: Liar, number: int, request: Any) -> bytes:
        response = ua.GetEndpointsResponse()
        response.ResponseHeader.RequestHandle = handle_of(request)
        return chunk(b"MSGF", (number + offset) % 2**32, encode_message(response))

    assert told(await ask(wrong)) == VIOLATION


@pytest.mark.clause("F10")
@pytest.mark.parametrize(
    ("lifetime_ms", "is_taken"),
    [(0, False), (1, False), (9_999, False), (10_000, True), (2**32 - 1, True)],
)
async def test_F10_an_absurd_token_lifetime(lifetime_ms: int, is_taken: bool) -> None:
    """Too short would keep us renewing; too long is clamped to what we asked for."""
    async with lying(lambda *_: b"", opened_by=granting(lifetime_ms)) as url:
        if is_taken:
            async with await Client.connect(url):
                return
        error = await refusal_of(Client.connect(url))

    assert told(error) == VIOLATION


@pytest.mark.clause("F10")
@pytest.mark.parametrize("channel", [0, CHANNEL + 1])
async def test_F10_a_channel_that_is_another_in_the_token_than_in_the_chunk(channel: int) -> None:
    async with lying(lambda *_: b"", opened_by=granting(60_000, channel)) as url:
        error = await refusal_of(Client.connect(url))

    assert told(error) == (
        ProtocolViolation,
        StatusCode.BadTcpSecureChannelUnknown,
        Reason.PROTOCOL_VIOLATION,
    )


@pytest.mark.clause("F16")
async def test_F16_every_answer_just_in_time_ends_with_the_connection() -> None:
    """Each answer comes within ``request_s``; the life of the connection is bounded as well."""
    limits = ClientLimits(request_s=0.2, total_s=0.3)

    def just_in_time(liar: Liar, number: int, request: Any) -> bytes:
        loop = asyncio.get_running_loop()
        answer = liar.say(number, ua.GetEndpointsResponse(), handle_of(request))
        loop.call_later(0.05, liar.write, answer)
        return b""

    answered = 0
    error: RegistrarError | None = None
    async with lying(just_in_time) as url, await Client.connect(url, limits=limits) as client:
        while error is None:
            try:
                await client.get_endpoints()
            except TimedOut as late:
                error = late
            else:
                answered += 1

    assert 0 < answered <= 6
    assert "connection lasted" in str(error)


@pytest.mark.clause("F17")
@pytest.mark.parametrize("kind", [b"MSGF", b"MSGC", b"MSGA"])
async def test_F17_what_nobody_waits_for_ends_the_connection(kind: bytes) -> None:
    """Between requests as well: with the next request the Client says so."""
    pushed: list[Liar] = []

    def answer(liar: Liar, number: int, request: Any) -> bytes:
        pushed.append(liar)
        return liar.say(number, ua.GetEndpointsResponse(), handle_of(request))

    async with lying(answer) as url, await Client.connect(url) as client:
        await client.get_endpoints()
        pushed[0].write(chunk(kind, 9, bytes(8), sequence=3))
        await pushed[0].lost
        error = await refusal_of(client.get_endpoints())

    assert told(error) == VIOLATION
