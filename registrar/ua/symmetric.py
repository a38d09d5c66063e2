"""Securing MSG and CLO with the keys of a token (OPC 10000-6 §6.7.2, §6.7.6).

    MessageType IsFinal MessageSize ChannelId TokenId │ SequenceNumber RequestId Body Padding │ HMAC
    ──────────────────── signed ─────────────────────────────────────────────────────────────▶
                                                       ──────────── encrypted ────────────────▶

Key schedules and HMAC states are kept per token. A new CBC context for each chunk costs 4 µs,
going on with one costs 0.5 µs: OPC UA starts each chunk at the derived IV, a running context at
its last ciphertext block, so the first block is corrected by the difference of the two.
The compiled twins set the IV instead, which ``cryptography`` cannot.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.hmac import HMAC

from registrar.errors import SecurityChecksFailed
from registrar.native import compiled
from registrar.ua.security_policy import SecurityPolicy

CHUNK_HEADER = struct.Struct("<4sIII")
"""MessageType with IsFinal, MessageSize, SecureChannelId, TokenId."""

FULL_HEADER = struct.Struct("<4sIIIII")
"""The same with SequenceNumber and RequestId."""

SEQUENCE_HEADER = struct.Struct("<II")

BLOCK_SIZE = 16
_SHA256 = hashes.SHA256()
_HEADER_SIZE = CHUNK_HEADER.size
_SEQUENCE_SIZE = SEQUENCE_HEADER.size
_PADDINGS = tuple(bytes([size]) * (size + 1) for size in range(256))


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedKeys:
    """The keys of one direction and one token."""

    signing_key: bytes
    encrypting_key: bytes
    iv: bytes


def derive_keys(policy: SecurityPolicy, *, secret: bytes, seed: bytes) -> DerivedKeys:
    """Derive the keys of one direction by P_SHA256 (OPC 10000-6 §6.7.6).

    Args:
        secret: for what the client sends the server's nonce, for what the server sends the
            client's.
        seed: the other one.
    """
    first, second, third = policy.signing_key_size, policy.encrypting_key_size, policy.iv_size
    data = p_sha256(secret, seed, first + second + third)
    return DerivedKeys(
        signing_key=data[:first],
        encrypting_key=data[first : first + second],
        iv=data[first + second :],
    )


@compiled
def p_sha256(secret: bytes, seed: bytes, length: int) -> bytes:
    """Return ``length`` bytes of P_SHA256 (RFC 5246 §5, without a label)."""
    keyed = HMAC(secret, _SHA256)
    data = b""
    link = seed
    while len(data) < length:
        link = _mac(keyed, link)
        data += _mac(keyed, link + seed)
    return data[:length]


def _mac(keyed: HMAC, data: bytes) -> bytes:
    state = keyed.copy()
    state.update(data)
    return state.finalize()


class ChunkSecurity(Protocol):
    """Secures and opens the chunks of one direction and one token."""

    def body_size(self, chunk_size: int) -> int:
        """Return how many bytes of a message a chunk of ``chunk_size`` bytes holds."""

    def seal(
        self,
        kind: bytes,
        channel_id: int,
        token_id: int,
        sequence: int,
        request_id: int,
        body: bytes,
    ) -> bytes:
        """Return a chunk; ``kind`` is its MessageType with IsFinal."""

    def open(self, chunk: bytes) -> tuple[int, int, bytes]:
        """Return SequenceNumber, RequestId and body.

        Raises:
            SecurityChecksFailed: the chunk is not as its sender secured it.
        """


@compiled
class PlainChunks:
    """Chunks of a channel without security."""

    __slots__ = ()

    def body_size(self, chunk_size: int) -> int:
        """Return how many bytes of a message a chunk of ``chunk_size`` bytes holds."""
        return chunk_size - _HEADER_SIZE - _SEQUENCE_SIZE

    def seal(
        self,
        kind: bytes,
        channel_id: int,
        token_id: int,
        sequence: int,
        request_id: int,
        body: bytes,
    ) -> bytes:
        """Return the chunk."""
        size = _HEADER_SIZE + _SEQUENCE_SIZE + len(body)
        return FULL_HEADER.pack(kind, size, channel_id, token_id, sequence, request_id) + body

    def open(self, chunk: bytes) -> tuple[int, int, bytes]:
        """Return SequenceNumber, RequestId and body."""
        if len(chunk) < _HEADER_SIZE + _SEQUENCE_SIZE:
            raise SecurityChecksFailed("a chunk without SequenceNumber and RequestId")
        return _content(chunk[_HEADER_SIZE:])


@compiled
class SignedChunks:
    """Chunks in the mode Sign: an HMAC at the end."""

    __slots__ = ("_mac", "_size")

    def __init__(self, policy: SecurityPolicy, keys: DerivedKeys) -> None:
        self._mac = HMAC(keys.signing_key, _SHA256)
        self._size = policy.signature_size

    def body_size(self, chunk_size: int) -> int:
        """Return how many bytes of a message a chunk of ``chunk_size`` bytes holds."""
        return chunk_size - _HEADER_SIZE - _SEQUENCE_SIZE - self._size

    def seal(
        self,
        kind: bytes,
        channel_id: int,
        token_id: int,
        sequence: int,
        request_id: int,
        body: bytes,
    ) -> bytes:
        """Return the signed chunk."""
        size = _HEADER_SIZE + _SEQUENCE_SIZE + len(body) + self._size
        data = FULL_HEADER.pack(kind, size, channel_id, token_id, sequence, request_id) + body
        mac = self._mac.copy()
        mac.update(data)
        return data + mac.finalize()

    def open(self, chunk: bytes) -> tuple[int, int, bytes]:
        """Check the signature; return SequenceNumber, RequestId and body.

        Raises:
            SecurityChecksFailed: the chunk is not as its sender signed it.
        """
        end = len(chunk) - self._size
        if end < _HEADER_SIZE + _SEQUENCE_SIZE:
            raise SecurityChecksFailed(f"a signed chunk of {len(chunk)} bytes")
        mac = self._mac.copy()
        mac.update(chunk[:end])
        _compare(mac.finalize(), chunk[end:])
        return _content(chunk[_HEADER_SIZE:end])


@compiled
class EncryptedChunks:
    """Chunks in the mode SignAndEncrypt: padded, signed, then AES-CBC.

    An instance serves one direction: it either seals or opens.
    """

    __slots__ = ("_cipher", "_context", "_iv", "_mac", "_mask", "_size")

    def __init__(self, policy: SecurityPolicy, keys: DerivedKeys) -> None:
        self._cipher = Cipher(algorithms.AES(keys.encrypting_key), modes.CBC(keys.iv))
        self._context: CipherContext | None = None
        self._mac = HMAC(keys.signing_key, _SHA256)
        self._size = policy.signature_size
        self._iv = int.from_bytes(keys.iv, "big")
        self._mask = 0
        """IV xor the block the running context would chain to."""

    def body_size(self, chunk_size: int) -> int:
        """Return how many bytes of a message a chunk of ``chunk_size`` bytes holds."""
        region = (chunk_size - _HEADER_SIZE) // BLOCK_SIZE * BLOCK_SIZE
        return region - _SEQUENCE_SIZE - 1 - self._size

    def seal(
        self,
        kind: bytes,
        channel_id: int,
        token_id: int,
        sequence: int,
        request_id: int,
        body: bytes,
    ) -> bytes:
        """Return the signed and encrypted chunk."""
        region = _SEQUENCE_SIZE + len(body) + 1 + self._size
        padding = -region % BLOCK_SIZE
        size = _HEADER_SIZE + region + padding
        data = FULL_HEADER.pack(kind, size, channel_id, token_id, sequence, request_id)
        data = data + body + _PADDINGS[padding]
        mac = self._mac.copy()
        mac.update(data)
        first = int.from_bytes(data[_HEADER_SIZE : _HEADER_SIZE + BLOCK_SIZE], "big") ^ self._mask
        if self._context is None:
            self._context = self._cipher.encryptor()
        cipher = self._context.update(
            first.to_bytes(BLOCK_SIZE, "big") + data[_HEADER_SIZE + BLOCK_SIZE :] + mac.finalize()
        )
        self._mask = self._iv ^ int.from_bytes(cipher[-BLOCK_SIZE:], "big")
        return data[:_HEADER_SIZE] + cipher

    def open(self, chunk: bytes) -> tuple[int, int, bytes]:
        """Decrypt, check signature and padding; return SequenceNumber, RequestId and body.

        Raises:
            SecurityChecksFailed: the chunk is not as its sender sealed it.
        """
        length = len(chunk) - _HEADER_SIZE
        if length % BLOCK_SIZE or length < _SEQUENCE_SIZE + 1 + self._size:
            raise SecurityChecksFailed(f"an encrypted chunk of {len(chunk)} bytes")
        if self._context is None:
            self._context = self._cipher.decryptor()
        plain = self._context.update(chunk[_HEADER_SIZE:])
        if self._mask:
            first = int.from_bytes(plain[:BLOCK_SIZE], "big") ^ self._mask
            plain = first.to_bytes(BLOCK_SIZE, "big") + plain[BLOCK_SIZE:]
        self._mask = self._iv ^ int.from_bytes(chunk[-BLOCK_SIZE:], "big")
        end = len(plain) - self._size
        mac = self._mac.copy()
        mac.update(chunk[:_HEADER_SIZE] + plain[:end])
        _compare(mac.finalize(), plain[end:])
        padding = plain[end - 1]
        start = end - 1 - padding
        if start < _SEQUENCE_SIZE or plain[start:end] != _PADDINGS[padding]:
            raise SecurityChecksFailed("wrong padding")
        return _content(plain[:start])


def _compare(expected: bytes, actual: bytes) -> None:
    if not hmac.compare_digest(expected, actual):
        raise SecurityChecksFailed("the signature of a chunk does not verify")


def _content(plain: bytes) -> tuple[int, int, bytes]:
    sequence_number, request_id = SEQUENCE_HEADER.unpack_from(plain)
    return sequence_number, request_id, plain[_SEQUENCE_SIZE:]
