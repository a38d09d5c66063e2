"""How a Client opens a Session: what it says, and what it checks; OPC 10000-4 §5.7."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from asyncua import ua
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from registrar.errors import SecurityChecksFailed
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.certificates import leaf_of
from registrar.ua.codec import make
from registrar.ua.security_policy import SecurityPolicy
from registrar.ua.session import client_signature, verify_server_signature
from registrar.ua.user_tokens import AnonymousUser, UserNameUser, X509User, encode_user_token
from registrar.wire.certificates import application_uris

UserToken = AnonymousUser | UserNameUser | X509User

SESSION_NONCE_SIZE = 32
"""Bytes; longer ones are refused by Servers in the field."""

SESSION_NAME = "Registrar"

DESCRIPTIONS = 16
"""Descriptions kept of ourselves, who go by few ApplicationUris."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSecurity:
    """How a channel is secured, as one EndpointDescription offers it."""

    policy: SecurityPolicy
    mode: ua.MessageSecurityMode
    identity: ApplicationIdentity
    """Ours."""
    server_certificate: bytes
    """As in the endpoint: a leaf, or a chain that begins with it."""


def create_request(
    security: ChannelSecurity,
    nonce: bytes,
    *,
    url: str,
    application_uri: str,
    timeout_s: float,
    max_response_size: int,
) -> ua.CreateSessionRequest:
    """Return the request that creates a Session."""
    parameters = make(
        ua.CreateSessionParameters,
        _description_of(application_uri),
        None,
        url,
        SESSION_NAME,
        nonce,
        security.identity.certificate,
        timeout_s * 1000,
        max_response_size,
    )
    return make(ua.CreateSessionRequest, None, parameters)


@lru_cache(maxsize=DESCRIPTIONS)
def _description_of(application_uri: str) -> ua.ApplicationDescription:
    return ua.ApplicationDescription(
        ApplicationUri=application_uri,
        ApplicationName=ua.LocalizedText(SESSION_NAME),
        ApplicationType=ua.ApplicationType.Client,
    )


def check_created(
    security: ChannelSecurity,
    result: ua.CreateSessionResult,
    nonce: bytes,
    leaf: bytes,
    key: RSAPublicKey | None,
    server_application_uri: str | None,
) -> None:
    """Check that the Server of the Session is the one of the channel.

    Args:
        nonce: ours, which its signature covers.
        leaf: the certificate it proved to own when the channel opened.
        key: the key in it.
        server_application_uri: must be in that certificate; None if any will do.

    Raises:
        SecurityChecksFailed: certificate, nonce, signature or ApplicationUri.
    """
    shown = result.ServerCertificate or b""
    if shown != leaf and (not shown or leaf_of(shown) != leaf):
        raise SecurityChecksFailed("CreateSession has another certificate than the channel")
    fresh = result.ServerNonce or b""
    if len(fresh) < SESSION_NONCE_SIZE or fresh == nonce:
        raise SecurityChecksFailed(
            f"a nonce of {len(fresh)} bytes, not fresh ones of at least {SESSION_NONCE_SIZE}",
            status=StatusCode.BadNonceInvalid,
        )
    verify_server_signature(
        security.policy,
        result.ServerSignature,
        server_key=key,
        client_certificate=security.identity.certificate,
        client_nonce=nonce,
    )
    if server_application_uri is not None and server_application_uri not in application_uris(leaf):
        raise SecurityChecksFailed(
            f"{server_application_uri[:80]!r} is not in the Server's certificate",
            status=StatusCode.BadCertificateUriInvalid,
        )


def activate_request(
    security: ChannelSecurity,
    leaf: bytes,
    nonce: bytes,
    offered: Sequence[ua.UserTokenPolicy],
    user: UserToken,
) -> ua.ActivateSessionRequest:
    """Return the request that activates a Session; one or two private-key operations.

    Args:
        leaf: the Server's certificate.
        nonce: the Server's last one.
        offered: the user tokens of the endpoint in use.

    Raises:
        Rejected: the endpoint takes no such user.
    """
    token, proof = encode_user_token(
        user,
        token_policies=offered,
        channel_policy=security.policy,
        server_certificate=leaf,
        server_nonce=nonce,
    )
    signature = client_signature(
        security.policy, security.identity, server_certificate=leaf, server_nonce=nonce
    )
    parameters = make(ua.ActivateSessionParameters, signature, [], [], token, proof)
    return make(ua.ActivateSessionRequest, None, parameters)
