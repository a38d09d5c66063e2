"""A Client that may say anything on its channel: the services of Sessions, one by one."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from asyncua import ua

from registrar.errors import RegistrarError
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.client_channel import ClientChannel
from registrar.ua.security_policy import BASIC256SHA256, NONE, SecurityPolicy
from registrar.ua.session import client_signature
from registrar.ua.transport import Hello, encode_hello
from registrar.ua.user_tokens import AnonymousUser, UserNameUser, X509User, encode_user_token
from registrar.wire import ClientLimits, KeyQueue
from registrar.wire.client_connection import ClientConnection
from registrar.wire.unfinished import UnfinishedMessages
from tests.wire.plant import CLIENT_URI, ENCRYPT, Plant

Response = TypeVar("Response")

PATIENT = ClientLimits(request_s=5)


def hello(receive: int = 65_536, send: int = 65_536) -> bytes:
    """Return a HEL with buffers of so many bytes."""
    return encode_hello(
        Hello(
            receive_buffer_size=receive,
            send_buffer_size=send,
            max_message_size=0,
            max_chunk_count=0,
            endpoint_url="opc.tcp://127.0.0.1/",
        )
    )


HELLO = hello()
"""A HEL as anybody may say it."""


class RawClient:
    """A channel, and requests as a test wants them."""

    def __init__(
        self,
        plant: Plant,
        identity: ApplicationIdentity | None,
        policy: SecurityPolicy = BASIC256SHA256,
        mode: ua.MessageSecurityMode = ENCRYPT,
        *,
        limits: ClientLimits = PATIENT,
    ) -> None:
        self.plant = plant
        self.identity = identity
        self.policy = policy if identity else NONE
        server = plant.identities[0]
        self.server_certificate = server.certificate
        self.channel = ClientChannel(
            endpoint_url=plant.url,
            policy=self.policy,
            mode=mode if identity else ua.MessageSecurityMode.None_,
            identity=identity,
            server_certificate=server.certificate if identity else None,
        )
        self.connection = ClientConnection(
            self.channel,
            address="127.0.0.1",
            key_bits=identity.key_bits if identity else 0,
            limits=limits,
            keys=KeyQueue(),
            unfinished=UnfinishedMessages(),
        )

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().create_connection(
            lambda: self.connection, "127.0.0.1", self.plant.listener.port
        )
        await self.connection.opened
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    async def ask(
        self, request: Any, expected: type[Response], token: ua.NodeId | None = None
    ) -> Response:
        """Send ``request`` with ``token`` and return its response."""
        self.connection.token = token
        return await self.connection.exchange(request, expected)

    async def create(
        self,
        *,
        certificate: bytes | None = None,
        nonce: bytes | None = None,
        uri: str = CLIENT_URI,
        timeout_s: float = 60,
        max_response_size: int = 0,
    ) -> ua.CreateSessionResult:
        """Create a Session; the arguments replace what an honest Client says."""
        request = ua.CreateSessionRequest()
        parameters = request.Parameters
        parameters.ClientDescription.ApplicationUri = ua.String(uri)
        parameters.EndpointUrl = ua.String(self.plant.url)
        parameters.ClientNonce = ua.ByteString(os.urandom(32) if nonce is None else nonce)
        own = self.identity.certificate if self.identity else b""
        given = own if certificate is None else certificate
        parameters.ClientCertificate = ua.ByteString(given)
        parameters.RequestedSessionTimeout = ua.Double(timeout_s * 1000)
        parameters.MaxResponseMessageSize = ua.UInt32(max_response_size)
        response = await self.ask(request, ua.CreateSessionResponse)
        result: ua.CreateSessionResult = response.Parameters
        return result

    async def activate(
        self,
        token: ua.NodeId,
        nonce: bytes,
        *,
        signer: ApplicationIdentity | None = None,
        user: AnonymousUser | UserNameUser | X509User | None = None,
    ) -> bytes:
        """Activate a Session and return the next nonce of the Server."""
        request = ua.ActivateSessionRequest()
        parameters = request.Parameters
        parameters.ClientSignature = client_signature(
            self.policy,
            signer or self.identity,
            server_certificate=self.server_certificate,
            server_nonce=nonce,
        )
        parameters.UserIdentityToken, parameters.UserTokenSignature = encode_user_token(
            user or AnonymousUser(),
            token_policies=self.plant.endpoints(self.plant.url)[0].UserIdentityTokens,
            channel_policy=self.policy,
            server_certificate=self.server_certificate,
            server_nonce=nonce,
        )
        response = await self.ask(request, ua.ActivateSessionResponse, token)
        return bytes(response.Parameters.ServerNonce)

    async def read(self, token: ua.NodeId) -> ua.ReadResponse:
        """Read something with the Session of ``token``."""
        request = ua.ReadRequest()
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Neither
        request.Parameters.NodesToRead = [ua.ReadValueId(NodeId=ua.NodeId(ua.Int32(2259)))]
        request.Parameters.NodesToRead[0].AttributeId = ua.UInt32(13)
        return await self.ask(request, ua.ReadResponse, token)


async def refusal_of(attempt: Any) -> RegistrarError:
    """Return the error that ``attempt`` ends with."""
    try:
        await attempt
    except RegistrarError as error:
        return error
    raise AssertionError("it was let in")


@asynccontextmanager
async def socket_to(
    plant: Plant,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect without any protocol."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plant.listener.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def error_in(answer: bytes) -> int:
    """Return the status of the ERR that ends ``answer``."""
    at = answer.index(b"ERRF")
    (status,) = struct.unpack_from("<I", answer, at + 8)
    return int(status)
