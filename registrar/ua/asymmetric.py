"""Signing and encrypting with RSA, as the row of a SecurityPolicy says (OPC 10000-7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from registrar.errors import SecurityChecksFailed
from registrar.ua.security_policy import AsymmetricEncryption, AsymmetricSignature, SecurityPolicy

DIGEST = hashes.SHA256()

SIGNATURES: Mapping[AsymmetricSignature, padding.AsymmetricPadding] = MappingProxyType(
    {
        AsymmetricSignature.RSA_PKCS1_SHA256: padding.PKCS1v15(),
        AsymmetricSignature.RSA_PSS_SHA256: padding.PSS(
            mgf=padding.MGF1(hashes.SHA256()), salt_length=32
        ),
    }
)

ENCRYPTIONS: Mapping[AsymmetricEncryption, padding.AsymmetricPadding] = MappingProxyType(
    {
        AsymmetricEncryption.RSA_OAEP_SHA1: padding.OAEP(
            mgf=padding.MGF1(hashes.SHA1()),  # noqa: S303 - what Basic256Sha256 prescribes
            algorithm=hashes.SHA1(),  # noqa: S303
            label=None,
        ),
        AsymmetricEncryption.RSA_OAEP_SHA256: padding.OAEP(
            mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None
        ),
    }
)


def sign(policy: SecurityPolicy, key: RSAPrivateKey, data: bytes) -> bytes:
    """Return the signature of ``data``; one private-key operation."""
    return key.sign(data, SIGNATURES[policy.asymmetric_signature], DIGEST)


def verify(policy: SecurityPolicy, key: RSAPublicKey, signature: bytes, data: bytes) -> None:
    """Check a signature.

    Raises:
        SecurityChecksFailed: it is not the signature of ``data`` by the holder of ``key``.
    """
    try:
        key.verify(signature, data, SIGNATURES[policy.asymmetric_signature], DIGEST)
    except InvalidSignature as error:
        raise SecurityChecksFailed("the signature does not verify") from error


def encrypt(policy: SecurityPolicy, key: RSAPublicKey, plain: bytes) -> bytes:
    """Encrypt ``plain``, block by block; all blocks but the last are filled."""
    size = plain_block_size(policy, key.key_size)
    scheme = ENCRYPTIONS[policy.asymmetric_encryption]
    return b"".join(key.encrypt(plain[at : at + size], scheme) for at in range(0, len(plain), size))


def decrypt(policy: SecurityPolicy, key: RSAPrivateKey, cipher: bytes) -> tuple[bytes, bool]:
    """Decrypt ``cipher``, whose length is a multiple of the key's; one operation a block.

    Every block is worked on even after one failed, and the caller goes on with what there is,
    so that all failures cost the same (T15).

    Returns:
        The plaintext, with zeros for a block that failed, and whether all blocks were right.
    """
    size = key.key_size // 8
    scheme = ENCRYPTIONS[policy.asymmetric_encryption]
    blocks = []
    intact = True
    for at in range(0, len(cipher), size):
        try:
            blocks.append(key.decrypt(cipher[at : at + size], scheme))
        except ValueError:
            blocks.append(bytes(plain_block_size(policy, key.key_size)))
            intact = False
    return b"".join(blocks), intact


def plain_block_size(policy: SecurityPolicy, key_bits: int) -> int:
    """Return how many bytes of plaintext one block of a key of ``key_bits`` holds."""
    return key_bits // 8 - policy.asymmetric_overhead
