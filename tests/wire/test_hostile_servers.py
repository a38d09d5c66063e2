"""What a Client bears from a Server that lies, stalls or floods; threat T24, faults F1 to F18."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from asyncua import ua

from registrar.errors import (
    Reason,
    ServiceFailed,
    Unavailable,
)
from registrar.status import StatusCode
from registrar.ua.codec import encode_message
from registrar.ua.limits import DecoderLimits
from registrar.wire import Client, ClientLimits
from registrar.wire.builtin import status_code
from tests.wire.lying import Liar, answering, ask, handle_of, lying
from tests.wire.outcomes import (
    LATE,
    MALFORMED,
    NO_BUFFERS,
    NOT_THERE,
    TOO_LARGE,
    VIOLATION,
    Outcome,
    told,
)
from tests.wire.raw import refusal_of

QUICK = ClientLimits(connect_s=0.05, request_s=0.05, close_s=0.05)


# Transport


@pytest.mark.clause("F1")
async def test_F1_nobody_listens() -> None:
    async with lying(lambda *_: b"") as url:
        pass

    error = await refusal_of(Client.connect(url))

    assert told(error) == NOT_THERE


@contextmanager
def black_hole() -> Iterator[str]:
    """Yield the URL of a peer whose kernel answers no SYN, since its queue is full."""
    with ExitStack() as kept:
        listener = kept.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = kept.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"opc.tcp://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.clause("F1")
async def test_F1_a_black_hole_is_given_up_in_time() -> None:
    with black_hole() as url:
        error = await refusal_of(Client.connect(url, limits=QUICK))

    assert told(error) == LATE
    assert error.subject == url
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_who_is_cancelled_while_connecting_is_cancelled() -> None:
    with black_hole() as url:
        connecting = asyncio.create_task(Client.connect(url))
        await asyncio.sleep(0)
        connecting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await connecting


async def test_a_refused_connection_cancels_nobody_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    error = await refusal_of(Client.connect(f"opc.tcp://127.0.0.1:{port}", limits=QUICK))
    await asyncio.sleep(2 * QUICK.connect_s)

    assert told(error) == NOT_THERE


@pytest.mark.clause("F2")
async def test_F2_silent_after_connect() -> None:
    async with answering() as url:
        error = await refusal_of(Client.connect(url, limits=QUICK))

    assert told(error) == LATE


@pytest.mark.clause("F4")
@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (b"ACKF\x1c\0\0\0" + bytes(20), NO_BUFFERS),
        (b"ACKF\xff\xff\xff\xff", TOO_LARGE),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", VIOLATION),
        (b"MSGF\x18\0\0\0" + bytes(16), VIOLATION),
    ],
    ids=["no-buffers", "F5-gigabytes", "http", "early-msg"],
)
async def test_F4_F5_nonsense_instead_of_ack(reply: bytes, outcome: Outcome) -> None:
    async with answering(reply) as url:
        error = await refusal_of(Client.connect(url))

    assert told(error) == outcome


@pytest.mark.clause("F6")
async def test_F6_half_an_ack_then_silence() -> None:
    async with answering(b"ACKF\x1c\0\0") as url:
        error = await refusal_of(Client.connect(url, limits=QUICK))

    assert told(error) == LATE


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (
            StatusCode.BadTcpServerTooBusy,
            (Unavailable, StatusCode.BadTcpServerTooBusy, Reason.BUSY),
        ),
        (
            StatusCode.BadSecurityChecksFailed,
            (ServiceFailed, StatusCode.BadSecurityChecksFailed, Reason.ACCESS_DENIED),
        ),
        (
            StatusCode.BadTcpEndpointUrlInvalid,
            (ServiceFailed, StatusCode.BadTcpEndpointUrlInvalid, Reason.PROTOCOL_VIOLATION),
        ),
        (0x812F0000, (ServiceFailed, StatusCode.BadUnexpectedError, Reason.PROTOCOL_VIOLATION)),
        (StatusCode.Good, VIOLATION),
        (StatusCode.Uncertain, VIOLATION),
    ],
)
async def test_an_err_says_why(status: int, outcome: Outcome) -> None:
    err = b"ERRF\x10\0\0\0" + int(status).to_bytes(4, "little") + b"\xff\xff\xff\xff"
    async with answering(err) as url:
        error = await refusal_of(Client.connect(url))

    assert told(error) == outcome


# Answers


@pytest.mark.clause("F9")
async def test_F9_an_answer_of_another_type() -> None:
    error = await ask(
        lambda liar, number, request: liar.say(number, ua.FindServersResponse(), handle_of(request))
    )

    assert told(error) == VIOLATION


@pytest.mark.clause("F9")
async def test_F9_an_answer_to_another_request() -> None:
    error = await ask(
        lambda liar, number, request: liar.say(
            number, ua.GetEndpointsResponse(), handle_of(request) + 1
        )
    )

    assert told(error) == VIOLATION


@pytest.mark.clause("F17")
@pytest.mark.parametrize("offset", [1, 1000])
async def test_F17_an_answer_nobody_asked_for(offset: int) -> None:
    error = await ask(
        lambda liar, number, request: liar.say(
            number + offset, ua.GetEndpointsResponse(), handle_of(request)
        )
    )

    assert told(error) == VIOLATION


@pytest.mark.clause("F17")
async def test_F17_two_answers_to_one_request() -> None:
    def twice(liar: Liar, number: int, request: Any) -> bytes:
        handle = handle_of(request)
        one = liar.say(number, ua.GetEndpointsResponse(), handle)
        return one + liar.say(number, ua.GetEndpointsResponse(), handle)

    assert told(await ask(twice)) == VIOLATION


async def test_a_request_is_no_answer() -> None:
    def request_back(liar: Liar, number: int, request: Any) -> bytes:
        body = encode_message(ua.GetEndpointsRequest())
        return liar.channel.send(number, body, asyncio.get_running_loop().time())

    assert told(await ask(request_back)) == VIOLATION


@pytest.mark.clause("F9")
async def test_F9_an_open_that_holds_a_request() -> None:
    async with lying(lambda *_: b"", opened_by=ua.GetEndpointsRequest()) as url:
        error = await refusal_of(Client.connect(url))

    assert told(error) == VIOLATION


async def test_what_follows_the_end_of_a_connection_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two requests wait; the first answer ends the connection, the second came along with it."""
    numbers: list[int] = []

    def both_at_once(liar: Liar, number: int, request: Any) -> bytes:
        numbers.append(number)
        if len(numbers) < 2:
            return b""
        now = asyncio.get_running_loop().time()
        return b"".join(liar.channel.send(each, b"nonsense", now) for each in numbers)

    async with lying(both_at_once) as url, await Client.connect(url) as client:
        errors = await asyncio.gather(
            client.get_endpoints(), client.find_servers(), return_exceptions=True
        )

    assert [told(error) for error in errors] == [MALFORMED, MALFORMED]
    assert caplog.records == []


@pytest.mark.clause("F18")
@pytest.mark.parametrize(("count", "is_taken"), [(9, True), (10, True), (11, False)])
async def test_F18_the_elements_of_an_answer_are_counted(count: int, is_taken: bool) -> None:
    def many(liar: Liar, number: int, request: Any) -> bytes:
        endpoints = [ua.EndpointDescription() for _ in range(count)]
        response = ua.GetEndpointsResponse(Endpoints=endpoints)
        return liar.say(number, response, handle_of(request))

    limits = ClientLimits(decoder=DecoderLimits(max_elements=10))
    async with lying(many) as url, await Client.connect(url, limits=limits) as client:
        if is_taken:
            assert len(await client.get_endpoints()) == count
        else:
            assert told(await refusal_of(client.get_endpoints())) == MALFORMED


@pytest.mark.clause("F18")
async def test_F18_an_answer_stops_the_loop_for_moments_only() -> None:
    """What the limits allow is little; twenty thousand endpoints are not even looked at."""
    assert ClientLimits().decoder.max_elements <= 10_000
    assert ClientLimits().references <= 10_000

    def many(liar: Liar, number: int, request: Any) -> bytes:
        endpoints = [ua.EndpointDescription()] * 20_000
        response = ua.GetEndpointsResponse(Endpoints=endpoints)
        return liar.say(number, response, handle_of(request))

    assert told(await ask(many)) == MALFORMED


@pytest.mark.clause("F18")
async def test_F18_an_answer_that_does_not_decode() -> None:
    def nonsense(liar: Liar, number: int, request: Any) -> bytes:
        return liar.channel.send(number, os.urandom(50), asyncio.get_running_loop().time())

    assert told(await ask(nonsense)) == MALFORMED


async def test_a_fault_is_told_and_the_connection_goes_on() -> None:
    def fault(liar: Liar, number: int, request: Any) -> bytes:
        fault = ua.ServiceFault()
        fault.ResponseHeader.ServiceResult = status_code(StatusCode.BadNotSupported)
        return liar.say(number, fault, handle_of(request))

    async with lying(fault) as url, await Client.connect(url) as client:
        first = await refusal_of(client.get_endpoints())
        second = await refusal_of(client.find_servers())

    assert first.status is second.status is StatusCode.BadNotSupported


async def test_a_bad_result_in_a_response_is_told() -> None:
    def failing(liar: Liar, number: int, request: Any) -> bytes:
        response = ua.GetEndpointsResponse()
        response.ResponseHeader.ServiceResult = status_code(StatusCode.BadServerHalted)
        return liar.say(number, response, handle_of(request))

    error = await ask(failing)

    assert told(error) == (Unavailable, StatusCode.BadServerHalted, Reason.BUSY)


@pytest.mark.clause("T24")
async def test_no_answer_ends_one_request() -> None:
    """The others go on: the answer may come late, and is then nobody's."""
    waiting: list[bytes] = []

    def late(liar: Liar, number: int, request: Any) -> bytes:
        waiting.append(liar.say(number, ua.GetEndpointsResponse(), handle_of(request)))
        return b"".join(waiting) if len(waiting) == 2 else b""

    async with lying(late) as url, await Client.connect(url, limits=QUICK) as client:
        first = await refusal_of(client.get_endpoints())
        second = await client.get_endpoints()

    assert told(first) == LATE
    assert second == []


@pytest.mark.clause("T24")
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (
            StatusCode.BadResponseTooLarge,
            (ServiceFailed, StatusCode.BadResponseTooLarge, Reason.PROTOCOL_VIOLATION),
        ),
        (StatusCode.Good, VIOLATION),
    ],
)
async def test_an_answer_that_is_taken_back_ends_one_request(
    status: StatusCode, outcome: Outcome
) -> None:
    def taken_back(liar: Liar, number: int, request: Any) -> bytes:
        if isinstance(request, ua.FindServersRequest):
            return liar.say(number, ua.FindServersResponse(), handle_of(request))
        now = asyncio.get_running_loop().time()
        return liar.channel.abort(number, status=status, now=now)

    async with lying(taken_back) as url, await Client.connect(url) as client:
        error = await refusal_of(client.get_endpoints())
        assert await client.find_servers() == []

    assert told(error) == outcome
