"""The document: General JSON Serialization, strictly, and what makes one signature unusable."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from registrar.core.certificate import MAX_CHAIN_LENGTH
from registrar.core.jws import (
    HARD_MAXIMA,
    MAX_COMPOSITE_URI,
    MAX_PROTECTED_CHARACTERS,
    MAX_SIGNATURE_BYTES,
    JwsLimits,
    JwsSignature,
    TicketType,
    decode_base64,
    decode_base64url,
    decode_jws,
    payload_of,
)
from registrar.errors import DecodingError, Misuse, Reason, TicketInvalid
from tests.core.building import (
    COMPOSITE_URI,
    Maker,
    base64url,
    device_payload,
    document,
    ec_key,
    entry,
    header,
    make,
    rsa_key,
)

MAKER = Maker.new()
PAYLOAD = device_payload()


def one(*, members: dict[str, Any] | None = None, **more: Any) -> JwsSignature:
    """Return the only signature of a Ticket whose protected header is changed."""
    text = document(PAYLOAD, entry(PAYLOAD, MAKER.signer, members, **more))
    (signature,) = decode_jws(text).signatures
    return signature


def reason(signature: JwsSignature) -> Reason:
    assert signature.header is None
    assert signature.problem is not None
    return signature.problem.reason


def without(name: str) -> dict[str, Any]:
    members = header(MAKER.signer)
    del members[name]
    return members


# The document


@pytest.mark.clause("R69")
def test_general_serialization_is_read() -> None:
    text = document(PAYLOAD, entry(PAYLOAD, MAKER.signer), entry(PAYLOAD, MAKER.signer))

    for form in (text, text.encode()):
        jws = decode_jws(form)
        assert jws.payload == PAYLOAD
        assert jws.document == text
        assert len(jws.signatures) == 2
    assert payload_of(text) == PAYLOAD


@pytest.mark.clause("R69")
@pytest.mark.parametrize(
    "change",
    [
        "compact",
        "flattened",
        "both",
        "detached",
        "null payload",
        "no signatures",
        "empty signatures",
        "signatures is an object",
        "padded payload",
        "stray bits",
        "standard alphabet",
        "white space in payload",
        "twice",
        "array",
    ],
)
def test_another_serialization_is_refused(change: str) -> None:
    part = entry(PAYLOAD, MAKER.signer)
    encoded = base64url(PAYLOAD + b"\xfb\xff\x00\x00")
    flat = {"payload": encoded, **part}
    text: object = {
        "compact": f"{part['protected']}.{encoded}.{part['signature']}",
        "flattened": flat,
        "both": {**flat, "signatures": [part]},
        "detached": {"signatures": [part]},
        "null payload": {"payload": None, "signatures": [part]},
        "no signatures": {"payload": encoded},
        "empty signatures": {"payload": encoded, "signatures": []},
        "signatures is an object": {"payload": encoded, "signatures": {"0": part}},
        "padded payload": {"payload": "YQ==", "signatures": [part]},
        "stray bits": {"payload": "YR", "signatures": [part]},
        "standard alphabet": {"payload": "+/+/", "signatures": [part]},
        "white space in payload": {"payload": "YWJj\n", "signatures": [part]},
        "twice": '{"payload":"YQ","payload":"YQ","signatures":[' + json.dumps(part) + "]}",
        "array": [flat],
    }[change]

    with pytest.raises(TicketInvalid) as caught:
        decode_jws(text if isinstance(text, str) else json.dumps(text))

    assert caught.value.reason is Reason.TICKET_MALFORMED


def test_members_nobody_knows_are_passed_over() -> None:
    members = json.loads(document(PAYLOAD, entry(PAYLOAD, MAKER.signer)))

    assert decode_jws(json.dumps({**members, "vendor": [1]})).payload == PAYLOAD


@pytest.mark.clause("R76")
def test_the_size_of_a_document_is_limited() -> None:
    text = document(PAYLOAD, entry(PAYLOAD, MAKER.signer))

    decode_jws(text, JwsLimits(document_bytes=len(text) + 1))
    decode_jws(text, JwsLimits(document_bytes=len(text)))
    with pytest.raises(TicketInvalid) as caught:
        decode_jws(text, JwsLimits(document_bytes=len(text) - 1))
    assert caught.value.reason is Reason.TICKET_TOO_LARGE
    wide = json.dumps({**json.loads(text), "vendor": "ä" * 100}, ensure_ascii=False)
    decode_jws(wide, JwsLimits(document_bytes=len(wide) + 100))
    with pytest.raises(TicketInvalid):
        decode_jws(wide, JwsLimits(document_bytes=len(wide) + 99))


@pytest.mark.clause("R76")
@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_payload_and_signatures_are_limited(excess: int) -> None:
    payload = b"x" * (300 + excess)
    part = entry(payload, MAKER.signer)
    for text, limits in [
        (document(payload, part), JwsLimits(payload_bytes=300)),
        (document(PAYLOAD, *[part] * (5 + excess)), JwsLimits(signatures=5)),
    ]:
        if excess > 0:
            with pytest.raises(TicketInvalid) as caught:
                decode_jws(text, limits)
            assert caught.value.reason is Reason.TICKET_TOO_LARGE
        else:
            decode_jws(text, limits)


def test_no_limit_exceeds_its_maximum() -> None:
    for name, maximum in HARD_MAXIMA.items():
        JwsLimits(**{name: maximum})
        for value in (maximum + 1, 0):
            with pytest.raises(Misuse, match=f"{name} must be from 1 to {maximum}"):
                JwsLimits(**{name: value})


@pytest.mark.parametrize(
    "data", [b"\xff", b'{"payload":"\xed\xa0\x80"}', "{" * 100_000, "[" * 100_000, '{"a":' * 50_000]
)
def test_what_is_no_json_is_malformed(data: str | bytes) -> None:
    with pytest.raises(TicketInvalid) as caught:
        decode_jws(data)
    assert caught.value.reason is Reason.TICKET_MALFORMED


# One signature


@pytest.mark.clause("R71")
@pytest.mark.clause("R72")
@pytest.mark.clause("R73")
def test_the_protected_header_names_algorithm_signer_and_type() -> None:
    signature = one(members={**header(MAKER.signer), "opc-uri": COMPOSITE_URI})

    assert signature.problem is None
    assert signature.header is not None
    assert signature.header.algorithm == "ES256"
    assert signature.header.signer == MAKER.signer.certificate
    assert signature.header.certificates == MAKER.signer.chain
    assert signature.header.ticket_type is TicketType.DEVICE_IDENTITY
    assert signature.header.composite_uri == COMPOSITE_URI


@pytest.mark.clause("R70")
def test_what_is_signed_is_the_text_as_received() -> None:
    part = entry(PAYLOAD, MAKER.signer)

    assert decode_jws(document(PAYLOAD, part)).signatures[0].signed == (
        f"{part['protected']}.{base64url(PAYLOAD)}".encode()
    )


@pytest.mark.clause("R71")
@pytest.mark.parametrize("name", ["alg", "x5c", "cty"])
def test_alg_x5c_and_cty_are_required_and_under_the_signature(name: str) -> None:
    assert reason(one(members=without(name))) is Reason.TICKET_MALFORMED

    part = entry(PAYLOAD, MAKER.signer, without(name))
    moved = {**part, "header": {name: header(MAKER.signer)[name]}}
    (signature,) = decode_jws(document(PAYLOAD, moved)).signatures
    assert reason(signature) is Reason.TICKET_MALFORMED


@pytest.mark.clause("R76")
@pytest.mark.parametrize(
    "alg", ["none", "None", "HS256", "HS512", "EdDSA", "ES256K", "RS1", "es256", "RSA-OAEP", ""]
)
def test_algorithms_off_the_list_are_refused(alg: str) -> None:
    assert reason(one(members=header(MAKER.signer, alg=alg))) is Reason.TICKET_ALGORITHM_REFUSED


@pytest.mark.clause("R71")
@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES384", "ES512"])
def test_an_algorithm_that_does_not_fit_the_key_is_refused(alg: str) -> None:
    text = json.loads(document(PAYLOAD, entry(PAYLOAD, MAKER.signer)))
    text["signatures"][0]["protected"] = base64url(
        json.dumps(header(MAKER.signer, alg=alg)).encode()
    )
    (signature,) = decode_jws(json.dumps(text)).signatures

    assert reason(signature) is Reason.TICKET_ALGORITHM_REFUSED


@pytest.mark.clause("R71")
@pytest.mark.parametrize(
    ("alg", "key"),
    [
        *[(alg, rsa_key()) for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")],
        ("ES256", ec_key()),
        ("ES384", ec_key(ec.SECP384R1())),
        ("ES512", ec_key(ec.SECP521R1())),
    ],
)
def test_every_algorithm_on_the_list_is_read(alg: str, key: Any) -> None:
    signer = make("signer", key=key)
    (signature,) = decode_jws(document(PAYLOAD, entry(PAYLOAD, signer, alg=alg))).signatures

    assert signature.header is not None
    assert signature.header.algorithm == alg


@pytest.mark.clause("R76")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crit", ["b64"]),
        ("crit", []),
        ("crit", ["opc-uri"]),
        ("b64", False),
        ("b64", True),
        ("jwk", {"kty": "EC"}),
        ("jku", "https://example.com/keys"),
        ("x5u", "https://example.com/cert"),
    ],
)
@pytest.mark.parametrize("place", ["protected", "header"])
def test_members_that_bring_keys_or_change_the_meaning_are_refused(
    name: str, value: object, place: str
) -> None:
    if place == "protected":
        signature = one(members={**header(MAKER.signer), name: value})
    else:
        part = {**entry(PAYLOAD, MAKER.signer), "header": {name: value}}
        (signature,) = decode_jws(document(PAYLOAD, part)).signatures

    assert reason(signature) is Reason.TICKET_MALFORMED


@pytest.mark.clause("R75")
def test_the_unprotected_header_says_nothing_that_counts() -> None:
    part = entry(PAYLOAD, MAKER.signer)
    harmless = {**part, "header": {"kid": "k", "tst": {"val": "MIIB"}, "opc-uri": COMPOSITE_URI}}
    for value, is_usable in [
        (harmless["header"], True),
        ({}, True),
        (None, True),
        ({"alg": "none"}, False),
        ({"cty": "x"}, False),
        ("text", False),
        ([], False),
    ]:
        (signature,) = decode_jws(document(PAYLOAD, {**part, "header": value})).signatures
        assert (signature.header is not None) is is_usable
        if signature.header is not None:
            assert signature.header.composite_uri is None


@pytest.mark.parametrize(
    ("cty", "is_good"),
    [
        ("opc-ticket+json;type=DeviceIdentityTicketType", True),
        ("application/opc-ticket+json;type=DeviceIdentityTicketType", True),
        ("OPC-Ticket+JSON ; type=DeviceIdentityTicketType", True),
        ('opc-ticket+json; type="DeviceIdentityTicketType"', True),
        ("opc-ticket+json;type=deviceidentitytickettype", False),
        ("opc-ticket+json;type=BaseTicketType", False),
        ("opc-ticket+json;type=TicketListType", False),
        ('opc-ticket+json;type="DeviceIdentityTicketType', False),
        ("opc-ticket+json", False),
        ("opc-ticket+jwt;type=DeviceIdentityTicketType", False),
        ("opc-ticket+json;type=DeviceIdentityTicketType;x=y", False),
        ("xopc-ticket+json;type=DeviceIdentityTicketType", False),
        ("", False),
        (7, False),
    ],
)
@pytest.mark.clause("R73")
def test_cty_names_the_type(cty: object, is_good: bool) -> None:
    signature = one(cty=cty)

    assert (signature.header is not None) is is_good
    if signature.header is not None:
        assert signature.header.ticket_type is TicketType.DEVICE_IDENTITY


@pytest.mark.clause("R72")
@pytest.mark.parametrize(
    ("x5c", "expected"),
    [
        ([], Reason.TICKET_MALFORMED),
        ("text", Reason.TICKET_MALFORMED),
        ([7], Reason.TICKET_MALFORMED),
        (["not base64!"], Reason.TICKET_MALFORMED),
        (["MIIB"], Reason.TICKET_SIGNER_INVALID),
        ([base64url(MAKER.signer.der + b"")], Reason.TICKET_MALFORMED),
        ([base64.b64encode(MAKER.signer.der + b"\0").decode()], Reason.TICKET_SIGNER_INVALID),
    ],
)
def test_x5c_is_standard_base64_of_certificates(x5c: object, expected: Reason) -> None:
    assert reason(one(members={**header(MAKER.signer), "x5c": x5c})) is expected


@pytest.mark.clause("R76")
@pytest.mark.parametrize("count", [MAX_CHAIN_LENGTH, MAX_CHAIN_LENGTH + 1])
def test_the_length_of_x5c_is_limited(count: int) -> None:
    x5c = [base64.b64encode(MAKER.signer.der).decode()] * count

    signature = one(members={**header(MAKER.signer), "x5c": x5c})

    assert (signature.header is None) is (count > MAX_CHAIN_LENGTH)


@pytest.mark.parametrize("length", [0, 1, MAX_COMPOSITE_URI, MAX_COMPOSITE_URI + 1])
def test_opc_uri_is_a_string_of_limited_length(length: int) -> None:
    signature = one(members={**header(MAKER.signer), "opc-uri": "u" * length})

    assert (signature.header is not None) is (0 < length <= MAX_COMPOSITE_URI)
    assert reason(one(members={**header(MAKER.signer), "opc-uri": 7})) is Reason.TICKET_MALFORMED


@pytest.mark.clause("R76")
def test_the_protected_header_is_limited() -> None:
    plain = len(base64url(json.dumps(header(MAKER.signer, pad="")).encode()))
    room = (MAX_PROTECTED_CHARACTERS - plain) * 3 // 4

    assert one(pad="x" * (room - 4)).header is not None
    assert reason(one(pad="x" * (room + 4))) is Reason.TICKET_MALFORMED


@pytest.mark.clause("R76")
@pytest.mark.parametrize(
    "raw",
    [
        b"\xff",
        b"[]",
        b"{}",
        b"",
        b'{"alg":"ES256","alg":"ES256"}',
        b'{"alg":"ES256","\\u0061lg":"none"}',
        b'{"a":' * 9_000,
    ],
)
def test_a_malformed_protected_header_makes_its_signature_unusable(raw: bytes) -> None:
    assert reason(one(raw_header=raw)) is Reason.TICKET_MALFORMED


@pytest.mark.clause("R58")
@pytest.mark.parametrize(
    "broken",
    [
        "text",
        {},
        {"protected": 7, "signature": "YQ"},
        {"protected": "e30"},
        {"protected": "e30", "signature": None},
        {"protected": "e30", "signature": "YQ=="},
        {"protected": "e30=", "signature": "YQ"},
        {"protected": "ä", "signature": "YQ"},
    ],
)
def test_an_unusable_signature_leaves_the_others_alone(broken: Any) -> None:
    text = document(PAYLOAD, broken, entry(PAYLOAD, MAKER.signer))

    bad, good = decode_jws(text).signatures

    assert reason(bad) is Reason.TICKET_MALFORMED
    assert good.header is not None


@pytest.mark.clause("R76")
def test_the_size_of_a_signature_is_limited() -> None:
    part = entry(PAYLOAD, MAKER.signer)
    long = {**part, "signature": base64url(bytes(MAX_SIGNATURE_BYTES * 2))}

    assert reason(decode_jws(document(PAYLOAD, long)).signatures[0]) is Reason.TICKET_MALFORMED


# Encodings


@given(data=st.binary(max_size=40))
def test_base64_has_one_form(data: bytes) -> None:
    assert decode_base64url(base64url(data)) == data
    assert decode_base64(base64.b64encode(data).decode(), 40) == data


@pytest.mark.clause("R76")
@pytest.mark.parametrize("text", ["YQ==", "YR", "Y", "YW+/", "YQ\n", "Y Q", "ä", "YWJjYR"])
def test_other_forms_of_base64url_are_refused(text: str) -> None:
    with pytest.raises(DecodingError):
        decode_base64url(text)


@pytest.mark.clause("R72")
@pytest.mark.parametrize("text", ["YQ", "YR==", "YQ=", "YW-_", "YQ==\n", "YQ==YQ==", "ä", "===="])
def test_other_forms_of_base64_are_refused(text: str) -> None:
    with pytest.raises(DecodingError):
        decode_base64(text, 100)


def test_base64_is_limited_before_it_is_decoded() -> None:
    with pytest.raises(DecodingError, match="exceeds"):
        decode_base64("A" * 400, 10)


_TEXT = document(PAYLOAD, entry(PAYLOAD, MAKER.signer))


@given(data=st.binary(max_size=300) | st.text(max_size=300))
def test_arbitrary_documents_raise_only_ticket_invalid(data: bytes | str) -> None:
    with suppress(TicketInvalid):
        decode_jws(data)


@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_arbitrary_headers_raise_nothing(raw: bytes) -> None:
    decode_jws(document(PAYLOAD, entry(PAYLOAD, MAKER.signer, raw_header=raw)))


_members = st.sampled_from(["alg", "x5c", "cty", "opc-uri", "crit", "x"])
_values = st.none() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=9))


@given(more=st.dictionaries(_members, _values, max_size=3))
def test_arbitrary_header_members_raise_nothing(more: dict[str, Any]) -> None:
    raw = json.dumps({**header(MAKER.signer), **more}).encode()
    decode_jws(document(PAYLOAD, entry(PAYLOAD, MAKER.signer, raw_header=raw)))


@given(at=st.integers(0, len(_TEXT) - 1), value=st.characters())
def test_a_changed_character_raises_only_ticket_invalid(at: int, value: str) -> None:
    with suppress(TicketInvalid):
        decode_jws(_TEXT[:at] + value + _TEXT[at + 1 :])
