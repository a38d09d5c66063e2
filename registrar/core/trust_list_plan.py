"""What stands in the TrustLists that are pushed to a device.

    trusted          the CAs that issue to those who may connect: Registrar, CertificateManager,
                     SoftwareUpdateManager (of a DCA), the site's applications (of an application)
    issuers          every other CA a path needs: the root, the CA of the DCA Certificates
    CRLs             one per CA, because a device may check revocation offline

Whose issuer is missing from the list of a DCA is locked out as soon as the list is in force, so
the Registrar's own issuer is always there (OPC 10000-21 §7.3; OPC 10000-12 §7.7.3). The CA of
DCA Certificates is never trusted, only known: a DCA Certificate configures its own device and
nothing else (OPC 10000-21 §6.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from registrar.core.certificate import Certificate
from registrar.core.crl import Crl
from registrar.errors import IssuerUnavailable

_SITES: Final = 4
"""Chains whose plans are remembered: every device of a site is given the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustListContent:
    """The four lists of a TrustListDataType, DER (OPC 10000-12 §7.8.2.10)."""

    trusted_certificates: tuple[bytes, ...] = ()
    trusted_crls: tuple[bytes, ...] = ()
    issuer_certificates: tuple[bytes, ...] = ()
    issuer_crls: tuple[bytes, ...] = ()

    def difference(self, other: TrustListContent) -> str:
        """Return which list of ``other`` differs from this one, or the empty string.

        The order inside a list means nothing, and neither do repetitions.
        """
        if self == other:
            return ""
        for name in TrustListContent.__slots__:
            if set(getattr(self, name)) != set(getattr(other, name)):
                return (
                    f"{name}: {len(set(getattr(self, name)))} meant, "
                    f"{len(set(getattr(other, name)))} read back"
                )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteChains:
    """The public side of the site's CAs, issuing CA first, root last."""

    applications: tuple[Certificate, ...]
    """Issued the Registrar's own certificate and those of the applications."""
    dca: tuple[Certificate, ...]
    """Issues DCA Certificates."""
    software_update_managers: tuple[tuple[Certificate, ...], ...] = ()
    """Chains of issuers of SoftwareUpdateManagers that come from elsewhere."""
    crls: tuple[Crl, ...]
    """The newest list of each CA above."""


@lru_cache(maxsize=_SITES)
def plan_for_dca(site: SiteChains) -> TrustListContent:
    """Return what the DefaultApplicationGroup of a DCA must hold (R135).

    Raises:
        IssuerUnavailable: one of the site's CAs has no revocation list.
    """
    managers = (site.applications, *site.software_update_managers)
    return _plan(
        trusted=[chain[0] for chain in managers if chain],
        known=[*(ca for chain in managers for ca in chain[1:]), *site.dca],
        site=site,
    )


@lru_cache(maxsize=_SITES)
def plan_for_application(site: SiteChains) -> TrustListContent:
    """Return what the group of an application, or of a singleton, must hold.

    The CA of DCA Certificates is not in it: it grants nothing in operation.

    Raises:
        IssuerUnavailable: one of the site's CAs has no revocation list.
    """
    return _plan(trusted=site.applications[:1], known=site.applications[1:], site=site)


@lru_cache(maxsize=_SITES)
def plan_for_singleton(site: SiteChains) -> TrustListContent:
    """Return the list of a device that is its own and only application (R127).

    It is configured by the same managers as a DCA, but never holds a DCA Certificate.
    """
    managers = (site.applications, *site.software_update_managers)
    return _plan(
        trusted=[chain[0] for chain in managers if chain],
        known=[ca for chain in managers for ca in chain[1:]],
        site=site,
    )


def _plan(
    *, trusted: Iterable[Certificate], known: Iterable[Certificate], site: SiteChains
) -> TrustListContent:
    trusted_cas = _distinct(trusted)
    trusted_der = {ca.der for ca in trusted_cas}
    issuer_cas = [ca for ca in _distinct(known) if ca.der not in trusted_der]
    return TrustListContent(
        trusted_certificates=tuple(ca.der for ca in trusted_cas),
        trusted_crls=_crls_of(trusted_cas, site),
        issuer_certificates=tuple(ca.der for ca in issuer_cas),
        issuer_crls=_crls_of(issuer_cas, site),
    )


def _distinct(certificates: Iterable[Certificate]) -> list[Certificate]:
    return list({certificate.der: certificate for certificate in certificates}.values())


def _crls_of(authorities: Sequence[Certificate], site: SiteChains) -> tuple[bytes, ...]:
    own = {ca.der for ca in (*site.applications, *site.dca)}
    found: dict[bytes, None] = {}
    for ca in authorities:
        lists = [crl.der for crl in site.crls if crl.issuer_bytes == ca.subject_bytes]
        if not lists and ca.der in own:
            raise IssuerUnavailable(f"there is no revocation list of {ca.subject}")
        found.update(dict.fromkeys(lists))
    return tuple(found)
