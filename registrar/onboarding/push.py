"""The push driver: what each command of the engine does to a device (OPC 10000-21 §7.3).

| command | steps of the sequence |
| --- | --- |
| read identities | GetEndpoints, match, RequestTickets, validate |
| prove identity | SecureChannel and Session by the selected certificate |
| begin provisioning | nothing: it follows at once, and from here on the device is written |
| provision | TrustList, DCA Certificate, SecurityAdmin Role, read back, software gate |
| await software | look at the last report |
| configure | certificates and TrustLists of the applications |
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from registrar.ca.profiles import Profile
from registrar.core.certificate import Certificate
from registrar.core.enrolment import Command, Event
from registrar.core.identity import IdentityPolicy
from registrar.core.ports import Enrolment, Facts, Lease, Note, Step
from registrar.core.software import SoftwarePolicy, is_update_due
from registrar.core.trust_list_plan import SiteChains
from registrar.core.verify import TicketPolicy
from registrar.errors import Reason, Rejected, Unavailable
from registrar.onboarding.addresses import locate
from registrar.onboarding.configuring import Configuring
from registrar.onboarding.endpoints import Offer, Way, looks_operational
from registrar.onboarding.identification import Eligible, Identification, Identifier
from registrar.onboarding.issuing import Issuers, Issuing
from registrar.onboarding.link import Counters, Link
from registrar.onboarding.ownership import already_owned, foreign_owner, look_again
from registrar.onboarding.provisioning import Provisioning
from registrar.onboarding.refusals import Act
from registrar.onboarding.settings import PushSettings
from registrar.onboarding.trust import Belief, Beliefs
from registrar.onboarding.waiting import Waiting
from registrar.store import issuances, software, tickets
from registrar.store.store import Store
from registrar.store.transaction import Cause, Change
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire.key_queue import KeyQueue
from registrar.wire.unfinished import UnfinishedMessages


class PushDriver:
    """Carries the engine's commands out by calling devices; fits ``core.ports.Driver``.

    Args:
        store: of the site.
        issuers: the CAs that issue to devices.
        chains: gives the site's CAs with their newest CRLs.
        identity: the Registrar's own, for channels.
        application_uri: in that identity.
        settings: how and where.
        software_policy: which software the site wants.
        ticket_policy: what the owner allows for Tickets.
        identity_policy: what the owner allows for DeviceIdentity Certificates.
        actor: who stands in the audit trail.
        now: the present, timezone-aware.
        random_bytes: of cryptographic quality.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        store: Store,
        issuers: Issuers,
        chains: Callable[[], SiteChains],
        identity: ApplicationIdentity,
        application_uri: str,
        settings: PushSettings,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        software_policy: SoftwarePolicy | None = None,
        ticket_policy: TicketPolicy | None = None,
        identity_policy: IdentityPolicy | None = None,
        actor: str = "push",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.chains = chains
        self.identity = identity
        self.application_uri = application_uri
        self.settings = settings
        self.software_policy = software_policy or SoftwarePolicy()
        self.now = now
        self.clock = clock
        self.actor = actor
        self.waiting = Waiting(store)
        """The devices without a Ticket."""
        self.counters = Counters()
        """What all visits spent so far."""
        # Many devices may share an address; the engine bounds how many there are at a time.
        self.keys = KeyQueue(per_address=1_024)
        self.unfinished = UnfinishedMessages(settings.unfinished_size)
        self.issuing = Issuing(
            store, issuers=issuers, actor=actor, now=now, random_bytes=random_bytes
        )
        self.beliefs = Beliefs(
            store,
            ticket_policy=ticket_policy or TicketPolicy(),
            identity_policy=identity_policy or IdentityPolicy(),
            clock=clock,
        )

    def begin(self, url: str, lease: Lease) -> PushVisit:
        """Start a run of one device; nothing is sent before the first command."""
        return PushVisit(self, url, lease)

    async def concerned(self, urls: Sequence[str]) -> set[str]:
        """Return which of these devices, waiting for a Ticket, new ones may speak for."""
        return await self.waiting.concerned(urls)

    def cause(self) -> Cause:
        """Return who writes, and when."""
        return Cause(actor=self.actor, now=self.now())


class PushVisit:
    """One run of one device; keeps its connection between the commands."""

    def __init__(self, driver: PushDriver, url: str, lease: Lease) -> None:
        self._driver = driver
        self._url = url
        self._lease = lease
        self._link: Link | None = None
        self._seen: Offer | None = None
        self._found: Identification | None = None
        self._way: Way | None = None
        self._is_singleton: bool | None = None

    async def carry_out(self, command: Command, enrolment: Enrolment) -> Step | None:
        """Do ``command``; None where somebody else must act first.

        Raises:
            Rejected: the device is at fault; what it was given and never used is revoked.
            Unavailable: try again later.
        """
        try:
            return await _ACTS[command](self, enrolment)
        except Rejected as error:
            better = await self._explain(error)
            if isinstance(better, Rejected):
                await self.refused(command, better)
            if better is error:
                raise
            raise better from error

    async def refused(self, command: Command, error: Rejected) -> None:
        """Revoke what ``command`` gave the device, which does not use it yet (R136)."""
        if command in _WRITING:
            await self._driver.issuing.revoke_unconfirmed(lease=self._lease, reason=error.reason)

    async def _explain(self, error: Rejected) -> Rejected | Unavailable:
        """Ask the device once more before it is refused; another Registrar may be at work."""
        if self._link is None:
            return error
        driver = self._driver
        return await look_again(
            error,
            url=self._url,
            look=self._identifier(self._link).look,
            seen=self._seen,
            store=driver.store,
            settle_s=driver.settings.settle_s,
        )

    async def close(self) -> None:
        """Let go of the device; never raises."""
        if self._link is not None:
            await self._link.close()

    # --- parts

    async def _connect(self) -> Link:
        """Return the link; the address is resolved and checked once a run (R9)."""
        if self._link is None:
            driver = self._driver
            self._link = Link(
                await locate(self._url, driver.settings.designated_networks),
                identity=driver.identity,
                application_uri=driver.application_uri,
                settings=driver.settings,
                counters=driver.counters,
                keys=driver.keys,
                unfinished=driver.unfinished,
            )
        return self._link

    def _belief(self) -> Belief:
        return self._driver.beliefs.current()

    def _identifier(self, link: Link) -> Identifier:
        driver = self._driver
        return Identifier(self._url, link, store=driver.store, belief=self._belief, now=driver.now)

    def _provisioning(self, link: Link) -> Provisioning:
        driver = self._driver
        return Provisioning(
            self._url,
            link,
            store=driver.store,
            issuing=driver.issuing,
            lease=self._lease,
            chains=driver.chains,
            application_uri=driver.application_uri,
            settings=driver.settings,
            clock=driver.clock,
        )

    # --- commands

    async def _read_identities(self, enrolment: Enrolment) -> Step:
        identifier = self._identifier(await self._connect())
        offer = self._seen = await identifier.look()
        ours = self._served_by_us(enrolment, offer)
        if ours is not None:
            return ours
        waiting, newest = self._driver.waiting, tickets.newest(self._driver.store.reader)
        waiting.forget(self._url)
        found = await identifier.identify(offer)
        self._found = found
        if not found.eligible:
            waiting.remember(self._url, offer.certificates, newest=newest)
            return Step(
                event=Event.TICKET_MISSING,
                reason=Reason.TICKET_MISSING,
                detail=f"{self._url}: match: no Ticket names the device",
                notes=found.notes,
            )
        chosen = found.eligible[0]
        return Step(
            event=Event.TICKET_MATCHED,
            facts=chosen.facts,
            notes=(*found.notes, *chosen.notes),
            tickets=found.brought,
        )

    def _served_by_us(self, enrolment: Enrolment, offer: Offer) -> Step | None:
        """Recognise a device that was ours all along (E3)."""
        for certificate in filter(looks_operational, offer.certificates):
            issuance = issuances.find(self._driver.store.reader, certificate.der)
            if issuance is None:
                continue
            if issuance.enrolment_id != enrolment.id:
                raise self._moved(certificate, issuance.enrolment_id)
            if enrolment.facts.key_digest:
                return Step(
                    event=Event.OWN_CERTIFICATE_SERVED,
                    notes=(Note(action="own_certificate_served", detail=certificate.thumbprint),),
                )
        return None

    def _moved(self, certificate: Certificate, enrolment_id: int | None) -> Rejected:
        return Rejected(
            f"{self._url}: match: the certificate {certificate.thumbprint} it serves was issued "
            f"to the device of enrolment {enrolment_id}",
            reason=Reason.PRODUCT_INSTANCE_URI_CONFLICT,
            subject=self._url,
        )

    async def _prove_identity(self, enrolment: Enrolment) -> Step:
        link = await self._connect()
        found = self._found
        if found is None:
            identifier = self._identifier(link)
            self._seen = await identifier.look()
            found = self._found = await identifier.identify(self._seen)
        if not found.eligible:
            return Step(event=Event.RETRIED)
        failure: Rejected | Unavailable | None = None
        for eligible in found.eligible:
            failure = await self._try_channel(link, eligible, found.offer)
            if failure is None:
                self._way = eligible.way
                return self._proven(eligible, is_first=eligible is found.eligible[0])
        raise await self._not_proven(link, failure)

    async def _try_channel(
        self, link: Link, eligible: Eligible, offer: Offer
    ) -> Rejected | Unavailable | None:
        """Open a Session by one identity; return why it cannot be, if it cannot."""
        failure: Rejected | Unavailable | None = None
        for _ in range(self._driver.settings.channel_attempts):
            try:
                await link.open(eligible.way, discovered=offer.endpoints)
            except (Rejected, Unavailable) as error:
                if error.reason is Reason.ENDPOINTS_ALTERED:
                    raise
                failure = error
            else:
                return None
        return failure

    def _proven(self, eligible: Eligible, *, is_first: bool) -> Step:
        certificate = eligible.identity.certificate
        facts = replace(eligible.facts, key_digest=key_digest(certificate))
        return Step(
            event=Event.IDENTITY_PROVEN,
            then=Event.PROVISIONING_BEGUN,
            facts=facts,
            notes=() if is_first else eligible.notes,
        )

    async def _not_proven(
        self, link: Link, failure: Rejected | Unavailable | None
    ) -> Rejected | Unavailable:
        """Tell a device without the key from one that is away, and from one that is owned (E6).

        What answers GetEndpoints and opens no channel does not hold the key.
        """
        offer = await self._identifier(link).look()
        owner = foreign_owner(offer, self._driver.store)
        if owner is not None:
            return already_owned(self._url, owner, Act.OPEN_SESSION)
        if failure is not None and failure.reason is Reason.BUSY:
            return failure
        return Rejected(
            f"{self._url}: open a channel with the selected certificate: {failure}",
            reason=Reason.KEY_NOT_PROVEN,
            subject=self._url,
        )

    async def _begin_provisioning(self, enrolment: Enrolment) -> Step:
        return Step(event=Event.PROVISIONING_BEGUN)

    async def _provision(self, enrolment: Enrolment) -> Step:
        provisioning = self._provisioning(await self._connect())
        try:
            self._way, self._is_singleton, also = await provisioning.provision(enrolment, self._way)
        except (Rejected, Unavailable) as error:
            # Whatever way was open may be gone: the next attempt looks again.
            self._way = None
            if isinstance(error, Rejected):
                await provisioning.check_owner(error, Act.OPEN_SESSION)
            raise
        if self._waits_for_software(enrolment):
            return Step(
                event=Event.SOFTWARE_OUTDATED,
                reason=Reason.SOFTWARE_OUTDATED,
                detail=f"{self._url}: software gate: {self._wanted(enrolment.facts)}",
                also=also,
            )
        return Step(event=Event.DCA_CONFIRMED, also=also)

    async def _await_software(self, enrolment: Enrolment) -> Step | None:
        if self._waits_for_software(enrolment):
            return None
        return Step(event=Event.SOFTWARE_CURRENT)

    def _waits_for_software(self, enrolment: Enrolment) -> bool:
        facts = enrolment.facts
        return is_update_due(
            self._driver.software_policy,
            model=facts.model,
            installed=facts.software_revision,
            report=software.last_report(self._driver.store.reader, facts.product_instance_uri),
        )

    def _wanted(self, facts: Facts) -> str:
        wanted = self._driver.software_policy.wanted_revisions.get(facts.model, "another")
        return f"model {facts.model} has {facts.software_revision or 'unknown'}, wanted {wanted}"

    async def _configure(self, enrolment: Enrolment) -> Step:
        link = await self._connect()
        provisioning = self._provisioning(link)
        way = self._way
        also: Change | None = None
        try:
            if way is None or self._is_singleton is None:
                way = await self._way_back(enrolment, provisioning, link)
            if not self._is_singleton:
                also = await self._configuring(link, provisioning).configure(enrolment, way)
        except (Rejected, Unavailable):
            self._way = None
            raise
        return Step(event=Event.APPLICATIONS_CONFIRMED, also=also)

    async def _way_back(self, enrolment: Enrolment, provisioning: Provisioning, link: Link) -> Way:
        """Find the device again by the certificate it was given in an earlier run (R140)."""
        offer = await self._identifier(link).look()
        ours = provisioning.way_of_ours(enrolment.id, offer)
        if ours is None:
            raise provisioning.shut_out(offer, Act.OPEN_SESSION)
        way, issuance = ours
        self._way, self._is_singleton = way, issuance.profile == Profile.APPLICATION
        return way

    def _configuring(self, link: Link, provisioning: Provisioning) -> Configuring:
        driver = self._driver
        return Configuring(
            self._url,
            link,
            store=driver.store,
            issuing=driver.issuing,
            provisioning=provisioning,
            lease=self._lease,
            chains=driver.chains,
            cause=driver.cause,
            reserved_uris=driver.settings.reserved_uris | {driver.application_uri},
        )


_ACTS: Mapping[Command, Callable[[PushVisit, Enrolment], Awaitable[Step | None]]] = {
    Command.READ_IDENTITIES: PushVisit._read_identities,
    Command.PROVE_IDENTITY: PushVisit._prove_identity,
    Command.BEGIN_PROVISIONING: PushVisit._begin_provisioning,
    Command.PROVISION_DCA: PushVisit._provision,
    Command.AWAIT_SOFTWARE: PushVisit._await_software,
    Command.CONFIGURE_APPLICATIONS: PushVisit._configure,
}

_WRITING = frozenset({Command.PROVISION_DCA, Command.CONFIGURE_APPLICATIONS})


def key_digest(certificate: Certificate) -> str:
    """Return what a key is known by in the store: SHA-256 of its SubjectPublicKeyInfo."""
    return hashlib.sha256(certificate.public_key_der).hexdigest()
