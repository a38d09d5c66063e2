"""Making a proven device ours: DCA Certificate, TrustList, role, and the proof that it took.

    session by its identity ─▶ install ─▶ ApplyChanges ─▶ session by the new certificate
                                                              └─▶ read back ─▶ confirmed

A run that was cut looks first whether the device already serves what the ledger holds.
Source: OPC 10000-21 §7.3 (S9 to S12); OPC 10000-12 §7.7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from registrar.core.issuance import IssuanceState
from registrar.core.ports import Enrolment, Lease
from registrar.core.trust_list_plan import SiteChains, plan_for_dca, plan_for_singleton
from registrar.errors import (
    DecodingError,
    Reason,
    Rejected,
    ServiceFailed,
    Unavailable,
)
from registrar.onboarding.endpoints import Offer, Way
from registrar.onboarding.installation import Installation, Target, difference
from registrar.onboarding.issuing import Issuing, Kind
from registrar.onboarding.link import Link
from registrar.onboarding.ownership import already_owned, foreign_owner
from registrar.onboarding.refusals import Act, Doing
from registrar.onboarding.settings import PushSettings
from registrar.store import issuances
from registrar.store.issuances import Issuance
from registrar.store.store import Store
from registrar.store.transaction import Change
from registrar.wire import dca_nodes as nodes
from registrar.wire.dca import Dca, DeviceDescription


class Provisioning:
    """Provisions one device.

    Args:
        url: as the operator named it, for messages.
        link: to the device.
        store: with the ledger.
        issuing: makes certificates.
        lease: of the enrolment.
        chains: the site's CAs with their newest CRLs.
        application_uri: of the Registrar.
        settings: of the push.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        link: Link,
        *,
        store: Store,
        issuing: Issuing,
        lease: Lease,
        chains: Callable[[], SiteChains],
        application_uri: str,
        settings: PushSettings,
        clock: Callable[[], float],
    ) -> None:
        self._url = url
        self._link = link
        self._store = store
        self._issuing = issuing
        self._lease = lease
        self._chains = chains
        self._application_uri = application_uri
        self._settings = settings
        self._clock = clock

    async def provision(self, enrolment: Enrolment, way: Way | None) -> tuple[Way, bool, Change]:
        """Bring certificate and TrustList into the device, and read them back.

        Args:
            enrolment: proven.
            way: by which it was just proven; None in a run that begins here.

        Returns:
            The way by the certificate it has now, whether it is a singleton, and what is to be
            written because that is so.

        Raises:
            Rejected: the device refused, changed nothing, or belongs to another Registrar.
            Unavailable: it was lost on the way; the ledger knows how far it came.
        """
        if way is None:
            offer = await self._look()
            done = await self._done_before(enrolment, offer)
            if done is not None:
                return done
            way = self._way_in(enrolment, offer)
        dca = await self.enter(way)
        description = await self._describe(dca, enrolment)
        target = self.target(enrolment, description)

        async def reopen() -> Dca:
            return await self.reopened(way)

        async def grant(current: Dca) -> None:
            await self._grant(current, description)

        installation = Installation(
            self._url,
            issuing=self._issuing,
            lease=self._lease,
            reopen=reopen,
            before_apply=grant,
            max_trust_list_bytes=description.max_trust_list_bytes,
        )
        issued = await installation.install(dca, [target])
        new = _way_by(issued, way, self._url)
        await self.settle(new, [target], issued)
        return new, description.is_singleton, self._issuing.confirming(issued, lease=self._lease)

    # --- ways in

    async def _look(self) -> Offer:
        with Doing(Act.READ_ENDPOINTS, self._url):
            return await self._link.look()

    def way_of_ours(self, enrolment_id: int, offer: Offer) -> tuple[Way, Issuance] | None:
        """Return the endpoint of ``offer`` whose certificate we issued to this device."""
        for certificate in offer.certificates:
            issuance = issuances.find(self._store.reader, certificate.der)
            way = offer.way_to(certificate)
            if issuance is not None and issuance.enrolment_id == enrolment_id and way is not None:
                return way, issuance
        return None

    def _way_in(self, enrolment: Enrolment, offer: Offer) -> Way:
        """Return the way by the proven identity, or by a certificate of ours.

        Raises:
            Rejected: neither is offered any more.
        """
        ours = self.way_of_ours(enrolment.id, offer)
        if ours is not None:
            return ours[0]
        way = offer.ways.get(enrolment.facts.identity_thumbprint)
        if way is not None:
            return way
        raise self.shut_out(offer, Act.OPEN_SESSION)

    def shut_out(self, offer: Offer, act: Act) -> Rejected:
        """Return why neither the proven identity nor a certificate of ours leads in."""
        owner = foreign_owner(offer, self._store)
        if owner is not None:
            return already_owned(self._url, owner, act)
        return Rejected(
            f"{self._url}: {act}: the proven certificate is no longer offered",
            reason=Reason.ENDPOINTS_ALTERED,
            subject=self._url,
        )

    async def enter(self, way: Way) -> Dca:
        """Open a Session by ``way``; find out whose the device is if it does not let us in.

        Raises:
            Rejected: it belongs to another Registrar, or denies us.
            Unavailable: it does not answer.
        """
        try:
            with Doing(Act.OPEN_SESSION, self._url):
                return await self._link.open(way)
        except Rejected as error:
            await self.check_owner(error, Act.OPEN_SESSION)
            raise

    async def check_owner(self, error: Rejected, act: Act) -> None:
        """Raise the owner's name in place of ``error`` where another Registrar was first."""
        if error.reason is not Reason.ACCESS_DENIED:
            return
        owner = foreign_owner(await self._look(), self._store)
        if owner is not None:
            raise already_owned(self._url, owner, act) from error

    # --- what is meant

    async def _describe(self, dca: Dca, enrolment: Enrolment) -> DeviceDescription:
        with Doing(Act.READ_DEVICE, self._url):
            return await dca.describe(application_uri=enrolment.facts.product_instance_uri)

    def target(self, enrolment: Enrolment, description: DeviceDescription) -> Target:
        """Return what the device's own group is to hold; a singleton is an application (R127)."""
        chains = self._chains()
        kind = Kind.SINGLETON if description.is_singleton else Kind.DCA
        content = plan_for_singleton(chains) if description.is_singleton else plan_for_dca(chains)
        return Target(
            object=description.configuration,
            kind=kind,
            content=content,
            hosts=self._link.hosts,
        )

    async def _grant(self, dca: Dca, description: DeviceDescription) -> None:
        if not description.offers_security_admin:
            return
        with Doing(Act.GRANT_ROLE, self._url):
            await dca.grant_security_admin(
                self._application_uri, list_it=description.lists_applications
            )

    # --- whether it took

    async def _done_before(
        self, enrolment: Enrolment, offer: Offer
    ) -> tuple[Way, bool, Change] | None:
        """Return what ``provision`` does, if an earlier run lacked only the record of it."""
        ours = self.way_of_ours(enrolment.id, offer)
        if ours is None or ours[1].state is IssuanceState.REVOKED:
            return None
        dca = await self.enter(ours[0])
        description = await self._describe(dca, enrolment)
        target = self.target(enrolment, description)
        requests = target.requests
        issued = list(self._issuing.held(enrolment.id, requests).values())
        if len(issued) < len(requests) or await self._difference(dca, [target], issued):
            return None
        confirming = self._issuing.confirming(issued, lease=self._lease)
        return ours[0], description.is_singleton, confirming

    async def settle(self, way: Way, targets: Sequence[Target], issued: Sequence[Issuance]) -> None:
        """Read back by ``way`` until what was meant is there (S12).

        A Session that is still open is asked first; a device that restarts is waited for.

        Args:
            way: by the certificate that is to be in force.
            targets: what the device was given.
            issued: the certificates among it.

        Raises:
            Rejected: it is not there within ``settle_s``; CHANGES_NOT_EFFECTIVE.
            Unavailable: the device is out of reach.
        """
        ends = self._clock() + self._settings.settle_s
        wait_s = self._settings.settle_first_s
        while True:
            seen = ""
            try:
                dca = await self._link.open(way)
                seen = await self._difference(dca, targets, issued)
                if not seen:
                    return
            except (Rejected, Unavailable) as error:
                seen = str(error)
            await self._link.close()
            if self._clock() + wait_s > ends:
                raise await self._not_effective(seen)
            await asyncio.sleep(wait_s)
            wait_s *= 2

    async def _difference(
        self, dca: Dca, targets: Sequence[Target], issued: Sequence[Issuance]
    ) -> str:
        try:
            return await difference(dca, targets, issued)
        except (ServiceFailed, DecodingError) as error:
            return str(error)

    async def _not_effective(self, seen: str) -> Rejected:
        """Say what the device shows instead; raises Unavailable where it shows nothing."""
        offer = await self._look()
        owner = foreign_owner(offer, self._store)
        if owner is not None:
            return already_owned(self._url, owner, Act.READ_BACK)
        return Rejected(
            f"{self._url}: {Act.READ_BACK}: {seen}; offered are "
            f"{', '.join(one.thumbprint[:16] for one in offer.certificates)}",
            reason=Reason.CHANGES_NOT_EFFECTIVE,
            subject=self._url,
        )

    async def resumed(self, way: Way) -> Dca:
        """Return the Session by ``way`` if it outlived the changes, else ``reopened``."""
        try:
            async with asyncio.timeout(self._settings.client.close_s):
                dca = await self._link.open(way)
                await dca.diagnostics()
        except (Rejected, Unavailable, TimeoutError):
            return await self.reopened(way)
        return dca

    async def reopened(self, way: Way) -> Dca:
        """Open ``way`` again after the device closed everything."""
        await self._link.close()
        ends = self._clock() + self._settings.settle_s
        wait_s = self._settings.settle_first_s
        while True:
            try:
                return await self.enter(way)
            except Unavailable:
                if self._clock() + wait_s > ends:
                    raise
            await asyncio.sleep(wait_s)
            wait_s *= 2


_RSA_TYPES = frozenset(kind.to_string() for kind in (nodes.RSA_SHA256, nodes.RSA_MIN))


def _way_by(issued: Sequence[Issuance], way: Way, url: str) -> Way:
    """Return the way by the new certificate: the one with an RSA key, as our channels need.

    Raises:
        Rejected: there is none.
    """
    for issuance in issued:
        if issuance.certificate and issuance.certificate_type in _RSA_TYPES:
            return Way(policy=way.policy, mode=way.mode, server_certificate=issuance.certificate)
    raise Rejected(
        f"{url}: {Act.READ_BACK}: the device takes no certificate with an RSA key",
        reason=Reason.SECURITY_POLICY_UNSUPPORTED,
        subject=url,
    )
