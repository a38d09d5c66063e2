"""SecurityPolicies as rows of one table (OPC 10000-7, OPC 10000-6 §6.7 and §6.8).

The columns hold what elliptic-curve policies need as well: an OPN without encryption, key
derivation by HKDF, authenticated encryption, the other rule of sequence numbers, signatures
bound to the channel. No such row is here yet; ``KNOWN_URIS`` names them, so that "not
supported" can be told from "never heard of".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from registrar.errors import Reason, Rejected
from registrar.status import StatusCode

URI_PREFIX = "http://opcfoundation.org/UA/SecurityPolicy#"


class AsymmetricSignature(StrEnum):
    """How OPN, Create- and ActivateSession are signed."""

    NONE = "none"
    RSA_PKCS1_SHA256 = "rsa-pkcs1-sha256"
    RSA_PSS_SHA256 = "rsa-pss-sha256"
    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    ED25519 = "ed25519"
    ED448 = "ed448"


class AsymmetricEncryption(StrEnum):
    """How an OPN is encrypted; NONE where the nonces are ephemeral public keys."""

    NONE = "none"
    RSA_OAEP_SHA1 = "rsa-oaep-sha1"
    RSA_OAEP_SHA256 = "rsa-oaep-sha256"


class KeyDerivation(StrEnum):
    """How the keys of a token follow from the nonces."""

    NONE = "none"
    P_SHA256 = "p-sha256"
    HKDF_SHA256 = "hkdf-sha256"
    HKDF_SHA384 = "hkdf-sha384"


class SymmetricCipher(StrEnum):
    """How MSG and CLO are encrypted."""

    NONE = "none"
    AES_CBC = "aes-cbc"
    AES_GCM = "aes-gcm"
    CHACHA20_POLY1305 = "chacha20-poly1305"


_NO_SIGNATURE = AsymmetricSignature.NONE
"""Before Python 3.12 to look up the member of an enumeration takes as long as a small call."""


class CertificateHash(StrEnum):
    """The digest of certificates in channel-bound signatures; OPN headers always use SHA-1."""

    NONE = "none"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityPolicy:
    """One row: the algorithms and sizes of a SecurityPolicy. Sizes are bytes, keys bits."""

    name: str
    asymmetric_signature: AsymmetricSignature = AsymmetricSignature.NONE
    asymmetric_encryption: AsymmetricEncryption = AsymmetricEncryption.NONE
    key_derivation: KeyDerivation = KeyDerivation.NONE
    symmetric_cipher: SymmetricCipher = SymmetricCipher.NONE
    signing_key_size: int = 0
    encrypting_key_size: int = 0
    iv_size: int = 0
    signature_size: int = 0
    """Of a MSG: an HMAC, or the tag of authenticated encryption."""

    min_key_bits: int = 0
    max_key_bits: int = 0
    nonce_size: int = 0
    legacy_sequence_numbers: bool = True
    secure_channel_enhancements: bool = False
    certificate_hash: CertificateHash = CertificateHash.NONE
    signature_uri: str | None = None
    """SignatureData.algorithm."""

    encryption_uri: str | None = None
    """EncryptionAlgorithm of a UserNameIdentityToken."""

    @property
    def uri(self) -> str:
        """The SecurityPolicyUri."""
        return URI_PREFIX + self.name

    @property
    def is_none(self) -> bool:
        """Whether it secures nothing."""
        return self.asymmetric_signature is _NO_SIGNATURE

    def allows_key(self, bits: int) -> bool:
        """Tell whether an RSA key of this length may be used, by either side."""
        return self.min_key_bits <= bits <= self.max_key_bits

    @property
    def asymmetric_overhead(self) -> int:
        """Bytes of an RSA block that its padding takes."""
        return ASYMMETRIC_OVERHEAD[self.asymmetric_encryption]


ASYMMETRIC_OVERHEAD: Mapping[AsymmetricEncryption, int] = MappingProxyType(
    {
        AsymmetricEncryption.NONE: 0,
        AsymmetricEncryption.RSA_OAEP_SHA1: 42,
        AsymmetricEncryption.RSA_OAEP_SHA256: 66,
    }
)

NONE = SecurityPolicy(name="None")

BASIC256SHA256 = SecurityPolicy(
    name="Basic256Sha256",
    asymmetric_signature=AsymmetricSignature.RSA_PKCS1_SHA256,
    asymmetric_encryption=AsymmetricEncryption.RSA_OAEP_SHA1,
    key_derivation=KeyDerivation.P_SHA256,
    symmetric_cipher=SymmetricCipher.AES_CBC,
    signing_key_size=32,
    encrypting_key_size=32,
    iv_size=16,
    signature_size=32,
    min_key_bits=2048,
    max_key_bits=4096,
    nonce_size=32,
    certificate_hash=CertificateHash.SHA1,
    signature_uri="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    encryption_uri="http://www.w3.org/2001/04/xmlenc#rsa-oaep",
)

AES128_SHA256_RSAOAEP = SecurityPolicy(
    name="Aes128_Sha256_RsaOaep",
    asymmetric_signature=AsymmetricSignature.RSA_PKCS1_SHA256,
    asymmetric_encryption=AsymmetricEncryption.RSA_OAEP_SHA1,
    key_derivation=KeyDerivation.P_SHA256,
    symmetric_cipher=SymmetricCipher.AES_CBC,
    signing_key_size=32,
    encrypting_key_size=16,
    iv_size=16,
    signature_size=32,
    min_key_bits=2048,
    max_key_bits=4096,
    nonce_size=32,
    certificate_hash=CertificateHash.SHA1,
    signature_uri="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    encryption_uri="http://www.w3.org/2001/04/xmlenc#rsa-oaep",
)

AES256_SHA256_RSAPSS = SecurityPolicy(
    name="Aes256_Sha256_RsaPss",
    asymmetric_signature=AsymmetricSignature.RSA_PSS_SHA256,
    asymmetric_encryption=AsymmetricEncryption.RSA_OAEP_SHA256,
    key_derivation=KeyDerivation.P_SHA256,
    symmetric_cipher=SymmetricCipher.AES_CBC,
    signing_key_size=32,
    encrypting_key_size=32,
    iv_size=16,
    signature_size=32,
    min_key_bits=2048,
    max_key_bits=4096,
    nonce_size=32,
    certificate_hash=CertificateHash.SHA1,
    signature_uri="http://opcfoundation.org/UA/security/rsa-pss-sha2-256",
    encryption_uri="http://opcfoundation.org/UA/security/rsa-oaep-sha2-256",
)

POLICIES: Mapping[str, SecurityPolicy] = MappingProxyType(
    {
        policy.uri: policy
        for policy in (NONE, BASIC256SHA256, AES128_SHA256_RSAOAEP, AES256_SHA256_RSAPSS)
    }
)
"""The policies we speak, by URI. Deprecated ones are not implemented (T11)."""

_CURVES = ("nistP256", "nistP384", "brainpoolP256r1", "brainpoolP384r1", "curve25519", "curve448")

KNOWN_URIS = frozenset(
    {
        *POLICIES,
        *(URI_PREFIX + name for name in ("Basic128Rsa15", "Basic256")),
        *(URI_PREFIX + name for name in ("RSA_DH_AesGcm", "RSA_DH_ChaChaPoly")),
        *(
            f"{URI_PREFIX}ECC_{curve}{suffix}"
            for curve in _CURVES
            for suffix in ("", "_AesGcm", "_ChaChaPoly")
        ),
    }
)
"""The policies the standard names, spoken by us or not."""


def policy_of(uri: str) -> SecurityPolicy:
    """Return the policy we implement under ``uri``.

    Raises:
        Rejected: the peer wants one we do not speak, or one that nobody knows.
    """
    policy = POLICIES.get(uri)
    if policy is None:
        known = "supported by us" if uri in KNOWN_URIS else "known"
        raise Rejected(
            f"SecurityPolicy {uri[:80]!r} is not {known}",
            reason=Reason.SECURITY_POLICY_UNSUPPORTED,
            status=StatusCode.BadSecurityPolicyRejected,
        )
    return policy
