"""A site made in a folder, with a ledger in memory that watches the order of things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from registrar.ca import (
    Authority,
    CaSettings,
    CertificateProfile,
    GivenAuthority,
    KeyType,
    OwnNames,
    Prepared,
    PrivateKey,
    Profile,
    PublicKey,
    SiteAuthorities,
    create_site_authorities,
    generate_key,
)
from registrar.ca.authority import prepare_root, sign_root

NOW = datetime(2026, 6, 1, 12, 0, 30, 500, tzinfo=UTC)
DAY = timedelta(days=1)
DEVICE_URI = "urn:example.com:model-x:snr-1"
OWN = OwnNames(
    application_uri="urn:example.com:registrar", common_name="Registrar", dns_names=("localhost",)
)
SETTINGS = CaSettings(organization="Example Plant")


@cache
def _key(key_type: KeyType, number: int) -> PrivateKey:
    return generate_key(key_type)


def key(key_type: KeyType = KeyType.EC_P256, number: int = 0) -> PrivateKey:
    """Return the key of that type and number; made once, because RSA is slow to make."""
    return _key(key_type, number)


def public_key(key_type: KeyType = KeyType.EC_P256, number: int = 0) -> PublicKey:
    return key(key_type, number).public_key()


def serials() -> Callable[[], int]:
    """Return a source of serials that look like random ones and never repeat."""
    numbers = count(2**127 + 1)
    return lambda: next(numbers)


@dataclass
class MemoryLedger:
    """Keeps what it is told, and refuses a signature over bytes it does not know."""

    reserved: dict[bytes, str] = field(default_factory=dict)
    signed: dict[str, bytes] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    crls: dict[str, bytes] = field(default_factory=dict)

    def reserve(self, name: str, issuer: str, key_digest: str, prepared: Prepared) -> None:
        assert len(key_digest) == 64
        assert issuer
        self.reserved[prepared.tbs] = name

    def record_signed(self, prepared: Prepared, certificate: bytes) -> None:
        self.signed[self.reserved[prepared.tbs]] = certificate

    def next_crl_number(self, issuer: str, at_least: int) -> int:
        self.numbers[issuer] = max(self.numbers.get(issuer, 0) + 1, at_least)
        return self.numbers[issuer]

    def publish_crl(self, issuer: str, der: bytes) -> None:
        self.crls[issuer] = der


def make_site(
    folder: Path,
    *,
    settings: CaSettings = SETTINGS,
    ledger: MemoryLedger | None = None,
    passphrase: str | None = None,
    given: GivenAuthority | None = None,
    now: datetime = NOW,
) -> SiteAuthorities:
    return create_site_authorities(
        folder,
        settings=settings,
        own=OWN,
        ledger=ledger or MemoryLedger(),
        make_serial=serials(),
        now=now,
        passphrase=passphrase,
        given=given,
    )


def make_root(
    key_type: KeyType = KeyType.EC_P256,
    *,
    lifetime: timedelta = 3_650 * DAY,
    path_length: int | None = None,
    number: int = 0,
    common_name: str = "Some Root",
) -> Authority:
    signing = key(key_type, number)
    profile = CertificateProfile(
        profile=Profile.ROOT,
        common_name=common_name,
        lifetime=lifetime,
        backdate=DAY,
        path_length=path_length,
    )
    prepared = prepare_root(signing, profile, serial=7, now=NOW)
    return sign_root(signing, prepared, name="root")


def application(
    uri: str = DEVICE_URI,
    *,
    profile: Profile = Profile.APPLICATION,
    lifetime: timedelta = 365 * DAY,
    backdate: timedelta = DAY,
    dns_names: tuple[str, ...] = (),
) -> CertificateProfile:
    return CertificateProfile(
        profile=profile,
        common_name="Pump",
        organization="Example Plant",
        application_uri=uri,
        dns_names=dns_names,
        lifetime=lifetime,
        backdate=backdate,
    )


def issue(
    authority: Authority, profile: CertificateProfile, subject: PublicKey | None = None
) -> bytes:
    prepared = authority.prepare(subject or public_key(), profile, serial=2**127 + 99, now=NOW)
    return authority.sign(prepared)


def request(
    signing: PrivateKey | None = None,
    *,
    names: tuple[x509.GeneralName, ...] = (x509.UniformResourceIdentifier(DEVICE_URI),),
) -> bytes:
    """Return a signing request, DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whatever the Device says")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signing or key(), hashes.SHA256()).public_bytes(Encoding.DER)
