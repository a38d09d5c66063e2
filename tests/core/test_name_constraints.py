"""Which names a CA may give; PKITS section 4.13 asks the rest."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from registrar.core.name_constraints import breach
from registrar.core.path import validate_path
from registrar.core.validation import ValidationOptions
from registrar.errors import CertificateRejected, Reason
from tests.core.building import NOW, make, name, root, trusting

URI = x509.UniformResourceIdentifier
IP = x509.IPAddress


def judged(
    names: Sequence[x509.GeneralName],
    permitted: Sequence[x509.GeneralName] = (),
    excluded: Sequence[x509.GeneralName] = (),
) -> bool:
    constraints = x509.NameConstraints(list(permitted) or None, list(excluded) or None)
    return not breach(constraints, make("leaf", issuer=root(), names=names).certificate)


@pytest.mark.parametrize(
    ("name", "base", "is_in"),
    [
        (URI("opc.tcp://Host.example.com:4840/x"), URI("host.EXAMPLE.com"), True),
        (URI("opc.tcp://host.example.com"), URI(".example.com"), True),
        (URI("opc.tcp://example.com"), URI(".example.com"), False),
        (URI("urn:example.com:device"), URI("example.com"), False),
        (URI("http://[bad"), URI("example.com"), False),
        (x509.DNSName("a.example.com"), x509.DNSName("example.com"), True),
        (x509.DNSName("a.example.com"), x509.DNSName(".example.com"), True),
        (x509.DNSName("badexample.com"), x509.DNSName("example.com"), False),
        (x509.RFC822Name("a@example.com"), x509.RFC822Name("a@Example.com"), True),
        (x509.RFC822Name("b@example.com"), x509.RFC822Name("a@example.com"), False),
        (x509.RFC822Name('"a@b"@example.com'), x509.RFC822Name("example.com"), True),
        (x509.RFC822Name('"a@b"@example.com'), x509.RFC822Name('"a@b"@example.com'), True),
        (x509.RFC822Name('"c@b"@example.com'), x509.RFC822Name('"a@b"@example.com'), False),
        (IP(ip_address("10.1.2.3")), IP(ip_network("10.0.0.0/8")), True),
        (IP(ip_address("11.1.2.3")), IP(ip_network("10.0.0.0/8")), False),
        (x509.RegisteredID(NameOID.COMMON_NAME), x509.RegisteredID(NameOID.COMMON_NAME), False),
    ],
)
def test_a_name_lies_in_a_subtree_or_not(
    name: x509.GeneralName, base: x509.GeneralName, is_in: bool
) -> None:
    assert judged([name], permitted=[base]) is is_in
    if not isinstance(name, x509.RegisteredID):
        assert judged([name], excluded=[base]) is not is_in


@pytest.mark.bad_input("B37", "a name outside nameConstraints", "device_certificate_invalid")
def test_a_path_to_a_name_outside_is_refused() -> None:
    inside = x509.NameConstraints([x509.DNSName("example.com")], None)
    ca = root(extensions=[(inside, True)])
    leaf = ca.issue("leaf", names=[x509.DNSName("example.org")]).certificate

    with pytest.raises(CertificateRejected, match="DNS") as caught:
        validate_path(
            leaf, intermediates=(), trust=trusting(ca), now=NOW, options=ValidationOptions()
        )

    assert caught.value.reason is Reason.DEVICE_CERTIFICATE_INVALID


def test_a_form_that_is_not_limited_is_free() -> None:
    assert judged([x509.DNSName("anything")], permitted=[IP(ip_network("10.0.0.0/8"))])


def test_what_cannot_be_compared_is_refused_even_if_only_excluded() -> None:
    name = x509.RegisteredID(NameOID.COMMON_NAME)
    other = x509.RegisteredID(NameOID.SURNAME)

    assert not judged([name], excluded=[other])


def test_an_address_in_the_subject_counts_where_no_other_name_is() -> None:
    address = make(name("a@example.com", NameOID.EMAIL_ADDRESS), issuer=root()).certificate

    for base, is_forbidden in (("example.com", True), ("example.org", False)):
        found = breach(x509.NameConstraints(None, [x509.RFC822Name(base)]), address)
        assert found == ("RFC822Name 'a@example.com'" if is_forbidden else "")


def test_of_a_long_name_the_beginning_is_reported() -> None:
    long = "x" * 99
    certificate = make("leaf", issuer=root(), names=[x509.DNSName(long)]).certificate

    found = breach(x509.NameConstraints([x509.DNSName("y")], None), certificate)

    assert found == f"DNSName {long[:80]!r}"
