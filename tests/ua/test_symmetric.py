"""Chunks secured with the keys of a token."""

from __future__ import annotations

import hashlib
import hmac
from inspect import unwrap

import pytest
from asyncua.crypto import uacrypto
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import SecurityChecksFailed
from registrar.ua.security_policy import (
    AES128_SHA256_RSAOAEP,
    AES256_SHA256_RSAPSS,
    BASIC256SHA256,
    SecurityPolicy,
)
from registrar.ua.symmetric import (
    FULL_HEADER,
    ChunkSecurity,
    EncryptedChunks,
    PlainChunks,
    SignedChunks,
    derive_keys,
    p_sha256,
)

POLICIES = [BASIC256SHA256, AES128_SHA256_RSAOAEP, AES256_SHA256_RSAPSS]
KEYS = derive_keys(BASIC256SHA256, secret=b"s" * 32, seed=b"n" * 32)
SECURED = ["signed", "signed in Python", "encrypted", "encrypted in Python"]
"""Where nothing is compiled, the two bodies of each are the same."""
KINDS = ["plain", *SECURED]
MAKERS = {
    "signed": SignedChunks,
    "signed in Python": unwrap(SignedChunks),
    "encrypted": EncryptedChunks,
    "encrypted in Python": unwrap(EncryptedChunks),
}


def make(kind: str, policy: SecurityPolicy = BASIC256SHA256) -> ChunkSecurity:
    """Return fresh contexts with the same keys each time."""
    if kind == "plain":
        return PlainChunks()
    keys = derive_keys(policy, secret=b"s" * 32, seed=b"n" * 32)
    security: ChunkSecurity = MAKERS[kind](policy, keys)
    return security


def seal(security: ChunkSecurity, body: bytes, sequence: int = 5) -> bytes:
    """Return a chunk of channel 1, token 2, request 9."""
    return security.seal(b"MSGF", 1, 2, sequence, 9, body)


@pytest.mark.clause("OPC 10000-6 §6.7.6")
@given(secret=st.binary(min_size=1, max_size=80), seed=st.binary(max_size=80))
def test_keys_are_derived_as_asyncua_derives_them(secret: bytes, seed: bytes) -> None:
    theirs = uacrypto.p_sha256(secret, seed, (32, 32, 16))  # type: ignore[no-untyped-call]

    assert p_sha256(secret, seed, 80) == b"".join(theirs)


@given(secret=st.binary(max_size=140), seed=st.binary(max_size=140), length=st.integers(0, 130))
def test_both_bodies_derive_the_same(secret: bytes, seed: bytes, length: int) -> None:
    assert p_sha256(secret, seed, length) == unwrap(p_sha256)(secret, seed, length)


@pytest.mark.clause("OPC 10000-6 §6.7.6")
@pytest.mark.parametrize("policy", POLICIES)
def test_keys_have_the_lengths_of_the_policy(policy: SecurityPolicy) -> None:
    keys = derive_keys(policy, secret=b"s", seed=b"n")

    assert len(keys.signing_key) == policy.signing_key_size
    assert len(keys.encrypting_key) == policy.encrypting_key_size
    assert len(keys.iv) == policy.iv_size
    together = keys.signing_key + keys.encrypting_key + keys.iv
    assert together == p_sha256(b"s", b"n", len(together))


@pytest.mark.clause("OPC 10000-6 §6.7.2.5")
@pytest.mark.parametrize("kind", SECURED[2:])
@given(bodies=st.lists(st.binary(max_size=70), min_size=1, max_size=5))
def test_a_running_context_gives_what_a_fresh_one_gives(kind: str, bodies: list[bytes]) -> None:
    """Each chunk starts at the derived IV, whatever came before it."""
    running = make(kind)

    for body in bodies:
        chunk = seal(running, body)
        assert chunk == seal(make(kind), body)
        cipher = Cipher(algorithms.AES(KEYS.encrypting_key), modes.CBC(KEYS.iv)).decryptor()
        plain = cipher.update(chunk[16:]) + cipher.finalize()
        mac = hmac.digest(KEYS.signing_key, chunk[:16] + plain[:-32], hashlib.sha256)
        assert plain[8 : 8 + len(body)] == body
        assert plain[-32:] == mac


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_sealed_opens(kind: str, policy: SecurityPolicy) -> None:
    sealing, opening = make(kind, policy), make(kind, policy)

    for length in range(70):
        chunk = seal(sealing, bytes(length), sequence=length)
        assert int.from_bytes(chunk[4:8], "little") == len(chunk)
        assert opening.open(chunk) == (length, 9, bytes(length))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["signed", "encrypted"])
def test_both_bodies_seal_the_same_and_open_each_other(kind: str, policy: SecurityPolicy) -> None:
    compiled, pure = make(kind, policy), make(f"{kind} in Python", policy)
    compiled_opening, pure_opening = make(kind, policy), make(f"{kind} in Python", policy)
    longest = pure.body_size(8192)
    assert compiled.body_size(8192) == longest

    for length in (*range(201), *range(longest - 17, longest + 18)):
        body = bytes(at % 251 for at in range(length))
        chunk = seal(compiled, body, sequence=0xFFFF_FFFF - length)
        assert chunk == seal(pure, body, sequence=0xFFFF_FFFF - length)
        assert compiled_opening.open(chunk) == pure_opening.open(chunk)
        assert pure_opening.open(chunk) == (0xFFFF_FFFF - length, 9, body)


@pytest.mark.clause("OPC 10000-6 §6.7.2")
@pytest.mark.parametrize("kind", SECURED)
def test_a_refused_chunk_leaves_the_context_as_it_was(kind: str) -> None:
    opening = make(kind)
    chunk = seal(make(kind), b"a small body")

    for at in range(len(chunk)):
        with pytest.raises(SecurityChecksFailed):
            opening.open(chunk[:at] + bytes([chunk[at] ^ 0x80]) + chunk[at + 1 :])
        assert opening.open(chunk) == (5, 9, b"a small body")


@pytest.mark.clause("OPC 10000-6 §6.7.2")
@pytest.mark.parametrize("kind", SECURED)
def test_a_change_at_any_bit_is_refused(kind: str) -> None:
    chunk = seal(make(kind), b"a small body")

    for at in range(len(chunk)):
        for bit in range(8):
            changed = chunk[:at] + bytes([chunk[at] ^ 1 << bit]) + chunk[at + 1 :]
            with pytest.raises(SecurityChecksFailed):
                make(kind).open(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_cut_anywhere_is_refused(kind: str) -> None:
    chunk = seal(make(kind), b"" if kind == "plain" else b"a small body")

    for end in range(len(chunk)):
        with pytest.raises(SecurityChecksFailed):
            make(kind).open(chunk[:end])


@pytest.mark.clause("OPC 10000-6 §6.7.2.5")
@pytest.mark.parametrize("kind", SECURED[2:])
@pytest.mark.parametrize(
    ("padding", "fits"), [(1, False), (6, False), (7, True), (8, False), (255, False)]
)
def test_padding_is_checked_even_under_a_good_signature(
    kind: str, padding: int, fits: bool
) -> None:
    def forge(tail: bytes) -> bytes:
        head = FULL_HEADER.pack(b"MSGF", 16 + 48, 1, 2, 5, 9)
        data = head + tail
        plain = data[16:] + hmac.digest(KEYS.signing_key, data, hashlib.sha256)
        cipher = Cipher(algorithms.AES(KEYS.encrypting_key), modes.CBC(KEYS.iv)).encryptor()
        return data[:16] + cipher.update(plain)

    tail = bytes([7] * 7 + [padding])
    if fits:
        assert make(kind).open(forge(tail)) == (5, 9, b"")
        return
    with pytest.raises(SecurityChecksFailed):
        make(kind).open(forge(tail))


@pytest.mark.clause("OPC 10000-6 §6.7.2.5")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk_size", [8192, 8193, 8200, 8207, 8208, 65536])
def test_the_longest_body_fills_a_chunk(kind: str, chunk_size: int) -> None:
    security = make(kind)
    size = security.body_size(chunk_size)

    assert len(seal(security, bytes(size))) <= chunk_size
    assert len(seal(make(kind), bytes(size + 1))) > chunk_size
