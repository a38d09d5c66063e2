"""The bytes written here are those the library would write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv4Address, IPv6Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registrar.ca import CertificateProfile, KeyType, PrivateKey, Profile, PublicKey
from registrar.ca.authority import MAX_SERIAL, Authority, prepare_root
from registrar.errors import Misuse
from tests.ca.building import DAY, NOW, key, make_root, public_key

BEGIN = NOW.replace(microsecond=0) + timedelta(seconds=1)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
CA_KEYS = st.sampled_from([KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048])
NAMES = st.text(min_size=1, max_size=64).filter(lambda text: len(text.encode()) <= 64)
HOSTS = st.text(st.characters(codec="ascii"), min_size=1, max_size=140)
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def moments(first: datetime) -> st.SearchStrategy[datetime]:
    """Return whole seconds from ``first`` to a day before the last, the edges of UTCTime often."""
    seconds = int((LAST - DAY - first).total_seconds())
    edges = [
        datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2050, 1, 1, tzinfo=UTC),
        datetime(2050, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
        LAST - DAY,
    ]
    later = st.integers(0, seconds).map(lambda after: first + timedelta(seconds=after))
    return st.sampled_from(edges) | later


SUBJECT_KEYS = st.sampled_from(
    [
        *(public_key(kind, 1) for kind in (KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048)),
        ec.generate_private_key(ec.BrainpoolP256R1()).public_key(),
    ]
)
SERIALS = st.integers(1, MAX_SERIAL) | st.integers(0, 158).map(lambda bits: 2**bits)
LONG_ROOTS = {
    kind: make_root(kind, lifetime=LAST - NOW, common_name="Wurzel ☃")
    for kind in (KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048)
}


def made_by_the_library(
    subject_key: PublicKey,
    profile: CertificateProfile,
    *,
    issuer: Authority | PrivateKey,
    serial: int,
    begins: datetime,
    ends: datetime,
) -> bytes:
    """Return what ``cryptography`` has to say about the same input."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, profile.common_name)]
    if profile.organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, profile.organization))
    subject = x509.Name(attributes)
    is_ca = profile.profile in (Profile.ROOT, Profile.AUTHORITY)
    usage = {"key_cert_sign", "crl_sign"} if is_ca else {"digital_signature"}
    if not is_ca and isinstance(subject_key, rsa.RSAPublicKey):
        usage |= {"content_commitment", "key_encipherment", "data_encipherment"}
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(
            issuer.certificate.parsed.subject if isinstance(issuer, Authority) else subject
        )
        .public_key(subject_key)
        .serial_number(serial)
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if not is_ca:
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(profile.application_uri)]
        names += [x509.DNSName(name) for name in profile.dns_names]
        names += [x509.IPAddress(address) for address in profile.ip_addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=is_ca, path_length=profile.path_length), critical=True
    ).add_extension(x509.KeyUsage(**{name: name in usage for name in USAGES}), critical=True)
    if not is_ca:
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(subject_key), critical=False
    )
    signing = issuer
    if isinstance(issuer, Authority):
        own = issuer.certificate
        identifier = x509.AuthorityKeyIdentifier(
            own.ski, [x509.DirectoryName(own.parsed.issuer)], own.serial_number
        )
        builder = builder.add_extension(identifier, critical=False)
        signing = _like(issuer)
    assert not isinstance(signing, Authority)
    is_384 = isinstance(signing, ec.EllipticCurvePrivateKey) and signing.key_size == 384
    digest = hashes.SHA384() if is_384 else hashes.SHA256()
    return builder.sign(signing, digest).tbs_certificate_bytes


def _like(issuer: Authority) -> PrivateKey:
    """Return a key of the same kind; it decides the algorithm the bytes name."""
    return next(key(kind) for kind, root in LONG_ROOTS.items() if root is issuer)


@pytest.mark.clause("OPC 10000-6 §6.2.2; RFC 5280 §4.1")
@settings(max_examples=150, deadline=None)
@given(
    kind=CA_KEYS,
    subject_key=SUBJECT_KEYS,
    serial=SERIALS,
    begins=moments(BEGIN),
    ends=moments(BEGIN),
    common_name=NAMES,
    organization=st.just("") | NAMES,
    uri=st.text(st.characters(codec="ascii"), min_size=1, max_size=300),
    dns_names=st.lists(HOSTS, max_size=5),
    ip_addresses=st.lists(st.ip_addresses(), max_size=5),
)
def test_a_leaf_is_what_the_library_would_make(
    kind: KeyType,
    subject_key: PublicKey,
    serial: int,
    begins: datetime,
    ends: datetime,
    common_name: str,
    organization: str,
    uri: str,
    dns_names: list[str],
    ip_addresses: list[IPv4Address | IPv6Address],
) -> None:
    root = LONG_ROOTS[kind]
    begins, ends = sorted((begins, ends))
    profile = CertificateProfile(
        profile=Profile.DCA,
        common_name=common_name,
        organization=organization,
        application_uri=uri,
        dns_names=tuple(dns_names),
        ip_addresses=tuple(ip_addresses),
        lifetime=max(ends - begins, timedelta(seconds=1)),
        backdate=timedelta(0),
    )

    prepared = root.prepare(subject_key, profile, serial=serial, now=begins)

    assert prepared.tbs == made_by_the_library(
        subject_key,
        profile,
        issuer=root,
        serial=serial,
        begins=begins,
        ends=begins + profile.lifetime,
    )


@settings(max_examples=60, deadline=None)
@given(
    kind=CA_KEYS,
    now=moments(datetime(1950, 1, 2, tzinfo=UTC)),
    path_length=st.none() | st.integers(0, 300),
    common_name=NAMES,
)
@example(kind=KeyType.EC_P256, now=datetime(1950, 1, 2, tzinfo=UTC), path_length=0, common_name="x")
def test_a_root_is_what_the_library_would_make(
    kind: KeyType, now: datetime, path_length: int | None, common_name: str
) -> None:
    signing = key(kind)
    profile = CertificateProfile(
        profile=Profile.ROOT,
        common_name=common_name,
        lifetime=min(3_650 * DAY, LAST - now),
        backdate=DAY,
        path_length=path_length,
    )
    prepared = prepare_root(signing, profile, serial=7, now=now)

    assert prepared.tbs == made_by_the_library(
        signing.public_key(),
        profile,
        issuer=signing,
        serial=7,
        begins=now - DAY,
        ends=now + profile.lifetime,
    )


@pytest.mark.parametrize("now", [datetime(1949, 12, 31, tzinfo=UTC), datetime(2026, 1, 1)])
def test_times_that_no_certificate_can_name_are_refused(now: datetime) -> None:
    profile = CertificateProfile(
        profile=Profile.ROOT, common_name="x", lifetime=DAY, backdate=timedelta(0)
    )

    with pytest.raises(Misuse):
        prepare_root(key(), profile, serial=7, now=now)
