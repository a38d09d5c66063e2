"""Signatures: which keys fit, what holds, and that the compiled twin never says yes alone."""

from __future__ import annotations

from inspect import unwrap

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from registrar import native
from registrar.core.certificate import Certificate
from registrar.core.signatures import (
    Algorithm,
    SignatureCheck,
    fits,
    is_issued_by,
    is_sound_key,
    signatures_hold,
    verify_signatures,
)
from tests.core.building import PrivateKey, ec_key, make, root, rsa_key, sign_bytes

KEYS: dict[str, PrivateKey] = {
    "RSA": rsa_key(),
    "P-256": ec_key(),
    "P-384": ec_key(ec.SECP384R1()),
    "P-521": ec_key(ec.SECP521R1()),
}
FITTING = {"RS": "RSA", "PS": "RSA", "ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
MESSAGE = b"message"


def key_of(algorithm: Algorithm) -> PrivateKey:
    return KEYS[FITTING.get(algorithm.value, FITTING.get(algorithm.value[:2], ""))]


def spki(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def answers(*one: bytes | str) -> tuple[bool, bool, bool]:
    """Return what the twin in use, the Python body and the two together say."""
    key, algorithm, message, signature = one
    assert isinstance(key, bytes)
    assert isinstance(message, bytes)
    assert isinstance(signature, bytes)
    batch = ([key], [str(algorithm)], [message], [signature])
    together = []
    if algorithm in set(Algorithm):
        check = SignatureCheck(
            public_key=key,
            algorithm=Algorithm(algorithm),
            message=message,
            signature=signature,
        )
        together = signatures_hold([check])
    return (
        verify_signatures(*batch)[0],
        unwrap(verify_signatures)(*batch)[0],
        bool(together and together[0]),
    )


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_good_signature_holds_in_every_body(algorithm: Algorithm) -> None:
    key = key_of(algorithm)
    signature = sign_bytes(key, algorithm, MESSAGE)

    assert answers(spki(key), algorithm, MESSAGE, signature) == (True, True, True)


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("change", ["message", "signature", "cut", "longer", "empty", "key"])
def test_a_changed_signature_does_not_hold(algorithm: Algorithm, change: str) -> None:
    key = key_of(algorithm)
    signature = sign_bytes(key, algorithm, MESSAGE)
    other = rsa_key(number=1) if isinstance(key, rsa.RSAPrivateKey) else ec_key(key.curve)  # type: ignore[union-attr]
    changed = {
        "message": (spki(key), algorithm, b"massage", signature),
        "signature": (spki(key), algorithm, MESSAGE, bytes([signature[0] ^ 1]) + signature[1:]),
        "cut": (spki(key), algorithm, MESSAGE, signature[:-1]),
        "longer": (spki(key), algorithm, MESSAGE, signature + b"\0"),
        "empty": (spki(key), algorithm, MESSAGE, b""),
        "key": (spki(other), algorithm, MESSAGE, signature),
    }[change]

    assert answers(*changed) == (False, False, False)


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("name", KEYS)
def test_an_algorithm_fits_only_its_kind_of_key_and_curve(algorithm: Algorithm, name: str) -> None:
    key = KEYS[name]
    fitting = FITTING.get(algorithm.value, FITTING.get(algorithm.value[:2])) == name

    assert fits(algorithm, key.public_key()) is fitting
    assert not fits(algorithm, ed25519.Ed25519PrivateKey.generate().public_key())
    if not fitting:
        signature = sign_bytes(key_of(algorithm), algorithm, MESSAGE)
        assert answers(spki(key), algorithm, MESSAGE, signature) == (False, False, False)


def test_a_signature_of_another_hash_or_padding_does_not_hold() -> None:
    for made in Algorithm:
        key = key_of(made)
        signature = sign_bytes(key, made, MESSAGE)
        for claimed in set(Algorithm) - {made}:
            assert answers(spki(key), claimed, MESSAGE, signature) == (False, False, False)


def test_es_signatures_are_raw_and_not_der() -> None:
    from cryptography.hazmat.primitives import hashes

    key = KEYS["P-256"]
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    der = key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))

    assert answers(spki(key), "ES256", MESSAGE, der) == (False, False, False)


def test_ps_signatures_have_a_salt_as_long_as_the_hash() -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    key = rsa_key()
    for length in (0, 20, 31, 33):
        signature = key.sign(
            MESSAGE, padding.PSS(padding.MGF1(hashes.SHA256()), length), hashes.SHA256()
        )
        assert answers(spki(key), "PS256", MESSAGE, signature) == (False, False, False)


@pytest.mark.parametrize("name", ["none", "HS256", "EdDSA", "RS1", "rs256", "", "RS256 "])
def test_other_algorithms_answer_no(name: str) -> None:
    signature = sign_bytes(rsa_key(), "RS256", MESSAGE)

    assert answers(spki(rsa_key()), name, MESSAGE, signature) == (False, False, False)


@pytest.mark.parametrize(("bits", "is_sound"), [(1024, False), (2048, True), (3072, True)])
def test_short_rsa_keys_are_unsound(bits: int, is_sound: bool) -> None:
    key = rsa_key(bits)
    signature = sign_bytes(key, "RS256", MESSAGE)

    assert is_sound_key(key.public_key()) is is_sound
    assert answers(spki(key), "RS256", MESSAGE, signature) == (is_sound,) * 3


@pytest.mark.parametrize(
    ("modulus_bits", "exponent", "is_sound"),
    [
        (8192, 65537, True),
        (8193, 65537, False),
        (2048, 3, True),
        (2048, 2**64 - 1, True),
        (2048, 2**64 + 1, False),
    ],
)
def test_keys_that_only_cost_time_are_unsound(
    modulus_bits: int, exponent: int, is_sound: bool
) -> None:
    numbers = rsa.RSAPublicNumbers(exponent, (1 << (modulus_bits - 1)) + 1)

    assert is_sound_key(numbers.public_key()) is is_sound


def test_a_key_that_native_does_not_know_goes_to_the_twin() -> None:
    key = KEYS["P-256"]
    signature = sign_bytes(key, "ES256", MESSAGE)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    point = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")

    in_use, pure, together = answers(head + point, "ES256", MESSAGE, signature)

    assert (pure, together) == (True, True)
    assert in_use is not native.is_compiled()


def test_the_sequences_have_one_length() -> None:
    for body in (verify_signatures, unwrap(verify_signatures)):
        with pytest.raises(ValueError, match=r"length|shorter|longer"):
            body([b""], [], [], [])
        assert body([], [], [], []) == []


def test_many_answers_keep_their_order() -> None:
    checks, expected = [], []
    for number in range(60):
        algorithm = list(Algorithm)[number % 9]
        key = key_of(algorithm)
        message = b"%d" % number
        signature = sign_bytes(key, algorithm, message)
        is_good = number % 4 != 1
        checks.append(
            SignatureCheck(
                public_key=spki(key),
                algorithm=algorithm,
                message=message if is_good else b"other",
                signature=signature,
            )
        )
        expected.append(is_good)

    assert signatures_hold(checks) == expected


def test_more_keys_than_are_kept_do_no_harm() -> None:
    keys = [ec_key() for _ in range(520)]
    signature = sign_bytes(keys[0], "ES256", MESSAGE)
    encoded = [spki(key) for key in keys]
    count = len(keys)
    batch = (encoded, ["ES256"] * count, [MESSAGE] * count, [signature] * count)

    assert verify_signatures(*batch) == [True] + [False] * (count - 1)
    assert verify_signatures(*batch) == [True] + [False] * (count - 1)


_GOOD = [(spki(key_of(one)), one.value, sign_bytes(key_of(one), one, MESSAGE)) for one in Algorithm]


@settings(max_examples=300)
@given(
    good=st.sampled_from(_GOOD),
    part=st.sampled_from(["key", "signature", "neither"]),
    at=st.integers(0, 600),
    value=st.integers(0, 255),
    name=st.sampled_from([*Algorithm, "none", "XX256"]) | st.none(),
)
def test_the_twin_in_use_says_yes_only_where_python_does(
    good: tuple[bytes, str, bytes], part: str, at: int, value: int, name: str | None
) -> None:
    key, own, signature = good
    if part == "key":
        key = key[: at % len(key)] + bytes([value]) + key[at % len(key) + 1 :]
    elif part == "signature":
        place = at % len(signature)
        signature = signature[:place] + bytes([value]) + signature[place + 1 :]
    in_use, pure, _ = answers(key, name or own, MESSAGE, signature)

    assert pure or not in_use


@given(key=st.binary(max_size=400), signature=st.binary(max_size=300))
def test_arbitrary_bytes_answer_no(key: bytes, signature: bytes) -> None:
    for algorithm in Algorithm:
        assert answers(key, algorithm, MESSAGE, signature) == (False, False, False)


def test_is_issued_by_asks_the_key_and_not_the_name() -> None:
    ca, double = root("ca"), root("ca")
    leaf = ca.issue("leaf").certificate

    assert is_issued_by(leaf, ca.certificate)
    assert not is_issued_by(leaf, double.certificate)
    edwards = root(key=ed25519.Ed25519PrivateKey.generate())
    assert is_issued_by(edwards.issue("leaf").certificate, edwards.certificate)
    assert not is_issued_by(edwards.certificate, make("other").certificate)
    assert not is_issued_by(leaf, root(key=rsa_key()).certificate)
    assert not is_issued_by(leaf, edwards.certificate)
    assert not is_issued_by(
        root(key=rsa_key(1024)).certificate, root(key=rsa_key(1024)).certificate
    )


ECDSA_WITH_SHA256 = bytes.fromhex("06082a8648ce3d040302")
P256 = bytes.fromhex("06082a8648ce3d030107")


def test_a_signature_of_an_unknown_algorithm_does_not_hold() -> None:
    top = root("top")
    unknown = ECDSA_WITH_SHA256[:-1] + b"\x09"
    leaf = Certificate.from_der(top.issue("leaf").der.replace(ECDSA_WITH_SHA256, unknown))

    assert not is_issued_by(leaf, top.certificate)


def test_an_issuer_on_an_unknown_curve_signs_nothing() -> None:
    top = root("top")
    strange = Certificate.from_der(top.der.replace(P256, P256[:-1] + b"\x09"))

    assert not is_issued_by(top.issue("leaf").certificate, strange)
