"""The signatures of a Session, and the tokens of its users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from asyncua import ua

from registrar.errors import AccessDenied, Rejected, SecurityChecksFailed
from registrar.status import StatusCode
from registrar.ua import asymmetric
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.codec import decode_value, encode_value
from registrar.ua.limits import MAX_NONCE_SIZE, MAX_PASSWORD_SIZE
from registrar.ua.security_policy import BASIC256SHA256, NONE, POLICIES, SecurityPolicy
from registrar.ua.session import (
    check_nonce,
    client_signature,
    server_signature,
    verify_client_signature,
    verify_server_signature,
)
from registrar.ua.user_tokens import (
    AnonymousUser,
    SendingUser,
    UserNameUser,
    UserToken,
    X509User,
    X509UserClaim,
    decode_user_token,
    encode_user_token,
)
from tests.ua.pairing import make_identity

SECURED = [policy for policy in POLICIES.values() if not policy.is_none]
NONCE = bytes(range(32))
Kind = ua.UserTokenType


def token_policy(kind: ua.UserTokenType, uri: str = "") -> ua.UserTokenPolicy:
    """Return a token policy named as its kind."""
    return ua.UserTokenPolicy(
        PolicyId=ua.String(kind.name), TokenType=kind, SecurityPolicyUri=ua.String(uri)
    )


TOKEN_POLICIES = [token_policy(kind) for kind in (Kind.Anonymous, Kind.UserName, Kind.Certificate)]


def with_chain(identity: ApplicationIdentity) -> ApplicationIdentity:
    """Return the same identity with an issuer behind its leaf."""
    return ApplicationIdentity(
        certificate=identity.certificate,
        private_key=identity.private_key,
        chain=(identity.certificate[::-1][:0] + b"\x30\x03abc",),
    )


@pytest.mark.clause("OPC 10000-4 §5.7.2")
@pytest.mark.parametrize("policy", SECURED, ids=lambda policy: policy.name)
def test_the_server_signs_certificate_and_nonce_of_the_client(
    policy: SecurityPolicy, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    signature = server_signature(
        policy, server, client_certificate=client.certificate, client_nonce=NONCE
    )

    asymmetric.verify(
        policy,
        server.private_key.public_key(),
        signature.Signature,
        client.certificate + NONCE,
    )
    verify_server_signature(
        policy,
        signature,
        server_key=server.private_key.public_key(),
        client_certificate=client.certificate,
        client_nonce=NONCE,
    )


@pytest.mark.clause("OPC 10000-4 §5.7.3")
@pytest.mark.parametrize("change", ["nonce", "signer", "certificate", "bytes", "algorithm", "none"])
def test_a_client_signature_over_anything_else_is_refused(
    change: str, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    signature: Any = client_signature(
        BASIC256SHA256, client, server_certificate=server.certificate, server_nonce=NONCE
    )
    arguments = {
        "client_certificate": client.certificate,
        "server_certificate": server.certificate,
        "server_nonce": NONCE,
    }
    verify_client_signature(BASIC256SHA256, signature, **arguments)
    if change == "nonce":
        arguments["server_nonce"] = NONCE[::-1]
    elif change == "signer":
        arguments["client_certificate"] = server.certificate
    elif change == "certificate":
        arguments["server_certificate"] = client.certificate
    elif change == "bytes":
        signature.Signature = bytes(256)
    elif change == "algorithm":
        signature.Algorithm = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
    else:
        signature = ua.SignatureData()

    with pytest.raises(SecurityChecksFailed) as caught:
        verify_client_signature(BASIC256SHA256, signature, **arguments)

    assert caught.value.status is StatusCode.BadApplicationSignatureInvalid


@pytest.mark.clause("OPC 10000-4 §6.1.8")
def test_the_leaf_of_a_chain_is_signed_and_the_whole_chain_accepted(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    chained = with_chain(server)
    arguments = {
        "client_certificate": client.certificate,
        "server_certificate": chained.sender_certificate,
        "server_nonce": NONCE,
    }

    ours = client_signature(
        BASIC256SHA256, client, server_certificate=chained.sender_certificate, server_nonce=NONCE
    )
    old = asymmetric.sign(BASIC256SHA256, client.private_key, chained.sender_certificate + NONCE)
    theirs = ua.SignatureData(Signature=ua.ByteString(old))

    asymmetric.verify(
        BASIC256SHA256,
        client.private_key.public_key(),
        ours.Signature,
        server.certificate + NONCE,
    )
    verify_client_signature(BASIC256SHA256, ours, **arguments)
    verify_client_signature(BASIC256SHA256, theirs, **arguments)


def test_without_security_nothing_is_signed() -> None:
    signature = server_signature(NONE, None, client_certificate=None, client_nonce=None)

    assert signature == ua.SignatureData()
    verify_server_signature(
        NONE, signature, server_key=None, client_certificate=None, client_nonce=None
    )


@pytest.mark.clause("OPC 10000-4 §5.7.2")
@pytest.mark.parametrize(
    ("size", "fits"),
    [(0, False), (31, False), (32, True), (MAX_NONCE_SIZE, True), (MAX_NONCE_SIZE + 1, False)],
)
def test_session_nonces_have_at_least_32_bytes(size: int, fits: bool) -> None:
    if fits:
        assert check_nonce(bytes(size)) == bytes(size)
        return
    with pytest.raises(SecurityChecksFailed) as caught:
        check_nonce(bytes(size) or None)
    assert caught.value.status is StatusCode.BadNonceInvalid


def send(
    user: SendingUser,
    server: ApplicationIdentity,
    *,
    policy: SecurityPolicy = BASIC256SHA256,
    policies: list[ua.UserTokenPolicy] = TOKEN_POLICIES,
    nonce: bytes = NONCE,
) -> tuple[Any, ua.SignatureData]:
    """Return token and signature as they come out of the wire."""
    token, signature = encode_user_token(
        user,
        token_policies=policies,
        channel_policy=policy,
        server_certificate=server.sender_certificate,
        server_nonce=nonce,
    )
    return decode_value(encode_value(ua.Variant(token))).Value, signature


def take(
    token: object,
    signature: ua.SignatureData,
    server: ApplicationIdentity | None,
    *,
    policy: SecurityPolicy = BASIC256SHA256,
    policies: list[ua.UserTokenPolicy] = TOKEN_POLICIES,
    nonce: bytes = NONCE,
) -> UserToken:
    """Return the user of a token."""
    return decode_user_token(
        token,
        signature,
        token_policies=policies,
        channel_policy=policy,
        identity=server,
        server_nonce=nonce,
    )


@pytest.mark.clause("OPC 10000-4 §7.40.3")
def test_an_anonymous_user_is_anonymous(server: ApplicationIdentity) -> None:
    token, signature = send(AnonymousUser(), server)

    assert take(token, signature, server) == AnonymousUser()
    assert take(None, signature, server) == AnonymousUser()
    assert take(ua.ExtensionObject(), signature, None, policy=NONE) == AnonymousUser()


@pytest.mark.clause("OPC 10000-4 §7.40.4")
@pytest.mark.parametrize("policy", SECURED, ids=lambda policy: policy.name)
@pytest.mark.parametrize("password", ["", "secret", "Pässwort", "x" * MAX_PASSWORD_SIZE])
def test_a_password_arrives_encrypted(
    policy: SecurityPolicy, password: str, server: ApplicationIdentity
) -> None:
    user = UserNameUser("operator", password)

    token, signature = send(user, server, policy=policy)

    assert token.EncryptionAlgorithm == policy.encryption_uri
    assert take(token, signature, server, policy=policy) == user


@pytest.mark.clause("OPC 10000-4 §7.40.4")
def test_a_token_policy_may_name_its_own_security_policy(
    server: ApplicationIdentity, long_keys: Mapping[int, ApplicationIdentity]
) -> None:
    for own in SECURED:
        policies = [token_policy(Kind.UserName, own.uri)]
        user = UserNameUser("operator", "secret")

        for identity in (server, long_keys[3072]):
            token, signature = send(user, identity, policies=policies)
            assert token.EncryptionAlgorithm == own.encryption_uri
            assert take(token, signature, identity, policies=policies) == user


@pytest.mark.clause("OPC 10000-4 §7.40.4")
def test_a_password_is_bound_to_the_nonce(server: ApplicationIdentity) -> None:
    token, signature = send(UserNameUser("operator", "secret"), server)

    with pytest.raises(AccessDenied) as caught:
        take(token, signature, server, nonce=NONCE[::-1])

    assert caught.value.status is StatusCode.BadIdentityTokenRejected


@pytest.mark.clause("T15")
def test_every_unreadable_password_gets_the_same_answer(server: ApplicationIdentity) -> None:
    key = server.private_key.public_key()
    answers = set()
    for plain in (
        b"\6\0\0\0secret",  # without the nonce
        b"\xff\xff\xff\xff" + b"secret" + NONCE,
        b"\0\0\0\0" + b"secret" + NONCE,
        b"\x26\0\0\0" + b"\xff\xff\xff\xff\xff\xff" + NONCE,  # not UTF-8
        b"\x20\0\0\0" + NONCE[1:] + b"\0",
        b"\x20\0\0\0",
    ):
        token = ua.UserNameIdentityToken(
            PolicyId=ua.String("UserName"),
            UserName=ua.String("operator"),
            Password=ua.ByteString(asymmetric.encrypt(BASIC256SHA256, key, plain)),
            EncryptionAlgorithm=ua.String(BASIC256SHA256.encryption_uri or ""),
        )
        with pytest.raises(AccessDenied) as caught:
            take(token, ua.SignatureData(), server)
        answers.add((caught.value.status, str(caught.value)))
        token.Password = ua.ByteString(bytes(256))
        with pytest.raises(AccessDenied) as caught:
            take(token, ua.SignatureData(), server)
        answers.add((caught.value.status, str(caught.value)))

    assert answers == {(StatusCode.BadIdentityTokenRejected, "the password is not readable")}


@pytest.mark.parametrize("blocks", [0, 7, 8, 1000])
def test_the_blocks_of_a_password_are_bounded(blocks: int, server: ApplicationIdentity) -> None:
    token, signature = send(UserNameUser("operator", "secret"), server)
    token.Password = bytes(256 * blocks)

    with pytest.raises(AccessDenied) as caught:
        take(token, signature, server)

    longest = 6
    invalid = blocks == 0 or blocks > longest
    assert caught.value.status is (
        StatusCode.BadIdentityTokenInvalid if invalid else StatusCode.BadIdentityTokenRejected
    )


@pytest.mark.parametrize("algorithm", [None, "", "http://www.w3.org/2001/04/xmlenc#rsa-1_5"])
def test_a_password_in_the_clear_or_by_an_old_algorithm_is_refused(
    algorithm: str | None, server: ApplicationIdentity
) -> None:
    token, signature = send(UserNameUser("operator", "secret"), server)
    token.EncryptionAlgorithm = algorithm

    with pytest.raises(AccessDenied):
        take(token, signature, server)


def test_no_password_passes_an_unsecured_channel(server: ApplicationIdentity) -> None:
    token, signature = send(UserNameUser("operator", "secret"), server)

    with pytest.raises(Rejected):
        send(UserNameUser("operator", "secret"), server, policy=NONE)
    with pytest.raises(AccessDenied):
        take(token, signature, None, policy=NONE)


@pytest.mark.clause("OPC 10000-4 §7.40.5")
@pytest.mark.parametrize("policy", SECURED, ids=lambda policy: policy.name)
def test_an_x509_user_proves_the_key(
    policy: SecurityPolicy, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    chained = with_chain(server)

    token, signature = send(X509User(client), chained, policy=policy)

    assert take(token, signature, chained, policy=policy) == X509UserClaim(client.certificate)


@pytest.mark.clause("OPC 10000-4 §7.40.5")
def test_a_copied_user_certificate_is_refused(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    token, _ = send(X509User(client), server)
    _, signature = send(X509User(make_identity(2048, "thief")), server)

    with pytest.raises(SecurityChecksFailed) as caught:
        take(token, signature, server)
    assert caught.value.status is StatusCode.BadUserSignatureInvalid

    token.CertificateData = b"no certificate"
    with pytest.raises(AccessDenied) as denied:
        take(token, signature, server)
    assert denied.value.status is StatusCode.BadIdentityTokenInvalid


@pytest.mark.clause("OPC 10000-4 §5.7.3")
@pytest.mark.parametrize(
    "token",
    [
        ua.AnonymousIdentityToken(PolicyId=ua.String("Certificate")),
        ua.AnonymousIdentityToken(PolicyId=ua.String("unknown")),
        ua.UserNameIdentityToken(PolicyId=ua.String("Anonymous")),
        ua.IssuedIdentityToken(),
        ua.ExtensionObject(TypeId=ua.NodeId(ua.Int32(5), ua.Int16(5)), Body=ua.ByteString(b"x")),
        ua.Argument(),
        5,
    ],
)
def test_a_token_the_endpoint_does_not_offer_is_refused(
    token: object, server: ApplicationIdentity
) -> None:
    with pytest.raises(AccessDenied) as caught:
        take(token, ua.SignatureData(), server)

    assert caught.value.status is StatusCode.BadIdentityTokenInvalid


def test_a_user_the_endpoint_does_not_take_is_not_sent(server: ApplicationIdentity) -> None:
    unknown = [token_policy(Kind.UserName, "urn:unknown"), token_policy(Kind.UserName, NONE.uri)]

    with pytest.raises(Rejected):
        send(AnonymousUser(), server, policies=[])
    with pytest.raises(Rejected):
        send(UserNameUser("a", "b"), server, policies=unknown)
