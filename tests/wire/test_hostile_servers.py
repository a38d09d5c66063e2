"""What a Client bears from a Server that lies, stalls or floods; threat T24, faults F1 to F18."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from asyncua import ua

from registrar.errors import (
    DecodingError,
    Misuse,
    ProtocolViolation,
    Reason,
    RegistrarError,
    SecurityChecksFailed,
    ServiceFailed,
    TimedOut,
    Unavailable,
)
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.codec import encode_message
from registrar.ua.limits import ChannelLimits, DecoderLimits
from registrar.wire import Client, ClientLimits, ServerLimits
from registrar.wire.builtin import status_code
from registrar.wire.client_checks import compare_endpoints, parse_url
from registrar.wire.limits import CLIENT_MAXIMA
from tests.wire.lying import Liar, answering, ask, handle_of, lying
from tests.wire.plant import COUNTER, ECHO, OBJECTS, Plant, open_session, string
from tests.wire.raw import refusal_of

QUICK = ClientLimits(connect_s=0.05, request_s=0.05, close_s=0.05)


# Transport


@pytest.mark.clause("F1")
async def test_F1_nobody_listens() -> None:
    async with lying(lambda *_: b"") as url:
        pass

    error = await refusal_of(Client.connect(url))

    assert isinstance(error, Unavailable)
    assert error.reason is Reason.UNREACHABLE


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

    assert isinstance(error, TimedOut)
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

    assert isinstance(error, Unavailable)


@pytest.mark.clause("F2")
async def test_F2_silent_after_connect() -> None:
    async with answering() as url:
        error = await refusal_of(Client.connect(url, limits=QUICK))

    assert isinstance(error, TimedOut)
    assert error.reason is Reason.TIMED_OUT


@pytest.mark.clause("F4")
@pytest.mark.parametrize(
    "reply",
    [
        b"ACKF\x1c\0\0\0" + bytes(20),
        b"ACKF\xff\xff\xff\xff",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"MSGF\x18\0\0\0" + bytes(16),
    ],
    ids=["no-buffers", "F5-gigabytes", "http", "early-msg"],
)
async def test_F4_F5_nonsense_instead_of_ack(reply: bytes) -> None:
    async with answering(reply) as url:
        error = await refusal_of(Client.connect(url))

    assert isinstance(error, ProtocolViolation | DecodingError)


@pytest.mark.clause("F6")
async def test_F6_half_an_ack_then_silence() -> None:
    async with answering(b"ACKF\x1c\0\0") as url:
        error = await refusal_of(Client.connect(url, limits=QUICK))

    assert isinstance(error, TimedOut)


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (StatusCode.BadTcpServerTooBusy, Unavailable, Reason.BUSY),
        (StatusCode.BadSecurityChecksFailed, ServiceFailed, Reason.ACCESS_DENIED),
        (StatusCode.BadTcpEndpointUrlInvalid, ServiceFailed, Reason.PROTOCOL_VIOLATION),
        (0x812F0000, ServiceFailed, Reason.PROTOCOL_VIOLATION),
    ],
)
async def test_an_err_says_why(status: int, kind: type[RegistrarError], reason: Reason) -> None:
    err = b"ERRF\x10\0\0\0" + int(status).to_bytes(4, "little") + b"\xff\xff\xff\xff"
    async with answering(err) as url:
        error = await refusal_of(Client.connect(url))

    assert isinstance(error, kind)
    assert error.reason is reason


# Answers


@pytest.mark.clause("F9")
async def test_F9_an_answer_of_another_type() -> None:
    error = await ask(
        lambda liar, number, request: liar.say(number, ua.FindServersResponse(), handle_of(request))
    )

    assert isinstance(error, ProtocolViolation)


@pytest.mark.clause("F9")
async def test_F9_an_answer_to_another_request() -> None:
    error = await ask(
        lambda liar, number, request: liar.say(
            number, ua.GetEndpointsResponse(), handle_of(request) + 1
        )
    )

    assert isinstance(error, ProtocolViolation)


@pytest.mark.clause("F17")
@pytest.mark.parametrize("offset", [1, 1000])
async def test_F17_an_answer_nobody_asked_for(offset: int) -> None:
    error = await ask(
        lambda liar, number, request: liar.say(
            number + offset, ua.GetEndpointsResponse(), handle_of(request)
        )
    )

    assert isinstance(error, ProtocolViolation)


@pytest.mark.clause("F17")
async def test_F17_two_answers_to_one_request() -> None:
    def twice(liar: Liar, number: int, request: Any) -> bytes:
        handle = handle_of(request)
        one = liar.say(number, ua.GetEndpointsResponse(), handle)
        return one + liar.say(number, ua.GetEndpointsResponse(), handle)

    assert isinstance(await ask(twice), ProtocolViolation)


async def test_a_request_is_no_answer() -> None:
    def request_back(liar: Liar, number: int, request: Any) -> bytes:
        body = encode_message(ua.GetEndpointsRequest())
        return liar.channel.send(number, body, asyncio.get_running_loop().time())

    assert isinstance(await ask(request_back), ProtocolViolation)


@pytest.mark.clause("F9")
async def test_F9_an_open_that_holds_a_request() -> None:
    async with lying(lambda *_: b"", opened_by=ua.GetEndpointsRequest()) as url:
        error = await refusal_of(Client.connect(url))

    assert isinstance(error, ProtocolViolation)


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

    assert [type(error) for error in errors] == [DecodingError, DecodingError]
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
            assert isinstance(await refusal_of(client.get_endpoints()), DecodingError)


@pytest.mark.clause("F18")
async def test_F18_an_answer_stops_the_loop_for_moments_only() -> None:
    """What the limits allow is little; twenty thousand endpoints are not even looked at."""
    assert ClientLimits().decoder.max_elements <= 10_000
    assert ClientLimits().references <= 10_000

    def many(liar: Liar, number: int, request: Any) -> bytes:
        endpoints = [ua.EndpointDescription()] * 20_000
        response = ua.GetEndpointsResponse(Endpoints=endpoints)
        return liar.say(number, response, handle_of(request))

    assert isinstance(await ask(many), DecodingError)


@pytest.mark.clause("F18")
async def test_F18_an_answer_that_does_not_decode() -> None:
    def nonsense(liar: Liar, number: int, request: Any) -> bytes:
        return liar.channel.send(number, os.urandom(50), asyncio.get_running_loop().time())

    assert isinstance(await ask(nonsense), DecodingError)


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

    assert isinstance(error, Unavailable)
    assert error.reason is Reason.BUSY


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

    assert isinstance(first, TimedOut)
    assert second == []


# Budgets


@pytest.mark.clause("T24")
@pytest.mark.parametrize("allowed", [2, 3, 4])
async def test_requests_are_counted(plant: Plant, allowed: int) -> None:
    limits = ClientLimits(total_requests=allowed)
    async with await Client.connect(plant.url, limits=limits) as client:
        for _ in range(min(allowed, 3)):
            await client.get_endpoints()

        if allowed < 3:
            assert isinstance(await refusal_of(client.get_endpoints()), ProtocolViolation)
        assert client.exchanges == min(allowed, 3)


@pytest.mark.clause("T24")
async def test_bytes_are_counted(plant: Plant) -> None:
    async with await Client.connect(plant.url) as client:
        before = client.bytes_received
        await client.get_endpoints()
        needed = client.bytes_received
    assert needed > before

    exact = ClientLimits(total_size=needed)
    async with await Client.connect(plant.url, limits=exact) as client:
        await client.get_endpoints()
    short = ClientLimits(total_size=needed - 1)
    async with await Client.connect(plant.url, limits=short) as client:
        error = await refusal_of(client.get_endpoints())

    assert isinstance(error, ProtocolViolation)


@pytest.mark.clause("T24")
async def test_a_connection_lives_only_so_long() -> None:
    error = await ask(lambda *_: b"", ClientLimits(total_s=0.05))

    assert isinstance(error, TimedOut)


@pytest.mark.clause("T24")
async def test_browse_comes_to_an_end(plant: Plant, client_identity: ApplicationIdentity) -> None:
    description = ua.BrowseDescription(NodeId=OBJECTS, ResultMask=63)
    async with await open_session(plant, client_identity) as client:
        (everything,) = await client.browse([description])
    plant.listener.limits = type(plant.listener.limits)(references_per_node=1)
    enough = ClientLimits(browse_rounds=len(everything))
    async with await open_session(plant, client_identity, limits=enough) as client:
        (found,) = await client.browse([description])
    some = ClientLimits(references=len(everything) - 1)
    async with await open_session(plant, client_identity, limits=some) as client:
        assert isinstance(await refusal_of(client.browse([description])), ProtocolViolation)
    few = ClientLimits(browse_rounds=len(everything) - 2)
    async with await open_session(plant, client_identity, limits=few) as client:
        error = await refusal_of(client.browse([description]))

    assert [item.NodeId for item in found] == [item.NodeId for item in everything]
    assert isinstance(error, ProtocolViolation)


@pytest.mark.parametrize("name", sorted(CLIENT_MAXIMA))
def test_every_limit_has_a_hard_maximum(name: str) -> None:
    make: Callable[..., ClientLimits] = ClientLimits
    maximum = CLIENT_MAXIMA[name]
    assert getattr(make(**{name: maximum}), name) == maximum

    for wrong in (maximum + 1, 0, -1):
        with pytest.raises(Misuse):
            make(**{name: wrong})


# Endpoints


def endpoints_of(plant: Plant) -> list[ua.EndpointDescription]:
    """Return what discovery says."""
    return plant.endpoints(plant.url)


ALTERATIONS: dict[str, Callable[[ua.EndpointDescription], object]] = {
    "url": lambda e: setattr(e, "EndpointUrl", "opc.tcp://elsewhere:4840"),
    "mode": lambda e: setattr(e, "SecurityMode", ua.MessageSecurityMode.None_),
    "policy": lambda e: setattr(e, "SecurityPolicyUri", "http://none"),
    "level": lambda e: setattr(e, "SecurityLevel", 99),
    "profile": lambda e: setattr(e, "TransportProfileUri", "http"),
    "tokens": lambda e: setattr(e, "UserIdentityTokens", e.UserIdentityTokens[:1]),
    "application": lambda e: setattr(e.Server, "ApplicationUri", "urn:other"),
}


@pytest.mark.clause("T10: OPC 10000-4 §5.7.2")
@pytest.mark.clause("F12")
@pytest.mark.parametrize("what", ALTERATIONS)
async def test_F12_endpoints_inside_the_session_are_those_discovered(
    plant: Plant, client_identity: ApplicationIdentity, what: str
) -> None:
    discovered = endpoints_of(plant)
    ALTERATIONS[what](discovered[2])

    security = plant.security(client_identity)
    async with await Client.connect(plant.url, security=security) as client:
        error = await refusal_of(client.create_session(discovered=discovered))

    assert isinstance(error, SecurityChecksFailed)
    assert error.reason is Reason.ENDPOINTS_ALTERED


@pytest.mark.clause("T10: OPC 10000-4 §5.7.2")
def test_order_and_certificates_of_endpoints_do_not_matter(
    server_identity: ApplicationIdentity,
) -> None:
    plant = Plant(server_identity)
    discovered, secured = plant.endpoints("opc.tcp://x"), plant.endpoints("opc.tcp://x")
    secured.reverse()
    for endpoint in secured:
        endpoint.ServerCertificate = None

    compare_endpoints(discovered, secured)


@pytest.mark.clause("T10: OPC 10000-4 §5.7.2")
@pytest.mark.parametrize("change", ["missing", "added", "doubled"])
def test_the_number_of_endpoints_matters(server_identity: ApplicationIdentity, change: str) -> None:
    plant = Plant(server_identity)
    discovered, secured = plant.endpoints("opc.tcp://x"), plant.endpoints("opc.tcp://x")
    if change == "missing":
        secured.pop()
    elif change == "added":
        secured += plant.endpoints("opc.tcp://y")[:1]
    else:
        secured[0] = secured[1]

    with pytest.raises(SecurityChecksFailed):
        compare_endpoints(discovered, secured)


async def test_the_application_uri_of_the_server_is_in_its_certificate(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    security = plant.security(client_identity)
    async with await Client.connect(plant.url, security=security) as client:
        error = await refusal_of(client.create_session(server_application_uri="urn:other"))

    assert error.status is StatusCode.BadCertificateUriInvalid


@pytest.mark.clause("F11")
async def test_F11_a_server_without_the_key_of_its_certificate(
    plant: Plant, client_identity: ApplicationIdentity, stranger: ApplicationIdentity
) -> None:
    """It shows the certificate of ``stranger`` and has another key."""
    imposter = ApplicationIdentity(
        certificate=stranger.certificate, private_key=plant.identities[0].private_key
    )
    async with Plant(imposter, trusted=[client_identity.certificate]) as liar:
        with pytest.raises((ServiceFailed, SecurityChecksFailed)):
            await Client.connect(liar.url, security=liar.security(client_identity))


@pytest.mark.clause("T26")
@pytest.mark.parametrize(
    "url",
    [
        *("", "http://x:4840", "opc.tcp://", "opc.tcp://x:99999", "opc.tcp://[", "opc.https://x"),
        *("opc.tcp://x:1:2", "opc.tcp://user@x", "opc.tcp://x:port", "opc.tcp://x y"),
    ],
)
def test_only_opc_tcp_urls_are_followed(url: str) -> None:
    with pytest.raises(ProtocolViolation):
        parse_url(url)


def test_the_port_has_a_default() -> None:
    assert parse_url("opc.tcp://device/") == ("device", 4840)
    assert parse_url("opc.tcp://Device:?a:b") == ("device", 4840)
    assert parse_url("OPC.TCP://[::1]:5000/path") == ("::1", 5000)
    assert parse_url("opc.tcp://[fe80::1%eth0]") == ("fe80::1%eth0", 4840)


# Long connections


@pytest.mark.slow
@pytest.mark.clause("OPC 10000-4 §5.6.2")
async def test_the_token_is_renewed_before_it_expires(
    server_identity: ApplicationIdentity, client_identity: ApplicationIdentity
) -> None:
    """At 75 % of its life; the wait is for the Server's second admission."""
    limits = ServerLimits(channel=ChannelLimits(min_token_lifetime_s=1))
    trusted = [client_identity.certificate]
    async with Plant(server_identity, trusted=trusted, limits=limits) as plant:
        short = ClientLimits(token_lifetime_s=1, channel=limits.channel)
        async with await open_session(plant, client_identity, limits=short) as client:
            plant.admitted.clear()
            await asyncio.wait_for(plant.admitted.wait(), timeout=5)

            assert await client.call(COUNTER, ECHO, string("renewed"))


async def test_a_client_comes_from_the_address_it_is_told(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    security = plant.security(client_identity)
    async with await Client.connect(plant.url, security=security, local_host="127.0.0.9") as client:
        await client.create_session()

        assert plant.authenticated[0].peer.address == "127.0.0.9"


async def test_close_may_be_repeated(plant: Plant, client_identity: ApplicationIdentity) -> None:
    client = await open_session(plant, client_identity)

    await client.close()
    await client.close()

    assert isinstance(await refusal_of(client.get_endpoints()), Unavailable)


async def test_private_key_operations_are_counted(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with await open_session(plant, client_identity) as client:
        # the OPN is signed, its answer is decrypted in two blocks, ActivateSession is signed
        assert client.private_key_operations == 4
