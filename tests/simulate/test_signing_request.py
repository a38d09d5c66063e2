"""Subject names as OPC 10000-12 §7.9.4 writes them, and what a signing request holds."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import ServiceFailed
from registrar.simulate.signing_request import (
    MAX_SUBJECT_LENGTH,
    make_signing_request,
    parse_subject,
)
from registrar.status import StatusCode
from tests.simulate.site import pool


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("CN=device", "CN=device"),
        ("CN=device/O=Example AG", "O=Example AG,CN=device"),
        ('CN="a/b=c"/C=CH', "C=CH,CN=a/b=c"),
        ("CN=a/", "CN=a"),
        ("CN=a, b/L=Bern", "L=Bern,CN=a\\, b"),
    ],
)
def test_names_and_values_are_read(subject: str, expected: str) -> None:
    assert parse_subject(subject).rfc4514_string() == expected


@pytest.mark.parametrize("subject", ["", "device", "XX=1", "CN=", "C=CHE", "=/="])
def test_other_text_is_no_subject(subject: str) -> None:
    with pytest.raises(ServiceFailed) as error:
        parse_subject(subject)

    assert error.value.status == StatusCode.BadInvalidArgument


def test_a_subject_has_a_limit() -> None:
    longest = 'OU="a"/' * ((MAX_SUBJECT_LENGTH - 4) // 7)

    parse_subject(longest + "CN=" + "a" * (MAX_SUBJECT_LENGTH - len(longest) - 3))
    with pytest.raises(ServiceFailed):
        parse_subject(longest + "CN=" + "a" * (MAX_SUBJECT_LENGTH - len(longest) - 2))


@given(st.text(max_size=60))
def test_any_text_is_a_subject_or_refused(text: str) -> None:
    with suppress(ServiceFailed):
        assert parse_subject(text).rfc4514_string()


def test_the_application_uri_comes_first_and_the_request_is_signed() -> None:
    key = pool().take()

    der = make_signing_request(
        key, parse_subject("CN=x"), application_uri="urn:x", host="127.0.0.1"
    )

    request = x509.load_der_x509_csr(der)
    assert request.is_signature_valid
    assert request.public_key() == key.public_key()
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [type(name).__name__ for name in names] == ["UniformResourceIdentifier", "IPAddress"]
