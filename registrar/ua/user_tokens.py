"""User identity tokens: anonymous, name with password, X.509 (OPC 10000-4 §7.40).

A password travels as ``UInt32 length ‖ password ‖ serverNonce``, encrypted with the server's key in
blocks of RSA-OAEP. It is never sent in the clear, and whatever is wrong with a received one,
the answer and the work are the same (T15, T16).
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from asyncua import ua

from registrar.errors import AccessDenied, Rejected, SecurityChecksFailed
from registrar.status import StatusCode
from registrar.ua import asymmetric
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.certificates import leaf_of, public_key_of, split_chain
from registrar.ua.codec import make
from registrar.ua.limits import MAX_NONCE_SIZE, MAX_PASSWORD_SIZE
from registrar.ua.security_policy import SecurityPolicy, policy_of
from registrar.ua.session import check_signature, make_signature

_UNSIGNED = ua.SignatureData()
_ANONYMOUS = ua.UserTokenType.Anonymous
_UINT32 = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class AnonymousUser:
    """Nobody in particular."""


@dataclass(frozen=True, slots=True)
class UserNameUser:
    """A name with the password that shall prove it."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class X509User:
    """A user we can sign for."""

    identity: ApplicationIdentity


@dataclass(frozen=True, slots=True)
class X509UserClaim:
    """A user whose signature verified; whether the certificate is trusted is yet to decide."""

    certificate: bytes = field(repr=False)
    """The leaf, DER."""

    chain: tuple[bytes, ...] = field(default=(), repr=False)


SendingUser = AnonymousUser | UserNameUser | X509User
UserToken = AnonymousUser | UserNameUser | X509UserClaim
IdentityToken = ua.AnonymousIdentityToken | ua.UserNameIdentityToken | ua.X509IdentityToken


def encode_user_token(
    user: SendingUser,
    *,
    token_policies: Sequence[ua.UserTokenPolicy],
    channel_policy: SecurityPolicy,
    server_certificate: bytes | None,
    server_nonce: bytes | None,
) -> tuple[IdentityToken, ua.SignatureData]:
    """Return the token and its signature for ActivateSession.

    Args:
        token_policies: those of the endpoint; the first of the right kind that we speak is used.
        server_certificate: leaf or chain.

    Raises:
        Rejected: the endpoint offers no policy for such a user that we speak.
    """
    if isinstance(user, AnonymousUser):
        token_policy, _ = _choose(token_policies, _ANONYMOUS, channel_policy)
        return make(ua.AnonymousIdentityToken, token_policy.PolicyId), _UNSIGNED
    if isinstance(user, X509User):
        token_policy, policy = _choose(token_policies, ua.UserTokenType.Certificate, channel_policy)
        certificate = ua.X509IdentityToken(
            PolicyId=token_policy.PolicyId,
            CertificateData=ua.ByteString(user.identity.certificate),
        )
        signature = make_signature(policy, user.identity, server_certificate, server_nonce)
        return certificate, signature
    token_policy, policy = _choose(token_policies, ua.UserTokenType.UserName, channel_policy)
    secret = user.password.encode() + (server_nonce or b"")
    key = public_key_of(leaf_of(server_certificate or b""), policy)
    encrypted = asymmetric.encrypt(policy, key, _UINT32.pack(len(secret)) + secret)
    name = ua.UserNameIdentityToken(
        PolicyId=token_policy.PolicyId,
        UserName=ua.String(user.name),
        Password=ua.ByteString(encrypted),
        EncryptionAlgorithm=ua.String(policy.encryption_uri or ""),
    )
    return name, ua.SignatureData()


def decode_user_token(
    token: object,
    signature: ua.SignatureData,
    *,
    token_policies: Sequence[ua.UserTokenPolicy],
    channel_policy: SecurityPolicy,
    identity: ApplicationIdentity | None,
    server_nonce: bytes | None,
) -> UserToken:
    """Return who the user of an ActivateSession request claims to be, as far as a token proves it.

    A null token means anonymous (OPC 10000-4 §5.7.3). The password is not checked here.

    Args:
        identity: ours, which the client chose; None without security.
        server_nonce: the last one we gave this Session.

    Raises:
        AccessDenied: BadIdentityTokenInvalid for a token that is none of ``token_policies`` or is
            malformed, BadIdentityTokenRejected for one whose secret cannot be right.
        SecurityChecksFailed: BadUserSignatureInvalid for an X.509 user without the key.
    """
    if token is None or (isinstance(token, ua.ExtensionObject) and token.TypeId.is_null()):
        token = ua.AnonymousIdentityToken(PolicyId=None)
    kind = _KINDS.get(type(token))
    if kind is None or not isinstance(token, IdentityToken):
        raise _invalid(f"a user token of type {type(token).__name__}")
    policy = _policy_of_token(token, kind, token_policies, channel_policy)
    if isinstance(token, ua.AnonymousIdentityToken):
        return AnonymousUser()
    if policy.is_none or identity is None or server_nonce is None:
        raise _invalid("a user token that nothing protects")
    if isinstance(token, ua.X509IdentityToken):
        return _decode_x509(token, signature, policy, identity, server_nonce)
    return _decode_user_name(token, policy, identity, server_nonce)


_KINDS: dict[type, ua.UserTokenType] = {
    ua.AnonymousIdentityToken: ua.UserTokenType.Anonymous,
    ua.UserNameIdentityToken: ua.UserTokenType.UserName,
    ua.X509IdentityToken: ua.UserTokenType.Certificate,
}


def _choose(
    token_policies: Sequence[ua.UserTokenPolicy],
    kind: ua.UserTokenType,
    channel_policy: SecurityPolicy,
) -> tuple[ua.UserTokenPolicy, SecurityPolicy]:
    for token_policy in token_policies:
        if token_policy.TokenType != kind:
            continue
        try:
            policy = _effective(token_policy, channel_policy)
        except Rejected:
            continue
        if kind == _ANONYMOUS or not policy.is_none:
            return token_policy, policy
    raise Rejected(
        f"the endpoint takes no user token of type {kind.name} that we can make",
        status=StatusCode.BadIdentityTokenInvalid,
    )


def _effective(token_policy: ua.UserTokenPolicy, channel_policy: SecurityPolicy) -> SecurityPolicy:
    """Return the policy that protects a token: its own, or the endpoint's."""
    uri = token_policy.SecurityPolicyUri
    return policy_of(uri) if uri else channel_policy


def _policy_of_token(
    token: IdentityToken,
    kind: ua.UserTokenType,
    token_policies: Sequence[ua.UserTokenPolicy],
    channel_policy: SecurityPolicy,
) -> SecurityPolicy:
    anonymous = kind == ua.UserTokenType.Anonymous
    for token_policy in token_policies:
        same = token_policy.PolicyId == token.PolicyId or (anonymous and not token.PolicyId)
        if same and token_policy.TokenType == kind:
            return _effective(token_policy, channel_policy)
    raise _invalid(f"no {kind.name} token policy {str(token.PolicyId)[:80]!r}")


def _decode_x509(
    token: ua.X509IdentityToken,
    signature: ua.SignatureData,
    policy: SecurityPolicy,
    identity: ApplicationIdentity,
    server_nonce: bytes,
) -> X509UserClaim:
    try:
        chain = split_chain(token.CertificateData or b"")
        key = public_key_of(chain[0], policy)
    except SecurityChecksFailed as error:
        raise _invalid(f"the user's certificate: {error}") from error
    check_signature(
        policy,
        signature,
        key=key,
        certificate=identity.sender_certificate,
        nonce=server_nonce,
        status=StatusCode.BadUserSignatureInvalid,
    )
    return X509UserClaim(chain[0], chain[1:])


def _decode_user_name(
    token: ua.UserNameIdentityToken,
    policy: SecurityPolicy,
    identity: ApplicationIdentity,
    server_nonce: bytes,
) -> UserNameUser:
    if not token.UserName or token.EncryptionAlgorithm != policy.encryption_uri:
        raise _invalid(f"a password by {str(token.EncryptionAlgorithm)[:80]!r}")
    cipher = token.Password or b""
    blocks, rest = divmod(len(cipher), identity.key_bits // 8)
    limit = _max_blocks(policy, identity)
    if rest or not 1 <= blocks <= limit:
        raise _invalid(f"a password of {len(cipher)} encrypted bytes")
    plain, intact = asymmetric.decrypt(policy, identity.private_key, cipher)
    size = len(plain) - _UINT32.size - len(server_nonce)
    (length,) = _UINT32.unpack_from(plain)
    fresh = hmac.compare_digest(plain[len(plain) - len(server_nonce) :], server_nonce)
    whole = length == len(plain) - _UINT32.size and 0 <= size <= MAX_PASSWORD_SIZE
    if not (intact & fresh & whole):
        raise AccessDenied("the password is not readable", status=_REJECTED)
    try:
        password = plain[_UINT32.size : _UINT32.size + size].decode()
    except UnicodeDecodeError as error:
        raise AccessDenied("the password is not readable", status=_REJECTED) from error
    return UserNameUser(token.UserName, password)


_REJECTED = StatusCode.BadIdentityTokenRejected


def _max_blocks(policy: SecurityPolicy, identity: ApplicationIdentity) -> int:
    """Return how many blocks the longest password takes."""
    longest = _UINT32.size + MAX_PASSWORD_SIZE + MAX_NONCE_SIZE
    return -(-longest // asymmetric.plain_block_size(policy, identity.key_bits))


def _invalid(message: str) -> AccessDenied:
    return AccessDenied(message, status=StatusCode.BadIdentityTokenInvalid)
