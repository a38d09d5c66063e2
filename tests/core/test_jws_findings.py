"""What the reader of a JWS says of what it refuses: the words an administrator reads."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from registrar.core.certificate import MAX_CERTIFICATE_BYTES, MAX_CHAIN_LENGTH
from registrar.core.jws import (
    MAX_COMPOSITE_URI,
    MAX_PROTECTED_CHARACTERS,
    MAX_SIGNATURE_BYTES,
    JwsLimits,
    decode_base64,
    decode_base64url,
    decode_jws,
)
from registrar.errors import DecodingError, TicketInvalid
from tests.core.building import Maker, base64url, device_payload, document, entry, header

MAKER = Maker.new()
PAYLOAD = device_payload()
PART = entry(PAYLOAD, MAKER.signer)
ENCODED = base64url(PAYLOAD)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"payload": ENCODED, **PART}, "members of the flattened serialization"),
        ({"payload": ENCODED, "protected": ""}, "members of the flattened serialization"),
        ({"payload": ENCODED, "header": {}}, "members of the flattened serialization"),
        ({"payload": ENCODED, "signature": ""}, "members of the flattened serialization"),
        ({"signatures": [PART]}, "payload is not a string"),
        ({"payload": ENCODED}, "signatures is not an array with an element"),
        ({"payload": ENCODED, "signatures": []}, "signatures is not an array with an element"),
        ({"payload": "YR", "signatures": [PART]}, "payload: base64url that is not canonical"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(members: dict[str, Any], why: str) -> None:
    with pytest.raises(TicketInvalid) as caught:
        decode_jws(json.dumps(members))

    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (
            {"document_bytes": 9},
            f"a Ticket of {len(document(PAYLOAD, PART, PART))} bytes exceeds 9",
        ),
        ({"payload_bytes": 9}, f"a payload of {len(PAYLOAD)} bytes exceeds 9"),
        ({"signatures": 1}, "2 signatures exceed 1"),
    ],
    ids=["document", "payload", "signatures"],
)
def test_what_exceeds_a_limit_is_said(limits: dict[str, int], why: str) -> None:
    with pytest.raises(TicketInvalid) as caught:
        decode_jws(document(PAYLOAD, PART, PART), JwsLimits(**limits))

    assert str(caught.value) == why


X5C = f"x5c is not an array of 1 to {MAX_CHAIN_LENGTH} certificates"
DER = base64.b64encode(MAKER.signer.der).decode()
BIG = base64.b64encode(bytes(MAX_CERTIFICATE_BYTES + 1)).decode()


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"alg": 7}, "alg is not a string"),
        ({"alg": "y" * 99}, f"algorithm {'y' * 80!r} is refused"),
        ({"alg": "RS256"}, "RS256 does not fit the signer's key"),
        ({"x5c": "text"}, X5C),
        ({"x5c": []}, X5C),
        ({"x5c": [DER, 7]}, "an element of x5c is not a string"),
        ({"x5c": [BIG]}, f"Base64 of {MAX_CERTIFICATE_BYTES + 1} bytes exceeds"),
        ({"x5c": ["MAA="]}, "x5c: a DER element at offset 2 leaves its parent"),
        ({"cty": 7}, "cty is not a string"),
        ({"cty": "x"}, "cty 'x' "),
        ({"opc-uri": 7}, "opc-uri is not a string"),
        ({"opc-uri": "u" * 9999}, "an opc-uri of 9999 characters"),
        ({"crit": [], "b64": True}, "header member b64 is refused"),
        ({"pad": "x" * MAX_PROTECTED_CHARACTERS}, "a protected header of "),
    ],
)
def test_what_is_wrong_with_a_protected_header_is_said(members: dict[str, Any], why: str) -> None:
    text = base64url(json.dumps({**header(MAKER.signer), **members}).encode())

    (signature,) = decode_jws(document(PAYLOAD, {**PART, "protected": text})).signatures

    assert str(signature.problem).startswith(why)
    assert (signature.header, signature.signed, signature.signature) == (None, b"", b"")


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("text", "a signature is not an object"),
        ({**PART, "protected": 7}, "protected is not a string"),
        ({**PART, "signature": None}, "signature is not a string"),
        ({**PART, "signature": "YQ=="}, "base64url that is not canonical"),
        ({**PART, "header": []}, "header is not an object"),
        ({**PART, "header": {"jku": "", "b64": 1}}, "header member b64 is refused"),
        ({**PART, "header": {"alg": "none"}}, "a member stands in both headers"),
    ],
)
def test_what_is_wrong_with_a_signature_is_said(broken: Any, why: str) -> None:
    (signature,) = decode_jws(document(PAYLOAD, broken)).signatures

    assert str(signature.problem) == why


@pytest.mark.parametrize("excess", [0, 1])
def test_a_signature_may_have_twice_as_many_characters_as_bytes_are_good(excess: int) -> None:
    text = "A" * (2 * MAX_SIGNATURE_BYTES + excess)
    broken = {**PART, "signature": text}

    (signature,) = decode_jws(document(PAYLOAD, broken)).signatures

    assert (signature.header is None) is bool(excess)
    assert signature.problem is None or str(signature.problem) == (
        f"a signature of {len(text)} characters"
    )


@pytest.mark.parametrize("excess", [0, 1])
def test_the_limits_of_a_header_are_exact(excess: int) -> None:
    uri = "u" * (MAX_COMPOSITE_URI + excess)
    plain = json.dumps(header(MAKER.signer, pad="")).encode()
    room = MAX_PROTECTED_CHARACTERS * 3 // 4 + excess - len(plain)
    for members in ({"opc-uri": uri}, {"pad": "x" * room}):
        text = base64url(json.dumps(header(MAKER.signer, **members)).encode())
        (signature,) = decode_jws(document(PAYLOAD, {**PART, "protected": text})).signatures
        assert (signature.header is None) is bool(excess)


def test_what_is_wrong_with_an_encoding_is_said() -> None:
    for text, why in [("YQ==", "base64url that is not canonical"), ("Y", "not base64url: ")]:
        with pytest.raises(DecodingError, match=why):
            decode_base64url(text)
    for text, limit, why in [
        ("YQ", 9, "not Base64: "),
        ("YR==", 9, "^Base64 that is not canonical$"),
        ("YWI=", 1, "^Base64 of 2 bytes exceeds 1$"),
        ("YWJj", 2, "^Base64 of 3 bytes exceeds 2$"),
    ]:
        with pytest.raises(DecodingError, match=why):
            decode_base64(text, limit)
    assert decode_base64("YWI=", 2) == b"ab"
