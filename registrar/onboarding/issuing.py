"""Certificates for devices, and the ledger they are written into first.

    signing request ─▶ check ─▶ reserve (durable) ─▶ sign ─▶ record (durable) ─▶ deliver

Of the request only the public key is believed (T21); the names come from the site and from the
address the device was reached at (ambiguity Q32 of our reading of OPC 10000-21 §6.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from registrar.ca.authority import Authority, Prepared
from registrar.ca.keys import PublicKey
from registrar.ca.profiles import CertificateProfile, Profile
from registrar.ca.signing_request import SigningRequest, check_signing_request
from registrar.core.issuance import IssuanceState
from registrar.core.ports import Lease
from registrar.errors import Reason, Rejected
from registrar.store import issuances
from registrar.store.issuance_request import IssuanceRequest
from registrar.store.issuances import Issuance
from registrar.store.store import Store
from registrar.store.transaction import Cause, Change, Transaction
from registrar.wire import dca_nodes as nodes
from registrar.wire.certificate_groups import Slot

SERIAL_BYTES: Final = 16
_PLACES: Final = 64
"""Devices whose names and addresses are kept read: all certificates of one have the same."""

NONCE_BYTES: Final = 32
"""Extra entropy for the device's key generator (OPC 10000-12 §7.10.10)."""

_CURVES: Final = {nodes.ECC_NIST_P256: "secp256r1", nodes.ECC_NIST_P384: "secp384r1"}


class Kind(StrEnum):
    """For whom a certificate is."""

    DCA = "dca"
    SINGLETON = "singleton"
    """A device that is its own and only application: an ordinary certificate (R127)."""
    APPLICATION = "application"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlotRequest:
    """One certificate that is wanted; made once, and itself the key to what is issued for it."""

    slot: Slot
    application_uri: str
    name: str
    """Of the object, for people."""
    kind: Kind
    hosts: tuple[str, ...]

    @property
    def slot_key(self) -> tuple[str, str, str]:
        """What the ledger knows the slot by."""
        group = self.slot.group.to_string()
        return self.application_uri, group, self.slot.certificate_type.to_string()


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuers:
    """The two CAs of a site that issue to devices, and how long what they issue lives."""

    applications: Authority
    dca: Authority
    """Separate, so that a DCA Certificate is worth nothing to applications (§6.3)."""
    application_lifetime: timedelta
    dca_lifetime: timedelta
    backdate: timedelta
    organization: str = ""

    def of(self, kind: Kind) -> Authority:
        """Return the CA for a kind of certificate."""
        return self.dca if kind is Kind.DCA else self.applications


class Issuing:
    """Issues to the devices of one site.

    Args:
        store: with the ledger.
        issuers: the site's CAs.
        actor: who stands in the audit trail.
        now: the present, timezone-aware.
        random_bytes: of cryptographic quality.
    """

    def __init__(
        self,
        store: Store,
        *,
        issuers: Issuers,
        actor: str,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._issuers = issuers
        self._actor = actor
        self._now = now
        self._random_bytes = random_bytes

    def chain(self, kind: Kind) -> tuple[bytes, ...]:
        """Return the issuers of a kind of certificate, nearest first, DER."""
        return tuple(ca.der for ca in self._issuers.of(kind).chain)

    def nonce(self) -> bytes:
        """Return fresh entropy for the key generator of a device."""
        return self._random_bytes(NONCE_BYTES)

    def subject(self, request: SlotRequest) -> str:
        """Return the subject name a signing request is asked for, as OPC UA writes it."""
        organization = self._issuers.organization
        names = [f"CN={_plain(_common_name(request))}"]
        return "/".join([*names, *([f"O={_plain(organization)}"] if organization else [])])

    def held(
        self, enrolment_id: int, requests: Sequence[SlotRequest]
    ) -> dict[SlotRequest, Issuance]:
        """Return the active certificates of a device, for those of ``requests`` that have one."""
        rows = issuances.active(self._store.reader, enrolment_id=enrolment_id)
        if not rows:
            return {}
        slots = {
            (row.application_uri, row.certificate_group, row.certificate_type): row for row in rows
        }
        found = {request: slots.get(request.slot_key) for request in requests}
        return {request: row for request, row in found.items() if row is not None}

    async def issue(
        self, wanted: Sequence[tuple[SlotRequest, bytes]], *, lease: Lease, subject: str
    ) -> dict[SlotRequest, Issuance]:
        """Issue a certificate for each signing request, and note that it is on its way.

        The same key gets the same certificate again; another key closes the former one for
        revocation (F28).

        Args:
            wanted: slots with the PKCS#10 requests of the device.
            lease: of the enrolment.
            subject: whom a refusal names.

        Raises:
            Rejected: a request is invalid, or its key belongs to somebody else.
            Unavailable: the CA or the ledger cannot serve.
        """
        reservations = [
            (request, self._reservation(request, der, lease, subject)) for request, der in wanted
        ]
        cause = self._cause()

        def reserve(tx: Transaction) -> list[Issuance]:
            requests = [reservation for _, reservation in reservations]
            return issuances.reserve_all(tx, requests, lease=lease, cause=cause)

        reserved = await self._store.write(reserve)
        pairs = {request: row for (request, _), row in zip(reservations, reserved, strict=True)}
        return await self.record_delivered(pairs, lease=lease)

    def _reservation(
        self, request: SlotRequest, der: bytes, lease: Lease, subject: str
    ) -> IssuanceRequest:
        try:
            checked = check_signing_request(der, application_uri=request.application_uri)
            _check_type(request, checked.public_key)
        except Rejected as error:
            raise Rejected(
                f"{subject}: CreateSigningRequest for {request.application_uri}: {error}",
                reason=error.reason,
                subject=subject,
            ) from error
        authority = self._issuers.of(request.kind)
        profile = self._profile(request, checked)
        prepared = authority.prepare(
            checked.public_key, profile, serial=self._serial(), now=self._now()
        )
        application_uri, group, certificate_type = request.slot_key
        return IssuanceRequest(
            enrolment_id=lease.enrolment_id,
            application_uri=application_uri,
            certificate_group=group,
            certificate_type=certificate_type,
            profile=profile.profile,
            issuer=authority.name,
            key_digest=checked.key_digest,
            serial=prepared.serial,
            tbs=prepared.tbs,
            not_after=prepared.not_after,
        )

    def _serial(self) -> int:
        """Return a positive number of 127 random bits, the highest of them set."""
        number = int.from_bytes(self._random_bytes(SERIAL_BYTES))
        return (number >> 1) | (1 << (8 * SERIAL_BYTES - 2))

    def _profile(self, request: SlotRequest, checked: SigningRequest) -> CertificateProfile:
        dns_names, addresses = _hosts(request.hosts)
        is_dca = request.kind is Kind.DCA
        return CertificateProfile(
            profile=Profile.DCA if is_dca else Profile.APPLICATION,
            common_name=_common_name(request),
            organization=self._issuers.organization,
            application_uri=request.application_uri,
            dns_names=dns_names,
            ip_addresses=addresses,
            lifetime=self._issuers.dca_lifetime if is_dca else self._issuers.application_lifetime,
            backdate=self._issuers.backdate,
        )

    async def record_delivered(
        self, pairs: Mapping[SlotRequest, Issuance], *, lease: Lease
    ) -> dict[SlotRequest, Issuance]:
        """Sign what only is reserved, and note that everything is about to be handed over."""
        fresh = {
            row.id: self._sign(request, row)
            for request, row in pairs.items()
            if row.certificate is None
        }
        if not fresh and all(row.state in _HANDED_OVER for row in pairs.values()):
            return dict(pairs)
        cause = self._cause()

        seen = list(pairs.values())
        rows = await self._store.write(
            lambda tx: issuances.record_delivered_all(tx, seen, fresh, lease=lease, cause=cause)
        )
        return dict(zip(pairs, rows, strict=True))

    def _sign(self, request: SlotRequest, row: Issuance) -> bytes:
        authority = self._issuers.of(request.kind)
        return authority.sign(Prepared(serial=row.serial, tbs=row.tbs, not_after=row.not_after))

    def confirming(self, rows: Sequence[Issuance], *, lease: Lease) -> Change:
        """Return what notes that certificates were read back from the device."""
        seen = [row for row in rows if row.state is not IssuanceState.CONFIRMED]
        cause = self._cause()
        return lambda tx: issuances.record_confirmed_all(tx, seen, lease=lease, cause=cause)

    async def revoke_unconfirmed(self, *, lease: Lease, reason: Reason) -> None:
        """Close what a refused device was given and never used (R136)."""
        rows = issuances.active(self._store.reader, enrolment_id=lease.enrolment_id)
        unused = [row for row in rows if row.state is not IssuanceState.CONFIRMED]
        if not unused:
            return
        cause = self._cause(reason)

        def revoke(tx: Transaction) -> None:
            for row in unused:
                issuances.revoke(
                    tx, row.id, lease=lease, cause=cause, reason="cessationOfOperation"
                )

        await self._store.write(revoke)

    def _cause(self, reason: Reason | None = None) -> Cause:
        return Cause(actor=self._actor, now=self._now(), reason=reason or "")


_HANDED_OVER = frozenset({IssuanceState.DELIVERED, IssuanceState.CONFIRMED})


def _check_type(request: SlotRequest, key: PublicKey) -> None:
    """Refuse a key that does not fit the CertificateType of its slot (OPC 10000-12 §7.8.4)."""
    curve = _CURVES.get(request.slot.certificate_type)
    fits = (
        isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == curve
        if curve
        else isinstance(key, rsa.RSAPublicKey)
    )
    if not fits:
        raise Rejected(
            f"its key does not fit the CertificateType {request.slot.certificate_type.to_string()}",
            reason=Reason.SIGNING_REQUEST_INVALID,
        )


def _common_name(request: SlotRequest) -> str:
    """Return what stands at the end of the ApplicationUri, which people recognise."""
    return request.application_uri.rpartition(":")[2] or request.application_uri


def _plain(text: str) -> str:
    return text.replace("/", "-").replace("=", "-").replace(",", "-")[:64]


@lru_cache(maxsize=_PLACES)
def _hosts(
    hosts: tuple[str, ...],
) -> tuple[tuple[str, ...], tuple[IPv4Address | IPv6Address, ...]]:
    names: list[str] = []
    addresses: list[IPv4Address | IPv6Address] = []
    for host in hosts:
        try:
            addresses.append(ip_address(host))
        except ValueError:
            names.append(host)
    return tuple(names), tuple(addresses)
