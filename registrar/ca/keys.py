"""Private keys: made here, kept in files only their owner can read, loaded once a process.

Loading an RSA key costs some 40 ms for its consistency check, signing 0.3 ms; so whoever loads
a key keeps it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from registrar.errors import FileInvalid, IssuerUnavailable, Misuse

MAX_FILE_BYTES: Final = 64 * 1024
"""More than any key takes in PEM."""

MAX_PASSPHRASE_BYTES: Final = 1_023
"""OpenSSL's own maximum."""

RSA_EXPONENT: Final = 65_537

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class KeyType(StrEnum):
    """The kinds of key this room makes, by the names of the configuration."""

    EC_P256 = "EC-P256"
    EC_P384 = "EC-P384"
    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
    RSA_4096 = "RSA-4096"


_RSA_BITS: Final = {KeyType.RSA_2048: 2_048, KeyType.RSA_3072: 3_072, KeyType.RSA_4096: 4_096}


def generate_key(key_type: KeyType) -> PrivateKey:
    """Make a key; RSA takes 50 ms to seconds."""
    if key_type is KeyType.EC_P256:
        return ec.generate_private_key(ec.SECP256R1())
    if key_type is KeyType.EC_P384:
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(RSA_EXPONENT, _RSA_BITS[key_type])


def public_key_der(key: PublicKey) -> bytes:
    """Return the SubjectPublicKeyInfo of ``key``, DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_digest(key: PublicKey) -> str:
    """Return the SHA-256 of the SubjectPublicKeyInfo, hexadecimal: what keys are compared by."""
    return hashlib.sha256(public_key_der(key)).hexdigest()


def save_key(path: Path, key: PrivateKey, *, passphrase: str | None = None) -> None:
    """Write ``key`` as PEM PKCS#8, mode 0600; whole or not at all.

    Args:
        path: where to; what is there is replaced.
        key: the key.
        passphrase: encrypts it, if given.

    Raises:
        FileInvalid: the file cannot be written.
        Misuse: the passphrase is empty or too long.
    """
    write_file(
        path,
        key.private_bytes(
            Encoding.PEM,
            PrivateFormat.PKCS8,
            NoEncryption()
            if passphrase is None
            else BestAvailableEncryption(_passphrase(passphrase)),
        ),
        mode=0o600,
    )


def load_key(path: Path, *, passphrase: str | None = None) -> PrivateKey:
    """Read the key that ``path`` holds in PEM. Do it once, and keep the key.

    Raises:
        IssuerUnavailable: the file is missing or cannot be read.
        FileInvalid: it holds no key we use, or the passphrase does not open it.
    """
    return parse_key(read_file(path), passphrase=passphrase, name=str(path))


def parse_key(pem: bytes, *, passphrase: str | None = None, name: str = "key") -> PrivateKey:
    """Read a key from PEM text.

    Raises:
        FileInvalid: it holds no key we use, or the passphrase does not open it.
    """
    is_encrypted = b"ENCRYPTED" in pem
    if is_encrypted and passphrase is None:
        raise FileInvalid("is encrypted and there is no passphrase", subject=name)
    secret = _passphrase(passphrase) if is_encrypted and passphrase is not None else None
    try:
        key = load_pem_private_key(pem, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's own message may quote the key; it goes no further.
        raise FileInvalid(
            "holds no private key, or the passphrase is wrong", subject=name
        ) from error
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _RSA_BITS[KeyType.RSA_2048]:
        raise FileInvalid(f"holds an RSA key of {key.key_size} bits, below 2048", subject=name)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise FileInvalid("holds a key that is neither RSA nor EC", subject=name)
    return key


def write_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a whole file and make it durable; a reader sees the old one or the new one.

    Raises:
        FileInvalid: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise FileInvalid(f"cannot be written: {error.strerror}", subject=str(path)) from error


def read_file(path: Path, *, limit_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Read a whole file of at most ``limit_bytes``.

    Raises:
        IssuerUnavailable: it is missing or cannot be read.
        FileInvalid: it is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except OSError as error:
        raise IssuerUnavailable(f"cannot be read: {error.strerror}", subject=str(path)) from error
    if len(data) > limit_bytes:
        raise FileInvalid(f"has more than {limit_bytes} bytes", subject=str(path))
    return data


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _passphrase(text: str) -> bytes:
    secret = text.encode()
    if not 0 < len(secret) <= MAX_PASSPHRASE_BYTES:
        raise Misuse(f"a passphrase has 1 to {MAX_PASSPHRASE_BYTES} bytes")
    return secret
