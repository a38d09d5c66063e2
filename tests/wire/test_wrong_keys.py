"""A Server that has another key than the one whose certificate it shows; threat T24, fault F11."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asyncua import ua

from registrar.errors import Reason, SecurityChecksFailed, ServiceFailed
from registrar.status import StatusCode
from registrar.ua import open_chunk
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.codec import encode_message
from registrar.ua.open_chunk import OpenContent
from registrar.ua.security_policy import BASIC256SHA256
from registrar.wire import Client
from tests.wire.lying import acknowledge, answering
from tests.wire.outcomes import told
from tests.wire.plant import Plant
from tests.wire.raw import refusal_of

CHECKS_FAILED = (
    SecurityChecksFailed,
    StatusCode.BadSecurityChecksFailed,
    Reason.PROTOCOL_VIOLATION,
)


@pytest.mark.clause("F11")
async def test_F11_a_server_that_cannot_read_what_we_encrypt(
    plant: Plant, client_identity: ApplicationIdentity, stranger: ApplicationIdentity
) -> None:
    """It shows the certificate of ``stranger`` and says itself that it failed."""
    imposter = ApplicationIdentity(
        certificate=stranger.certificate, private_key=plant.identities[0].private_key
    )
    async with Plant(imposter, trusted=[client_identity.certificate]) as liar:
        error = await refusal_of(Client.connect(liar.url, security=liar.security(client_identity)))

    assert told(error) == (
        ServiceFailed,
        StatusCode.BadSecurityChecksFailed,
        Reason.ACCESS_DENIED,
    )


def opened_by(signer: ApplicationIdentity, client: ApplicationIdentity) -> bytes:
    """Return an OPN for ``client`` that all is right with but, perhaps, its signer."""
    token = ua.ChannelSecurityToken(
        ua.UInt32(7), ua.UInt32(1), datetime.now(UTC), ua.UInt32(60_000)
    )
    result = ua.OpenSecureChannelResult(SecurityToken=token, ServerNonce=ua.ByteString(bytes(32)))
    body = encode_message(ua.OpenSecureChannelResponse(Parameters=result))
    return open_chunk.seal(
        BASIC256SHA256,
        identity=signer,
        receiver_key=client.private_key.public_key(),
        receiver_thumbprint=client.thumbprint,
        channel_id=7,
        content=OpenContent(sequence_number=1, request_id=1, body=body),
    )


@pytest.mark.clause("F11")
@pytest.mark.parametrize("who", ["right", "other-key", "other-certificate"])
async def test_F11_an_open_that_is_signed_with_another_key_than_announced(
    plant: Plant,
    client_identity: ApplicationIdentity,
    server_identity: ApplicationIdentity,
    stranger: ApplicationIdentity,
    who: str,
) -> None:
    signer = {
        "right": server_identity,
        "other-key": ApplicationIdentity(
            certificate=server_identity.certificate, private_key=stranger.private_key
        ),
        "other-certificate": stranger,
    }[who]
    security = plant.security(client_identity)

    async with answering(acknowledge(), opened_by(signer, client_identity)) as url:
        if who == "right":
            async with await Client.connect(url, security=security):
                return
        error = await refusal_of(Client.connect(url, security=security))

    assert told(error) == CHECKS_FAILED
