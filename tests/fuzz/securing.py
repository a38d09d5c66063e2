"""A peer with keys: it secures what an input says, and keeps what its keys were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from zlib import crc32

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from registrar.errors import Rejected
from registrar.ua import open_chunk
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.conversation import make_token
from registrar.ua.open_chunk import OpenContent
from registrar.ua.security_policy import BASIC256SHA256
from registrar.ua.symmetric import CHUNK_HEADER, SEQUENCE_HEADER, ChunkSecurity
from tests.fuzz.pieces import is_encrypted, is_spoiled, split
from tests.ua.pairing import Mode, make_identity

POLICY = BASIC256SHA256
CLIENT_NONCE, SERVER_NONCE = bytes(range(32)), bytes(range(32, 64))
NUMBERED = CHUNK_HEADER.size + SEQUENCE_HEADER.size
MOST_REMEMBERED = 1_024


class RememberingKey:
    """A private key that does no work twice; what it does would be nearly all of a run."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key
        self.key_size = key.key_size
        self._done: dict[tuple[str, bytes], bytes] = {}

    def public_key(self) -> RSAPublicKey:
        return self._key.public_key()

    def sign(self, data: bytes, *how: Any) -> bytes:
        return self._once("sign", data, how)

    def decrypt(self, cipher: bytes, *how: Any) -> bytes:
        return self._once("decrypt", cipher, how)

    def _once(self, what: str, data: bytes, how: Any) -> bytes:
        known = self._done.get((what, data))
        if known is None:
            known = getattr(self._key, what)(data, *how)
            if len(self._done) >= MOST_REMEMBERED:
                self._done.clear()
            self._done[what, data] = known
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Who talks, and how what they say is secured."""

    mode: Mode
    client: ApplicationIdentity
    server: ApplicationIdentity


def mode_of(*, encrypted: bool) -> Mode:
    """Return the mode of a secured channel."""
    return Mode.SignAndEncrypt if encrypted else Mode.Sign


@cache
def ends(*, encrypted: bool) -> Ends:
    """Return both ends; their keys are made once and no outcome depends on them."""
    return Ends(
        mode=mode_of(encrypted=encrypted),
        client=_identity("client"),
        server=_identity("server"),
    )


@cache
def _identity(name: str) -> ApplicationIdentity:
    made = make_identity(2048, name)
    key: Any = RememberingKey(made.private_key)
    return ApplicationIdentity(certificate=made.certificate, private_key=key)


def secure(data: bytes, *, from_client: bool) -> bytes:
    """Return an input whose chunks are secured as its sender would, and spoiled if it says so."""
    encrypted = is_encrypted(data)
    secured = [
        _secured(chunk, encrypted=encrypted, from_client=from_client) for chunk in split(data[1:])
    ]
    if secured and is_spoiled(data):
        which, place = divmod(crc32(data), 1 << 16)
        secured[which % len(secured)] = _spoiled(secured[which % len(secured)], place)
    return data[:1] + b"".join(secured)


def _spoiled(chunk: bytes, place: int) -> bytes:
    at, bit = divmod(place, 8)
    spoiled = bytearray(chunk)
    spoiled[at % len(chunk)] ^= 1 << bit
    return bytes(spoiled)


def _secured(chunk: bytes, *, encrypted: bool, from_client: bool) -> bytes:
    """Return a chunk with the security of its kind; one that is too broken for it as it is."""
    if chunk[:3] == b"OPN":
        return _sealed_open(chunk, encrypted=encrypted, from_client=from_client)
    if chunk[:3] not in {b"MSG", b"CLO"} or len(chunk) < NUMBERED:
        return chunk
    kind, _, channel_id, token_id = CHUNK_HEADER.unpack_from(chunk)
    sequence, request_id = SEQUENCE_HEADER.unpack_from(chunk, CHUNK_HEADER.size)
    sealing = _sealing(encrypted=encrypted, from_client=from_client)
    return sealing.seal(kind, channel_id, token_id, sequence, request_id, chunk[NUMBERED:])


@cache
def _sealing(*, encrypted: bool, from_client: bool) -> ChunkSecurity:
    """Return the security of every token, as the nonces are always the same."""
    ours, theirs = CLIENT_NONCE, SERVER_NONCE
    if not from_client:
        ours, theirs = theirs, ours
    return make_token(
        POLICY,
        mode_of(encrypted=encrypted),
        token_id=1,
        expires_at=0,
        our_nonce=ours,
        peer_nonce=theirs,
    ).sealing


def request_id_of(chunk: bytes) -> int:
    """Return the RequestId of a MSG or CLO; 0 for a chunk too short to have one."""
    return int.from_bytes(chunk[NUMBERED - 4 : NUMBERED], "little")


@lru_cache(MOST_REMEMBERED)
def _sealed_open(chunk: bytes, *, encrypted: bool, from_client: bool) -> bytes:
    both = ends(encrypted=encrypted)
    sender, receiver = both.client, both.server
    if not from_client:
        sender, receiver = receiver, sender
    try:
        header = open_chunk.parse_header(chunk)
        content: OpenContent = open_chunk.open_plain(chunk, header)
        return open_chunk.seal(
            POLICY,
            identity=sender,
            receiver_key=receiver.private_key.public_key(),
            receiver_thumbprint=receiver.thumbprint,
            channel_id=header.channel_id,
            content=content,
        )
    except Rejected:
        return chunk
