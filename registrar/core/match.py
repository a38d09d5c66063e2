"""Which Ticket speaks for which DeviceIdentity Certificate.

    certificate ──SAN URI = ProductInstanceUri──▶ Device Ticket
                                                     ▲ Devices, or opc-uri of a good signature
                                          Composite Ticket
                                                     ▲ Composites
                                          outermost Composite Ticket

A URI is a ProductInstanceUri or CompositeInstanceUri only because a Ticket says so. Where a
Composite claims the Device, only a certificate that carries the outermost CompositeInstanceUri
as well is eligible. Source: OPC 10000-21 §5.3, §7.1, §7.2.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from registrar.core.certificate import Certificate
from registrar.core.valid_ticket import Route, ValidTicket

MAX_IDENTITIES = 32
"""DeviceIdentity Certificates of one Device that are looked at."""

MAX_NESTING = 8
"""Composites inside each other."""

MAX_CLAIMS = 64
"""Composites that may claim one Device, at all levels."""


class Claim(Protocol):
    """What matching reads of a believed Ticket; see ``ValidTicket``."""

    @property
    def uri(self) -> str: ...
    @property
    def is_composite(self) -> bool: ...
    @property
    def route(self) -> Route: ...
    @property
    def composite_uris(self) -> tuple[str, ...]: ...
    @property
    def devices(self) -> tuple[str, ...]: ...
    @property
    def composites(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(Generic[T]):
    """A certificate that may be selected, with the Tickets that speak for it."""

    certificate: Certificate
    ticket: T
    """The Device's Ticket."""

    composites: tuple[T, ...] = ()
    """The Composite Tickets that claim the Device, innermost first."""

    composite_uri: str = ""
    """The outermost CompositeInstanceUri that the certificate carries; empty without one."""

    @property
    def product_instance_uri(self) -> str:
        return self.ticket.uri


@dataclass(frozen=True, slots=True, kw_only=True)
class Match(Generic[T]):
    """What matching found; all empty: no Ticket speaks for any certificate."""

    candidates: tuple[Candidate[T], ...] = ()
    """The preferred one first; the caller logs which it selects."""

    partial: tuple[Certificate, ...] = ()
    """Refused: they carry the ProductInstanceUri of a Composite's member, not its Composite."""

    conflicts: tuple[str, ...] = ()
    """CompositeInstanceUris of unrelated Composites that claim one Device; the caller logs."""


def lookup_uris(identities: Sequence[Certificate]) -> tuple[str, ...]:
    """Return the URIs under which Tickets for these certificates may be known, each once."""
    return tuple(
        dict.fromkeys(
            uri for certificate in identities[:MAX_IDENTITIES] for uri in certificate.san_uris
        )
    )


def gather(
    identities: Sequence[Certificate],
    find: Callable[[Collection[str]], Iterable[ValidTicket]],
) -> tuple[ValidTicket, ...]:
    """Collect the Tickets that matter for these certificates, up to the outermost Composites.

    Args:
        find: gives every known Ticket that mentions one of the URIs (``ValidTicket.mentions``).

    Returns:
        Each Ticket once; at most ``MAX_NESTING`` look-ups above the first are made.
    """
    found: dict[str, ValidTicket] = {}
    asked: set[str] = set()
    wanted = set(lookup_uris(identities))
    for _ in range(MAX_NESTING + 1):
        asked |= wanted
        news = [ticket for ticket in find(wanted) if ticket.payload_digest not in found]
        found.update((ticket.payload_digest, ticket) for ticket in news)
        wanted = {uri for ticket in news for uri in (*ticket.composite_uris, ticket.uri)} - asked
        if not wanted:
            break
    return tuple(found.values())


def match(identities: Sequence[Certificate], tickets: Sequence[T]) -> Match[T]:
    """Find which Tickets speak for which certificates.

    Args:
        identities: the Device's certificates; at most ``MAX_IDENTITIES`` are looked at.
        tickets: validated Device and Composite Tickets.
    """
    devices: dict[str, T] = {}
    for ticket in sorted(tickets, key=lambda one: one.route is not Route.OUT_OF_BAND):
        if not ticket.is_composite:
            devices.setdefault(ticket.uri, ticket)
    claims = _Claims(tickets)
    candidates: list[Candidate[T]] = []
    partial: list[Certificate] = []
    conflicts: dict[str, None] = {}
    for certificate in dict.fromkeys(identities[:MAX_IDENTITIES]):
        for uri in dict.fromkeys(certificate.san_uris):
            device = devices.get(uri)
            if device is None:
                continue
            outermost, composites = claims.upon(device, tickets)
            if len(outermost) > 1:
                conflicts.update(dict.fromkeys(outermost))
            carried = [one for one in outermost if one in certificate.san_uris]
            if outermost and not carried:
                partial.append(certificate)
                continue
            candidates.append(
                Candidate(
                    certificate=certificate,
                    ticket=device,
                    composites=composites,
                    composite_uri=carried[0] if carried else "",
                )
            )
    return Match(
        candidates=tuple(sorted(candidates, key=_preference, reverse=True)),
        partial=tuple(dict.fromkeys(partial)),
        conflicts=tuple(conflicts),
    )


class _Claims(Generic[T]):
    """Who says that somebody belongs to a Composite."""

    def __init__(self, tickets: Sequence[T]) -> None:
        self._by_uri: dict[str, list[T]] = {}
        self._of_device: dict[str, list[T]] = {}
        self._of_composite: dict[str, list[T]] = {}
        for ticket in tickets:
            if ticket.is_composite:
                self._by_uri.setdefault(ticket.uri, []).append(ticket)
                for uri in ticket.devices:
                    self._of_device.setdefault(uri, []).append(ticket)
                for uri in ticket.composites:
                    self._of_composite.setdefault(uri, []).append(ticket)

    def upon(self, device: T, tickets: Sequence[T]) -> tuple[tuple[str, ...], tuple[T, ...]]:
        """Return the outermost Composites that claim ``device``, and all their Tickets.

        A circle of Composites has no outermost one; all of it is returned, so that only a
        certificate that carries one of them is eligible.
        """
        level = dict.fromkeys(composite.uri for composite in self._of_device.get(device.uri, ()))
        for ticket in tickets:
            if ticket.uri == device.uri and not ticket.is_composite:
                level.update(dict.fromkeys(ticket.composite_uris))
        seen: dict[str, None] = {}
        outermost: dict[str, None] = {}
        for _ in range(MAX_NESTING + 1):
            above: dict[str, None] = {}
            for uri in level:
                if uri in seen or len(seen) == MAX_CLAIMS:
                    continue
                seen[uri] = None
                parents = self._parents(uri)
                above.update(parents)
                if not parents:
                    outermost[uri] = None
            level = above
        composites = tuple(
            dict.fromkeys(ticket for uri in seen for ticket in self._by_uri.get(uri, ()))
        )
        return tuple(outermost or seen), composites

    def _parents(self, uri: str) -> Mapping[str, None]:
        parents = dict.fromkeys(composite.uri for composite in self._of_composite.get(uri, ()))
        for ticket in self._by_uri.get(uri, ()):
            parents.update(dict.fromkeys(ticket.composite_uris))
        parents.pop(uri, None)
        return parents


def likely_first(identities: Sequence[Certificate]) -> list[Certificate]:
    """Return the certificates in the order ``match`` would prefer, whatever Tickets will say.

    One of a Composite has more URIs than others, and one without any is never chosen.
    """
    return sorted(identities, key=lambda one: (len(one.san_uris), *_usefulness(one)), reverse=True)


def _preference(
    candidate: Candidate[T],
) -> tuple[bool, bool, tuple[bool, bool, datetime], str]:
    """Order candidates: Composite LDevID, LDevID, IDevID; then usable keys, the younger one."""
    return (
        candidate.ticket.route is Route.OUT_OF_BAND,
        bool(candidate.composite_uri),
        _usefulness(candidate.certificate),
        candidate.certificate.thumbprint,
    )


def _usefulness(certificate: Certificate) -> tuple[bool, bool, datetime]:
    """Tell an IDevID from an LDevID by its end, the year 9999 (IEEE 802.1AR)."""
    return (
        certificate.not_after.year < 9999,
        certificate.has_rsa_key,
        certificate.not_before,
    )
