"""CreateSession, ActivateSession and CloseSession; OPC 10000-4 §5.7, threats T12 to T16."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from asyncua import ua

from registrar.errors import (
    AccessDenied,
    CertificateRejected,
    SecurityChecksFailed,
    ServiceFailed,
    Unavailable,
)
from registrar.status import StatusCode
from registrar.ua.codec import make
from registrar.ua.session import check_nonce, server_signature, verify_client_signature
from registrar.ua.user_tokens import UserNameUser, decode_user_token
from registrar.wire import builtin
from registrar.wire.certificates import application_uris
from registrar.wire.client_checks import token_policies
from registrar.wire.context import Context
from registrar.wire.methods import is_awaitable
from registrar.wire.peers import DecodedUser, Peer, Session
from registrar.wire.sessions import SessionState, check_transfer, is_same_user

MAX_SESSION_NAME = 256
"""Characters of a SessionName we keep."""


async def create_session(
    context: Context, request: ua.CreateSessionRequest
) -> ua.CreateSessionResponse:
    """Make a Session for the peer of this channel.

    Raises:
        CertificateRejected: not the certificate of the channel (T13), or it lacks the
            ApplicationUri (BadCertificateUriInvalid).
        SecurityChecksFailed: BadNonceInvalid.
        Unavailable: BadTooManySessions.
    """
    channel, parameters = context.channel, request.Parameters
    peer, sessions = channel.peer, context.sessions
    identity = peer.identity
    _check_certificate(peer, parameters)
    sessions.make_room(peer)
    nonce = check_nonce(parameters.ClientNonce)
    sessions.nonces.use(nonce)
    session = Session(
        id=sessions.next_id(),
        peer=peer,
        application=context.application,
        name=(parameters.SessionName or "")[:MAX_SESSION_NAME],
    )
    state = sessions.create(
        session,
        channel,
        client_nonce=nonce,
        asked_s=parameters.RequestedSessionTimeout / 1000,
        now=context.now,
    )
    try:
        signature = await channel.work(
            lambda: server_signature(
                peer.policy,
                identity,
                client_certificate=peer.certificate,
                client_nonce=nonce,
            )
        )
    except Unavailable:
        sessions.close(state)
        raise
    channel.max_response_size = parameters.MaxResponseMessageSize
    result = make(
        ua.CreateSessionResult,
        session.id,
        builtin.node_id(state.token, 0, ua.NodeIdType.ByteString),
        state.timeout_s * 1000,
        state.server_nonce,
        identity.certificate if identity is not None else None,
        list(context.application.endpoints(parameters.EndpointUrl or channel.endpoint_url)),
        [],
        signature,
        context.limits.channel.max_message_size,
    )
    return make(ua.CreateSessionResponse, None, result)


def _check_certificate(peer: Peer, parameters: ua.CreateSessionParameters) -> None:
    leaf = peer.certificate or b""
    if parameters.ClientCertificate not in (leaf, leaf + b"".join(peer.chain)):
        raise CertificateRejected(
            "CreateSession has another certificate than the channel",
            status=StatusCode.BadSecurityChecksFailed,
        )
    uri = parameters.ClientDescription.ApplicationUri or ""
    if uri not in application_uris(leaf):
        raise CertificateRejected(
            f"{uri[:80]!r} is not in the certificate", status=StatusCode.BadCertificateUriInvalid
        )
    peer.application_uri = uri


def activate_session(
    context: Context, request: ua.ActivateSessionRequest
) -> ua.ActivateSessionResponse | Awaitable[ua.ActivateSessionResponse]:
    """Give a Session its user and bind it to this channel; a failure changes nothing (T12).

    Raises:
        ServiceFailed: BadSessionIdInvalid.
        SecurityChecksFailed: the client's or the user's signature, or the new channel.
        AccessDenied: the user.
    """
    channel, sessions, parameters = context.channel, context.sessions, request.Parameters
    state = sessions.find(request.RequestHeader.AuthenticationToken, context.now)
    if state.channel is not channel:
        if not state.is_activated:
            raise ServiceFailed("not its channel", status=StatusCode.BadSessionIdInvalid)
        check_transfer(state, channel.peer)
    nonce = state.server_nonce
    _check_signature(channel.peer, parameters, nonce)
    decode = _user_decoder(context, parameters, nonce)
    if isinstance(parameters.UserIdentityToken, ua.UserNameIdentityToken):
        return _activate_later(context, state, nonce, channel.work(decode))
    return _activate(context, state, nonce, decode())


async def _activate_later(
    context: Context, state: SessionState, nonce: bytes, decoded: Awaitable[DecodedUser]
) -> ua.ActivateSessionResponse:
    answer = _activate(context, state, nonce, await decoded)
    return answer if isinstance(answer, ua.ActivateSessionResponse) else await answer


def _activate(
    context: Context, state: SessionState, nonce: bytes, user: DecodedUser
) -> ua.ActivateSessionResponse | Awaitable[ua.ActivateSessionResponse]:
    """Ask the application for the Roles of ``user``, then bind the Session to the channel."""
    channel = context.channel
    is_transfer = state.channel is not channel
    if is_transfer and not is_same_user(state.session.user, user):
        raise AccessDenied("another user", status=StatusCode.BadIdentityChangeNotSupported)
    # A copy, since another request may ask for another user of the same Session meanwhile.
    session = replace(state.session, peer=channel.peer, user=user)
    if is_transfer:
        channel.peer.application_uri = state.session.peer.application_uri
    try:
        roles = context.application.authenticate(session)
    except BaseException:
        session.user = _without_password(user)
        raise
    if is_awaitable(roles):
        return _bind_later(context, state, nonce, session, roles)
    return _bind(context, state, nonce, session, roles)


async def _bind_later(
    context: Context, state: SessionState, nonce: bytes, session: Session, roles: Awaitable[Any]
) -> ua.ActivateSessionResponse:
    try:
        known = await roles
    finally:
        session.user = _without_password(session.user)
    return _bind(context, state, nonce, session, known)


def _bind(
    context: Context, state: SessionState, nonce: bytes, session: Session, roles: Any
) -> ua.ActivateSessionResponse:
    session.user = _without_password(session.user)
    _check_unchanged(context, state, nonce)
    state.session.user, state.session.roles = session.user, roles
    context.sessions.bind(state, context.channel, session.peer, context.now)
    result = make(ua.ActivateSessionResult, context.sessions.renew_nonce(state), [], [])
    return make(ua.ActivateSessionResponse, None, result)


def _check_signature(peer: Peer, parameters: ua.ActivateSessionParameters, nonce: bytes) -> None:
    identity = peer.identity
    verify_client_signature(
        peer.policy,
        parameters.ClientSignature,
        client_certificate=peer.certificate,
        server_certificate=identity.sender_certificate if identity is not None else None,
        server_nonce=nonce,
    )


def _user_decoder(
    context: Context, parameters: ua.ActivateSessionParameters, nonce: bytes
) -> Callable[[], DecodedUser]:
    """Return what reads the user token, with all it needs: it may run on another thread."""
    peer = context.channel.peer
    policies = token_policies(
        context.application.endpoints(context.channel.endpoint_url),
        policy_uri=peer.policy.uri,
        mode=peer.mode,
        url=context.channel.endpoint_url,
    )
    return partial(
        decode_user_token,
        parameters.UserIdentityToken,
        parameters.UserTokenSignature,
        token_policies=policies,
        channel_policy=peer.policy,
        identity=peer.identity,
        server_nonce=nonce,
    )


def _without_password(user: DecodedUser) -> DecodedUser:
    return UserNameUser(user.name, "") if isinstance(user, UserNameUser) else user


def _check_unchanged(context: Context, state: SessionState, nonce: bytes) -> None:
    """Refuse where the Session or the channel ended, or another activation won, meanwhile."""
    sessions = context.sessions
    token = builtin.node_id(state.token, 0, ua.NodeIdType.ByteString)
    if context.channel.is_closed or sessions.find(token, context.now).server_nonce != nonce:
        raise SecurityChecksFailed("the Session changed", status=StatusCode.BadSessionIdInvalid)


def close_session(context: Context, request: ua.CloseSessionRequest) -> ua.CloseSessionResponse:
    """End the Session of this channel.

    Raises:
        ServiceFailed: BadSessionIdInvalid.
    """
    state = context.sessions.find(request.RequestHeader.AuthenticationToken, context.now)
    if state.channel is not context.channel:
        raise ServiceFailed("not its channel", status=StatusCode.BadSessionIdInvalid)
    context.sessions.close(state)
    return make(ua.CloseSessionResponse, None)
