"""What a certificate is to be validated for: the options of ``path.validate_path``.

Defaults refuse. Each ``Check`` that an owner's policy suppresses is still made, and what it
found is recorded. Source: OPC 10000-4 §6.1.3; OPC 10000-12 §7.8.2 (DefaultValidationOptions).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

from registrar.core.certificate import Certificate
from registrar.status import StatusCode


class Check(StrEnum):
    """The checks of Part 4 that an owner's policy may suppress."""

    POLICY = "policy"
    """Hash, key kind and key length."""
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUER_EXPIRED = "issuer_expired"
    ISSUER_NOT_YET_VALID = "issuer_not_yet_valid"
    HOST_NAME = "host_name"
    USAGE = "usage"
    REVOCATION_UNKNOWN = "revocation_unknown"
    ISSUER_REVOCATION_UNKNOWN = "issuer_revocation_unknown"
    REVOCATION_SKIPPED = "revocation_skipped"
    """No CRL is known and the certificate names no place to ask (OPC 10000-21 §7.1)."""


class Purpose(StrEnum):
    """The role a certificate plays; each has its own usage rules."""

    APPLICATION = "application"
    DEVICE_IDENTITY = "device_identity"
    TICKET_SIGNER = "ticket_signer"
    USER = "user"


class Anchor(StrEnum):
    """Which certificate of a chain has to stand in the list."""

    ANY = "any"
    """The leaf or any of its issuers (OPC 10000-4 §6.1.3)."""
    LEAF = "leaf"
    """The leaf itself (OPC 10000-21 §9.2.10)."""
    LEAF_OR_ISSUING_CA = "leaf_or_issuing_ca"
    """The leaf, or the CA that issued it unless that is a root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationOptions:
    """How one certificate is to be validated."""

    purpose: Purpose = Purpose.APPLICATION

    check_trust: bool = True
    """False only for trust on first use: every other step remains (OPC 10000-21 §6.3)."""

    anchor: Anchor = Anchor.ANY

    transmitted_roots: bool = False
    """Whether a chain may end at a root that the peer sent along and no list holds.

    It may wherever trust hangs on another certificate of the chain. Always so without a trust
    check.
    """

    application_uri: str | None = None
    """What some SAN URI must equal; ``None`` skips the step."""

    host: str | None = None
    """A DNS name or IP address that the SAN must contain; ``None`` skips the step."""

    min_rsa_bits: int = 2048
    max_rsa_bits: int = 4096
    """Of the leaf; issuers may have longer keys, up to ``signatures.MAX_RSA_BITS``."""

    suppress: frozenset[Check] = frozenset()

    skip_revocation_without_pointer: bool = False
    """Pass certificates without CDP and AIA for which no CRL is known, and record it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """A finding that did not refuse the certificate; the caller audits it."""

    check: Check
    status: StatusCode
    certificate: Certificate
    """The one it is about."""

    detail: str


DEVICE_IDENTITY = ValidationOptions(
    purpose=Purpose.DEVICE_IDENTITY,
    max_rsa_bits=8192,
    suppress=frozenset({Check.HOST_NAME, Check.USAGE}),
    skip_revocation_without_pointer=True,
)
"""For DeviceIdentity Certificates (OPC 10000-21 §6.3, §7.1)."""

TICKET_SIGNER = ValidationOptions(
    purpose=Purpose.TICKET_SIGNER, max_rsa_bits=8192, transmitted_roots=True
)
"""For those who sign Tickets: no ApplicationUri, no host name (OPC 10000-21 §6.4)."""


def names_host(certificate: Certificate, host: str) -> bool:
    """Tell whether a DNS name or IP address of the SAN is ``host``, ignoring case."""
    try:
        return ip_address(host.strip("[]")) in certificate.ip_addresses
    except ValueError:
        wanted = host.rstrip(".").lower()
        return any(name.rstrip(".").lower() == wanted for name in certificate.dns_names)
