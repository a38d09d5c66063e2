"""Signatures over bytes: which algorithms there are, which keys fit them, whether they hold.

``verify_signatures`` is specification and fallback of its compiled twin, which may only say
yes: ``signatures_hold`` asks the Python body again for everything the twin refuses.
Source: RFC 7518 §3; OPC 10000-21 §8.1.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TypeGuard

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PublicKeyTypes,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from registrar.core.certificate import Certificate, PlainLeaf
from registrar.errors import CertificateRejected
from registrar.native import compiled

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""A longer key only costs time: one check with 16,384 bits takes 2 ms."""

MAX_RSA_EXPONENT_BITS = 64
"""Public exponents grow the cost of a check without bound."""

_KEYS = 512
"""Public keys kept decoded."""

_ISSUED = 1024
"""Answers of ``is_issued_by`` kept: CAs meet their issuers again with every Device."""


class Algorithm(StrEnum):
    """The signature algorithms a Ticket may use, by their JWA names."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"


_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}

_CURVES: Mapping[Algorithm, tuple[str, int]] = {
    Algorithm.ES256: ("secp256r1", 32),
    Algorithm.ES384: ("secp384r1", 48),
    Algorithm.ES512: ("secp521r1", 66),
}
"""The curve each ES algorithm stands for, and the bytes of r and of s."""

_PLAIN = {
    f"{kind}{size}": (kind == "RS", digest)
    for kind in ("RS", "ES")
    for size, digest in _HASHES.items()
}
"""Of the algorithms of a ``PlainLeaf``: whether it is RSA, and the hash."""

_PKCS1 = padding.PKCS1v15()

WEAK_HASHES = frozenset({"md5", "sha1"})
"""Hashes under which somebody else can prepare a second document with the same signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureCheck:
    """One question to ``signatures_hold``."""

    public_key: bytes
    """SubjectPublicKeyInfo, DER."""

    algorithm: Algorithm
    message: bytes
    signature: bytes
    """As JWS has it: for ES* the raw r || s."""


def is_sound_key(key: object) -> TypeGuard[rsa.RSAPublicKey | ec.EllipticCurvePublicKey]:
    """Tell whether ``key`` is RSA of a bearable size, or on an elliptic curve."""
    if isinstance(key, rsa.RSAPublicKey):
        exponent = key.public_numbers().e
        return (
            MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
            and exponent >= 3
            and exponent % 2 == 1
            and exponent.bit_length() <= MAX_RSA_EXPONENT_BITS
        )
    return isinstance(key, ec.EllipticCurvePublicKey)


def fits(algorithm: Algorithm, key: CertificatePublicKeyTypes | PublicKeyTypes) -> bool:
    """Tell whether ``key`` is of the kind, curve and size that ``algorithm`` demands."""
    if not is_sound_key(key):
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return algorithm not in _CURVES
    return algorithm in _CURVES and key.curve.name == _CURVES[algorithm][0]


@compiled
def verify_signatures(
    public_keys: Sequence[bytes],
    algorithms: Sequence[str],
    messages: Sequence[bytes],
    signatures: Sequence[bytes],
) -> list[bool]:
    """Check many signatures at once; the four sequences run in step.

    Args:
        public_keys: SubjectPublicKeyInfo of each signer, DER.
        algorithms: values of ``Algorithm``; another answers no.
        messages: what was signed.
        signatures: RSA as it is, ES* as raw r || s of exactly twice the curve's size.

    Returns:
        Whether each holds, in order. The compiled twin may answer no where this answers yes.

    Raises:
        ValueError: the sequences differ in length.
    """
    return [_holds(*one) for one in zip(public_keys, algorithms, messages, signatures, strict=True)]


def signatures_hold(checks: Sequence[SignatureCheck]) -> list[bool]:
    """Return whether each signature holds: the compiled yes, else the Python answer."""
    batch = (
        [check.public_key for check in checks],
        [check.algorithm.value for check in checks],
        [check.message for check in checks],
        [check.signature for check in checks],
    )
    answers = list(verify_signatures(*batch))
    pure = inspect.unwrap(verify_signatures)
    if pure is not verify_signatures:
        refused = [index for index, answer in enumerate(answers) if not answer]
        again = pure(*([column[index] for index in refused] for column in batch))
        for index, answer in zip(refused, again, strict=True):
            answers[index] = answer
    return answers


def _holds(public_key: bytes, name: str, message: bytes, signature: bytes) -> bool:
    try:
        algorithm = Algorithm(name)
        key = _decode_key(public_key)
        if not is_sound_key(key) or not fits(algorithm, key):
            return False
        digest = _HASHES[name[2:]]
        if isinstance(key, rsa.RSAPublicKey):
            scheme: padding.AsymmetricPadding = padding.PKCS1v15()
            if name.startswith("PS"):
                scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)
            key.verify(signature, message, scheme, digest)
        else:
            key.verify(_to_der(signature, _CURVES[algorithm][1]), message, ec.ECDSA(digest))
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _to_der(raw: bytes, size: int) -> bytes:
    if len(raw) != 2 * size:
        raise ValueError(f"an ECDSA signature of {len(raw)} bytes, not {2 * size}")
    return encode_dss_signature(int.from_bytes(raw[:size]), int.from_bytes(raw[size:]))


@lru_cache(maxsize=_KEYS)
def _decode_key(der: bytes) -> PublicKeyTypes:
    return load_der_public_key(der)


@lru_cache(maxsize=_ISSUED)
def is_issued_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Tell whether the key of ``issuer`` made the signature of ``certificate``.

    Names and extensions are not looked at. RSA PKCS#1 v1.5 and PSS, ECDSA, Ed25519 and Ed448.
    """
    return is_signed_by(certificate.parsed, certificate.tbs_bytes, issuer)


def made_plain(leaf: PlainLeaf, issuer: Certificate) -> bool:
    """Tell whether the key of ``issuer`` made the signature of ``leaf``; as ``is_issued_by``."""
    by_rsa, on_curve = sound_keys_of(issuer)
    is_rsa, digest = _PLAIN[leaf.algorithm]
    try:
        if by_rsa is not None and is_rsa:
            by_rsa.verify(leaf.signature, leaf.tbs, _PKCS1, digest)
        elif on_curve is not None and not is_rsa:
            on_curve.verify(leaf.signature, leaf.tbs, ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


@lru_cache(maxsize=_KEYS)
def sound_keys_of(
    issuer: Certificate,
) -> tuple[rsa.RSAPublicKey | None, ec.EllipticCurvePublicKey | None]:
    """Return the key of a CA where it is sound, by its kind; asking costs a tenth of its use."""
    try:
        key = issuer.public_key
    except CertificateRejected:
        return None, None
    if not is_sound_key(key):
        return None, None
    return (key, None) if isinstance(key, rsa.RSAPublicKey) else (None, key)


def is_signed_by(
    parsed: x509.Certificate | x509.CertificateRevocationList,
    message: bytes,
    issuer: Certificate,
) -> bool:
    """Tell whether the key of ``issuer`` made the signature that ``parsed`` carries.

    Args:
        parsed: says algorithm, parameters and signature.
        message: what was signed, from the bytes as they came.
    """
    try:
        parameters = parsed.signature_algorithm_parameters
        digest = parsed.signature_hash_algorithm
        key = issuer.public_key
    except (ValueError, UnsupportedAlgorithm, TypeError, CertificateRejected):
        return False
    return signed_with(key, parsed.signature, message, digest, parameters)


def signed_with(
    key: object,
    signature: bytes,
    message: bytes,
    digest: hashes.HashAlgorithm | None,
    parameters: object,
) -> bool:
    """Tell whether ``key`` made ``signature`` as X.509 encodes signatures.

    Args:
        digest: the hash; ``None`` for the Edwards curves, which have their own.
        parameters: the padding that the signature algorithm names; only RSA keys need one.
    """
    try:
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            if digest is not None:
                return False
            key.verify(signature, message)
        elif digest is None or not is_sound_key(key):
            return False
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(digest))
        elif isinstance(parameters, padding.PKCS1v15 | padding.PSS):
            key.verify(signature, message, parameters, digest)
        else:
            return False
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True
