"""Private keys on disk: whole, readable by their owner alone, opened by the right passphrase."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from registrar.ca.keys import (
    MAX_FILE_BYTES,
    MAX_PASSPHRASE_BYTES,
    KeyType,
    PrivateKey,
    generate_key,
    key_digest,
    load_key,
    parse_key,
    read_file,
    save_key,
    write_file,
)
from registrar.errors import FileInvalid, IssuerUnavailable, Misuse
from tests.ca.building import key


def pem(private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def same(one: PrivateKey, other: PrivateKey) -> bool:
    return key_digest(one.public_key()) == key_digest(other.public_key())


@pytest.mark.parametrize("key_type", [KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048])
@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_key_is_read_as_it_was_saved(
    tmp_path: Path, key_type: KeyType, passphrase: str | None
) -> None:
    path = tmp_path / "key.pem"

    save_key(path, key(key_type), passphrase=passphrase)

    assert same(load_key(path, passphrase=passphrase), key(key_type))
    assert (b"ENCRYPTED" in path.read_bytes()) is (passphrase is not None)


@pytest.mark.slow
@pytest.mark.parametrize(("key_type", "bits"), [(KeyType.RSA_3072, 3072), (KeyType.RSA_4096, 4096)])
def test_long_keys_have_their_length(key_type: KeyType, bits: int) -> None:
    made = generate_key(key_type)

    assert isinstance(made, rsa.RSAPrivateKey)
    assert made.key_size == bits


def test_only_the_owner_may_read_a_key(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"something everybody could read")
    path.chmod(0o644)

    save_key(path, key())

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_but_the_key_is_left_in_the_folder(tmp_path: Path) -> None:
    save_key(tmp_path / "key.pem", key())

    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "key.pem").mkdir()

    with pytest.raises(FileInvalid):
        save_key(tmp_path / "key.pem", key())

    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]


@pytest.mark.parametrize("passphrase", [None, "wrong"])
def test_an_encrypted_key_needs_its_passphrase(tmp_path: Path, passphrase: str | None) -> None:
    path = tmp_path / "key.pem"
    save_key(path, key(), passphrase="right")

    with pytest.raises(FileInvalid):
        load_key(path, passphrase=passphrase)


@pytest.mark.parametrize("length", [0, MAX_PASSPHRASE_BYTES + 1])
def test_a_passphrase_has_a_length_the_library_keeps(tmp_path: Path, length: int) -> None:
    with pytest.raises(Misuse):
        save_key(tmp_path / "key.pem", key(), passphrase="x" * length)

    assert not list(tmp_path.iterdir())


def test_the_longest_passphrase_works(tmp_path: Path) -> None:
    secret = "x" * MAX_PASSPHRASE_BYTES

    save_key(tmp_path / "key.pem", key(), passphrase=secret)

    assert same(load_key(tmp_path / "key.pem", passphrase=secret), key())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not PEM at all",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_key_is_refused(text: bytes) -> None:
    with pytest.raises(FileInvalid):
        parse_key(text, passphrase="x")


def test_kinds_of_key_we_do_not_use_are_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505

    for unusable in (weak, ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(FileInvalid):
            parse_key(pem(unusable))


def test_a_message_about_a_key_does_not_quote_it(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    save_key(path, key())
    body = path.read_bytes().replace(b"M", b"!", 1)
    path.write_bytes(body)

    with pytest.raises(FileInvalid) as error:
        load_key(path)

    assert body.splitlines()[1].decode()[:16] not in str(error.value)


def test_a_missing_key_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(IssuerUnavailable):
        load_key(tmp_path / "away.pem")


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_file_has_a_largest_size(tmp_path: Path, over: int) -> None:
    path = tmp_path / "file"
    write_file(path, b"x" * (MAX_FILE_BYTES + over))

    if over > 0:
        with pytest.raises(FileInvalid):
            read_file(path)
    else:
        assert len(read_file(path)) == MAX_FILE_BYTES + over
