"""Putting TrustLists and certificates into a device, in one transaction or two.

    signing request ─▶ reserve ─▶ sign ─▶ TrustList, UpdateCertificate ─▶ role ─▶ ApplyChanges
        ▲ the device lost the key                      │ it validates against its
        └──────────────────────────────────────────────┤ active TrustList
                   apply the TrustList, reconnect  ◀───┘

TrustList and certificate share a request, in that order; a device that refuses the list was given
a certificate for nothing, and it is revoked.
A certificate that is in the ledger and not yet confirmed is delivered again before a new one is
made. Source: OPC 10000-12 §7.7.3, §7.7.4, §7.10.2; OPC 10000-21 §7.3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from asyncua import ua

from registrar.core.certificate import split_chain
from registrar.core.ports import Lease
from registrar.core.trust_list_plan import TrustListContent
from registrar.errors import Reason, RegistrarError, Rejected, ServiceFailed, Unavailable
from registrar.onboarding.issuing import Issuing, Kind, SlotRequest
from registrar.onboarding.refusals import Act, Doing
from registrar.status import StatusCode
from registrar.store.issuances import Issuance
from registrar.wire import dca_nodes as nodes
from registrar.wire.certificate_groups import CertificateGroup, ConfigurationObject, Slot
from registrar.wire.dca import NOT_OFFERED, Dca
from registrar.wire.dca_certificates import (
    certificate_updates,
    held_certificates,
    signing_requests,
)
from registrar.wire.operations import MethodFailed, Operation, perform, perform_both
from registrar.wire.trust_list_file import (
    TrustListPush,
    encode,
    opening_to_read,
    opening_to_write,
    read_trust_lists,
    write_trust_lists,
)

_TRY_OTHERWISE = frozenset(
    {
        StatusCode.BadCertificateChainIncomplete,
        StatusCode.BadCertificateUntrusted,
        StatusCode.BadCertificateRevocationUnknown,
        StatusCode.BadCertificateIssuerRevocationUnknown,
        StatusCode.BadSecurityChecksFailed,
    }
)
"""Answers to UpdateCertificate after which a new key, or the TrustList first, may help."""

_GET_CERTIFICATES = nodes.METHOD_NAMES[nodes.GET_CERTIFICATES]
_UPDATE_CERTIFICATE = nodes.METHOD_NAMES[nodes.UPDATE_CERTIFICATE]

_KINDS_OF_KEY = (nodes.RSA_SHA256, nodes.ECC_NIST_P256, nodes.ECC_NIST_P384)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One configuration object and what it is to hold."""

    object: ConfigurationObject
    kind: Kind
    content: TrustListContent
    hosts: tuple[str, ...]
    """Names and addresses for its certificates."""

    @property
    def requests(self) -> tuple[SlotRequest, ...]:
        """The certificates it is to have: one for each type of each group."""
        return tuple(
            SlotRequest(
                slot=Slot(object_id=self.object.node, group=group.node, certificate_type=kind),
                application_uri=self.object.application_uri,
                name=self.object.name,
                kind=self.kind,
                hosts=self.hosts,
            )
            for group in self.object.groups
            for kind in certificate_types(group)
        )


def certificate_types(group: CertificateGroup) -> tuple[ua.NodeId, ...]:
    """Return the types a group is given certificates of, which are those we can issue."""
    offered = group.certificate_types
    wanted = [kind for kind in _KINDS_OF_KEY if kind in offered]
    if nodes.RSA_SHA256 not in wanted:
        if nodes.RSA_MIN in offered:
            wanted.insert(0, nodes.RSA_MIN)
        elif nodes.APPLICATION_CERTIFICATE in offered or not offered:
            wanted.insert(0, nodes.RSA_SHA256)
    return tuple(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """TrustLists that are open to be written."""

    pushes: Sequence[TrustListPush]
    handles: Sequence[int]


class Installation:
    """One round of changes to one device.

    Args:
        url: of the device, for messages.
        issuing: makes certificates and keeps the ledger.
        lease: of the enrolment.
        reopen: gives a new Session after the device closed the old one.
        before_apply: what else belongs into the transaction.
        max_trust_list_bytes: what the device takes at most; zero: no limit.
        may_hold: an earlier run may have issued certificates for the targets.
    """

    def __init__(
        self,
        url: str,
        *,
        issuing: Issuing,
        lease: Lease,
        reopen: Callable[[], Awaitable[Dca]],
        before_apply: Callable[[Dca], Awaitable[None]] | None = None,
        max_trust_list_bytes: int = 0,
        may_hold: bool = True,
    ) -> None:
        self._url = url
        self._issuing = issuing
        self._lease = lease
        self._reopen = reopen
        self._before_apply = before_apply
        self._max_trust_list_bytes = max_trust_list_bytes
        self._may_hold = may_hold

    async def install(self, dca: Dca, targets: Sequence[Target]) -> list[Issuance]:
        """Bring ``targets`` into the device; that it took effect is not yet known.

        Returns:
            What was delivered, in the order of the slots.

        Raises:
            Rejected: the device refused; its transaction is cancelled (R136).
            Unavailable: it was lost on the way.
        """
        try:
            return await self._install(dca, targets)
        except Rejected as error:
            raise await self._given_up(dca, error) from error

    async def _install(self, dca: Dca, targets: Sequence[Target]) -> list[Issuance]:
        requests = [request for target in targets for request in target.requests]
        enrolment_id = self._lease.enrolment_id
        issued = self._issuing.held(enrolment_id, requests) if self._may_hold else {}
        stale = list(issued)
        wanted = [request for request in requests if request not in issued]
        begun, signing = await self._begin(dca, targets, wanted)
        files: _Files | None = begun
        issued.update(await self._issue(wanted, signing))
        objects = [target.object.node for target in targets]
        is_split = False
        while True:
            signed = await self._issuing.record_delivered(issued, lease=self._lease)
            issued.update(signed)
            try:
                await self._deliver(dca, signed, files)
                break
            except ServiceFailed as error:
                if error.status not in _TRY_OTHERWISE or (is_split and not stale):
                    with Doing(Act.UPDATE_CERTIFICATE, self._url):
                        raise error
            files = None
            if stale:
                issued.update(await self._renew(dca, stale))
                stale = []
            else:
                await self._apply(dca, objects)
                dca, is_split, stale = await self._reopen(), True, requests
        if self._before_apply is not None:
            await self._before_apply(dca)
        await self._apply(dca, objects)
        return [issued[request] for request in requests]

    async def _begin(
        self, dca: Dca, targets: Sequence[Target], requests: Sequence[SlotRequest]
    ) -> tuple[_Files, list[bytes]]:
        """Open the TrustLists to be written, and have keys made for ``requests``.

        Opening files and creating keys do not depend on each other and share a request.
        """
        pushes = self._pushes(targets)
        with Doing(Act.WRITE_TRUST_LIST, self._url):
            handles, signing = await perform_both(
                dca.client, opening_to_write(pushes), self._asking(requests)
            )
        return _Files(pushes=pushes, handles=handles), signing

    def _pushes(self, targets: Sequence[Target]) -> list[TrustListPush]:
        pushes = []
        for target in targets:
            content = encode(target.content)
            if 0 < self._max_trust_list_bytes < len(content):
                raise Rejected(
                    f"{self._url}: {Act.WRITE_TRUST_LIST}: {len(content)} bytes exceed "
                    f"MaxTrustListSize {self._max_trust_list_bytes}",
                    reason=Reason.TRUST_LIST_REFUSED,
                    subject=self._url,
                )
            groups = target.object.groups
            pushes += [TrustListPush(group=group, content=content) for group in groups]
        return pushes

    def _asking(self, requests: Sequence[SlotRequest]) -> list[Operation[bytes]]:
        return signing_requests(
            [request.slot for request in requests],
            subjects=[self._issuing.subject(request) for request in requests],
            nonces=[self._issuing.nonce() for _ in requests],
        )

    async def _renew(
        self, dca: Dca, requests: Sequence[SlotRequest]
    ) -> dict[SlotRequest, Issuance]:
        """Ask for new keys, because the device lost the ones it had."""
        with Doing(Act.REQUEST_SIGNING, self._url):
            signing = await perform(dca.client, self._asking(requests))
        return await self._issue(requests, signing)

    async def _issue(
        self, requests: Sequence[SlotRequest], signing: Sequence[bytes]
    ) -> dict[SlotRequest, Issuance]:
        if not requests:
            return {}
        pairs = list(zip(requests, signing, strict=True))
        return await self._issuing.issue(pairs, lease=self._lease, subject=self._url)

    async def _deliver(
        self, dca: Dca, signed: Mapping[SlotRequest, Issuance], files: _Files | None
    ) -> None:
        """Hand the certificates over, behind the TrustLists where these are not yet written.

        Raises:
            ServiceFailed: UpdateCertificate failed.
            Rejected: a TrustList was refused.
        """
        updates = [
            update
            for kind in dict.fromkeys(request.kind for request in signed)
            for update in certificate_updates(
                [
                    (request.slot, issuance.certificate or b"")
                    for request, issuance in signed.items()
                    if request.kind is kind
                ],
                issuers=self._issuing.chain(kind),
            )
        ]
        if files is None:
            await perform(dca.client, updates)
            return
        refused: MethodFailed | None = None
        with Doing(Act.WRITE_TRUST_LIST, self._url):
            try:
                await write_trust_lists(dca.client, files.pushes, files.handles, then=updates)
            except MethodFailed as error:
                if error.method != _UPDATE_CERTIFICATE:
                    raise
                refused = error
        if refused is not None:
            raise refused

    async def _apply(self, dca: Dca, objects: Sequence[ua.NodeId]) -> None:
        """Apply; a lost answer is not a failure, reading back will tell."""
        try:
            with Doing(Act.APPLY_CHANGES, self._url):
                await dca.apply_changes(objects)
        except Unavailable as error:
            if error.reason is Reason.BUSY:
                raise

    async def _given_up(self, dca: Dca, error: Rejected) -> Rejected:
        """Leave the device as it was, and add what it says about the failure."""
        said = ""
        with suppress(RegistrarError):
            said = await dca.diagnostics()
        with suppress(RegistrarError):
            await dca.cancel_changes()
        if not said:
            return error
        return Rejected(
            f"{error} ({said})", reason=error.reason, status=error.status, subject=error.subject
        )


async def difference(dca: Dca, targets: Sequence[Target], issued: Sequence[Issuance]) -> str:
    """Read back what ``targets`` hold; empty where it is what was meant (design decision 9).

    Raises:
        ServiceFailed: the device does not let it be read.
    """
    groups = [(target, group) for target in targets for group in target.object.groups]
    files = [group.trust_list for _, group in groups]
    asking = held_certificates([(target.object.node, group.node) for target, group in groups])
    try:
        handles, held = await perform_both(dca.client, opening_to_read(files), asking)
    except MethodFailed as error:
        if error.method != _GET_CERTIFICATES or error.status not in NOT_OFFERED:
            raise
        # Optional: the channel by the new certificate has to be proof enough.
        handles = await perform(dca.client, opening_to_read(files))
    else:
        shown = {split_chain(blob)[0] for slots in held for blob in slots.values() if blob}
        missing = [one for one in issued if one.certificate not in shown]
        if missing:
            return f"GetCertificates lacks the certificate of {missing[0].application_uri}"
    lists = await read_trust_lists(dca.client, files, handles)
    for (target, _), content in zip(groups, lists, strict=True):
        differing = target.content.difference(content)
        if differing:
            return f"TrustList of {target.object.name[:80]}: {differing}"
    return ""
