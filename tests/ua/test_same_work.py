"""Whatever is wrong with what a peer encrypted for us, the work and the answer are the same; T15.

A key that counts stands in for each of the two keys an OPN needs, and for the one of a password.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from asyncua import ua

from registrar.errors import (
    AccessDenied,
    ProtocolViolation,
    RegistrarError,
    SecurityChecksFailed,
)
from registrar.status import StatusCode
from registrar.ua import asymmetric, open_chunk
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.events import OpenReceived
from registrar.ua.limits import MAX_PASSWORD_SIZE
from registrar.ua.security_policy import BASIC256SHA256, SecurityPolicy
from registrar.ua.user_tokens import decode_user_token
from tests.ua.pairing import SECURED, Mode, flip, heard, open_pair

RENEWAL = 45.0
"""Seconds after the channel opened."""

NONCE = bytes(range(32))


@dataclass
class CountingKey:
    """A private or public key that counts what is asked of it."""

    key: Any
    operations: int = 0

    @property
    def key_size(self) -> int:
        return int(self.key.key_size)

    def decrypt(self, *arguments: Any) -> bytes:
        self.operations += 1
        return bytes(self.key.decrypt(*arguments))

    def verify(self, *arguments: Any) -> None:
        self.operations += 1
        self.key.verify(*arguments)


def counted(identity: ApplicationIdentity) -> tuple[ApplicationIdentity, CountingKey]:
    """Return ``identity`` with a key that counts, and this key."""
    key = CountingKey(identity.private_key)
    shown: Any = key
    return ApplicationIdentity(certificate=identity.certificate, private_key=shown), key


@dataclass(frozen=True)
class Opening:
    """An OPN, apart, and who sent it to whom."""

    head: bytes
    cipher: bytes
    content: bytes
    """Numbers, body and padding."""

    policy: SecurityPolicy
    sender: ApplicationIdentity
    receiver: ApplicationIdentity

    def signed(self, content: bytes, *, change: int = 0) -> bytes:
        """Return the OPN with other content, encrypted and signed; ``change`` spoils the latter."""
        signature = asymmetric.sign(self.policy, self.sender.private_key, self.head + content)
        plain = content + signature[:-1] + bytes([signature[-1] ^ change])
        return self.head + asymmetric.encrypt(
            self.policy, self.receiver.private_key.public_key(), plain
        )


def apart(chunk: bytes, sender: ApplicationIdentity, receiver: ApplicationIdentity) -> Opening:
    """Take an honest OPN of two blocks apart."""
    header = open_chunk.parse_header(chunk)
    cipher = chunk[header.size :]
    plain, intact = asymmetric.decrypt(header.policy, receiver.private_key, cipher)
    assert intact
    assert len(cipher) == 2 * receiver.key_bits // 8
    return Opening(
        head=chunk[: header.size],
        cipher=cipher,
        content=plain[: -sender.key_bits // 8],
        policy=header.policy,
        sender=sender,
        receiver=receiver,
    )


def broken(opening: Opening, what: str) -> bytes:
    """Return the OPN with one thing wrong."""
    head, cipher, content = opening.head, opening.cipher, opening.content
    block = len(cipher) // 2
    if what == "block-1":
        return head + flip(cipher, 100)
    if what == "block-2":
        return head + flip(cipher, block + 100)
    if what == "both-blocks":
        return head + flip(flip(cipher, 100), block + 100)
    if what == "signature":
        return opening.signed(content, change=1)
    if what == "padding":
        return opening.signed(flip(content, len(content) - 4))
    if what == "padding-size":
        return opening.signed(content[:-2] + b"\xff\xff")
    if what == "sequence":
        return opening.signed(bytes([content[0] ^ 0x40]) + content[1:])
    zeros = opening.signed(bytes(len(content)))
    return head + bytes(block) + zeros[len(head) + block :]


@pytest.fixture(params=["server", "client"])
def at_client(request: pytest.FixtureRequest) -> bool:
    """Tell whose key decrypts."""
    return bool(request.param == "client")


def work_on(
    what: str,
    client: ApplicationIdentity,
    server: ApplicationIdentity,
    policy: SecurityPolicy = BASIC256SHA256,
    *,
    at_client: bool,
) -> tuple[int, int, RegistrarError]:
    """Return how a renewal ends with ``what`` broken: decryptions, verifications, the error."""
    pair = open_pair(policy, Mode.SignAndEncrypt, client, server)
    chunk = pair.request_open(now=RENEWAL)
    sender, receiver = client, server
    if at_client:
        chunk = pair.answer_open(chunk, RENEWAL)
        sender, receiver = server, client
    end = pair.client if at_client else pair.server
    [received] = end.receive(broken(apart(chunk, sender, receiver), what), RENEWAL)
    assert isinstance(received, OpenReceived)
    identity, private = counted(receiver)
    public: Any = CountingKey(received.peer_key)
    with pytest.raises(RegistrarError) as caught:
        end.process_open(replace(received, identity=identity, peer_key=public))
    if not at_client:
        assert heard(pair.server.error_message(caught.value)) == StatusCode.BadSecurityChecksFailed
    return private.operations, public.operations, caught.value


@pytest.mark.clause("T15")
@pytest.mark.parametrize(
    "what", ["block-1", "block-2", "both-blocks", "signature", "padding", "padding-size"]
)
def test_T15_every_broken_open_costs_two_decryptions_and_one_verification(
    what: str, client: ApplicationIdentity, server: ApplicationIdentity, at_client: bool
) -> None:
    decryptions, verifications, error = work_on(what, client, server, at_client=at_client)

    assert (decryptions, verifications) == (2, 1)
    assert type(error) is SecurityChecksFailed
    assert error.status is StatusCode.BadSecurityChecksFailed


@pytest.mark.clause("T15")
@pytest.mark.parametrize(
    "policy", {row.name: row for row, _ in SECURED}.values(), ids=lambda row: row.name
)
@pytest.mark.parametrize("what", ["block-1", "padding", "padding-size", "zeros"])
def test_T15_so_does_one_for_a_longer_key(
    policy: SecurityPolicy,
    what: str,
    client: ApplicationIdentity,
    long_keys: Mapping[int, ApplicationIdentity],
) -> None:
    """Its padding has two bytes of length; the zeros for a lost block are none that were signed."""
    server = long_keys[3072]
    decryptions, verifications, error = work_on(what, client, server, policy, at_client=False)

    assert (decryptions, verifications) == (2, 1)
    assert type(error) is SecurityChecksFailed
    assert error.status is StatusCode.BadSecurityChecksFailed


@pytest.mark.clause("T15")
def test_T15_a_wrong_number_is_found_after_the_same_work(
    client: ApplicationIdentity, server: ApplicationIdentity, at_client: bool
) -> None:
    """Only who holds the sender's key comes so far; the peer hears no more than of the others."""
    decryptions, verifications, error = work_on("sequence", client, server, at_client=at_client)

    assert (decryptions, verifications) == (2, 1)
    assert type(error) is ProtocolViolation
    assert error.status is StatusCode.BadSequenceNumberInvalid


def sealed_password(
    secret: bytes, server: ApplicationIdentity, *, length: int | None = None
) -> Any:
    """Return a token whose password is ``secret``, encrypted as it is."""
    size = len(secret) if length is None else length
    key = server.private_key.public_key()
    cipher = asymmetric.encrypt(BASIC256SHA256, key, struct.pack("<I", size) + secret)
    return ua.UserNameIdentityToken(
        PolicyId=ua.String("name"),
        UserName=ua.String("operator"),
        Password=ua.ByteString(cipher),
        EncryptionAlgorithm=ua.String(BASIC256SHA256.encryption_uri or ""),
    )


def wrong_password(what: str, server: ApplicationIdentity) -> Any:
    """Return a token of two blocks with one thing wrong."""
    secret = b"p" * 200
    if what == "nonce":
        return sealed_password(secret + NONCE[::-1], server)
    if what == "length":
        return sealed_password(secret + NONCE, server, length=len(secret))
    if what == "text":
        return sealed_password(b"\xff" * 200 + NONCE, server)
    token = sealed_password(secret + NONCE, server)
    places = {"block-1": [100], "block-2": [356], "both-blocks": [100, 356]}
    for at in places[what]:
        token.Password = flip(token.Password, at)
    return token


@pytest.mark.clause("T15")
@pytest.mark.clause("T16")
@pytest.mark.parametrize("what", ["block-1", "block-2", "both-blocks", "nonce", "length", "text"])
def test_T15_every_unreadable_password_costs_the_same(
    what: str, server: ApplicationIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def note(ours: bytes, theirs: bytes) -> bool:
        compared.append(ours)
        return compare(ours, theirs)

    monkeypatch.setattr(hmac, "compare_digest", note)
    identity, key = counted(server)

    with pytest.raises(AccessDenied) as caught:
        read(wrong_password(what, server), identity)

    assert key.operations == 2
    assert len(compared) == 1
    assert type(caught.value) is AccessDenied
    assert caught.value.status is StatusCode.BadIdentityTokenRejected
    assert str(caught.value) == "the password is not readable"


@pytest.mark.clause("T16")
def test_the_longest_password_is_read_and_a_longer_one_is_not(server: ApplicationIdentity) -> None:
    longest = b"p" * MAX_PASSWORD_SIZE
    assert read(sealed_password(longest + NONCE, server), server).password == longest.decode()

    with pytest.raises(AccessDenied) as caught:
        read(sealed_password(longest + b"p" + NONCE, server), server)

    assert caught.value.status is StatusCode.BadIdentityTokenRejected


def read(token: Any, identity: ApplicationIdentity) -> Any:
    """Return the user of a token."""
    policies = [ua.UserTokenPolicy(PolicyId="name", TokenType=ua.UserTokenType.UserName)]
    return decode_user_token(
        token,
        ua.SignatureData(),
        token_policies=policies,
        channel_policy=BASIC256SHA256,
        identity=identity,
        server_nonce=NONCE,
    )
