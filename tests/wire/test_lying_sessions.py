"""What a Client believes of a CreateSession answer: the Server proves its key once more; T10."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from asyncua import ua

from registrar.errors import Reason, SecurityChecksFailed
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import BASIC256SHA256
from registrar.ua.session import server_signature
from registrar.wire import Client, services
from registrar.wire.context import Context
from tests.wire.plant import Plant
from tests.wire.raw import refusal_of

INVALID = StatusCode.BadApplicationSignatureInvalid

Lie = Callable[[ua.CreateSessionResult, ua.CreateSessionParameters], object]


def lie_with(monkeypatch: pytest.MonkeyPatch, lie: Lie) -> None:
    """Let every Server change its CreateSession answer by ``lie`` before it is sent."""
    honest = services.SERVICES[ua.CreateSessionRequest]
    handler: Callable[..., Awaitable[ua.CreateSessionResponse]] = honest.answer

    async def lying(context: Context, request: ua.CreateSessionRequest) -> Any:
        response = await handler(context, request)
        lie(response.Parameters, request.Parameters)
        return response

    table = {**services.SERVICES, ua.CreateSessionRequest: replace(honest, answer=lying)}
    monkeypatch.setattr(services, "SERVICES", MappingProxyType(table))


async def refused(plant: Plant, client: ApplicationIdentity) -> tuple[type, StatusCode, Reason]:
    """Return how CreateSession ends: class, status and reason."""
    async with await Client.connect(plant.url, security=plant.security(client)) as connected:
        error = await refusal_of(connected.create_session())
        assert plant.authenticated == [], "the Client signed for a Server it does not believe"
    return type(error), error.status, error.reason


def flip(data: bytes) -> bytes:
    """Return ``data`` with one bit changed."""
    return data[:-1] + bytes([data[-1] ^ 1])


def signing(signer: ApplicationIdentity, certificate: bytes, nonce: bytes) -> ua.SignatureData:
    """Return a signature as a Server would give it."""
    return server_signature(
        BASIC256SHA256, signer, client_certificate=certificate, client_nonce=nonce
    )


@pytest.mark.clause("OPC 10000-4 §5.7.2")
@pytest.mark.clause("F11")
@pytest.mark.parametrize(
    "what",
    ["bit", "missing", "empty", "foreign", "its-own-certificate", "its-own-nonce", "algorithm"],
)
async def test_F11_a_server_signature_that_proves_nothing(
    plant: Plant,
    client_identity: ApplicationIdentity,
    stranger: ApplicationIdentity,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """It must be by the channel's key, over our certificate and our nonce."""
    server = plant.identities[0]

    def lie(result: ua.CreateSessionResult, asked: ua.CreateSessionParameters) -> None:
        signature, nonce, ours = result.ServerSignature, asked.ClientNonce, asked.ClientCertificate
        if what == "bit":
            signature.Signature = flip(signature.Signature)
        elif what == "missing":
            result.ServerSignature = ua.SignatureData()
        elif what == "empty":
            signature.Signature = b""
        elif what == "foreign":
            result.ServerSignature = signing(stranger, ours, nonce)
        elif what == "its-own-certificate":
            result.ServerSignature = signing(server, server.certificate, nonce)
        elif what == "its-own-nonce":
            result.ServerSignature = signing(server, ours, result.ServerNonce)
        else:
            signature.Algorithm = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"

    lie_with(monkeypatch, lie)

    assert await refused(plant, client_identity) == (
        SecurityChecksFailed,
        INVALID,
        Reason.PROTOCOL_VIOLATION,
    )


@pytest.mark.clause("OPC 10000-4 §5.7.2")
@pytest.mark.parametrize("what", ["none", "empty", "short", "ours"])
async def test_a_nonce_that_is_not_fresh(
    plant: Plant,
    client_identity: ApplicationIdentity,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    def lie(result: ua.CreateSessionResult, asked: ua.CreateSessionParameters) -> None:
        lies = {"none": None, "empty": b"", "short": bytes(31), "ours": asked.ClientNonce}
        result.ServerNonce = lies[what]

    lie_with(monkeypatch, lie)

    assert await refused(plant, client_identity) == (
        SecurityChecksFailed,
        StatusCode.BadNonceInvalid,
        Reason.PROTOCOL_VIOLATION,
    )


@pytest.mark.clause("OPC 10000-4 §5.7.2")
@pytest.mark.parametrize("what", ["none", "empty", "another", "ours", "another-first"])
async def test_another_certificate_than_the_channel_was_opened_with(
    plant: Plant,
    client_identity: ApplicationIdentity,
    stranger: ApplicationIdentity,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """Of a chain the first is the Server's, so that its own behind another is no proof."""

    def lie(result: ua.CreateSessionResult, asked: ua.CreateSessionParameters) -> None:
        lies = {
            "none": None,
            "empty": b"",
            "another": stranger.certificate,
            "ours": client_identity.certificate,
            "another-first": stranger.certificate + plant.identities[0].certificate,
        }
        result.ServerCertificate = lies[what]

    lie_with(monkeypatch, lie)

    assert await refused(plant, client_identity) == (
        SecurityChecksFailed,
        StatusCode.BadSecurityChecksFailed,
        Reason.PROTOCOL_VIOLATION,
    )


@pytest.mark.clause("OPC 10000-4 §5.7.2")
async def test_a_chain_that_begins_with_the_certificate_of_the_channel_is_taken(
    plant: Plant,
    client_identity: ApplicationIdentity,
    stranger: ApplicationIdentity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And so is a nonce of 32 bytes: the least there may be."""

    def chain(result: ua.CreateSessionResult, _: ua.CreateSessionParameters) -> None:
        result.ServerCertificate += stranger.certificate
        assert len(result.ServerNonce) == 32

    lie_with(monkeypatch, chain)
    security = plant.security(client_identity)
    async with await Client.connect(plant.url, security=security) as client:
        await client.create_session()

    assert len(plant.authenticated) == 1
