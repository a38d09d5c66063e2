"""Signatures made elsewhere: RFC 7515 Appendix A and Wycheproof.

They are read from ``shared/vectors`` beside the project and never copied into it; where that
folder is absent the tests are skipped. ``acceptable`` in Wycheproof means that either answer
counts.
"""

from __future__ import annotations

import base64
import hashlib
import json
from inspect import unwrap
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

from registrar.core.jws import decode_base64url, decode_jws
from registrar.core.signatures import (
    Algorithm,
    SignatureCheck,
    signatures_hold,
    signed_with,
    verify_signatures,
)
from registrar.errors import TicketInvalid
from registrar.native import is_compiled

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"

pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(),
    reason=f"no folder {VECTORS.parent.name}/{VECTORS.name} beside the project",
)

PSS = [
    ("2048_sha256_mgf1_32", 256),
    ("3072_sha256_mgf1_32", 256),
    ("4096_sha256_mgf1_32", 256),
    ("2048_sha384_mgf1_48", 384),
    ("4096_sha384_mgf1_48", 384),
    ("4096_sha512_mgf1_64", 512),
]

OTHER_PSS = ["2048_sha256_mgf1_0", "misc", "2048_sha256_mgf1_32_params"]

AS_X509 = [
    "ecdsa_secp256r1_sha256",
    "ecdsa_secp384r1_sha384",
    "ecdsa_secp521r1_sha512",
    "ecdsa_brainpoolP256r1_sha256",
    "ecdsa_brainpoolP384r1_sha384",
    "ed25519",
    "ed448",
    "rsa_signature_2048_sha256",
]

FILES = {
    *(f"rsa_signature_{bits}_sha{size}" for bits in (2048, 3072, 4096) for size in (256, 384, 512)),
    *(f"rsa_pss_{name}" for name, _ in PSS),
    *(f"rsa_pss_{name}" for name in OTHER_PSS),
    *(f"ecdsa_secp{name}_p1363" for name in ("256r1_sha256", "384r1_sha384", "521r1_sha512")),
    *(f"ecdsa_brainpoolP{size}r1_sha{size}_p1363" for size in (256, 384)),
    *AS_X509,
}
"""What the tests below read."""

HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}


def groups(name: str) -> list[dict[str, Any]]:
    path = VECTORS / "wycheproof" / name
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = content["testGroups"]
    assert found
    return found


def test_every_file_is_read() -> None:
    present = {path.name for path in (VECTORS / "wycheproof").glob("*.json")}

    assert present == {f"{name}_test.json" for name in FILES}


@pytest.mark.skipif(not is_compiled(), reason="only compiled code has tables")
@pytest.mark.parametrize("kind", ["", "_p1363"])
def test_the_tables_of_often_used_keys(kind: str) -> None:
    from registrar._native.ticket_batch import table_holds

    for group in groups(f"ecdsa_secp256r1_sha256{kind}_test.json"):
        key = bytes.fromhex(group["publicKeyDer"])
        for test in group["tests"]:
            digest = hashlib.sha256(bytes.fromhex(test["msg"])).digest()
            holds = table_holds(key, digest, bytes.fromhex(test["sig"]), bool(kind))
            assert holds is (test["result"] == "valid"), (test["tcId"], test["comment"])


def check(group: dict[str, Any], algorithm: Algorithm) -> None:
    """Hold every vector of ``group`` against each body."""
    key = bytes.fromhex(group["publicKeyDer"])
    tests = group["tests"]
    batch = [
        SignatureCheck(
            public_key=key,
            algorithm=algorithm,
            message=bytes.fromhex(test["msg"]),
            signature=bytes.fromhex(test["sig"]),
        )
        for test in tests
    ]
    columns = (
        [one.public_key for one in batch],
        [one.algorithm.value for one in batch],
        [one.message for one in batch],
        [one.signature for one in batch],
    )
    pure = unwrap(verify_signatures)(*columns)
    for test, answer, python, together in zip(
        tests, verify_signatures(*columns), pure, signatures_hold(batch), strict=True
    ):
        assert together is python, test["tcId"]
        assert python or not answer, test["tcId"]
        if test["result"] != "acceptable":
            assert python is (test["result"] == "valid"), (test["tcId"], test["comment"])


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2048, 3072, 4096])
@pytest.mark.parametrize("size", [256, 384, 512])
def test_rsa_pkcs1(bits: int, size: int) -> None:
    for group in groups(f"rsa_signature_{bits}_sha{size}_test.json"):
        check(group, Algorithm(f"RS{size}"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    PSS,
)
def test_rsa_pss(name: str, size: int) -> None:
    for group in groups(f"rsa_pss_{name}_test.json"):
        check(group, Algorithm(f"PS{size}"))


@pytest.mark.parametrize("name", OTHER_PSS)
def test_rsa_pss_with_other_parameters(name: str) -> None:
    """What is not exactly PS256, PS384 or PS512 (salt and MGF as the hash) is never accepted.

    Left out: a signature that is wrong for its group and exactly PS256, and whether keys of the
    kind RSASSA-PSS are accepted, which JWS does not know (RFC 7518 §3.5).
    """
    for group in groups(f"rsa_pss_{name}_test.json"):
        digest = HASHES.get(group["sha"])
        exact = (
            digest is not None
            and group["mgfSha"] == group["sha"]
            and group["sLen"] == digest.digest_size
            and group["keySize"] >= 2048
        )
        key = bytes.fromhex(group["publicKeyDer"])
        for test in group["tests"]:
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            for algorithm in (Algorithm.PS256, Algorithm.PS384, Algorithm.PS512):
                (answer,) = signatures_hold(
                    [
                        SignatureCheck(
                            public_key=key,
                            algorithm=algorithm,
                            message=message,
                            signature=signature,
                        )
                    ]
                )
                is_own = exact and group["sha"] == f"SHA-{algorithm.value[2:]}"
                if "s_len changed to 32" in test["comment"] and algorithm is Algorithm.PS256:
                    continue  # wrong for its group, and exactly PS256
                if not is_own or test["result"] == "invalid":
                    assert not answer, test["tcId"]
                elif test["result"] == "valid" and name != "2048_sha256_mgf1_32_params":
                    assert answer, test["tcId"]


@pytest.mark.slow
@pytest.mark.parametrize(("curve", "size"), [("256", 256), ("384", 384), ("521", 512)])
def test_ecdsa_in_the_form_of_jws(curve: str, size: int) -> None:
    for group in groups(f"ecdsa_secp{curve}r1_sha{size}_p1363_test.json"):
        check(group, Algorithm(f"ES{size}"))


@pytest.mark.parametrize("size", [256, 384])
def test_ecdsa_on_other_curves_is_not_an_es_algorithm(size: int) -> None:
    for group in groups(f"ecdsa_brainpoolP{size}r1_sha{size}_p1363_test.json"):
        columns = [
            (bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])) for test in group["tests"]
        ]
        for algorithm in (Algorithm.ES256, Algorithm.ES384, Algorithm.ES512):
            checks = [
                SignatureCheck(
                    public_key=bytes.fromhex(group["publicKeyDer"]),
                    algorithm=algorithm,
                    message=message,
                    signature=signature,
                )
                for message, signature in columns
            ]
            assert not any(signatures_hold(checks))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    AS_X509,
)
def test_signatures_as_x509_has_them(name: str) -> None:
    for group in groups(f"{name}_test.json"):
        key = serialization.load_der_public_key(bytes.fromhex(group["publicKeyDer"]))
        digest = HASHES.get(group.get("sha", ""))
        for test in group["tests"]:
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            answer = signed_with(key, signature, message, digest, padding.PKCS1v15())
            if test["result"] != "acceptable":
                assert answer is (test["result"] == "valid"), (test["tcId"], test["comment"])


def test_an_edwards_key_takes_no_hash() -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()):
        signature = key.sign(b"message")
        assert signed_with(key.public_key(), signature, b"message", None, None)
        assert not signed_with(key.public_key(), signature, b"message", hashes.SHA256(), None)


def rfc(identifier: str) -> dict[str, Any]:
    path = VECTORS / "rfc" / "rfc7515-appendix-a.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return next(one for one in found if one["id"].startswith(identifier))


def from_jwk(jwk: dict[str, str]) -> bytes:
    """Return the SubjectPublicKeyInfo of a JSON Web Key."""

    def number(member: str) -> int:
        return int.from_bytes(base64.urlsafe_b64decode(jwk[member] + "=="))

    if jwk["kty"] == "RSA":
        key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey = rsa.RSAPublicNumbers(
            number("e"), number("n")
        ).public_key()
    else:
        curve = {"P-256": ec.SECP256R1(), "P-521": ec.SECP521R1()}[jwk["crv"]]
        key = ec.EllipticCurvePublicNumbers(number("x"), number("y"), curve).public_key()
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def holds(jwk: dict[str, str], protected: str, payload: str, signature: str) -> bool:
    """Verify one signature of RFC 7515, whose header names the algorithm."""
    header = json.loads(decode_base64url(protected))
    check = SignatureCheck(
        public_key=from_jwk(jwk),
        algorithm=Algorithm(header["alg"]),
        message=f"{protected}.{payload}".encode(),
        signature=decode_base64url(signature),
    )
    return signatures_hold([check])[0]


@pytest.mark.parametrize("identifier", ["rfc7515-A2", "rfc7515-A3", "rfc7515-A4"])
def test_rfc_7515_single_signatures(identifier: str) -> None:
    vector = rfc(identifier)
    protected, payload, signature = vector["compact"].split(".")

    assert holds(vector["public_jwk"], protected, payload, signature)
    assert not holds(vector["public_jwk"], protected, payload + "A", signature)


@pytest.mark.clause("R69")
def test_rfc_7515_general_serialization() -> None:
    vector = rfc("rfc7515-A6")
    general = vector["general"]
    general = general if isinstance(general, dict) else json.loads(general)
    jwks = vector["public_jwks"]

    assert len(general["signatures"]) == 2
    for jwk, entry in zip(jwks, general["signatures"], strict=True):
        assert holds(jwk, entry["protected"], general["payload"], entry["signature"])
    jws = decode_jws(json.dumps(general))
    assert jws.payload == decode_base64url(general["payload"])
    assert [one.header for one in jws.signatures] == [None, None]  # no x5c: unusable for us


def test_rfc_7515_flattened_serialization_is_refused() -> None:
    flattened = rfc("rfc7515-A7")["flattened"]
    text = json.dumps(flattened) if isinstance(flattened, dict) else flattened

    with pytest.raises(TicketInvalid):
        decode_jws(text)


@pytest.mark.parametrize("identifier", ["rfc7515-A5", "rfc7515-E"])
def test_rfc_7515_none_and_unknown_critical_headers_are_refused(identifier: str) -> None:
    protected, payload, signature = rfc(identifier)["compact"].split(".")
    document = json.dumps(
        {"payload": payload, "signatures": [{"protected": protected, "signature": signature}]}
    )

    assert decode_jws(document).signatures[0].problem is not None
    with pytest.raises(TicketInvalid):
        decode_jws(rfc(identifier)["compact"])
