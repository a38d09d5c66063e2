"""Trust lists: whom the Registrar believes, in what.

Five lists, five types. Mypy refuses one where another is meant, so a certificate trusted in
one role is never trusted in another (threat-model K3, T8). Source: OPC 10000-12 §7.8.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import NewType

from registrar.core.certificate import Certificate
from registrar.core.crl import Crl
from registrar.core.names import Name
from registrar.core.scope import Scope


class TrustListName(StrEnum):
    """The five lists by the names people type."""

    TICKET_AUTHORITIES = "ticket_authorities"
    DEVICE_IDENTITY_AUTHORITIES = "device_identity_authorities"
    ADMINISTRATORS = "administrators"
    APPLICATIONS = "applications"
    SITE_AUTHORITIES = "site_authorities"


_UNLIMITED = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Above:
    """The one chain of CAs above certain leaves: nothing speaks against it while its time runs.

    Made by ``issuers``; whether a CRL may be missing is for the options to say.
    """

    certificates: tuple[Certificate, ...]
    """The issuer of the leaves first, root last; each signed by the next, the root by itself."""

    anchors: tuple[Certificate, ...]
    """Those of them that the lists trust."""

    crls: tuple[Crl, ...]
    """What tells of the leaves."""

    unlisted: tuple[Certificate, ...]
    """Those of whom no CRL tells; the root needs none."""

    begins: datetime
    ends: datetime
    """From then to then all of them are valid, and so are their CRLs and those of the leaves."""


@dataclass(frozen=True, kw_only=True)
class TrustList:
    """Certificates and CRLs as TrustListDataType groups them (OPC 10000-12 §7.8.2.8)."""

    trusted_certificates: tuple[Certificate, ...] = ()
    """End entities and CAs; whatever chains to one of them is trusted."""

    trusted_crls: tuple[Crl, ...] = ()
    issuer_certificates: tuple[Certificate, ...] = ()
    """CAs that help to build chains and confer no trust."""

    issuer_crls: tuple[Crl, ...] = ()

    scopes: tuple[tuple[str, Scope], ...] = ()
    """What a trusted certificate, by its thumbprint, may vouch for; unnamed ones for all (T7)."""

    stopped: frozenset[str] = frozenset()
    """``Certificate.key_digest`` of CAs and signers through whom no path may lead (T7)."""

    @classmethod
    def from_der(
        cls,
        *,
        trusted_certificates: Iterable[bytes] = (),
        trusted_crls: Iterable[bytes] = (),
        issuer_certificates: Iterable[bytes] = (),
        issuer_crls: Iterable[bytes] = (),
        scopes: Iterable[tuple[str, Scope]] = (),
        stopped: Iterable[str] = (),
    ) -> TrustList:
        """Read every certificate and CRL.

        Raises:
            CertificateRejected: one of them is malformed.
        """
        return cls(
            trusted_certificates=tuple(map(Certificate.from_der, trusted_certificates)),
            trusted_crls=tuple(map(Crl.from_der, trusted_crls)),
            issuer_certificates=tuple(map(Certificate.from_der, issuer_certificates)),
            issuer_crls=tuple(map(Crl.from_der, issuer_crls)),
            scopes=tuple(scopes),
            stopped=frozenset(stopped),
        )

    def trusts(self, certificate: Certificate) -> bool:
        """Tell whether exactly this certificate stands among the trusted ones."""
        return certificate in self._trusted

    def holds(self, certificate: Certificate) -> bool:
        """Tell whether exactly this certificate stands in the list, trusted or issuer."""
        return certificate in self._trusted or certificate in self._issuers

    def scope_of(self, certificate: Certificate) -> Scope:
        """Return what a trusted certificate may vouch for."""
        return self._scopes.get(certificate.thumbprint, _UNLIMITED) if self.scopes else _UNLIMITED

    def named(self, subject: Name) -> tuple[Certificate, ...]:
        """Return the certificates of one subject name, trusted ones first."""
        return self._by_subject.get(subject, ())

    def crls_of(self, issuer: Name) -> tuple[Crl, ...]:
        """Return the CRLs of one issuer name."""
        by_issuer = self._crls_by_issuer
        return by_issuer.get(issuer, ()) if by_issuer else ()

    @cached_property
    def digest(self) -> str:
        """A SHA-256 in hex over the content, whatever its order: the version of the list."""
        sets = (
            self.trusted_certificates,
            self.trusted_crls,
            self.issuer_certificates,
            self.issuer_crls,
        )
        total = hashlib.sha256()
        for entries in sets:
            thumbprints = sorted({entry.thumbprint for entry in entries})
            total.update(len(thumbprints).to_bytes(4))
            total.update("".join(thumbprints).encode())
        limits = sorted(f"{thumbprint} {scope!r}" for thumbprint, scope in self.scopes)
        total.update("\n".join((*limits, *sorted(self.stopped))).encode())
        return total.hexdigest()

    @cached_property
    def above(self) -> dict[tuple[object, ...], Above | None]:
        """What ``issuers.known_above`` remembers for this list; forgotten with it."""
        return {}

    @cached_property
    def _scopes(self) -> Mapping[str, Scope]:
        return dict(self.scopes)

    @cached_property
    def _trusted(self) -> frozenset[Certificate]:
        return frozenset(self.trusted_certificates)

    @cached_property
    def _issuers(self) -> frozenset[Certificate]:
        return frozenset(self.issuer_certificates)

    @cached_property
    def _by_subject(self) -> Mapping[Name, tuple[Certificate, ...]]:
        index: dict[Name, tuple[Certificate, ...]] = {}
        for certificate in dict.fromkeys((*self.trusted_certificates, *self.issuer_certificates)):
            name = certificate.subject_name
            index[name] = (*index.get(name, ()), certificate)
        return index

    @cached_property
    def _crls_by_issuer(self) -> Mapping[Name, tuple[Crl, ...]]:
        index: dict[Name, tuple[Crl, ...]] = {}
        for crl in dict.fromkeys((*self.trusted_crls, *self.issuer_crls)):
            index[crl.issuer_name] = (*index.get(crl.issuer_name, ()), crl)
        return index


TicketAuthorities = NewType("TicketAuthorities", TrustList)
"""Who may sign Tickets (OPC 10000-21 §9.2.10)."""

DeviceIdentityAuthorities = NewType("DeviceIdentityAuthorities", TrustList)
"""Who issues DeviceIdentity Certificates, beside the CAs that Tickets name."""

Administrators = NewType("Administrators", TrustList)
"""Who may administrate this Registrar."""

Applications = NewType("Applications", TrustList)
"""Which applications may open a channel to this Registrar."""

SiteAuthorities = NewType("SiteAuthorities", TrustList)
"""The CAs of this site, as its Devices get them."""
