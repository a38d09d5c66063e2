"""A small Server to talk to: it counts, echoes and drops, and trusts who it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Self

from asyncua import ua

from registrar.errors import AccessDenied, CertificateRejected
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import (
    AES128_SHA256_RSAOAEP,
    AES256_SHA256_RSAPSS,
    BASIC256SHA256,
    NONE,
    SecurityPolicy,
)
from registrar.ua.user_tokens import UserNameUser, X509UserClaim
from registrar.wire import (
    Access,
    AddressSpace,
    Argument,
    ChannelSecurity,
    Client,
    ClientLimits,
    Listener,
    Method,
    MethodTable,
    Mode,
    Peer,
    Role,
    ServerLimits,
    Session,
    load_node_table,
)
from registrar.wire.builtin import node_id

SERVER_URI = "urn:test:server"
CLIENT_URI = "urn:test:client"

SIGN = ua.MessageSecurityMode.Sign
ENCRYPT = ua.MessageSecurityMode.SignAndEncrypt
POLICIES = (BASIC256SHA256, AES128_SHA256_RSAOAEP, AES256_SHA256_RSAPSS)
MODES = (SIGN, ENCRYPT)

OBJECTS = node_id(85)
COUNTER = node_id(1, 1)
ECHO = node_id(2, 1)
CYCLE = node_id(3, 1)
ADMINISTER = node_id(4, 1)
RESTART = node_id(5, 1)
WAIT = node_id(6, 1)
SETTING = node_id(7, 1)
SECRET = node_id(8, 1)

TCP_PROFILE = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
TOKENS = {
    "anonymous": ua.UserTokenType.Anonymous,
    "name": ua.UserTokenType.UserName,
    "certificate": ua.UserTokenType.Certificate,
}


LIMITS: Callable[..., ServerLimits] = ServerLimits


def string(value: str) -> ua.Variant:
    """Return a String."""
    return ua.Variant(value, ua.VariantType.String)


def value_of(data_value: ua.DataValue) -> object:
    """Return the bare value of what was read."""
    assert data_value.Value is not None
    return data_value.Value.Value


ELEMENT: Callable[..., ua.RelativePathElement] = ua.RelativePathElement


def path_to(start: ua.NodeId, *names: str) -> ua.BrowsePath:
    """Return the path of ``names`` in the Server's own namespace, below ``start``."""
    elements = [
        ELEMENT(
            ReferenceTypeId=node_id(33),
            IsInverse=False,
            IncludeSubtypes=True,
            TargetName=ua.QualifiedName(name, 1),
        )
        for name in names
    ]
    return ua.BrowsePath(start, ua.RelativePath(elements))


class Plant:
    """The application of the tests."""

    def __init__(
        self,
        *identities: ApplicationIdentity,
        trusted: Sequence[bytes] = (),
        limits: ServerLimits | None = None,
    ) -> None:
        self.identities = identities
        self.trusted = set(trusted)
        self.policies: tuple[SecurityPolicy, ...] = POLICIES
        self.has_bug = False
        self.roles: frozenset[Role] = frozenset({Role.ANONYMOUS})
        self.closed: list[Session] = []
        self.authenticated: list[Session] = []
        self.written: list[object] = []
        self.calls: list[str] = []
        self.gate = asyncio.Event()
        self.admitted = asyncio.Event()
        self.listener = Listener(self, limits=limits)
        self.space = AddressSpace(load_node_table(), application_uri=SERVER_URI)
        self.methods = MethodTable()
        self._fill()

    def _fill(self) -> None:
        space = self.space
        space.add_object(COUNTER, ua.QualifiedName("Counter", 1), OBJECTS)
        space.add_variable(
            CYCLE,
            ua.QualifiedName("Cycle", 1),
            COUNTER,
            lambda: ua.Variant(len(self.calls), ua.VariantType.UInt32),
            data_type=7,
        )
        space.add_variable(
            SETTING,
            ua.QualifiedName("Setting", 1),
            COUNTER,
            string("start"),
            data_type=12,
            access=Access(
                writer=lambda _, value: self.written.append(value.Value),
                write_roles=frozenset({Role.CONFIGURE_ADMIN}),
            ),
        )
        space.add_variable(
            SECRET,
            ua.QualifiedName("Secret", 1),
            COUNTER,
            string("hidden"),
            data_type=12,
            access=Access(read_roles=frozenset({Role.SECURITY_ADMIN})),
        )
        argument = ua.Argument(Name="Text", DataType=node_id(12), ValueRank=-1)
        for method_id, name in ((ECHO, "Echo"), (ADMINISTER, "Administer"), (WAIT, "Wait")):
            space.add_method(
                method_id,
                ua.QualifiedName(name, 1),
                COUNTER,
                inputs=[argument] if name != "Wait" else (),
                outputs=[argument] if name != "Wait" else (),
            )
        rows = {
            ECHO: Method(
                handler=self._echo, inputs=(ua.VariantType.String,), roles=None, mode=Mode.SIGN
            ),
            ADMINISTER: Method(
                handler=self._echo,
                inputs=(Argument(ua.VariantType.String),),
                roles=frozenset({Role.SECURITY_ADMIN}),
                mode=Mode.ENCRYPT,
            ),
            RESTART: Method(handler=self._restart, roles=None, mode=Mode.SIGN),
            WAIT: Method(handler=self._wait, roles=None, mode=Mode.SIGN),
        }
        for method_id, method in rows.items():
            self.methods.add(COUNTER, [method_id], method)

    def _echo(self, session: Session, text: str) -> Sequence[ua.Variant]:
        self.calls.append(text)
        return [string(text)]

    def _restart(self, session: Session) -> Sequence[ua.Variant]:
        self.listener.drop_channels()
        return []

    async def _wait(self, session: Session) -> Sequence[ua.Variant]:
        self.calls.append("waiting")
        await self.gate.wait()
        return []

    # Application

    def describe(self) -> ua.ApplicationDescription:
        """Return what FindServers tells."""
        return ua.ApplicationDescription(
            ApplicationUri=SERVER_URI,
            ProductUri="urn:test",
            ApplicationName=ua.LocalizedText("Plant"),
            ApplicationType=ua.ApplicationType.Server,
        )

    def endpoints(self, endpoint_url: str) -> list[ua.EndpointDescription]:
        """Return an endpoint for each policy, mode and identity."""
        if self.has_bug:
            raise KeyError("a bug")
        tokens = [
            ua.UserTokenPolicy(PolicyId=name, TokenType=kind) for name, kind in TOKENS.items()
        ]
        secured = [
            ua.EndpointDescription(
                EndpointUrl=endpoint_url,
                Server=self.describe(),
                ServerCertificate=identity.sender_certificate,
                SecurityMode=mode,
                SecurityPolicyUri=policy.uri,
                UserIdentityTokens=tokens,
                TransportProfileUri=TCP_PROFILE,
                SecurityLevel=1,
            )
            for identity in self.identities
            for policy in self.policies
            for mode in MODES
        ]
        plain = ua.EndpointDescription(
            EndpointUrl=endpoint_url,
            Server=self.describe(),
            SecurityMode=ua.MessageSecurityMode.None_,
            SecurityPolicyUri=NONE.uri,
            TransportProfileUri=TCP_PROFILE,
        )
        return [*secured, plain]

    def identity(self, receiver_thumbprint: bytes) -> ApplicationIdentity | None:
        """Return the identity a Client asks for."""
        for identity in self.identities:
            if identity.thumbprint == receiver_thumbprint:
                return identity
        return None

    def admit(self, peer: Peer, now: datetime) -> None:
        """Refuse strangers."""
        self.admitted.set()
        if peer.certificate not in self.trusted:
            raise CertificateRejected("a stranger", status=StatusCode.BadCertificateUntrusted)

    def authenticate(self, session: Session) -> frozenset[Role] | Awaitable[frozenset[Role]]:
        """Know one user, and every user certificate."""
        user = session.user
        if isinstance(user, UserNameUser) and (user.name, user.password) != ("operator", "secret"):
            raise AccessDenied("wrong password", status=StatusCode.BadUserAccessDenied)
        self.authenticated.append(session)
        known = isinstance(user, UserNameUser | X509UserClaim)
        return self.roles | {Role.AUTHENTICATED_USER} if known else self.roles

    def session_closed(self, session: Session) -> None:
        """Remember it."""
        self.closed.append(session)

    # For tests

    @property
    def session(self) -> Session:
        """The only Session there is."""
        (state,) = self.listener.sessions
        return state.session

    async def __aenter__(self) -> Self:
        await self.listener.start("127.0.0.1")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.listener.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"opc.tcp://127.0.0.1:{self.listener.port}/"

    def security(
        self,
        client: ApplicationIdentity,
        policy: SecurityPolicy = BASIC256SHA256,
        mode: ua.MessageSecurityMode = ENCRYPT,
    ) -> ChannelSecurity:
        """Return how ``client`` can open a channel to the first identity."""
        return ChannelSecurity(
            policy=policy,
            mode=mode,
            identity=client,
            server_certificate=self.identities[0].certificate,
        )


async def open_session(
    plant: Plant,
    client: ApplicationIdentity,
    policy: SecurityPolicy = BASIC256SHA256,
    mode: ua.MessageSecurityMode = ENCRYPT,
    *,
    limits: ClientLimits | None = None,
) -> Client:
    """Return a Client with an activated Session."""
    connected = await Client.connect(
        plant.url, security=plant.security(client, policy, mode), limits=limits
    )
    await connected.create_session()
    return connected


Server = Callable[[ServerLimits], Plant]
"""Makes a Server with other limits."""
