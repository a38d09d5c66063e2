"""Certificates and TrustLists for the applications of a device that is ours (S16).

All applications of a device go through one transaction, a few at a time; those that an earlier
run confirmed are left alone. Source: OPC 10000-21 §4.3.3, §7.3; OPC 10000-12 §7.10.14.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from registrar.core.issuance import IssuanceState
from registrar.core.ports import Enrolment, Lease
from registrar.core.trust_list_plan import SiteChains, plan_for_application
from registrar.errors import Reason, Rejected
from registrar.onboarding.endpoints import Way
from registrar.onboarding.installation import Installation, Target
from registrar.onboarding.issuing import Issuing, Kind
from registrar.onboarding.link import Link
from registrar.onboarding.names import taken
from registrar.onboarding.provisioning import Provisioning
from registrar.onboarding.refusals import Act, Doing
from registrar.store import applications, issuances
from registrar.store.applications import ApplicationRecord
from registrar.store.issuances import Issuance
from registrar.store.store import Store
from registrar.store.transaction import Cause, Change, Transaction
from registrar.wire.certificate_groups import ConfigurationObject
from registrar.wire.dca import Dca

AT_ONCE: Final = 8
"""Applications in one transaction."""


class Configuring:
    """Configures the applications of one device.

    Args:
        url: as the operator named it, for messages.
        link: to the device.
        store: with the applications.
        issuing: makes certificates.
        provisioning: of the same device; knows the ways in and how to read back.
        lease: of the enrolment.
        chains: the site's CAs with their newest CRLs.
        cause: who writes, and when.
        reserved_uris: ApplicationUris the configuration gives to others.
    """

    def __init__(
        self,
        url: str,
        link: Link,
        *,
        store: Store,
        issuing: Issuing,
        provisioning: Provisioning,
        lease: Lease,
        chains: Callable[[], SiteChains],
        cause: Callable[[], Cause],
        reserved_uris: frozenset[str] = frozenset(),
    ) -> None:
        self._url = url
        self._link = link
        self._store = store
        self._issuing = issuing
        self._provisioning = provisioning
        self._lease = lease
        self._chains = chains
        self._cause = cause
        self._reserved_uris = reserved_uris

    async def configure(self, enrolment: Enrolment, way: Way) -> Change | None:
        """Give every application its certificate and TrustList, and read them back.

        Args:
            enrolment: of a device that is no singleton.
            way: by its DCA Certificate.

        Returns:
            What is to be written because the last of them have what was meant.

        Raises:
            Rejected: the device refused, or claims applications that are not its own.
            Unavailable: it was lost on the way.
        """
        dca = await self._provisioning.enter(way)
        with Doing(Act.FIND_APPLICATIONS, self._url):
            found = await dca.applications()
        self._check(enrolment, found)
        known = await self._record_found(found)
        confirmed = {record.application_uri for record in known if record.is_confirmed}
        targets = [
            target
            for target in map(self._target, found)
            if target.object.application_uri not in confirmed or not self._holds_all(target)
        ]
        confirming: Change | None = None
        for start in range(0, len(targets), AT_ONCE):
            if confirming is not None:
                await self._store.write(confirming)
            part = targets[start : start + AT_ONCE]
            issued = await self._install(part, way, may_hold=bool(known))
            confirming = self._confirming(part, issued)
        return confirming

    def _check(self, enrolment: Enrolment, found: Sequence[ConfigurationObject]) -> None:
        """Refuse the DCA's own name for an application, and one without a group to fill (R132)."""
        for one in found:
            if one.application_uri == enrolment.facts.product_instance_uri:
                problem = "has the ApplicationUri of the DCA itself"
            elif not one.groups:
                problem = "has no CertificateGroup for application certificates"
            else:
                continue
            raise Rejected(
                f"{self._url}: {Act.FIND_APPLICATIONS}: {one.application_uri[:80]} {problem}",
                reason=Reason.PROTOCOL_VIOLATION,
                subject=self._url,
            )

    async def _record_found(self, found: Sequence[ConfigurationObject]) -> list[ApplicationRecord]:
        """Keep what is new of ``found``; return what was known before.

        Raises:
            Rejected: an application has the name of somebody else (R132).
        """
        records = _records(found, is_confirmed=False)
        cause = self._cause()

        def record(tx: Transaction) -> list[ApplicationRecord]:
            self._check_names(tx, found)
            return applications.put_new(tx, self._lease, records, cause=cause)

        return await self._store.write(record)

    def _check_names(self, tx: Transaction, found: Sequence[ConfigurationObject]) -> None:
        others = taken(
            tx,
            [one.application_uri for one in found],
            enrolment_id=self._lease.enrolment_id,
            reserved=self._reserved_uris,
        )
        for uri, owner in others.items():
            raise Rejected(
                f"{self._url}: {Act.FIND_APPLICATIONS}: the ApplicationUri {uri[:80]} means "
                f"{owner}",
                reason=Reason.PRODUCT_INSTANCE_URI_CONFLICT,
                subject=self._url,
            )

    def _target(self, one: ConfigurationObject) -> Target:
        return Target(
            object=one,
            kind=Kind.APPLICATION,
            content=plan_for_application(self._chains()),
            hosts=self._link.hosts,
        )

    def _holds_all(self, target: Target) -> bool:
        """Tell whether an earlier run confirmed every certificate that ``target`` is to hold."""
        requests = target.requests
        held = self._issuing.held(self._lease.enrolment_id, requests)
        return len(held) == len(requests) and all(
            row.state is IssuanceState.CONFIRMED for row in held.values()
        )

    async def _install(
        self, targets: Sequence[Target], way: Way, *, may_hold: bool
    ) -> list[Issuance]:
        async def reopen() -> Dca:
            return await self._provisioning.resumed(way)

        installation = Installation(
            self._url,
            issuing=self._issuing,
            lease=self._lease,
            reopen=reopen,
            may_hold=may_hold,
        )
        issued = await installation.install(await self._provisioning.enter(way), targets)
        await self._provisioning.settle(way, targets, issued)
        return issued

    def _confirming(self, targets: Sequence[Target], issued: Sequence[Issuance]) -> Change:
        """Return what notes that applications and their certificates were read back."""
        records = _records([target.object for target in targets], is_confirmed=True)
        cause = self._cause()

        def confirm(tx: Transaction) -> None:
            issuances.record_confirmed_all(tx, issued, lease=self._lease, cause=cause)
            applications.put_all(tx, self._lease, records, cause=cause)

        return confirm


def _records(
    found: Sequence[ConfigurationObject], *, is_confirmed: bool
) -> list[ApplicationRecord]:
    return [
        ApplicationRecord(
            node=one.node.to_string(),
            application_uri=one.application_uri,
            name=one.name,
            is_confirmed=is_confirmed,
        )
        for one in found
    ]
