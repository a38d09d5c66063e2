"""The cryptography that one conversation cannot do without, and nothing else.

The Client's private key signs the OPN and ActivateSession and decrypts the two blocks of the OPN
response; the Device's public key encrypts the two blocks of the OPN request and verifies the OPN
response and CreateSession, and the key of its CA verifies its certificate; keys are derived for
either direction; each chunk is signed and encrypted, or decrypted and verified. Keys are at hand
as objects, also the Device's, which a Client has to read from a certificate first.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from registrar.ua.security_policy import (
    AsymmetricEncryption,
    AsymmetricSignature,
    SecurityPolicy,
)
from registrar.ua.symmetric import (
    CHUNK_HEADER,
    SEQUENCE_HEADER,
    DerivedKeys,
    EncryptedChunks,
    derive_keys,
)

_SHA256 = hashes.SHA256()
_PKCS1 = padding.PKCS1v15()
_SIGNATURES: Mapping[AsymmetricSignature, padding.AsymmetricPadding] = {
    AsymmetricSignature.RSA_PKCS1_SHA256: _PKCS1,
    AsymmetricSignature.RSA_PSS_SHA256: padding.PSS(padding.MGF1(_SHA256), 32),
}
_ENCRYPTIONS: Mapping[AsymmetricEncryption, padding.AsymmetricPadding] = {
    AsymmetricEncryption.RSA_OAEP_SHA1: padding.OAEP(
        padding.MGF1(hashes.SHA1()),  # noqa: S303 - what the policy prescribes
        hashes.SHA1(),  # noqa: S303
        None,
    ),
    AsymmetricEncryption.RSA_OAEP_SHA256: padding.OAEP(padding.MGF1(_SHA256), _SHA256, None),
}
_NONCE_SIZE = 32
_TEXT = bytes(1024)
"""As long as what is signed, about."""


class Floor:
    """The work for one policy.

    Args:
        sent: sizes of the encrypted chunks the Client sends, bytes.
        received: sizes of those it receives.
    """

    def __init__(
        self, policy: SecurityPolicy, sent: Sequence[int], received: Sequence[int]
    ) -> None:
        self._policy = policy
        self._key = rsa.generate_private_key(65537, 2048)
        self._public = self._key.public_key()
        self._signing = _SIGNATURES[policy.asymmetric_signature]
        self._sealing = _ENCRYPTIONS[policy.asymmetric_encryption]
        self._signature = self._key.sign(_TEXT, self._signing, _SHA256)
        self._certified = self._key.sign(_TEXT, _PKCS1, _SHA256)
        self._block = bytes(256 - policy.asymmetric_overhead)
        self._cipher_text = self._public.encrypt(self._block, self._sealing)
        self._nonces = os.urandom(_NONCE_SIZE), os.urandom(_NONCE_SIZE)
        sealing = EncryptedChunks(policy, self._derive()[1])
        self._bodies = [bytes(_body_size(size, policy)) for size in sent]
        self.received = [  # sealed by the Device
            sealing.seal(b"MSGF", 1, 1, 1, 1, bytes(_body_size(size, policy))) for size in received
        ]

    def with_kept_contexts(self) -> None:
        """Do the work with the contexts of libcrypto made once for each direction."""
        self._asymmetric()
        ours, theirs = self._derive()
        sealing, opening = (
            EncryptedChunks(self._policy, ours),
            EncryptedChunks(self._policy, theirs),
        )
        for body in self._bodies:
            sealing.seal(b"MSGF", 1, 1, 1, 1, body)
        for chunk in self.received:
            opening.open(chunk)

    def with_objects(self) -> None:
        """Do the work with objects of ``cryptography`` made for each chunk."""
        self._asymmetric()
        ours, theirs = self._derive()
        for body in self._bodies:
            _mac(ours, body)
            context = _cipher(ours).encryptor()
            context.update(_whole_blocks(body, self._policy))
            context.finalize()
        for chunk in self.received:
            context = _cipher(theirs).decryptor()
            _mac(theirs, context.update(chunk[CHUNK_HEADER.size :]) + context.finalize())

    def _asymmetric(self) -> None:
        for _ in range(2):
            self._key.sign(_TEXT, self._signing, _SHA256)
            self._key.decrypt(self._cipher_text, self._sealing)
            self._public.encrypt(self._block, self._sealing)
            self._public.verify(self._signature, _TEXT, self._signing, _SHA256)
        self._public.verify(self._certified, _TEXT, _PKCS1, _SHA256)

    def _derive(self) -> tuple[DerivedKeys, DerivedKeys]:
        ours, theirs = self._nonces
        return (
            derive_keys(self._policy, secret=theirs, seed=ours),
            derive_keys(self._policy, secret=ours, seed=theirs),
        )


def _body_size(chunk_size: int, policy: SecurityPolicy) -> int:
    """Return the longest body of a chunk of this size."""
    return chunk_size - CHUNK_HEADER.size - SEQUENCE_HEADER.size - 1 - policy.signature_size


def _whole_blocks(body: bytes, policy: SecurityPolicy) -> bytes:
    return body + bytes(SEQUENCE_HEADER.size + 1 + policy.signature_size)


def _mac(keys: DerivedKeys, data: bytes) -> None:
    context = hmac.HMAC(keys.signing_key, _SHA256)
    context.update(data)
    context.finalize()


def _cipher(keys: DerivedKeys) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(keys.encrypting_key), modes.CBC(keys.iv))
