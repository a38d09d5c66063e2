"""What is signed when a Session is created and activated (OPC 10000-4 §5.7.2, §5.7.3, §6.1.8).

    serverSignature       clientCertificate ‖ clientNonce     by the server
    clientSignature       serverCertificate ‖ serverNonce     by the client
    userTokenSignature    serverCertificate ‖ serverNonce     by the X.509 user

Of a chain the leaf alone is signed; when that does not verify, the whole chain is tried, as the
standard asks for old peers. ``user_tokens`` holds the tokens themselves.
"""

from __future__ import annotations

from asyncua import ua
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from registrar.errors import Misuse, SecurityChecksFailed
from registrar.status import StatusCode
from registrar.ua import asymmetric
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.certificates import leaf_of, public_key_of
from registrar.ua.codec import make
from registrar.ua.limits import MAX_NONCE_SIZE, MIN_NONCE_SIZE
from registrar.ua.security_policy import SecurityPolicy


def server_signature(
    policy: SecurityPolicy,
    identity: ApplicationIdentity | None,
    *,
    client_certificate: bytes | None,
    client_nonce: bytes | None,
) -> ua.SignatureData:
    """Return the signature of the CreateSession response; empty without security.

    Costs one private-key operation.
    """
    return make_signature(policy, identity, client_certificate, client_nonce)


def verify_server_signature(
    policy: SecurityPolicy,
    signature: ua.SignatureData,
    *,
    server_key: RSAPublicKey | None,
    client_certificate: bytes | None,
    client_nonce: bytes | None,
) -> None:
    """Check the signature of the CreateSession response.

    Args:
        server_key: that of the certificate the channel was opened with; None without security.

    Raises:
        SecurityChecksFailed: the server does not hold the key of its certificate.
    """
    check_signature(
        policy,
        signature,
        key=server_key,
        certificate=client_certificate,
        nonce=client_nonce,
        status=StatusCode.BadApplicationSignatureInvalid,
    )


def client_signature(
    policy: SecurityPolicy,
    identity: ApplicationIdentity | None,
    *,
    server_certificate: bytes | None,
    server_nonce: bytes | None,
) -> ua.SignatureData:
    """Return the signature of the ActivateSession request; empty without security.

    Costs one private-key operation.
    """
    return make_signature(policy, identity, server_certificate, server_nonce)


def verify_client_signature(
    policy: SecurityPolicy,
    signature: ua.SignatureData,
    *,
    client_certificate: bytes | None,
    server_certificate: bytes | None,
    server_nonce: bytes | None,
) -> None:
    """Check the signature of the ActivateSession request.

    Raises:
        SecurityChecksFailed: the client does not hold the key of its certificate.
    """
    if policy.is_none:
        return
    check_signature(
        policy,
        signature,
        key=public_key_of(leaf_of(client_certificate or b""), policy),
        certificate=server_certificate,
        nonce=server_nonce,
        status=StatusCode.BadApplicationSignatureInvalid,
    )


def check_nonce(nonce: bytes | None) -> bytes:
    """Return the nonce of a peer in CreateSession or ActivateSession on a secured channel.

    Raises:
        SecurityChecksFailed: shorter than the standard asks for, or absurdly long.
    """
    length = len(nonce or b"")
    if nonce is None or not MIN_NONCE_SIZE <= length <= MAX_NONCE_SIZE:
        raise SecurityChecksFailed(
            f"a nonce of {length} bytes, allowed are {MIN_NONCE_SIZE} to {MAX_NONCE_SIZE}",
            status=StatusCode.BadNonceInvalid,
        )
    return nonce


def make_signature(
    policy: SecurityPolicy,
    identity: ApplicationIdentity | None,
    certificate: bytes | None,
    nonce: bytes | None,
) -> ua.SignatureData:
    """Sign the leaf of the peer's ``certificate`` with the ``nonce`` it sent."""
    if policy.is_none or identity is None:
        return ua.SignatureData()
    data = leaf_of(certificate or b"") + (nonce or b"")
    signature = asymmetric.sign(policy, identity.private_key, data)
    return make(ua.SignatureData, policy.signature_uri, signature)


def check_signature(
    policy: SecurityPolicy,
    signature: ua.SignatureData,
    *,
    key: RSAPublicKey | None,
    certificate: bytes | None,
    nonce: bytes | None,
    status: StatusCode,
) -> None:
    """Check a signature over ``certificate`` and ``nonce``, the leaf first, then the chain.

    Args:
        key: whose signature it shall be; None without security.
        certificate: what was signed, a leaf or a chain.
        status: what a failure is called.
    """
    if policy.is_none:
        return
    if key is None:
        raise Misuse("a signature to check, and no key")
    certificate, nonce = certificate or b"", nonce or b""
    if signature.Algorithm not in (policy.signature_uri, None, ""):
        raise SecurityChecksFailed(
            f"a signature by {str(signature.Algorithm)[:80]!r}", status=status
        )
    leaf = leaf_of(certificate)
    candidates = (leaf,) if leaf == certificate else (leaf, certificate)
    for candidate in candidates:
        try:
            asymmetric.verify(policy, key, signature.Signature or b"", candidate + nonce)
        except SecurityChecksFailed:
            continue
        return
    raise SecurityChecksFailed("the signature does not verify", status=status)
