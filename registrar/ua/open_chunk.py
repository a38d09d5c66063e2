"""The OPN chunk: a security header in the clear, the rest signed and encrypted with RSA.

    'OPN' 'F' MessageSize SecureChannelId │ SecurityPolicyUri SenderCertificate Thumbprint │
        SequenceNumber RequestId Body Padding │ Signature
                  ──────── encrypted in blocks of the receiver's key ────────▶

All of it is bounded: one chunk of at most 8 KiB, a URI of at most 255 bytes, and the blocks are
counted before one is decrypted (OPC 10000-6 §6.7.2, threat-model 5.2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from registrar.errors import DecodingError, MessageTooLarge, SecurityChecksFailed
from registrar.status import StatusCode
from registrar.ua import asymmetric
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.limits import (
    MAX_OPEN_BLOCKS,
    MAX_OPEN_SIZE,
    MAX_POLICY_URI,
    MAX_SMALL_BLOCKS,
)
from registrar.ua.security_policy import SecurityPolicy, policy_of
from registrar.ua.symmetric import SEQUENCE_HEADER

_HEADER = struct.Struct("<4sII")
_INT32 = struct.Struct("<i")
_THUMBPRINT_SIZE = 20
_SMALL_KEY_BITS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHeader:
    """The security header of an OPN, and the channel it names."""

    channel_id: int
    policy: SecurityPolicy
    sender_certificate: bytes = field(repr=False)
    """The sender's chain as it came; empty without security."""

    receiver_thumbprint: bytes
    size: int
    """Bytes of the chunk before the encrypted part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenContent:
    """What an OPN held, after all checks of its security."""

    sequence_number: int
    request_id: int
    body: bytes = field(repr=False)


def parse_header(chunk: bytes) -> OpenHeader:
    """Read the security header of an OPN.

    Raises:
        DecodingError: a field leaves the chunk or is longer than it may be.
        Rejected: its SecurityPolicy is not one of ours.
    """
    if len(chunk) < _HEADER.size:
        raise DecodingError(f"OPN of {len(chunk)} bytes")
    _, _, channel_id = _HEADER.unpack_from(chunk)
    uri, at = _field(chunk, _HEADER.size, limit=MAX_POLICY_URI)
    certificate, at = _field(chunk, at, limit=MAX_OPEN_SIZE)
    thumbprint, at = _field(chunk, at, limit=_THUMBPRINT_SIZE)
    try:
        policy = policy_of(uri.decode())
    except UnicodeDecodeError as error:
        raise DecodingError("SecurityPolicyUri is not UTF-8") from error
    if not policy.is_none and len(thumbprint) != _THUMBPRINT_SIZE:
        raise DecodingError(f"ReceiverCertificateThumbprint of {len(thumbprint)} bytes")
    return OpenHeader(
        channel_id=channel_id,
        policy=policy,
        sender_certificate=certificate,
        receiver_thumbprint=thumbprint,
        size=at,
    )


def count_blocks(header: OpenHeader, chunk: bytes, *, our_bits: int, peer_bits: int) -> int:
    """Return how many blocks must be decrypted with our key.

    Raises:
        SecurityChecksFailed: the rest of the chunk is not made of such blocks, or of too many.
    """
    length = len(chunk) - header.size
    blocks, rest = divmod(length, our_bits // 8)
    both_small = our_bits == peer_bits == _SMALL_KEY_BITS
    limit = MAX_SMALL_BLOCKS if both_small else MAX_OPEN_BLOCKS
    if rest or not 1 <= blocks <= limit:
        raise SecurityChecksFailed(f"{length} encrypted bytes, at most {limit} blocks are allowed")
    return blocks


def open_plain(chunk: bytes, header: OpenHeader) -> OpenContent:
    """Return the content of an OPN without security."""
    return _content(chunk[header.size :])


def open_sealed(
    chunk: bytes, header: OpenHeader, *, identity: ApplicationIdentity, sender_key: RSAPublicKey
) -> OpenContent:
    """Decrypt an OPN, check its signature and its padding, in this order.

    Whatever is wrong, all blocks are decrypted and one signature is checked, and the class of the
    error is the same (T15).

    Raises:
        SecurityChecksFailed: it is not from the holder of ``sender_key``, or was changed.
    """
    policy = header.policy
    cipher = chunk[header.size :]
    plain, intact = asymmetric.decrypt(policy, identity.private_key, cipher)
    end = max(len(plain) - sender_key.key_size // 8, 0)
    asymmetric.verify(policy, sender_key, plain[end:], chunk[: header.size] + plain[:end])
    if not intact:
        raise SecurityChecksFailed("a block does not decrypt")
    return _content(_without_padding(plain[:end], long=identity.key_bits > _SMALL_KEY_BITS))


def seal(
    policy: SecurityPolicy,
    *,
    identity: ApplicationIdentity,
    receiver_key: RSAPublicKey,
    receiver_thumbprint: bytes,
    channel_id: int,
    content: OpenContent,
) -> bytes:
    """Return a signed and encrypted OPN; one private-key operation.

    Raises:
        MessageTooLarge: our certificate chain does not fit into an OPN.
    """
    fields = _fields(policy.uri.encode(), identity.sender_certificate, receiver_thumbprint)
    long = receiver_key.key_size > _SMALL_KEY_BITS
    plain = SEQUENCE_HEADER.pack(content.sequence_number, content.request_id) + content.body
    block = asymmetric.plain_block_size(policy, receiver_key.key_size)
    signature_size = identity.key_bits // 8
    padding = -(len(plain) + 1 + long + signature_size) % block
    plain += _padding(padding, long=long)
    blocks = (len(plain) + signature_size) // block
    size = _HEADER.size + len(fields) + blocks * (receiver_key.key_size // 8)
    header = _HEADER.pack(b"OPNF", _checked_size(size), channel_id) + fields
    signature = asymmetric.sign(policy, identity.private_key, header + plain)
    return header + asymmetric.encrypt(policy, receiver_key, plain + signature)


def seal_plain(policy: SecurityPolicy, *, channel_id: int, content: OpenContent) -> bytes:
    """Return an OPN without security."""
    fields = _fields(policy.uri.encode(), None, None)
    plain = SEQUENCE_HEADER.pack(content.sequence_number, content.request_id) + content.body
    size = _HEADER.size + len(fields) + len(plain)
    return _HEADER.pack(b"OPNF", _checked_size(size), channel_id) + fields + plain


def _checked_size(size: int) -> int:
    if size > MAX_OPEN_SIZE:
        raise MessageTooLarge(f"an OPN of {size} bytes, at most {MAX_OPEN_SIZE} are allowed")
    return size


def _padding(size: int, *, long: bool) -> bytes:
    low, high = size & 0xFF, size >> 8
    return bytes([low]) * (size + 1) + (bytes([high]) if long else b"")


def _without_padding(plain: bytes, *, long: bool) -> bytes:
    """Return ``plain`` without its padding, every byte of which must be right."""
    extra = 1 if long else 0
    if len(plain) < SEQUENCE_HEADER.size + 1 + extra:
        raise SecurityChecksFailed("an OPN without content")
    size = plain[-1] << 8 | plain[-2] if long else plain[-1]
    start = len(plain) - size - 1 - extra
    if start < SEQUENCE_HEADER.size or plain[start:] != _padding(size, long=long):
        raise SecurityChecksFailed("wrong padding in an OPN")
    return plain[:start]


def _content(plain: bytes) -> OpenContent:
    if len(plain) < SEQUENCE_HEADER.size:
        raise SecurityChecksFailed("an OPN without content")
    sequence_number, request_id = SEQUENCE_HEADER.unpack_from(plain)
    return OpenContent(
        sequence_number=sequence_number,
        request_id=request_id,
        body=plain[SEQUENCE_HEADER.size :],
    )


def _fields(*values: bytes | None) -> bytes:
    return b"".join(
        b"\xff\xff\xff\xff" if value is None else _INT32.pack(len(value)) + value
        for value in values
    )


def _field(chunk: bytes, at: int, *, limit: int) -> tuple[bytes, int]:
    if len(chunk) - at < 4:
        raise DecodingError("the security header of an OPN is cut off")
    (length,) = _INT32.unpack_from(chunk, at)
    at += 4
    if not -1 <= length <= limit:
        raise DecodingError(
            f"a field of {length} bytes in an OPN, at most {limit} are allowed",
            status=StatusCode.BadSecurityChecksFailed,
        )
    end = at + max(length, 0)
    if end > len(chunk):
        raise DecodingError(f"a field of {length} bytes leaves the OPN")
    return chunk[at:end], end
