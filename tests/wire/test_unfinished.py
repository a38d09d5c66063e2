"""What all peers leave unfinished together; threat-model 5.2."""

from __future__ import annotations

import asyncio
import struct
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua

from registrar.errors import Misuse, Reason, RegistrarError, Unavailable
from registrar.status import StatusCode
from registrar.ua.client_channel import ClientChannel
from registrar.ua.codec import encode_message
from registrar.ua.symmetric import PlainChunks
from registrar.wire import Client
from registrar.wire.limits import MAX_UNFINISHED_SIZE
from registrar.wire.unfinished import UnfinishedMessages
from tests.wire.lying import CHANNEL, TOKEN, Liar, handle_of, lying
from tests.wire.outcomes import told
from tests.wire.plant import LIMITS, Plant, Server
from tests.wire.raw import RawClient, error_in, refusal_of, socket_to

T25 = pytest.mark.clause("T25: threat-model 5.2")
ENDED = (Unavailable, StatusCode.BadTcpNotEnoughResources, Reason.BUSY)


class Ends:
    """Ends connections, and remembers which and why."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, RegistrarError]] = []

    def of(self, name: str) -> Any:
        """Return what ends the connection of this name."""
        return lambda error: self.errors.append((name, error))


@T25
@pytest.mark.parametrize(("limit", "ended"), [(59, ["much"]), (60, []), (61, [])])
def test_who_keeps_most_is_ended_beyond_the_limit(limit: int, ended: list[str]) -> None:
    ends, unfinished = Ends(), UnfinishedMessages(limit)
    little, much, last = map(ends.of, ("little", "much", "last"))

    unfinished.keep(little, 10)
    unfinished.keep(much, 30)
    unfinished.keep(last, 20)

    assert [name for name, _ in ends.errors] == ended
    assert [told(error) for _, error in ends.errors] == [ENDED] * len(ended)
    assert unfinished.size == (30 if ended else 60)


@T25
def test_as_many_are_ended_as_need_be() -> None:
    ends, unfinished = Ends(), UnfinishedMessages(100)
    for name in "abcd":
        unfinished.keep(ends.of(name), 25)
    last = ends.of("last")

    unfinished.keep(last, 20)
    assert [name for name, _ in ends.errors] == ["a"], "who has waited longest among equals"
    unfinished.keep(last, 24)
    unfinished.keep(last, 26)
    assert [name for name, _ in ends.errors] == ["a", "last"]
    unfinished.keep(last, 0)
    assert unfinished.size == 75


@T25
@pytest.mark.parametrize(
    ("limit", "is_allowed"),
    [(0, False), (1, True), (MAX_UNFINISHED_SIZE, True), (MAX_UNFINISHED_SIZE + 1, False)],
)
def test_the_limit_has_limits(limit: int, is_allowed: bool) -> None:
    if is_allowed:
        assert UnfinishedMessages(limit).limit == limit
    else:
        with pytest.raises(Misuse, match=f"unfinished_size is {limit}"):
            UnfinishedMessages(limit)


@T25
@pytest.mark.parametrize("limit", [9_999, 10_000, 10_001])
async def test_a_listener_ends_the_peer_that_keeps_most(build: Server, limit: int) -> None:
    sizes, is_ended = (3_000, 4_000, 3_000), limit < 10_000
    async with build(LIMITS(unfinished_size=limit)) as plant:
        async with AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(socket_to(plant)) for _ in sizes]
            for number, ((_, writer), size) in enumerate(zip(sockets, sizes, strict=True)):
                writer.write(struct.pack("<4sI", b"HELF", 4_100).ljust(size, b"\0"))
                kept = sum(sizes[: number + 1])
                await keeping(plant.listener.unfinished, kept - 4_000 * (is_ended and number == 2))
            refused = plant.listener.refusals[StatusCode.BadTcpNotEnoughResources]
            assert refused == is_ended
            if is_ended:
                assert error_in(await sockets[1][0].read()) == StatusCode.BadTcpNotEnoughResources
        await keeping(plant.listener.unfinished, 0)
        async with RawClient(plant, None) as later:
            assert await later.ask(ua.FindServersRequest(), ua.FindServersResponse)


async def keeping(unfinished: UnfinishedMessages, size: int) -> None:
    """Wait until ``size`` bytes are kept."""
    async with asyncio.timeout(5):
        while True:
            if unfinished.size == size:
                return
            await asyncio.sleep(0)


@T25
async def test_what_came_with_an_open_is_served_and_counts_no_more(plant: Plant) -> None:
    now = asyncio.get_running_loop().time()
    channel = ClientChannel(endpoint_url=plant.url, first_sequence_number=1)
    body = encode_message(ua.FindServersRequest())
    async with RawClient(plant, None) as before, socket_to(plant) as (reader, writer):
        writer.write(channel.hello())
        channel.receive(await reader.read(65_536), now)
        opening = channel.open_request(
            nonce=b"", requested_lifetime_s=60, now=now, timestamp=datetime.now(UTC)
        )
        number = before.channel.channel_id + 1
        writer.write(opening + PlainChunks().seal(b"MSGF", number, 1, 2, 9, body))
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"MSGF")
        assert plant.listener.unfinished.size == 0


@T25
@pytest.mark.parametrize(("cut", "kept"), [(0, 10_000), (1, 10_023)], ids=["message", "chunk"])
async def test_a_device_that_keeps_little_does_not_pay_for_one_that_keeps_much(
    cut: int, kept: int
) -> None:
    """The latter leaves a message or a chunk unfinished; both Clients share what may be kept."""
    unfinished = UnfinishedMessages(12_000)
    is_kept, is_ended = asyncio.Event(), asyncio.Event()

    def much(liar: Liar, number: int, _: Any) -> bytes:
        begun = PlainChunks().seal(b"MSGC", CHANNEL, TOKEN, 2, number, bytes(10_000))
        return begun[: len(begun) - cut]

    def little(liar: Liar, number: int, request: Any) -> bytes:
        response = ua.GetEndpointsResponse()
        response.ResponseHeader.StringTable = ["s" * 5_000]
        said = liar.say(number, response, handle_of(request))

        async def send() -> None:
            await is_kept.wait()
            liar.write(said[:4_000])
            await is_ended.wait()
            liar.write(said[4_000:])

        liar.sending = asyncio.ensure_future(send())  # type: ignore[attr-defined]
        return b""

    async with lying(much) as greedy, lying(little) as modest:
        clients = [await Client.connect(url, unfinished=unfinished) for url in (greedy, modest)]
        answers = [asyncio.ensure_future(client.get_endpoints()) for client in clients]
        await keeping(unfinished, kept)
        is_kept.set()
        assert told(await refusal_of(answers[0])) == ENDED
        is_ended.set()
        assert await answers[1] == []
        assert unfinished.size == 0
        for client in clients:
            await client.close()


@T25
async def test_a_device_that_is_left_counts_no_more() -> None:
    unfinished = UnfinishedMessages(20_000)

    def begun(liar: Liar, number: int, _: Any) -> bytes:
        return PlainChunks().seal(b"MSGC", CHANNEL, TOKEN, 2, number, bytes(10_000))

    async with lying(begun) as url:
        for _ in range(3):
            async with await Client.connect(url, unfinished=unfinished) as client:
                asking = asyncio.ensure_future(client.get_endpoints())
                await keeping(unfinished, 10_000)
            assert unfinished.size == 0
            await refusal_of(asking)
