"""What a channel needs of certificates: the leaf of a chain, its key, its thumbprint.

Trust is not decided here. A channel uses a certificate only to check who holds its key.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from registrar.errors import SecurityChecksFailed
from registrar.native import compiled
from registrar.status import StatusCode
from registrar.ua.limits import MAX_CHAIN_LENGTH
from registrar.ua.security_policy import SecurityPolicy

_SEQUENCE = 0x30

KEPT_KEYS: Final = 64
"""Certificates whose keys are kept: a peer shows one for each channel and each Session (10 µs)."""


@compiled
def split_chain(blob: bytes) -> tuple[bytes, ...]:
    """Split certificates that stand in a row, the leaf first (OPC 10000-6 §6.7.2.3).

    Raises:
        SecurityChecksFailed: not DER, cut off, or more than ``MAX_CHAIN_LENGTH``.
    """
    certificates: list[bytes] = []
    at = 0
    while at < len(blob):
        if len(certificates) == MAX_CHAIN_LENGTH:
            raise _invalid(f"more than {MAX_CHAIN_LENGTH} certificates in a chain")
        end = _end_of_sequence(blob, at)
        certificates.append(blob[at:end])
        at = end
    if not certificates:
        raise _invalid("no certificate")
    return tuple(certificates)


@compiled
def leaf_of(blob: bytes) -> bytes:
    """Return the first certificate of a chain; what follows it is not looked at.

    Raises:
        SecurityChecksFailed: it does not begin with a certificate.
    """
    return blob[: _end_of_sequence(blob, 0)]


def thumbprint_of(certificate: bytes) -> bytes:
    """Return the SHA-1 of a DER certificate, as OPN headers name it."""
    return hashlib.sha1(certificate, usedforsecurity=False).digest()


def public_key_of(certificate: bytes, policy: SecurityPolicy) -> RSAPublicKey:
    """Return the key of ``certificate``, which must be one that ``policy`` allows.

    Raises:
        SecurityChecksFailed: not a certificate, another kind of key, or a length out of range.
    """
    key = _key_in(certificate)
    if not policy.allows_key(key.key_size):
        raise SecurityChecksFailed(
            f"an RSA key of {key.key_size} bits, {policy.name} allows"
            f" {policy.min_key_bits} to {policy.max_key_bits}",
            status=StatusCode.BadCertificatePolicyCheckFailed,
        )
    return key


@lru_cache(maxsize=KEPT_KEYS)
def _key_in(certificate: bytes) -> RSAPublicKey:
    """Return the key, with what OpenSSL keeps beside it after the first use."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise _invalid("a certificate cannot be read") from error
    if not isinstance(key, RSAPublicKey):
        raise SecurityChecksFailed(
            f"the certificate holds {type(key).__name__}, needed is RSA",
            status=StatusCode.BadCertificatePolicyCheckFailed,
        )
    return key


def _end_of_sequence(blob: bytes, at: int) -> int:
    """Return where the DER SEQUENCE at ``at`` ends."""
    if len(blob) - at < 2 or blob[at] != _SEQUENCE:
        raise _invalid(f"no certificate at offset {at}")
    length = blob[at + 1]
    start = at + 2
    if length >= 0x80:
        count = length - 0x80
        if not 1 <= count <= 3 or len(blob) - start < count:
            raise _invalid(f"no certificate at offset {at}")
        length = int.from_bytes(blob[start : start + count], "big")
        start += count
    if length > len(blob) - start:
        raise _invalid(f"a certificate of {length} bytes leaves its field")
    return start + length


def _invalid(message: str) -> SecurityChecksFailed:
    return SecurityChecksFailed(message, status=StatusCode.BadCertificateInvalid)
