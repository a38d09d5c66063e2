"""What can be configured: one dataclass per table of ``config.toml``.

Each field carries the words the file explains it with and the limits it has to keep, so that
the writer, the loader and the documentation cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeVar

T = TypeVar("T")

POLICIES: Final = ("Aes256_Sha256_RsaPss", "Aes128_Sha256_RsaOaep", "Basic256Sha256")
"""SecurityPolicies with an implementation, best first; their URIs are these names with a prefix."""

CA_KEYS: Final = ("EC-P256", "EC-P384", "RSA-2048", "RSA-3072", "RSA-4096")
OWN_KEYS: Final = ("RSA-2048", "RSA-3072", "RSA-4096")

PRIVATE_NETWORKS: Final = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)


def setting(
    default: T,
    says: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    kind: str = "",
    may_be_empty: bool = False,
) -> T:
    """Return a dataclass field with the default, the explanation and the limits of a setting.

    Args:
        default: used where the file does not name the key.
        says: one sentence or more; stands above the key in the file.
        low: the smallest number allowed.
        high: the largest number allowed; a hard maximum.
        choices: the only strings allowed, alone or in a list.
        kind: a check by name: ``network`` (CIDR), ``uri``, ``host``.
        may_be_empty: of a string or a list.
    """
    metadata = {
        "says": says,
        "low": low,
        "high": high,
        "choices": choices,
        "kind": kind,
        "may_be_empty": may_be_empty,
    }
    made: Any = field(default=default, metadata=metadata)
    return made  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrarSettings:
    """Who this Registrar is."""

    application_uri: str = setting(
        "urn:registrar",
        "The ApplicationUri in this Registrar's certificate. Fixed by `registrar init`: "
        "devices that trust the certificate know it under this name.",
        kind="uri",
    )
    application_name: str = setting("Registrar", "The name administrators see.")
    organization: str = setting(
        "Site",
        "The organization in the certificates this site issues; `registrar init` takes the name "
        "of the folder.",
    )
    passphrase_file: str = setting(
        "",
        "A file whose first line decrypts the keys of this site; empty where they are not "
        "encrypted. Keep it elsewhere than the site.",
        may_be_empty=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """Where others call this Registrar (``registrar onboard --listen``)."""

    host: str = setting(
        "127.0.0.1",
        "The address to listen on. Name the address of the onboarding network to be called "
        "by a SoftwareUpdateManager on another machine.",
        kind="host",
    )
    port: int = setting(
        0, "The TCP port to listen on; 0 takes a free one, and says which.", low=0, high=65535
    )
    software_update_admins: tuple[str, ...] = setting(
        (),
        "ApplicationUris of trusted applications that may report software, beside those whose "
        "certificate is in the list of administrators.",
        kind="uri",
        may_be_empty=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Where new devices may be."""

    designated: tuple[str, ...] = setting(
        PRIVATE_NETWORKS,
        "Networks (CIDR) new devices may be on. A device at any other address is refused "
        "(OPC 10000-21 6.3).",
        kind="network",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingSettings:
    """How a campaign runs."""

    concurrency: int = setting(48, "Devices onboarded at the same time.", low=1, high=1024)
    concurrency_per_subnet: int = setting(
        48, "Devices onboarded at the same time in one subnet.", low=1, high=1024
    )
    subnet_prefix_ipv4: int = setting(
        24, "Length of the prefix that makes an IPv4 subnet.", low=8, high=32
    )
    subnet_prefix_ipv6: int = setting(
        64, "Length of the prefix that makes an IPv6 subnet.", low=16, high=128
    )
    step_budget_s: float = setting(
        30.0, "Seconds one step of one device may take.", low=0.1, high=600
    )
    device_budget_s: float = setting(
        120.0,
        "Seconds one device may take in all, waiting for people not counted.",
        low=1,
        high=86400,
    )
    attempts: int = setting(4, "Attempts before a device counts as unreachable.", low=1, high=100)
    backoff_initial_s: float = setting(
        0.5,
        "Seconds before the second attempt; each further wait doubles, with jitter.",
        low=0.01,
        high=60,
    )
    backoff_maximum_s: float = setting(
        15.0, "The longest wait between two attempts, in seconds.", low=0.01, high=3600
    )
    software_wait_s: float = setting(
        60.0,
        "Seconds `registrar onboard --listen` stays for devices whose software is being "
        "updated after all others have ended.",
        low=0,
        high=604800,
    )
    policies: tuple[str, ...] = setting(
        POLICIES, "SecurityPolicies allowed towards devices, best first.", choices=POLICIES
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSettings:
    """What this site issues."""

    ca_key: str = setting(
        "EC-P256",
        "The key of the CAs `registrar init` makes. Take RSA where a device understands no other.",
        choices=CA_KEYS,
    )
    own_key: str = setting(
        "RSA-2048",
        "The key of this Registrar's own certificate, used in every channel.",
        choices=OWN_KEYS,
    )
    application_lifetime_days: int = setting(
        730, "Days an application certificate is valid.", low=1, high=7300
    )
    dca_lifetime_days: int = setting(1825, "Days a DCA Certificate is valid.", low=1, high=7300)
    backdate_hours: int = setting(
        24,
        "Hours a certificate begins in the past, because fresh devices run behind.",
        low=0,
        high=8760,
    )
    crl_lifetime_days: int = setting(30, "Days until the nextUpdate of a CRL.", low=1, high=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationSettings:
    """What happens where the revocation of a certificate cannot be known."""

    accept_unknown_ticket_signers: bool = setting(
        False,
        "Accept a Ticket whose signer's CA gave no CRL. Each acceptance is audited.",
    )
    accept_unknown_device_identities: bool = setting(
        False,
        "Accept a DeviceIdentity Certificate whose CA gave no CRL. Each acceptance is audited.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole of ``config.toml``, checked."""

    registrar: RegistrarSettings = RegistrarSettings()
    listener: ListenerSettings = ListenerSettings()
    networks: NetworkSettings = NetworkSettings()
    onboarding: OnboardingSettings = OnboardingSettings()
    certificates: CertificateSettings = CertificateSettings()
    revocation: RevocationSettings = RevocationSettings()
    wanted_software: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Model name → the SoftwareRevision a device needs before its applications are set up."""
    software_update_users: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """User name → password hash of people who may report software."""
