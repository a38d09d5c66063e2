"""Which identity of a device is genuine: certificates, Tickets, match, validation (S2 to S6).

    GetEndpoints ─▶ certificates ─▶ known Tickets ─▶ match ─▶ validate ─▶ eligible identities
                                       │ none              ▲
                                       └▶ RequestTickets ──┘

Nothing is written to the device. Source: OPC 10000-21 §7.1, §7.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from registrar.core.certificate import Certificate
from registrar.core.identity import ValidIdentity, validate_identity
from registrar.core.match import Candidate, Match, gather, likely_first, lookup_uris, match
from registrar.core.ports import Facts, Note
from registrar.core.ticket import DeviceIdentityTicket
from registrar.core.valid_ticket import Route, ValidTicket
from registrar.errors import (
    CertificateRejected,
    Reason,
    Rejected,
    TicketInvalid,
    Unavailable,
)
from registrar.onboarding.endpoints import Offer, Way, looks_operational
from registrar.onboarding.link import Link
from registrar.onboarding.ownership import already_owned, describe, foreign_owner
from registrar.onboarding.refusals import Act, Doing
from registrar.onboarding.trust import Belief
from registrar.store import tickets
from registrar.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligible:
    """An identity that passed every check but the proof of its key."""

    identity: ValidIdentity
    way: Way

    @property
    def facts(self) -> Facts:
        """What the device is, as its Ticket says."""
        candidate = self.identity.candidate
        ticket = candidate.ticket.ticket
        digests = [one.payload_digest for one in (candidate.ticket, *candidate.composites)]
        return Facts(
            product_instance_uri=candidate.product_instance_uri,
            serial_number=ticket.serial_number,
            manufacturer=ticket.manufacturer_name,
            model=ticket.model_name,
            software_revision=ticket.software_revision
            if isinstance(ticket, DeviceIdentityTicket)
            else "",
            ticket_digest=" ".join(digests),
            identity_thumbprint=candidate.certificate.thumbprint,
        )

    @property
    def notes(self) -> tuple[Note, ...]:
        """The choice and every check that was passed over (R46, R50, R52)."""
        certificate = self.identity.certificate
        chosen = Note(
            action="identity_selected",
            detail=f"{certificate.subject[:80]}, thumbprint {certificate.thumbprint}, "
            f"by Ticket {self.identity.ticket.payload_digest}",
        )
        return (
            chosen,
            *(
                Note(
                    action=f"suppressed_{finding.check}",
                    detail=f"{finding.certificate.thumbprint}: {finding.detail}",
                )
                for finding in self.identity.suppressed
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What looking at a device led to."""

    offer: Offer
    eligible: tuple[Eligible, ...]
    """In the order of preference; empty where no Ticket speaks for the device."""
    brought: tuple[ValidTicket, ...] = ()
    """Valid Tickets the device brought along."""
    notes: tuple[Note, ...] = ()


class Identifier:
    """Identifies one device.

    Args:
        url: as the operator named it, for messages.
        link: to the device.
        store: with the Tickets.
        belief: whom the site believes.
        now: the present, timezone-aware.
    """

    def __init__(
        self,
        url: str,
        link: Link,
        *,
        store: Store,
        belief: Callable[[], Belief],
        now: Callable[[], datetime],
    ) -> None:
        self._url = url
        self._link = link
        self._store = store
        self._belief = belief
        self._now = now

    async def look(self) -> Offer:
        """Read the endpoints (S2)."""
        with Doing(Act.READ_ENDPOINTS, self._url):
            return await self._link.look()

    async def identify(self, offer: Offer) -> Identification:
        """Find the identities of ``offer`` that may be proven (S3 to S6).

        Raises:
            Rejected: only partial matches, no certificate validates, or no policy fits.
            Unavailable: the device could not be asked for its Tickets now.
        """
        known, refused = self._known(lookup_uris(offer.certificates))
        matched = match(offer.certificates, known)
        brought: tuple[ValidTicket, ...] = ()
        if not matched.candidates and not matched.partial:
            brought, others = await self._bring_tickets(offer)
            refused += others
            if brought:
                matched = match(offer.certificates, self._with_composites(offer, brought))
        notes = [
            Note(action="ticket_refused", detail=f"{error.reason}: {error}") for error in refused
        ]
        notes += [Note(action="composites_in_conflict", detail=uri) for uri in matched.conflicts]
        if not matched.candidates:
            self._explain_no_match(offer, matched, refused)
        return Identification(
            offer=offer,
            eligible=self._validate(offer, matched.candidates) if matched.candidates else (),
            brought=brought,
            notes=tuple(notes),
        )

    # --- Tickets

    def _known(self, uris: Iterable[str]) -> tuple[list[ValidTicket], list[TicketInvalid]]:
        """Return the stored Tickets that are believed now, and why others are no more (R81)."""
        found = tickets.tickets_for(self._store.reader, uris)
        verdicts = self._belief().verifier.verify_again(found, now=self._now())
        valid = [one for one in verdicts if isinstance(one, ValidTicket)]
        return valid, [one for one in verdicts if isinstance(one, TicketInvalid)]

    def _with_composites(
        self, offer: Offer, brought: Sequence[ValidTicket]
    ) -> tuple[ValidTicket, ...]:
        """Add to the Tickets brought along what the site knows of their Composites."""

        def find(uris: object) -> list[ValidTicket]:
            wanted = set(uris) if isinstance(uris, set) else set()
            own = [one for one in brought if wanted & set(one.mentions)]
            return [*own, *self._known(wanted)[0]]

        return gather(offer.certificates, find)

    async def _bring_tickets(
        self, offer: Offer
    ) -> tuple[tuple[ValidTicket, ...], list[TicketInvalid]]:
        """Ask the device for its Tickets by any endpoint (S4, S5) and verify them."""
        documents = await self._request_tickets(offer)
        if not documents:
            return (), []
        verdicts = self._belief().verifier.verify_all(
            documents, route=Route.WITH_DEVICE, now=self._now()
        )
        valid = tuple(one for one in verdicts if isinstance(one, ValidTicket))
        return valid, [one for one in verdicts if isinstance(one, TicketInvalid)]

    async def _request_tickets(self, offer: Offer) -> list[str]:
        failure: Rejected | Unavailable | None = None
        # Any endpoint will do; the one of the identity that is chosen later saves a connection.
        for certificate in likely_first(offer.certificates):
            way = offer.way_to(certificate)
            if way is None:
                continue
            try:
                dca = await self._link.open(way, discovered=offer.endpoints)
            except (Rejected, Unavailable) as error:
                if error.reason is Reason.ENDPOINTS_ALTERED:
                    raise
                failure = error
                continue
            with Doing(Act.REQUEST_TICKETS, self._url):
                return await dca.request_tickets()
        owner = foreign_owner(offer, self._store)
        if owner is not None:
            raise already_owned(self._url, owner, Act.REQUEST_TICKETS)
        if failure is None:
            raise self._unsupported(offer.certificates)
        if isinstance(failure, Unavailable):
            raise failure
        raise Rejected(
            f"{self._url}: {Act.REQUEST_TICKETS}: no channel could be opened: {failure}",
            reason=Reason.KEY_NOT_PROVEN,
            subject=self._url,
        ) from failure

    def _explain_no_match(
        self, offer: Offer, matched: Match[ValidTicket], refused: Sequence[TicketInvalid]
    ) -> None:
        """Raise the exact reason why no Ticket fits, where there is one."""
        owner = foreign_owner(offer, self._store)
        if owner is not None:
            raise already_owned(self._url, owner, "match")
        if matched.partial:
            raise Rejected(
                f"{self._url}: match: {describe(matched.partial)} carries the ProductInstanceUri "
                "of a Composite's member without the CompositeInstanceUri",
                reason=Reason.COMPOSITE_PARTIAL_MATCH,
                subject=self._url,
            )
        uris = lookup_uris(offer.certificates)
        for error in refused:
            if error.claimed_uri in uris:
                raise self._refused_ticket(error.claimed_uri, error.reason, str(error))
        for row in tickets.rejected_for(self._store.reader, uris):
            raise self._refused_ticket(row.uri, Reason(row.reason), row.detail)

    def _refused_ticket(self, uri: str, reason: Reason, detail: str) -> TicketInvalid:
        return TicketInvalid(
            f"{self._url}: match: the Ticket of {uri} is refused: {detail}",
            reason=reason,
            subject=uri,
        )

    # --- certificates

    def _validate(
        self, offer: Offer, candidates: Sequence[Candidate[ValidTicket]]
    ) -> tuple[Eligible, ...]:
        """Return the candidates that pass, in their order.

        Raises:
            Rejected: none does; the reason is that of the preferred one.
        """
        eligible: list[Eligible] = []
        failures: list[tuple[Certificate, CertificateRejected]] = []
        without_way: list[Certificate] = []
        for candidate in candidates:
            certificate = candidate.certificate
            try:
                identity = self._validate_one(offer, candidate)
            except CertificateRejected as error:
                failures.append((certificate, error))
                continue
            way = offer.way_to(certificate)
            if way is None:
                without_way.append(certificate)
            else:
                eligible.append(Eligible(identity=identity, way=way))
        if eligible:
            return tuple(eligible)
        if without_way:
            raise self._unsupported(without_way)
        raise self._invalid(failures)

    def _validate_one(self, offer: Offer, candidate: Candidate[ValidTicket]) -> ValidIdentity:
        belief = self._belief()
        return validate_identity(
            candidate,
            authorities=belief.device_identity_authorities,
            now=self._now(),
            application_uri=offer.application_uris[candidate.certificate.thumbprint],
            issuers=offer.issuers,
            policy=belief.identity_policy,
        )

    def _invalid(self, failures: Sequence[tuple[Certificate, CertificateRejected]]) -> Rejected:
        for certificate, error in failures:
            is_foreign = error.reason is Reason.DEVICE_CERTIFICATE_UNTRUSTED
            if is_foreign and looks_operational(certificate):
                return already_owned(self._url, certificate, "validate the certificate")
        certificate, error = failures[0]
        return CertificateRejected(
            f"{self._url}: validate the certificate {describe([certificate])}: {error}",
            reason=error.reason,
            status=error.status,
            subject=self._url,
        )

    def _unsupported(self, certificates: Sequence[Certificate]) -> Rejected:
        return Rejected(
            f"{self._url}: choose an endpoint: {describe(certificates)} is offered by no "
            "encrypted endpoint with an allowed policy",
            reason=Reason.SECURITY_POLICY_UNSUPPORTED,
            subject=self._url,
        )
