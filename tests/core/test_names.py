"""Names that mean the same are the same; whatever else differs keeps them apart."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from registrar.core.names import canonical, usual_text
from tests.fuzz.der_mutator import parse


def name(
    *values: str, kind: _ASN1Type = _ASN1Type.UTF8String, oid: x509.ObjectIdentifier | None = None
) -> bytes:
    return x509.Name(
        [x509.NameAttribute(oid or NameOID.COMMON_NAME, value, _type=kind) for value in values]
    ).public_bytes()


@pytest.mark.clause("RFC 5280 §7.1")
@pytest.mark.parametrize(
    "other",
    [
        name("GOOD ca"),
        name("  Good   CA "),
        name("Good CA", kind=_ASN1Type.PrintableString),
        name("Good CA", kind=_ASN1Type.BMPString),
        name("Ｇood CA"),
    ],
    ids=["case", "blanks", "PrintableString", "BMPString", "compatibility form"],
)
def test_one_name_has_many_spellings(other: bytes) -> None:
    assert canonical(name("Good CA")) == canonical(other)


@pytest.mark.parametrize(
    "other",
    [
        name("GoodCA"),
        name("Good СА"),
        name("Good CA", "Good CA"),
        name("Good CA", oid=NameOID.ORGANIZATION_NAME),
        name("Good CA", kind=_ASN1Type.T61String),
        name("Good CA") + b"\0",
        b"",
    ],
    ids=["no blank", "look-alike", "twice", "other attribute", "other type", "tail", "empty"],
)
def test_another_name_stays_another(other: bytes) -> None:
    assert canonical(name("Good CA")) != canonical(other)


def test_the_order_of_relative_names_counts() -> None:
    assert canonical(name("a", "b")) != canonical(name("b", "a"))


@given(data=st.binary(max_size=60))
def test_what_cannot_be_read_equals_itself_alone(data: bytes) -> None:
    assert canonical(data) == canonical(bytes(data))
    assert canonical(data) != canonical(data + b"\0")


def test_an_attribute_with_two_values_equals_itself_alone() -> None:
    whole = parse(name("Good CA"))
    attribute = whole.parts[0].parts[0]
    attribute.parts.append(attribute.parts[1])

    assert canonical(whole.encode()) == (((b"", whole.encode()),),)


KINDS = st.sampled_from([_ASN1Type.UTF8String, _ASN1Type.PrintableString, _ASN1Type.BMPString])
ATTRIBUTES = st.sampled_from(
    [
        NameOID.COMMON_NAME,
        NameOID.SERIAL_NUMBER,
        NameOID.ORGANIZATION_NAME,
        NameOID.ORGANIZATIONAL_UNIT_NAME,
        NameOID.LOCALITY_NAME,
        NameOID.EMAIL_ADDRESS,
    ]
)
TEXTS = st.text("aZ09.-_:/ ", min_size=1, max_size=8) | st.text('a ,+#"\\;=<>Ö\0', min_size=1)


@given(st.lists(st.lists(st.tuples(ATTRIBUTES, TEXTS, KINDS), min_size=1, max_size=2), max_size=3))
def test_usual_text_is_that_of_the_library(parts: list[list[tuple[Any, str, Any]]]) -> None:
    relative = [
        x509.RelativeDistinguishedName(
            {oid: x509.NameAttribute(oid, text, _type=kind) for oid, text, kind in part}.values()
        )
        for part in parts
        if all(kind is not _ASN1Type.PrintableString or text.isascii() for _, text, kind in part)
    ]
    whole = x509.Name(relative)

    assert usual_text(whole.public_bytes()) in (None, whole.rfc4514_string())


def test_a_usual_name_needs_no_library() -> None:
    attributes = [(NameOID.COMMON_NAME, "a pump 7"), (NameOID.SERIAL_NUMBER, "001-000007")]
    usual = x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes]).public_bytes()

    assert usual_text(usual) == "2.5.4.5=001-000007,CN=a pump 7"


@pytest.mark.parametrize(
    "other",
    [b"", name("a") + b"\0", name("a,b"), name("DE", oid=NameOID.COUNTRY_NAME), name(" a")],
)
def test_other_names_are_left_to_the_library(other: bytes) -> None:
    assert usual_text(other) is None
