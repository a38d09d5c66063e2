"""Whether the selected DeviceIdentity Certificate is genuine.

Its anchors are the CAs that the Tickets name, of the Device and of its Composites, and the
DeviceIdentity authorities; CRLs come from that list alone, because a Ticket has none. That
the Device holds the key is proven later, by the SecureChannel.
Source: OPC 10000-21 §6.3, §7.1; OPC 10000-4 §6.1.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from registrar.core.certificate import Certificate, decode_chain
from registrar.core.match import Candidate
from registrar.core.path import ValidPath, validate_path
from registrar.core.ticket import CertificateAuthority
from registrar.core.trust import DeviceIdentityAuthorities, TrustList
from registrar.core.valid_ticket import ValidTicket
from registrar.core.validation import DEVICE_IDENTITY, Check, Suppressed, ValidationOptions
from registrar.errors import CertificateRejected, Reason
from registrar.status import StatusCode

MAX_TICKET_AUTHORITIES = 256
"""Certificates of Tickets that are looked at for one Device."""

_KEPT_LISTS = 64
"""Lists of small Tickets that are kept: those of one manufacturer name the same CAs."""

_KEPT_BYTES = 16 * 1024
"""Certificates of a Ticket that are small, together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityPolicy:
    """What the owner allows beyond the default; every use is recorded."""

    suppress: frozenset[Check] = frozenset()

    forgive_expired_authorities: bool = True
    """Pass expired CAs while the certificate of a good Ticket signature is in its period (R51)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidIdentity:
    """A DeviceIdentity Certificate that passed every step; its key is not yet proven."""

    candidate: Candidate[ValidTicket]
    path: ValidPath

    @property
    def certificate(self) -> Certificate:
        return self.candidate.certificate

    @property
    def product_instance_uri(self) -> str:
        return self.candidate.product_instance_uri

    @property
    def ticket(self) -> ValidTicket:
        return self.candidate.ticket

    @property
    def suppressed(self) -> tuple[Suppressed, ...]:
        """Findings to be audited, skipped revocation checks among them (§7.1)."""
        return self.path.suppressed


_DEFAULT = IdentityPolicy()


def validate_identity(
    candidate: Candidate[ValidTicket],
    *,
    authorities: DeviceIdentityAuthorities,
    now: datetime,
    application_uri: str,
    issuers: Sequence[Certificate] = (),
    policy: IdentityPolicy = _DEFAULT,
) -> ValidIdentity:
    """Validate the certificate of ``candidate`` in the order of Part 4.

    Args:
        now: aware.
        application_uri: of the peer's ApplicationDescription; must be the ProductInstanceUri.
        issuers: what came with the certificate; helps to build, is never an anchor.

    Raises:
        CertificateRejected: a step failed; ``status`` is its code.
    """
    path = validate_path(
        candidate.certificate,
        intermediates=issuers,
        trust=authorities,
        further=(ticket_trust((candidate.ticket, *candidate.composites)),),
        now=now,
        options=_options(candidate, now, policy, application_uri),
    )
    if application_uri != candidate.product_instance_uri:
        raise CertificateRejected(
            f"ApplicationUri {application_uri[:80]!r} is not the ProductInstanceUri",
            status=StatusCode.BadCertificateUriInvalid,
            reason=Reason.DEVICE_CERTIFICATE_URI_MISMATCH,
            subject=candidate.product_instance_uri,
        )
    return ValidIdentity(candidate=candidate, path=path)


def ticket_trust(tickets: Iterable[ValidTicket]) -> TrustList:
    """Return the CAs that Tickets name: anchors for the path of their Device, and no other.

    A certificate that cannot be read helps nobody and is passed over.
    """
    authorities = tuple(authority for ticket in tickets for authority in ticket.ticket.authorities)
    is_small = sum(map(_size_of, authorities)) <= _KEPT_BYTES
    return _kept_trust(authorities) if is_small else _trust_in(authorities)


def _size_of(authority: CertificateAuthority) -> int:
    return len(authority.authority_certificate) + sum(map(len, authority.issuer_certificates))


def _trust_in(authorities: tuple[CertificateAuthority, ...]) -> TrustList:
    trusted: dict[Certificate, None] = {}
    issuers: dict[Certificate, None] = {}
    for authority in authorities:
        if len(trusted) + len(issuers) >= MAX_TICKET_AUTHORITIES:
            break
        first, *rest = _readable(authority.authority_certificate) or (None,)
        if first is not None:
            trusted[first] = None
        issuers.update(dict.fromkeys(one for one in rest if one is not None))
        for blob in authority.issuer_certificates:
            issuers.update(dict.fromkeys(_readable(blob)))
    return TrustList(trusted_certificates=tuple(trusted), issuer_certificates=tuple(issuers))


_kept_trust = lru_cache(maxsize=_KEPT_LISTS)(_trust_in)


def _readable(blob: bytes) -> tuple[Certificate, ...]:
    try:
        return decode_chain(blob)
    except CertificateRejected:
        return ()


def _options(
    candidate: Candidate[ValidTicket], now: datetime, policy: IdentityPolicy, application_uri: str
) -> ValidationOptions:
    suppress = DEVICE_IDENTITY.suppress | policy.suppress
    if policy.forgive_expired_authorities and now <= candidate.ticket.signer_not_after:
        suppress |= {Check.ISSUER_EXPIRED}
    return replace(DEVICE_IDENTITY, suppress=suppress, application_uri=application_uri)
