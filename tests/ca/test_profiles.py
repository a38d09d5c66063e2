"""What stands in the certificates: OPC 10000-6 §6.2.2, by key type and by profile."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from registrar.ca import CertificateProfile, KeyType, Profile
from registrar.ca.profiles import MAX_NAMES, validity_of
from registrar.errors import IssuerUnavailable, Misuse
from tests.ca.building import (
    DAY,
    DEVICE_URI,
    NOW,
    application,
    issue,
    key,
    make_root,
    public_key,
)

PROFILE_CLAUSE = "OPC 10000-6 §6.2.2"


def issued(profile: CertificateProfile, key_type: KeyType = KeyType.EC_P256) -> x509.Certificate:
    return x509.load_der_x509_certificate(
        issue(make_root(), profile, public_key(key_type, number=1))
    )


def used_bits(usage: x509.KeyUsage) -> set[str]:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
    )
    return {name for name in names if getattr(usage, name)}


@pytest.mark.clause(PROFILE_CLAUSE)
def test_the_application_uri_comes_first_among_the_names() -> None:
    profile = CertificateProfile(
        profile=Profile.APPLICATION,
        common_name="Pump",
        application_uri=DEVICE_URI,
        dns_names=("pump.example", "pump"),
        ip_addresses=(ip_address("10.0.0.7"), ip_address("fd00::7")),
        lifetime=DAY,
        backdate=DAY,
    )

    names = issued(profile).extensions.get_extension_for_class(x509.SubjectAlternativeName)

    assert not names.critical
    assert [type(one) for one in names.value] == [
        x509.UniformResourceIdentifier,
        x509.DNSName,
        x509.DNSName,
        x509.IPAddress,
        x509.IPAddress,
    ]
    assert next(iter(names.value)).value == DEVICE_URI


@pytest.mark.clause(PROFILE_CLAUSE)
@pytest.mark.parametrize(
    ("key_type", "bits"),
    [
        (KeyType.EC_P256, {"digital_signature"}),
        (KeyType.EC_P384, {"digital_signature"}),
        (
            KeyType.RSA_2048,
            {"digital_signature", "content_commitment", "key_encipherment", "data_encipherment"},
        ),
    ],
)
def test_key_usage_follows_from_the_kind_of_key(key_type: KeyType, bits: set[str]) -> None:
    extensions = issued(application(), key_type).extensions

    usage = extensions.get_extension_for_class(x509.KeyUsage)
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)

    assert usage.critical
    assert used_bits(usage.value) == bits
    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert (constraints.critical, constraints.value.ca) == (True, False)


@pytest.mark.clause(PROFILE_CLAUSE)
def test_key_identifiers_name_key_and_issuer() -> None:
    root = make_root()

    certificate = x509.load_der_x509_certificate(issue(root, application(), public_key(number=1)))

    own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    above = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert own == x509.SubjectKeyIdentifier.from_public_key(public_key(number=1))
    assert above.key_identifier == root.certificate.ski
    assert above.authority_cert_serial_number == root.certificate.serial_number
    assert above.authority_cert_issuer == [x509.DirectoryName(root.certificate.parsed.issuer)]


@pytest.mark.clause(PROFILE_CLAUSE)
@pytest.mark.parametrize("path_length", [None, 0, 1])
def test_a_ca_may_sign_certificates_and_lists_and_nothing_else(path_length: int | None) -> None:
    profile = CertificateProfile(
        profile=Profile.AUTHORITY,
        common_name="Some CA",
        lifetime=DAY,
        backdate=DAY,
        path_length=path_length,
    )

    extensions = issued(profile).extensions

    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, True)
    assert constraints.value.path_length == path_length
    assert used_bits(extensions.get_extension_for_class(x509.KeyUsage).value) == {
        "key_cert_sign",
        "crl_sign",
    }


def test_a_subject_has_a_name_and_an_organization_of_bearable_length() -> None:
    profile = CertificateProfile(
        profile=Profile.APPLICATION,
        common_name="P" * 65,
        organization="Ö" * 65,
        application_uri=DEVICE_URI,
        lifetime=DAY,
        backdate=DAY,
    )

    subject = issued(profile).subject

    assert [attribute.value for attribute in subject] == ["P" * 64, "Ö" * 64]


@pytest.mark.parametrize(
    "changes",
    [
        {"common_name": ""},
        {"application_uri": ""},
        {"application_uri": "urn:" + "x" * 1_021},
        {"application_uri": "urn:bücher"},
        {"lifetime": timedelta(0)},
        {"backdate": timedelta(seconds=-1)},
        {"dns_names": ("x",) * (MAX_NAMES + 1)},
    ],
)
def test_a_profile_that_exists_is_valid(changes: dict[str, object]) -> None:
    fields: dict[str, object] = {
        "profile": Profile.APPLICATION,
        "common_name": "Pump",
        "application_uri": DEVICE_URI,
        "lifetime": DAY,
        "backdate": DAY,
    }

    with pytest.raises(Misuse):
        CertificateProfile(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_largest_number_of_names_fits() -> None:
    profile = application(dns_names=tuple(f"n{number}" for number in range(MAX_NAMES)))

    names = issued(profile).extensions.get_extension_for_class(x509.SubjectAlternativeName)

    assert len(list(names.value)) == MAX_NAMES + 1


SPANS = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=40_000))


@pytest.mark.clause("RFC 5280 §4.1.2.5")
@given(lifetime=SPANS, backdate=SPANS, issuer_age=SPANS, issuer_rest=SPANS)
def test_nothing_begins_before_or_ends_after_its_issuer(
    lifetime: timedelta, backdate: timedelta, issuer_age: timedelta, issuer_rest: timedelta
) -> None:
    issuer_begins = (NOW - issuer_age).replace(microsecond=0)
    issuer_ends = (NOW + issuer_rest + timedelta(seconds=1)).replace(microsecond=0)

    begins, ends = validity_of(
        application(lifetime=lifetime, backdate=backdate),
        now=NOW,
        issuer_begins=issuer_begins,
        issuer_ends=issuer_ends,
    )

    assert issuer_begins <= begins <= NOW < ends + timedelta(seconds=1)
    assert ends <= issuer_ends
    assert begins.microsecond == ends.microsecond == 0


@pytest.mark.clause("R142")
def test_a_dca_certificate_lives_as_long_as_the_owner_says_and_begins_in_the_past() -> None:
    profile = application(profile=Profile.DCA, lifetime=30 * DAY, backdate=2 * timedelta(hours=1))

    certificate = issued(profile)

    assert certificate.not_valid_before_utc == (NOW - timedelta(hours=2)).replace(microsecond=0)
    assert certificate.not_valid_after_utc == (NOW + 30 * DAY).replace(microsecond=0)


def test_an_expired_issuer_issues_nothing() -> None:
    root = make_root(lifetime=DAY)

    for when in (NOW + DAY, NOW + 2 * DAY):
        with pytest.raises(IssuerUnavailable):
            root.prepare(public_key(), application(), serial=1, now=when)


def test_an_issuer_of_the_future_issues_nothing() -> None:
    root = make_root()

    with pytest.raises(IssuerUnavailable):
        root.prepare(public_key(), application(), serial=1, now=NOW - 2 * DAY)


def test_the_root_is_signed_by_itself() -> None:
    root = make_root(KeyType.EC_P384)

    root.certificate.parsed.verify_directly_issued_by(root.certificate.parsed)

    assert root.certificate.is_self_issued
    assert root.certificate.public_key_der == make_root(KeyType.EC_P384).certificate.public_key_der
    assert root.chain == (root.certificate,)
    assert key(KeyType.EC_P384)
