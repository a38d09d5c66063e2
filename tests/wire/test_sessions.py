"""A Session belongs to its channel, its certificate and its user; OPC 10000-4 §5.7."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Awaitable

import pytest
from asyncua import ua

from registrar.errors import AccessDenied, ServiceFailed
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import AES256_SHA256_RSAPSS, BASIC256SHA256, SecurityPolicy
from registrar.ua.user_tokens import UserNameUser, X509User
from registrar.wire import Role, Session
from registrar.wire.builtin import node_id
from tests.wire.plant import ENCRYPT, SIGN, Plant
from tests.wire.raw import RawClient, refusal_of

T12 = pytest.mark.clause("T12: OPC 10000-4 §5.7.3")
OPERATOR = UserNameUser("operator", "secret")


@T12
async def test_a_session_serves_its_own_channel_alone(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with (
        RawClient(plant, client_identity) as owner,
        RawClient(plant, client_identity) as other,
    ):
        created = await owner.create()
        await owner.activate(created.AuthenticationToken, created.ServerNonce)

        error = await refusal_of(other.read(created.AuthenticationToken))

        assert error.status is StatusCode.BadSessionIdInvalid
        assert await owner.read(created.AuthenticationToken)


@T12
async def test_a_session_moves_with_the_same_certificate_and_user(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with RawClient(plant, client_identity) as old, RawClient(plant, client_identity) as new:
        created = await old.create()
        token = created.AuthenticationToken
        nonce = await old.activate(token, created.ServerNonce, user=OPERATOR)

        await new.activate(token, nonce, user=OPERATOR)

        assert await new.read(token)
        error = await refusal_of(old.read(token))
        assert error.status is StatusCode.BadSessionIdInvalid


@T12
async def test_a_session_outlives_its_channel(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with RawClient(plant, client_identity) as old:
        created = await old.create()
        token = created.AuthenticationToken
        nonce = await old.activate(token, created.ServerNonce)

    async with RawClient(plant, client_identity) as new:
        await new.activate(token, nonce)

        assert await new.read(token)


@T12
@pytest.mark.parametrize(
    ("policy", "mode"), [(AES256_SHA256_RSAPSS, ENCRYPT), (BASIC256SHA256, SIGN)]
)
async def test_a_session_does_not_move_to_another_policy_or_mode(
    plant: Plant,
    client_identity: ApplicationIdentity,
    policy: SecurityPolicy,
    mode: ua.MessageSecurityMode,
) -> None:
    async with (
        RawClient(plant, client_identity) as owner,
        RawClient(plant, client_identity, policy, mode) as other,
    ):
        created = await owner.create()
        token = created.AuthenticationToken
        nonce = await owner.activate(token, created.ServerNonce)

        error = await refusal_of(other.activate(token, nonce))

        assert error.status is StatusCode.BadSecurityChecksFailed
        assert await owner.read(token)


@T12
async def test_a_session_does_not_move_to_another_certificate(
    plant: Plant, client_identity: ApplicationIdentity, stranger: ApplicationIdentity
) -> None:
    plant.trusted.add(stranger.certificate)
    async with RawClient(plant, client_identity) as owner, RawClient(plant, stranger) as thief:
        created = await owner.create()
        token = created.AuthenticationToken
        nonce = await owner.activate(token, created.ServerNonce)

        error = await refusal_of(thief.activate(token, nonce))

        assert error.status is StatusCode.BadSecurityChecksFailed
        assert await owner.read(token)


@T12
async def test_a_session_does_not_move_to_another_user(
    plant: Plant, client_identity: ApplicationIdentity, stranger: ApplicationIdentity
) -> None:
    async with (
        RawClient(plant, client_identity) as owner,
        RawClient(plant, client_identity) as other,
    ):
        created = await owner.create()
        token = created.AuthenticationToken
        nonce = await owner.activate(token, created.ServerNonce, user=OPERATOR)

        anonymous = await refusal_of(other.activate(token, nonce))
        somebody = await refusal_of(other.activate(token, nonce, user=X509User(stranger)))

        assert anonymous.status is StatusCode.BadIdentityChangeNotSupported
        assert somebody.status is StatusCode.BadIdentityChangeNotSupported
        assert await owner.read(token)
        await other.activate(token, nonce, user=OPERATOR)  # the failures used nothing up


@T12
async def test_a_nonce_of_the_server_serves_once(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with RawClient(plant, client_identity) as client:
        created = await client.create()
        token, first = created.AuthenticationToken, created.ServerNonce
        second = await client.activate(token, first)

        error = await refusal_of(client.activate(token, first))

        assert error.status is StatusCode.BadApplicationSignatureInvalid
        assert await client.activate(token, second) not in (first, second)


@T12
async def test_a_session_is_activated_where_it_was_created(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with (
        RawClient(plant, client_identity) as owner,
        RawClient(plant, client_identity) as other,
    ):
        created = await owner.create()
        token = created.AuthenticationToken

        error = await refusal_of(other.activate(token, created.ServerNonce))

        assert error.status is StatusCode.BadSessionIdInvalid
        await owner.activate(token, created.ServerNonce)


async def test_the_first_request_of_a_session_is_its_activation(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with RawClient(plant, client_identity) as client:
        created = await client.create()
        token = created.AuthenticationToken

        error = await refusal_of(client.read(token))
        again = await refusal_of(client.activate(token, created.ServerNonce))

    assert error.status is StatusCode.BadSessionNotActivated
    assert again.status is StatusCode.BadSessionIdInvalid


async def test_a_session_that_was_never_activated_ends_with_its_channel(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with RawClient(plant, client_identity) as client:
        await client.create()
        assert len(plant.listener.sessions) == 1

    async with RawClient(plant, client_identity):
        assert len(plant.listener.sessions) == 0


@pytest.mark.clause("T13: OPC 10000-4 §5.7.2")
@pytest.mark.parametrize("given", ["missing", "another"])
async def test_a_session_has_the_certificate_of_its_channel(
    plant: Plant, client_identity: ApplicationIdentity, stranger: ApplicationIdentity, given: str
) -> None:
    certificate = {"missing": b"", "another": stranger.certificate}[given]
    async with RawClient(plant, client_identity) as client:
        error = await refusal_of(client.create(certificate=certificate))

    assert error.status is StatusCode.BadSecurityChecksFailed
    assert len(plant.listener.sessions) == 0


@pytest.mark.clause("OPC 10000-4 §5.7.2")
@pytest.mark.parametrize("uri", ["", "urn:test:other"])
async def test_the_application_uri_is_in_the_certificate(
    plant: Plant, client_identity: ApplicationIdentity, uri: str
) -> None:
    async with RawClient(plant, client_identity) as client:
        error = await refusal_of(client.create(uri=uri))

    assert error.status is StatusCode.BadCertificateUriInvalid


@pytest.mark.clause("OPC 10000-4 §5.7.2")
@pytest.mark.parametrize("size", [0, 31, 129])
async def test_a_client_nonce_has_enough_bytes_and_not_too_many(
    plant: Plant, client_identity: ApplicationIdentity, size: int
) -> None:
    async with RawClient(plant, client_identity) as client:
        error = await refusal_of(client.create(nonce=bytes(size)))

    assert error.status is StatusCode.BadNonceInvalid


async def test_a_client_nonce_serves_once(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    nonce = os.urandom(32)
    async with RawClient(plant, client_identity) as client:
        await client.create(nonce=nonce)

        error = await refusal_of(client.create(nonce=nonce))

    assert error.status is StatusCode.BadNonceInvalid


async def test_the_key_of_the_certificate_is_proven_again(
    plant: Plant, client_identity: ApplicationIdentity, stranger: ApplicationIdentity
) -> None:
    async with RawClient(plant, client_identity) as client:
        created = await client.create()

        error = await refusal_of(
            client.activate(created.AuthenticationToken, created.ServerNonce, signer=stranger)
        )

    assert error.status is StatusCode.BadApplicationSignatureInvalid
    assert not plant.authenticated


async def test_a_failed_activation_keeps_user_and_roles(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with RawClient(plant, client_identity) as client:
        created = await client.create()
        token = created.AuthenticationToken
        nonce = await client.activate(token, created.ServerNonce, user=OPERATOR)
        session = plant.session

        error = await refusal_of(client.activate(token, nonce, user=UserNameUser("eve", "x")))

        assert error.status is StatusCode.BadUserAccessDenied
        assert session.user == UserNameUser("operator", "")
        assert session.roles == {Role.ANONYMOUS, Role.AUTHENTICATED_USER}
        assert await client.read(token)


async def test_a_session_ends_when_its_time_is_over(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with RawClient(plant, client_identity) as client:
        created = await client.create(timeout_s=0.0)  # becomes the least that is allowed
        token = created.AuthenticationToken
        await client.activate(token, created.ServerNonce)
        (state,) = plant.listener.sessions
        state.used_at -= state.timeout_s + 1

        error = await refusal_of(client.read(token))

    assert created.RevisedSessionTimeout == plant.listener.limits.min_session_timeout_s * 1000
    assert error.status is StatusCode.BadSessionIdInvalid
    assert [session.id for session in plant.closed] == [created.SessionId]


@pytest.mark.clause("T25")
@pytest.mark.parametrize(
    ("asked_s", "granted_s"),
    [(math.nan, 1.0), (-math.inf, 1.0), (math.inf, 3_600.0), (0.999, 1.0), (1.001, 1.001)],
)
async def test_no_session_lives_for_ever(
    plant: Plant, client_identity: ApplicationIdentity, asked_s: float, granted_s: float
) -> None:
    async with RawClient(plant, client_identity) as client:
        created = await client.create(timeout_s=asked_s)

    assert created.RevisedSessionTimeout == granted_s * 1000


async def test_a_closed_session_is_gone(plant: Plant, client_identity: ApplicationIdentity) -> None:
    async with RawClient(plant, client_identity) as client:
        created = await client.create()
        token = created.AuthenticationToken
        await client.activate(token, created.ServerNonce)

        await client.ask(ua.CloseSessionRequest(), ua.CloseSessionResponse, token)

        with pytest.raises(ServiceFailed) as caught:
            await client.read(token)
        assert caught.value.status is StatusCode.BadSessionIdInvalid
        assert len(plant.closed) == 1


async def test_tokens_are_random_and_long(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    async with RawClient(plant, client_identity) as client:
        tokens = [(await client.create()).AuthenticationToken.Identifier for _ in range(3)]

    assert len(set(tokens)) == 3
    assert {len(token) for token in tokens} == {32}


@pytest.mark.parametrize("identifier", [b"", b"x" * 32, "text", 7])
async def test_a_guessed_token_finds_nothing(
    plant: Plant, client_identity: ApplicationIdentity, identifier: object
) -> None:
    guess = node_id(identifier, 0)
    async with RawClient(plant, client_identity) as client:
        await client.create()

        error = await refusal_of(client.read(guess))

    assert error.status is StatusCode.BadSessionIdInvalid


class Slow(Plant):
    """Decides about no user before it was asked about two."""

    def authenticate(self, session: Session) -> Awaitable[frozenset[Role]]:
        """Wait for the other request, then decide about the user that this one brought."""
        return self._compare(session)

    async def _compare(self, session: Session) -> frozenset[Role]:
        self.authenticated.append(session)
        if len(self.authenticated) == 2:
            self.gate.set()
        await self.gate.wait()
        if session.user != OPERATOR:
            raise AccessDenied("wrong password", status=StatusCode.BadUserAccessDenied)
        return frozenset({Role.AUTHENTICATED_USER})


@T12
@pytest.mark.parametrize("order", [1, -1])
async def test_two_users_of_one_session_do_not_mix(
    order: int, server_identity: ApplicationIdentity, client_identity: ApplicationIdentity
) -> None:
    """Who asks for a Session beside somebody else gets neither his name nor his Roles."""
    users = [OPERATOR, UserNameUser("somebody", "whatever")][::order]
    async with (
        Slow(server_identity, trusted=[client_identity.certificate]) as plant,
        RawClient(plant, client_identity) as client,
    ):
        created = await client.create()
        asked = [
            asyncio.ensure_future(
                client.activate(created.AuthenticationToken, created.ServerNonce, user=user)
            )
            for user in users
        ]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)

        (state,) = plant.listener.sessions
        assert [isinstance(one, ServiceFailed) for one in outcomes[::order]] == [False, True]
        assert state.session.user == UserNameUser(OPERATOR.name, "")
        assert state.session.roles == {Role.AUTHENTICATED_USER}
