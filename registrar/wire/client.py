"""Ask a Server: one connection, one SecureChannel, at most one Session (OPC 10000-4).

    async with await Client.connect(url, security=…) as client:
        await client.create_session(discovered=endpoints)
        tickets = await client.call(object_id, method_id)

The peer is hostile until proven otherwise: every wait, byte and request is counted, every answer
must be the one that was asked for (T24).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Container, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.errors import (
    Misuse,
    ProtocolViolation,
    RegistrarError,
    Unavailable,
)
from registrar.status import StatusCode
from registrar.ua.client_channel import ClientChannel
from registrar.ua.codec import make
from registrar.ua.security_policy import NONE
from registrar.ua.user_tokens import AnonymousUser, X509User
from registrar.wire.certificates import application_uris
from registrar.wire.client_checks import (
    collect_references,
    compare_endpoints,
    parse_url,
    token_policies,
)
from registrar.wire.client_connection import ClientConnection
from registrar.wire.client_session import (
    SESSION_NONCE_SIZE,
    ChannelSecurity,
    UserToken,
    activate_request,
    check_created,
    create_request,
)
from registrar.wire.exchanges import as_many, known_status
from registrar.wire.key_queue import KeyQueue
from registrar.wire.limits import ClientLimits
from registrar.wire.unfinished import UnfinishedMessages

__all__ = ["ChannelSecurity", "Client", "UserToken"]

Response = TypeVar("Response")

DEFAULT_LIMITS = ClientLimits()

# Before Python 3.12 to look up the member of an enumeration takes as long as a small call.
UNSECURED = ua.MessageSecurityMode.None_
NEITHER = ua.TimestampsToReturn.Neither


class Client:
    """A connection to one Server; made by ``connect``."""

    def __init__(
        self,
        url: str,
        connection: ClientConnection,
        channel: ClientChannel,
        *,
        security: ChannelSecurity | None,
        application_uri: str,
        limits: ClientLimits,
    ) -> None:
        self.url = url
        self.security = security
        self._connection = connection
        self._channel = channel
        self._application_uri = application_uri
        self._limits = limits
        self._signatures = 0

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        security: ChannelSecurity | None = None,
        limits: ClientLimits | None = None,
        application_uri: str = "",
        local_host: str | None = None,
        keys: KeyQueue | None = None,
        unfinished: UnfinishedMessages | None = None,
    ) -> Self:
        """Open TCP and a SecureChannel.

        Args:
            security: None for an unsecured channel, which finds endpoints and nothing else.
            application_uri: ours; taken from our certificate where it is empty.
            local_host: source address of the connection.
            keys: the queue for private-key work; share one among Clients.
            unfinished: counts what answers keep until they are complete; share one as well.

        Raises:
            TimedOut: not within ``connect_s``.
            Unavailable: nobody listens, or the peer is busy.
            Rejected: the peer broke the protocol or its proof.
            ServiceFailed: the peer refused us.
        """
        limits = limits or DEFAULT_LIMITS
        host, port = parse_url(url)
        identity = security.identity if security else None
        channel = ClientChannel(
            endpoint_url=url,
            policy=security.policy if security else NONE,
            mode=security.mode if security else UNSECURED,
            identity=identity,
            server_certificate=security.server_certificate if security else None,
            limits=limits.channel,
        )
        if security is None:
            channel.bound_messages(limits.discovery_size)
        connection = ClientConnection(
            channel,
            address=host,
            key_bits=identity.key_bits if identity else 0,
            limits=limits,
            keys=keys or KeyQueue(),
            unfinished=unfinished or UnfinishedMessages(),
        )
        # The connection's own timer; asyncio.timeout would cost a hundredth of a conversation.
        connection.hurry(asyncio.current_task(), url)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                host,
                port,
                local_addr=(local_host, 0) if local_host else None,
            )
            await connection.opened
        except asyncio.CancelledError:
            late = connection.late()
            if late is None:
                connection.fail(Unavailable("the connection was given up", subject=url))
                raise
            raise late from None
        except OSError as error:
            unavailable = Unavailable(
                f"cannot connect: {error.strerror or type(error).__name__}",
                subject=url,
                status=StatusCode.BadConnectionRejected,
            )
            connection.fail(unavailable)
            raise unavailable from error
        except BaseException:
            connection.fail(Unavailable("the connection was given up", subject=url))
            raise
        if identity is not None and not application_uri:
            application_uri = next(iter(application_uris(identity.certificate)), "")
        return cls(
            url,
            connection,
            channel,
            security=security,
            application_uri=application_uri,
            limits=limits,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # Figures

    @property
    def exchanges(self) -> int:
        """Requests sent."""
        return self._connection.exchanges

    @property
    def private_key_operations(self) -> int:
        """Signatures made and blocks decrypted with our key."""
        return self._channel.private_key_operations + self._signatures

    @property
    def bytes_sent(self) -> int:
        """Bytes given to TCP."""
        return self._connection.bytes_sent

    @property
    def bytes_received(self) -> int:
        """Bytes taken from TCP."""
        return self._connection.bytes_received

    @property
    def server_certificate(self) -> bytes | None:
        """The leaf the Server proved to own; None on an unsecured channel."""
        return self._channel.peer_certificate

    # Discovery

    async def get_endpoints(self) -> list[ua.EndpointDescription]:
        """Return the endpoints of the Server; OPC 10000-4 §5.5.4."""
        parameters = make(ua.GetEndpointsParameters, self.url, [], [])
        request = make(ua.GetEndpointsRequest, None, parameters)
        response = await self._connection.exchange(request, ua.GetEndpointsResponse)
        return list(response.Endpoints or ())

    async def find_servers(self) -> list[ua.ApplicationDescription]:
        """Return the Servers known at this address; OPC 10000-4 §5.5.2."""
        parameters = make(ua.FindServersParameters, self.url, [], [])
        request = make(ua.FindServersRequest, None, parameters)
        response = await self._connection.exchange(request, ua.FindServersResponse)
        return list(response.Servers or ())

    # Session

    async def create_session(
        self,
        *,
        discovered: Sequence[ua.EndpointDescription] | None = None,
        user: UserToken | None = None,
        session_timeout_s: float = 60,
        server_application_uri: str | None = None,
    ) -> None:
        """Create and activate a Session; OPC 10000-4 §5.7.2, §5.7.3.

        Args:
            discovered: what ``get_endpoints`` said without security; must be what the Server
                says now (T10).
            user: anonymous where nothing is said.
            server_application_uri: must be in the Server's certificate.

        Raises:
            SecurityChecksFailed: certificate, signature, nonce or endpoints are not right.
            ServiceFailed: the Server refused.
        """
        security = self._secured()
        leaf = self._channel.peer_certificate or b""
        nonce = os.urandom(SESSION_NONCE_SIZE)
        request = create_request(
            security,
            nonce,
            url=self.url,
            application_uri=self._application_uri,
            timeout_s=session_timeout_s,
            max_response_size=self._limits.channel.max_message_size,
        )
        known = None if discovered is None else list(discovered)
        response = await self._connection.exchange(request, ua.CreateSessionResponse, again=known)
        result: ua.CreateSessionResult = response.Parameters
        check_created(security, result, nonce, leaf, self._channel.peer_key, server_application_uri)
        endpoints = list(result.ServerEndpoints or ())
        if known is not None:
            compare_endpoints(known, endpoints)
        self._connection.token = result.AuthenticationToken
        offered = token_policies(
            endpoints, policy_uri=security.policy.uri, mode=security.mode, url=self.url
        )
        user = user or AnonymousUser()
        self._signatures += 1 + isinstance(user, X509User)
        activation = await self._connection.work(
            lambda: activate_request(security, leaf, result.ServerNonce, offered, user)
        )
        await self._request(activation, ua.ActivateSessionResponse)

    def _secured(self) -> ChannelSecurity:
        if self.security is None:
            raise Misuse("no Session without security")
        return self.security

    # Attributes

    async def read(self, nodes: Sequence[tuple[ua.NodeId, AttributeIds]]) -> list[ua.DataValue]:
        """Return an attribute of each node, in order; a bad one has a bad ``StatusCode``."""
        values = [make(ua.ReadValueId, node_id, number, None, None) for node_id, number in nodes]
        parameters = make(ua.ReadParameters, 0.0, NEITHER, values)
        request = make(ua.ReadRequest, None, parameters)
        response = await self._request(request, ua.ReadResponse)
        return as_many(nodes, response.Results)

    async def write(self, values: Sequence[tuple[ua.NodeId, ua.Variant]]) -> list[StatusCode]:
        """Write the Value of each node and return the statuses, in order."""
        request = ua.WriteRequest()
        request.Parameters.NodesToWrite = [
            ua.WriteValue(
                NodeId=node_id,
                AttributeId=AttributeIds.Value,
                Value=ua.DataValue(value, StatusCode=None),
            )
            for node_id, value in values
        ]
        response = await self._request(request, ua.WriteResponse)
        return [known_status(result.value) for result in as_many(values, response.Results)]

    # View

    async def browse(
        self, descriptions: Sequence[ua.BrowseDescription], *, may_lack: Container[int] = ()
    ) -> list[list[ua.ReferenceDescription]]:
        """Return all references of each node, in order; follows BrowseNext.

        Args:
            may_lack: positions in ``descriptions`` of nodes that need not be there; such a node
                has no references.

        Raises:
            ServiceFailed: one of the nodes cannot be browsed.
            ProtocolViolation: the end did not come within ``browse_rounds`` or ``references``.
        """
        request = ua.BrowseRequest()
        request.Parameters.NodesToBrowse = list(descriptions)
        response = await self._request(request, ua.BrowseResponse)
        results = as_many(descriptions, response.Results)
        found: list[list[ua.ReferenceDescription]] = [[] for _ in descriptions]
        waiting = collect_references(results, found, range(len(found)), may_lack=may_lack)
        for _ in range(self._limits.browse_rounds):
            self._count(found)
            if not waiting:
                return found
            more = ua.BrowseNextRequest()
            more.Parameters.ReleaseContinuationPoints = False
            more.Parameters.ContinuationPoints = list(waiting.values())
            answer = await self._request(more, ua.BrowseNextResponse)
            results = as_many(waiting, answer.Parameters.Results)
            waiting = collect_references(results, found, tuple(waiting))
        raise ProtocolViolation(f"no end of Browse in {self._limits.browse_rounds} rounds")

    def _count(self, found: Sequence[Sequence[object]]) -> None:
        count = sum(map(len, found))
        if count > self._limits.references:
            raise ProtocolViolation(
                f"{count} references, at most {self._limits.references} are collected"
            )

    async def translate(self, paths: Sequence[ua.BrowsePath]) -> list[ua.BrowsePathResult]:
        """Return where each path ends, in order."""
        parameters = make(ua.TranslateBrowsePathsToNodeIdsParameters, paths)
        request = make(ua.TranslateBrowsePathsToNodeIdsRequest, None, parameters)
        response = await self._request(request, ua.TranslateBrowsePathsToNodeIdsResponse)
        return as_many(paths, response.Results)

    # Methods

    def call(
        self, object_id: ua.NodeId, method_id: ua.NodeId, *arguments: ua.Variant
    ) -> asyncio.Future[list[ua.Variant]]:
        """Call a Method and return the future of its output arguments.

        Raises:
            ServiceFailed: the Method or the service failed; ``status`` says how.
        """
        if self._connection.token is None:
            raise Misuse("no Session")
        return self._connection.call(object_id, method_id, arguments)

    async def call_all(self, requests: Sequence[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        """Call Methods in one request and return their results, in order."""
        parameters = make(ua.CallParameters, requests)
        request = make(ua.CallRequest, None, parameters)
        response = await self._request(request, ua.CallResponse)
        return as_many(requests, response.Results)

    async def close(self) -> None:
        """Close Session, channel and TCP, each within ``close_s``; idempotent, never raises."""
        if self._connection.token is not None:
            request = make(ua.CloseSessionRequest, None, True)
            with suppress(RegistrarError):  # the peer ends the Session by itself
                await self._request(request, ua.CloseSessionResponse, self._limits.close_s)
            self._connection.token = None
        await self._connection.close()

    def _request(
        self, request: Any, expected: type[Response], patience_s: float | None = None
    ) -> asyncio.Future[Response]:
        if self._connection.token is None:
            raise Misuse("no Session")
        return self._connection.exchange(request, expected, patience_s)
