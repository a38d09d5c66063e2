"""Which identities a device offers, and by which endpoint each is reached.

A device has at least one EndpointDescription for every DeviceIdentity Certificate; choosing the
endpoint chooses the identity (OPC 10000-21 §7.1). The list was read without security, so it is
only a hint: the channel proves the certificate, and the Session compares the list (T10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua
from cryptography.x509.oid import ExtendedKeyUsageOID

from registrar.core.certificate import Certificate, decode_chain
from registrar.errors import CertificateRejected, Reason, Rejected
from registrar.ua.security_policy import SecurityPolicy

MAX_ENDPOINTS = 64
MAX_IDENTITIES = 16

_OPERATION = frozenset(
    {
        ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,
        ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One endpoint that leads to a certificate by a policy we have."""

    policy: SecurityPolicy
    mode: ua.MessageSecurityMode
    server_certificate: bytes
    """As the endpoint has it: leaf or chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a device said when it was asked for its endpoints."""

    endpoints: tuple[ua.EndpointDescription, ...]
    certificates: tuple[Certificate, ...]
    """Distinct leaves, in the order offered."""
    application_uris: dict[str, str]
    """By thumbprint of the leaf: the ApplicationUri its endpoint states."""
    issuers: tuple[Certificate, ...]
    """What came behind the leaves; helps to build chains, is never an anchor (R55)."""
    ways: dict[str, Way]
    """By thumbprint of the leaf: the best encrypted endpoint."""

    def way_to(self, certificate: Certificate) -> Way | None:
        """Return the strongest encrypted endpoint with ``certificate`` that we can use."""
        return self.ways.get(certificate.thumbprint)


def read_offer(
    endpoints: Sequence[ua.EndpointDescription], policies: Sequence[SecurityPolicy]
) -> Offer:
    """Collect the certificates of ``endpoints`` and the best way to each.

    Args:
        endpoints: as GetEndpoints answered.
        policies: allowed ones, strongest first.

    Raises:
        Rejected: too many endpoints, or none of them is secured at all.
    """
    if len(endpoints) > MAX_ENDPOINTS:
        raise Rejected(f"{len(endpoints)} endpoints exceed the limit of {MAX_ENDPOINTS}")
    rank = {policy.uri: number for number, policy in enumerate(policies)}
    leaves: dict[bytes, Certificate] = {}
    certificates: dict[str, Certificate] = {}
    issuers: dict[str, Certificate] = {}
    ways: dict[str, Way] = {}
    application_uris: dict[str, str] = {}
    malformed = 0
    for endpoint in endpoints:
        blob = endpoint.ServerCertificate
        if not blob or endpoint.SecurityMode not in _SECURED:
            continue
        leaf = leaves.get(blob)
        if leaf is None:  # a device repeats its few certificates for each policy and mode
            try:
                leaf, *rest = decode_chain(blob)
            except CertificateRejected:
                malformed += 1
                continue
            leaves[blob] = leaf
            certificates.setdefault(leaf.thumbprint, leaf)
            stated = endpoint.Server.ApplicationUri if endpoint.Server else None
            application_uris.setdefault(leaf.thumbprint, stated or "")
            issuers.update((issuer.thumbprint, issuer) for issuer in rest)
        if endpoint.SecurityMode is ua.MessageSecurityMode.SignAndEncrypt:
            _take_if_better(ways, leaf.thumbprint, endpoint, policies, rank)
    _check(certificates, malformed)
    return Offer(
        endpoints=tuple(endpoints),
        certificates=tuple(certificates.values()),
        application_uris=application_uris,
        issuers=tuple(issuers.values()),
        ways=ways,
    )


_SECURED = (ua.MessageSecurityMode.Sign, ua.MessageSecurityMode.SignAndEncrypt)


def _take_if_better(
    ways: dict[str, Way],
    thumbprint: str,
    endpoint: ua.EndpointDescription,
    policies: Sequence[SecurityPolicy],
    rank: dict[str, int],
) -> None:
    number = rank.get(endpoint.SecurityPolicyUri or "")
    if number is None:
        return
    known = ways.get(thumbprint)
    if known is None or number < rank[known.policy.uri]:
        ways[thumbprint] = Way(
            policy=policies[number],
            mode=ua.MessageSecurityMode.SignAndEncrypt,
            server_certificate=endpoint.ServerCertificate,
        )


def _check(certificates: dict[str, Certificate], malformed: int) -> None:
    if len(certificates) > MAX_IDENTITIES:
        raise Rejected(f"{len(certificates)} certificates exceed the limit of {MAX_IDENTITIES}")
    if certificates:
        return
    if malformed:
        raise CertificateRejected(f"none of {malformed} offered certificates can be read")
    raise Rejected(
        "no endpoint is secured by a certificate", reason=Reason.SECURITY_POLICY_UNSUPPORTED
    )


def looks_operational(certificate: Certificate) -> bool:
    """Tell whether a certificate was made for operation, not for the proof of origin.

    A DCA Certificate follows OPC 10000-6 §6.2.2 and names TLS usages or the host it serves; a
    DeviceIdentity Certificate by IEEE 802.1AR does neither. Decides only which reason a refused
    device gets, never whether it is refused, and whose certificates are sought in our ledger:
    each one there names TLS usages.
    """
    usages = certificate.extended_key_usage or frozenset()
    return bool(certificate.dns_names or certificate.ip_addresses or _OPERATION & usages)
