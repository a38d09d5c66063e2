"""Foreign peers over TCP: asyncua's Client against our Listener, our Client against its Server.

All three policies in both modes, either way round.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client as ForeignClient
from asyncua.common.methods import uamethod
from asyncua.crypto import security_policies
from asyncua.server.server import Server as ForeignServer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError
from cryptography.hazmat.primitives import serialization

from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import (
    AES128_SHA256_RSAOAEP,
    AES256_SHA256_RSAPSS,
    BASIC256SHA256,
    SecurityPolicy,
)
from registrar.ua.user_tokens import UserNameUser
from registrar.wire import ChannelSecurity, Client
from registrar.wire.builtin import node_id
from tests.wire.plant import (
    CLIENT_URI,
    COUNTER,
    CYCLE,
    ECHO,
    ENCRYPT,
    MODES,
    POLICIES,
    SERVER_URI,
    Plant,
    string,
    value_of,
)
from tests.wire.relay import Cut, broken_at, byte_by_byte, relaying

FOREIGN_POLICIES: dict[str, Any] = {
    BASIC256SHA256.uri: security_policies.SecurityPolicyBasic256Sha256,
    AES128_SHA256_RSAOAEP.uri: security_policies.SecurityPolicyAes128Sha256RsaOaep,
    AES256_SHA256_RSAPSS.uri: security_policies.SecurityPolicyAes256Sha256RsaPss,
}
OFFERED = [
    ua.SecurityPolicyType.Basic256Sha256_Sign,
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_Sign,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
    ua.SecurityPolicyType.NoSecurity,
]

every_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
every_mode = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)


def save(identity: ApplicationIdentity, folder: Path) -> tuple[Path, Path]:
    """Write certificate and key as asyncua wants them."""
    certificate, key = folder / "certificate.der", folder / "key.pem"
    certificate.write_bytes(identity.certificate)
    key.write_bytes(
        identity.private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, key


async def foreign_client(
    plant: Plant,
    identity: ApplicationIdentity,
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    folder: Path,
    url: str | None = None,
) -> ForeignClient:
    """Return asyncua's Client, ready to connect; ``url`` where a relay is between."""
    certificate, key = save(identity, folder)
    server_certificate = folder / "server.der"
    server_certificate.write_bytes(plant.identities[0].certificate)
    client = ForeignClient(url or plant.url)
    client.application_uri = CLIENT_URI
    await client.set_security(
        FOREIGN_POLICIES[policy.uri],
        certificate=certificate,
        private_key=key,
        server_certificate=str(server_certificate),
        mode=mode,
    )
    return client


@every_mode
@every_policy
async def test_a_foreign_client_reads_browses_and_calls_our_listener(
    plant: Plant,
    client_identity: ApplicationIdentity,
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
    tmp_path: Path,
) -> None:
    client = await foreign_client(plant, client_identity, policy, mode, tmp_path)

    async with client:
        cycle = await client.get_node(CYCLE).read_value()
        children = await client.get_node(COUNTER).get_children()
        answer = await client.get_node(COUNTER).call_method(ECHO, string("hello"))
        namespaces = await client.get_namespace_array()
        server = await client.nodes.server.read_browse_name()

    assert cycle == 0
    assert {CYCLE, ECHO} <= {child.nodeid for child in children}
    assert answer == "hello"
    assert namespaces[:2] == ["http://opcfoundation.org/UA/", SERVER_URI]
    assert server.Name == "Server"
    assert len(plant.closed) == 1


async def test_a_foreign_client_finds_our_endpoints(plant: Plant) -> None:
    client = ForeignClient(plant.url)

    endpoints = await client.connect_and_get_server_endpoints()

    assert len(endpoints) == len(POLICIES) * len(MODES) + 1


async def test_a_foreign_client_walks_the_whole_of_our_objects(
    plant: Plant, client_identity: ApplicationIdentity, tmp_path: Path
) -> None:
    """Follows hierarchical references down from ServerConfiguration, with all attributes."""
    client = await foreign_client(plant, client_identity, BASIC256SHA256, ENCRYPT, tmp_path)

    async with client:
        found = 0
        waiting = [client.get_node(node_id(12637))]
        while waiting:
            node = waiting.pop()
            found += 1
            assert (await node.read_browse_name()).Name
            waiting += await node.get_children()

    assert found == len(plant.space.table.subtree(node_id(12637)))


async def test_a_foreign_client_names_its_user(
    plant: Plant, client_identity: ApplicationIdentity, tmp_path: Path
) -> None:
    client = await foreign_client(plant, client_identity, BASIC256SHA256, ENCRYPT, tmp_path)
    client.set_user("operator")
    client.set_password("secret")

    async with client:
        session = plant.session

    assert session.user == UserNameUser("operator", "")


async def test_a_foreign_client_nobody_trusts_is_refused(
    plant: Plant, stranger: ApplicationIdentity, tmp_path: Path
) -> None:
    client = await foreign_client(plant, stranger, BASIC256SHA256, ENCRYPT, tmp_path)

    with pytest.raises((UaError, ConnectionError)):
        await client.connect()

    assert not plant.authenticated


# The other way round


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def foreign_server(
    server_identity: ApplicationIdentity, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ForeignServer]:
    """Return asyncua's Server, with a Variable and a Method."""
    certificate, key = save(server_identity, tmp_path_factory.mktemp("server"))
    server = ForeignServer()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/")
    await server.set_application_uri(SERVER_URI)
    server.set_security_policy(OFFERED)
    await server.load_certificate(certificate)
    await server.load_private_key(key)
    await server.nodes.objects.add_variable(node_id(100, 1), "Answer", 42)

    @uamethod
    def double(_: object, number: int) -> int:
        return number * 2

    await server.nodes.objects.add_method(
        node_id(101, 1), "Double", double, [ua.VariantType.Int64], [ua.VariantType.Int64]
    )
    await server.start()
    yield server
    await server.stop()


def port_of(server: ForeignServer) -> int:
    """Return where ``server`` listens."""
    listening = server.bserver
    assert listening is not None
    return int(listening.port)


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@every_mode
@every_policy
async def test_our_client_reads_browses_and_calls_a_foreign_server(
    foreign_server: ForeignServer,
    server_identity: ApplicationIdentity,
    client_identity: ApplicationIdentity,
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
) -> None:
    security = ChannelSecurity(
        policy=policy,
        mode=mode,
        identity=client_identity,
        server_certificate=server_identity.certificate,
    )
    url = f"opc.tcp://127.0.0.1:{port_of(foreign_server)}/"
    async with await Client.connect(url) as discovery:
        discovered = await discovery.get_endpoints()

    async with await Client.connect(url, security=security) as client:
        await client.create_session(discovered=discovered, server_application_uri=SERVER_URI)
        (answer,) = await client.read([(node_id(100, 1), AttributeIds.Value)])
        (references,) = await client.browse(
            [ua.BrowseDescription(NodeId=node_id(85), ResultMask=63)]
        )
        (doubled,) = await client.call(
            node_id(85), node_id(101, 1), ua.Variant(21, ua.VariantType.Int64)
        )

    assert any(
        (endpoint.SecurityPolicyUri, endpoint.SecurityMode) == (policy.uri, mode)
        for endpoint in discovered
    )
    assert value_of(answer) == 42
    assert {"Server", "Answer", "Double"} <= {item.BrowseName.Name for item in references}
    assert doubled.Value == 42


# In pieces


@every_policy
async def test_a_foreign_client_may_be_heard_byte_by_byte(
    plant: Plant, client_identity: ApplicationIdentity, policy: SecurityPolicy, tmp_path: Path
) -> None:
    async with relaying(plant.listener.port, cut=byte_by_byte) as relay:
        url = f"opc.tcp://127.0.0.1:{relay.port}/"
        client = await foreign_client(plant, client_identity, policy, ENCRYPT, tmp_path, url)
        async with client:
            answer = await client.get_node(COUNTER).call_method(ECHO, string("in pieces"))

    assert answer == "in pieces"
    assert relay.forwarded[:4] == [">HEL", "<ACK", ">OPN", "<OPN"]


async def converse(
    port: int, cut: Cut, identity: ApplicationIdentity, certificate: bytes, policy: SecurityPolicy
) -> None:
    """Ask a foreign Server all that discovery, a Session and a Method take, in pieces."""
    security = ChannelSecurity(
        policy=policy, mode=ENCRYPT, identity=identity, server_certificate=certificate
    )
    async with relaying(port, cut=cut) as relay:
        url = f"opc.tcp://127.0.0.1:{relay.port}/"
        async with await Client.connect(url) as discovery:
            assert await discovery.get_endpoints()
        async with await Client.connect(url, security=security) as client:
            await client.create_session()
            (doubled,) = await client.call(
                node_id(85), node_id(101, 1), ua.Variant(21, ua.VariantType.Int64)
            )
    assert doubled.Value == 42


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@every_policy
async def test_a_foreign_server_may_be_heard_byte_by_byte(
    foreign_server: ForeignServer,
    server_identity: ApplicationIdentity,
    client_identity: ApplicationIdentity,
    policy: SecurityPolicy,
) -> None:
    port = port_of(foreign_server)

    await converse(port, byte_by_byte, client_identity, server_identity.certificate, policy)


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("first", range(1, 256, 32))
@every_policy
async def test_the_messages_of_a_foreign_server_may_break_anywhere(
    foreign_server: ForeignServer,
    server_identity: ApplicationIdentity,
    client_identity: ApplicationIdentity,
    policy: SecurityPolicy,
    first: int,
) -> None:
    """Every boundary of the first 256 bytes by itself: all headers end among them."""
    port, certificate = port_of(foreign_server), server_identity.certificate

    for place in range(first, first + 32):
        await converse(port, broken_at(place), client_identity, certificate, policy)
