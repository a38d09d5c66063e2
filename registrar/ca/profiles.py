"""What stands in each kind of certificate this site issues.

| profile | issued by | names | purpose |
| --- | --- | --- | --- |
| ``APPLICATION`` | applications CA | URI, DNS/IP | an ordinary Application Instance Certificate |
| ``DCA`` | DCA CA | URI, DNS/IP | configures one Device, nothing else (OPC 10000-21 §6.3) |
| ``AUTHORITY`` | root | none | a CA that issues the above |
| ``ROOT`` | itself | none | the site's anchor |

The two end-entity profiles are alike but for their issuer, which is what makes a DCA Certificate
worthless to applications. Source: OPC 10000-6 §6.2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from registrar.errors import IssuerUnavailable, Misuse

MAX_NAMES: Final = 32
"""DNS names and addresses in one certificate, together."""

MAX_COMMON_NAME: Final = 64
MAX_ORGANIZATION: Final = 64
"""Upper bounds of X.520, in characters."""

MAX_APPLICATION_URI: Final = 1_024
"""Characters."""


class Profile(StrEnum):
    """The kinds of certificate."""

    APPLICATION = "application"
    DCA = "dca"
    AUTHORITY = "authority"
    ROOT = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateProfile:
    """Everything a certificate says beside its key, its serial and its issuer."""

    profile: Profile
    common_name: str
    """Cut at ``MAX_COMMON_NAME`` characters."""

    organization: str = ""
    application_uri: str = ""
    """First in the subjectAltName of an application's certificate; ASCII."""

    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    lifetime: timedelta
    """From the present to notAfter."""

    backdate: timedelta
    """From notBefore to the present."""

    path_length: int | None = None
    """Of a CA: how many CAs may stand below it."""

    def __post_init__(self) -> None:
        if not self.common_name:
            raise Misuse("a certificate needs a common name")
        if self.lifetime <= timedelta(0) or self.backdate < timedelta(0):
            raise Misuse(f"a certificate cannot live {self.lifetime} from {self.backdate} ago")
        if len(self.dns_names) + len(self.ip_addresses) > MAX_NAMES:
            raise Misuse(f"a certificate has at most {MAX_NAMES} DNS names and addresses")
        if self.is_authority:
            return
        uri = self.application_uri
        if not (0 < len(uri) <= MAX_APPLICATION_URI and uri.isascii()):
            raise Misuse(f"an ApplicationUri cannot be {uri[:80]!r}")

    @property
    def is_authority(self) -> bool:
        """Tell whether this is the profile of a CA."""
        return self.profile in (Profile.AUTHORITY, Profile.ROOT)


def validity_of(
    profile: CertificateProfile,
    *,
    now: datetime,
    issuer_begins: datetime | None,
    issuer_ends: datetime | None,
) -> tuple[datetime, datetime]:
    """Choose when a certificate begins and when it ends.

    It begins a little in the past, because a Device fresh from its box often runs behind the real
    time, and stays inside the life of its issuer, because a chain is refused as soon as one of
    its links is outside its own.

    Args:
        profile: lifetime and back-dating.
        now: the present, timezone-aware.
        issuer_begins: notBefore of the issuer; None for a root.
        issuer_ends: notAfter of the issuer; None for a root.

    Returns:
        notBefore and notAfter in whole seconds, all that X.509 can hold.

    Raises:
        IssuerUnavailable: the issuer ends at or before ``now``, or begins after it.

    Source: OPC 10000-21 §6.3; RFC 5280 §4.1.2.5.
    """
    begins = (now - profile.backdate).replace(microsecond=0)
    ends = (now + profile.lifetime).replace(microsecond=0)
    if issuer_begins is not None:
        if issuer_begins > now:
            raise IssuerUnavailable(f"the issuer is not valid before {issuer_begins:%Y-%m-%d}")
        begins = max(begins, issuer_begins)
    if issuer_ends is not None:
        if issuer_ends <= now:
            raise IssuerUnavailable(f"the issuer expired on {issuer_ends:%Y-%m-%d}")
        ends = min(ends, issuer_ends)
    return begins, ends


def constraints_of(
    *, is_authority: bool, path_length: int | None, is_rsa: bool
) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """Return what a key may be used for, as extensions, each with its critical flag.

    Args:
        is_authority: for a CA.
        path_length: how many CAs may stand below that CA.
        is_rsa: the key can encrypt as well as sign.
    """
    if is_authority:
        return (
            (x509.BasicConstraints(ca=True, path_length=path_length), True),
            (_AUTHORITY_USAGE, True),
        )
    return (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_RSA_USAGE if is_rsa else _EC_USAGE, True),
        (_PURPOSES, False),
    )


def _usage(**set_bits: bool) -> x509.KeyUsage:
    bits = dict.fromkeys(_USAGE_BITS, False)
    return x509.KeyUsage(**{**bits, **set_bits})


_USAGE_BITS: Final = (
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
_RSA_USAGE: Final = _usage(
    digital_signature=True, content_commitment=True, key_encipherment=True, data_encipherment=True
)
_EC_USAGE: Final = _usage(digital_signature=True)
_AUTHORITY_USAGE: Final = _usage(key_cert_sign=True, crl_sign=True)
_PURPOSES: Final = x509.ExtendedKeyUsage(
    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
)
