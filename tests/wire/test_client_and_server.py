"""Our Client and our Listener over TCP: every policy and mode, every service."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

import pytest
import uvloop
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.errors import ConnectionClosed, Reason, ServiceFailed
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import SecurityPolicy
from registrar.ua.user_tokens import UserNameUser, X509User, X509UserClaim
from registrar.wire import Client, Method, Mode, Role, Session
from registrar.wire.builtin import node_id
from registrar.wire.services import MAX_OVERLAPPING
from tests.wire.plant import (
    COUNTER,
    CYCLE,
    ECHO,
    MODES,
    OBJECTS,
    POLICIES,
    RESTART,
    SERVER_URI,
    Plant,
    open_session,
    path_to,
    string,
    value_of,
)


@pytest.mark.clause("OPC 10000-4 §5.5")
async def test_endpoints_are_found_without_security(plant: Plant) -> None:
    async with await Client.connect(plant.url) as client:
        endpoints = await client.get_endpoints()
        servers = await client.find_servers()

    assert len(endpoints) == len(POLICIES) * len(MODES) + 1
    assert {endpoint.EndpointUrl for endpoint in endpoints} == {plant.url}
    assert [server.ApplicationUri for server in servers] == [SERVER_URI]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
async def test_a_session_reads_browses_and_calls(
    plant: Plant,
    client_identity: ApplicationIdentity,
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
) -> None:
    async with await Client.connect(plant.url) as discovery:
        discovered = await discovery.get_endpoints()

    security = plant.security(client_identity, policy, mode)
    async with await Client.connect(plant.url, security=security) as client:
        await client.create_session(discovered=discovered, server_application_uri=SERVER_URI)
        (name, cycle) = await client.read(
            [(COUNTER, AttributeIds.BrowseName), (CYCLE, AttributeIds.Value)]
        )
        ((*found,),) = await client.browse([ua.BrowseDescription(NodeId=COUNTER, ResultMask=63)])
        outputs = await client.call(COUNTER, ECHO, string("hello"))

    assert value_of(name) == ua.QualifiedName("Counter", 1)
    assert value_of(cycle) == 0
    assert {reference.BrowseName.Name for reference in found} >= {"Cycle", "Echo", "Setting"}
    assert [output.Value for output in outputs] == ["hello"]
    assert len(plant.closed) == 1


async def test_who_waits_when_we_close_and_who_comes_later_is_told(plant: Plant) -> None:
    client = await Client.connect(plant.url)
    waiting = asyncio.create_task(client.get_endpoints())
    await asyncio.sleep(0)
    await client.close()

    for refused in (waiting, client.get_endpoints(), client.find_servers()):
        with pytest.raises(ConnectionClosed, match="was closed") as caught:
            await refused
        assert caught.value.status is StatusCode.BadConnectionClosed
        assert caught.value.reason is Reason.UNREACHABLE


async def test_a_node_that_may_be_lacking_has_no_references(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    descriptions = [
        ua.BrowseDescription(NodeId=node, ResultMask=63) for node in (COUNTER, node_id(99, 1))
    ]

    async with await open_session(plant, client_identity) as client:
        there, lacking = await client.browse(descriptions, may_lack={1})
        with pytest.raises(ServiceFailed) as caught:
            await client.browse(descriptions, may_lack={0})

    assert there
    assert lacking == []
    assert caught.value.status is StatusCode.BadNodeIdUnknown


def _calls(method_id: ua.NodeId, *texts: str) -> list[ua.CallMethodRequest]:
    return [
        ua.CallMethodRequest(ObjectId=COUNTER, MethodId=method_id, InputArguments=[string(text)])
        for text in texts
    ]


class _Turns:
    """A Method that notes when each of its calls begins and ends, and ends the later one first."""

    NODE = node_id(20, 1)

    def __init__(self, plant: Plant, *, overlaps: bool) -> None:
        self.notes: list[str] = []
        self._later_ended = asyncio.Event()
        if not overlaps:
            self._later_ended.set()
        row = Method(
            handler=self._take,
            inputs=(ua.VariantType.String,),
            roles=None,
            mode=Mode.SIGN,
            overlaps=overlaps,
        )
        plant.methods.add(COUNTER, [self.NODE], row)

    async def _take(self, session: Session, text: str) -> Sequence[ua.Variant]:
        self.notes.append(f"{text} begins")
        if text == "first":
            await self._later_ended.wait()
        self._later_ended.set()
        self.notes.append(f"{text} ends")
        if text == "bad":
            raise ServiceFailed("it is bad", status=StatusCode.BadNotFound)
        return [string(text)]


async def test_a_call_waits_for_the_one_before_it(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    turns = _Turns(plant, overlaps=False)

    async with await open_session(plant, client_identity) as client:
        await client.call_all(_calls(_Turns.NODE, "first", "second"))

    assert turns.notes == ["first begins", "first ends", "second begins", "second ends"]


async def test_calls_that_overlap_begin_in_order_and_each_gets_its_own_answer(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    turns = _Turns(plant, overlaps=True)

    async with await open_session(plant, client_identity) as client:
        good, bad = await client.call_all(_calls(_Turns.NODE, "first", "bad"))

    assert turns.notes == ["first begins", "bad begins", "bad ends", "first ends"]
    assert [output.Value for output in good.OutputArguments] == ["first"]
    assert StatusCode(bad.StatusCode.value) is StatusCode.BadNotFound


@pytest.mark.parametrize("other", [ECHO, node_id(99, 1)])
async def test_one_call_that_does_not_overlap_keeps_all_of_a_request_in_turn(
    plant: Plant, client_identity: ApplicationIdentity, other: ua.NodeId
) -> None:
    turns = _Turns(plant, overlaps=True)
    requests = [*_calls(_Turns.NODE, "second", "third"), *_calls(other, "echo")]

    async with await open_session(plant, client_identity) as client:
        results = await client.call_all(requests)

    assert turns.notes == ["second begins", "second ends", "third begins", "third ends"]
    assert len(results) == len(requests)


async def test_more_calls_than_may_overlap_are_all_answered_in_order(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    _Turns(plant, overlaps=True)
    texts = [str(number) for number in range(2 * MAX_OVERLAPPING + 1)]

    async with await open_session(plant, client_identity) as client:
        results = await client.call_all(_calls(_Turns.NODE, *texts))

    assert [result.OutputArguments[0].Value for result in results] == texts


async def test_a_path_leads_to_its_node(plant: Plant, client_identity: ApplicationIdentity) -> None:
    path = path_to(OBJECTS, "Counter", "Cycle")

    async with await open_session(plant, client_identity) as client:
        (result,) = await client.translate([path])

    assert [target.TargetId for target in result.Targets] == [CYCLE]


async def test_a_user_name_and_its_password_arrive(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with await Client.connect(plant.url, security=plant.security(client_identity)) as client:
        await client.create_session(user=UserNameUser("operator", "secret"))

        session = plant.session
        assert session.roles == {Role.ANONYMOUS, Role.AUTHENTICATED_USER}
        assert session.user == UserNameUser("operator", "")  # the password is forgotten


async def test_a_wrong_password_is_refused(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with await Client.connect(plant.url, security=plant.security(client_identity)) as client:
        with pytest.raises(ServiceFailed) as caught:
            await client.create_session(user=UserNameUser("operator", "guess"))

    assert caught.value.status is StatusCode.BadUserAccessDenied


async def test_a_user_certificate_arrives(
    plant: Plant, client_identity: ApplicationIdentity, stranger: ApplicationIdentity
) -> None:
    async with await Client.connect(plant.url, security=plant.security(client_identity)) as client:
        await client.create_session(user=X509User(stranger))

        session = plant.session
        assert session.user == X509UserClaim(stranger.certificate)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_both_ends_also_run_on_uvloop(
    server_identity: ApplicationIdentity,
    client_identity: ApplicationIdentity,
    mode: ua.MessageSecurityMode,
) -> None:
    """The other tests run on the loop of asyncio; transports of uvloop differ in details."""

    async def converse() -> None:
        async with (
            Plant(server_identity, trusted=[client_identity.certificate]) as plant,
            await open_session(plant, client_identity, mode=mode) as client,
        ):
            (big,) = await client.call(COUNTER, ECHO, string("x" * 1_000_000))
            assert len(big.Value) == 1_000_000
            await client.call(COUNTER, RESTART)

    uvloop.run(converse())


async def test_who_gives_up_while_connecting_leaves_no_complaint() -> None:
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))

    connecting = asyncio.create_task(Client.connect("opc.tcp://127.0.0.1:9"))
    await asyncio.sleep(0)
    connecting.cancel()
    await asyncio.wait([connecting])
    assert connecting.cancelled()
    del connecting
    gc.collect()

    assert complaints == []
