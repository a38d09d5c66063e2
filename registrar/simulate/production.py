"""Make what a plan describes: identities, Tickets, authorities and CRLs.

The makers: *alpha* (RSA, IDevID with URI, cRLDistributionPoints), *beta* (EC, IDevID without
URI and an LDevID with it over the same key, neither revocation extension), *gamma* (EC root
that signs IDevIDs itself, authorityInfoAccess, Tickets that name no authorities) and the
CompositeBuilder *delta*. Source: OPC 10000-21 §5.1, §5.3, §6.2, §8.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from registrar.simulate import tickets
from registrar.simulate.keys import KeyPool
from registrar.simulate.manufacturer import (
    CertificateAuthority,
    Revocation,
    TicketSigner,
    root_authority,
)
from registrar.simulate.plant import (
    OUTDATED_REVISION,
    WANTED_REVISION,
    DevicePlan,
    Kind,
    Plan,
    TicketRoute,
)
from registrar.simulate.tickets import Algorithm, Claims, Signature, TicketType

KEYS_OF_MAKERS = 16
KEYS_PER_DEVICE = 3
"""About what a Device needs beside one for each application: IDevID, LDevID, DCA Certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A DeviceIdentity Certificate, the issuers a Device sends with it, and the Device's key."""

    certificate: bytes
    issuers: tuple[bytes, ...]
    key: rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A made Device: what its maker and builder put on it."""

    plan: DevicePlan
    identities: tuple[Identity, ...]
    """IDevID first; all of them have their endpoints (§7.1)."""
    tickets: tuple[str, ...] = ()
    """The Tickets stored on the Device, which RequestTickets returns."""

    @property
    def software_revision(self) -> str:
        """The revision installed at delivery."""
        return OUTDATED_REVISION if self.plan.outdated else WANTED_REVISION


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What a site receives beside the Devices."""

    device_tickets: tuple[str, ...]
    composite_tickets: tuple[str, ...]
    ticket_authorities: tuple[bytes, ...]
    """Signers the site trusts, and their CAs."""
    ticket_crls: tuple[bytes, ...]
    device_authorities: tuple[bytes, ...]
    """CAs of makers whose Tickets name none."""
    device_crls: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """A Manufacturer or CompositeBuilder: who issues its identities and signs its Tickets."""

    name: str
    root: CertificateAuthority
    identities: CertificateAuthority
    ticket_root: CertificateAuthority
    ticket_authority: CertificateAuthority
    signer: TicketSigner
    algorithm: Algorithm
    names_authorities: bool = True
    """Whether its Tickets carry the CAs of its identities."""

    def signature(
        self,
        *,
        signer: TicketSigner | None = None,
        ticket_type: TicketType = TicketType.DEVICE,
        opc_uri: str = "",
    ) -> Signature:
        """Return how this maker signs."""
        return Signature(
            signer=signer or self.signer,
            algorithm=self.algorithm,
            ticket_type=ticket_type,
            opc_uri=opc_uri,
        )


class Factory:
    """Makes the Devices of one plan, and ships them."""

    def __init__(self, plan: Plan, keys: KeyPool, now: datetime) -> None:
        """Set up makers, CompositeBuilder and counterfeiter; nothing is made yet."""
        self._plan = plan
        self._keys = keys
        self._now = now
        alpha = _maker("alpha", Algorithm.RS256, Revocation.CRL, 1, now, keys)
        beta = _maker("beta", Algorithm.ES256, Revocation.NOWHERE, 2, now)
        gamma = _maker("gamma", Algorithm.PS256, Revocation.OCSP, 3, now, keys)
        self._makers = {maker.name: maker for maker in (alpha, beta, gamma)}
        self._builder = _maker("delta", Algorithm.ES384, Revocation.CRL, 4, now)
        self._counterfeiter = _maker("counterfeit", Algorithm.RS256, Revocation.CRL, 5, now, keys)
        self._revoked = alpha.ticket_authority.signer("alpha former Ticket signer", keys.take())
        alpha.ticket_authority.revoke(self._revoked.certificate)

    def make(self) -> tuple[tuple[Product, ...], Shipment]:
        """Return every Device of the plan, in its order, and the shipment to the site."""
        composites = {uri: self._composite_ticket(uri) for uri in self._composite_uris()}
        by_device = {device.index: self._device_ticket(device) for device in self._plan.devices}
        products = tuple(
            Product(
                plan=device,
                identities=self._identities(device),
                tickets=self._stored(device, by_device, composites),
            )
            for device in self._plan.devices
        )
        shipped = [device for device in self._plan.devices if _is_shipped(device)]
        with_composites = {uri for device in shipped for uri in self._enclosing(device.composite)}
        return products, Shipment(
            device_tickets=tuple(by_device[device.index] for device in shipped),
            composite_tickets=tuple(composites[uri] for uri in sorted(with_composites)),
            **self._authorities(),
        )

    def _authorities(self) -> dict[str, tuple[bytes, ...]]:
        trusted = (*self._makers.values(), self._builder)
        signers = [maker.signer.certificate for maker in trusted] + [self._revoked.certificate]
        above = {der for maker in trusted for der in maker.signer.issuers}
        gamma = self._makers["gamma"]
        return {
            "ticket_authorities": (*signers, *sorted(above)),
            "ticket_crls": tuple(
                authority.crl()
                for maker in trusted
                for authority in (maker.ticket_root, maker.ticket_authority)
            ),
            "device_authorities": gamma.identities.chain,
            "device_crls": tuple(
                authority.crl()
                for maker in trusted
                for authority in dict.fromkeys((maker.root, maker.identities))
            ),
        }

    def _composite_uris(self) -> tuple[str, ...]:
        return tuple(composite.uri for composite in self._plan.composites)

    def _enclosing(self, uri: str) -> tuple[str, ...]:
        """Return ``uri`` and the Composites around it, innermost first."""
        outer = {composite.uri: composite.outer for composite in self._plan.composites}
        found: list[str] = []
        while uri:
            found.append(uri)
            uri = outer[uri]
        return tuple(found)

    def _identities(self, device: DevicePlan) -> tuple[Identity, ...]:
        if device.kind is Kind.CERTIFICATE_FOREIGN:
            fake = self._counterfeiter.identities
            return (self._issue(fake, device, self._keys.take(), issuers=fake.chain),)
        maker = self._makers[device.maker]
        key = self._keys.take()
        issuers = maker.identities.chain[:1]
        identities: tuple[Identity, ...]
        if device.maker == "beta":
            plain = self._issue(maker.identities, device, key, uris=(), issuers=issuers)
            identities = (plain, self._issue(maker.identities, device, key, issuers=issuers))
        else:
            identities = (self._issue(maker.identities, device, key, issuers=issuers),)
        if device.kind is Kind.CERTIFICATE_REVOKED:
            maker.identities.revoke(identities[-1].certificate)
        if device.kind is Kind.KEY_MISSING:
            other = self._keys.take()
            return tuple(
                Identity(certificate=copied.certificate, issuers=copied.issuers, key=other)
                for copied in identities
            )
        if device.composite and device.kind is not Kind.COMPOSITE_PARTIAL:
            uris = (device.product_instance_uri, self._plan.outermost(device.composite))
            builder = self._builder.identities
            added = self._issue(builder, device, self._keys.take(), uris=uris, issuers=())
            return (*identities, added)
        return identities

    def _issue(
        self,
        authority: CertificateAuthority,
        device: DevicePlan,
        key: rsa.RSAPrivateKey,
        *,
        uris: tuple[str, ...] | None = None,
        issuers: tuple[bytes, ...],
    ) -> Identity:
        named = (device.product_instance_uri,) if uris is None else uris
        certificate = authority.identity(
            f"{device.model} {device.serial_number}",
            key.public_key(),
            uris=named,
            serial=device.serial_number,
        )
        return Identity(certificate=certificate, issuers=issuers, key=key)

    def _device_ticket(self, device: DevicePlan) -> str:
        maker = self._makers[device.maker]
        signature = maker.signature()
        if device.kind is Kind.SIGNER_UNTRUSTED:
            signature = self._counterfeiter.signature()
        elif device.kind is Kind.SIGNER_REVOKED:
            alpha = self._makers["alpha"]
            signature = alpha.signature(signer=self._revoked)
        payload = tickets.device_payload(self._claims(device, maker), device.product_instance_uri)
        ticket = tickets.sign(payload, [signature])
        for uri in self._enclosing(device.composite):
            ticket = tickets.countersign(ticket, self._builder.signature(opc_uri=uri))
        if device.kind is Kind.TICKET_CHANGED:
            return tickets.forge(ticket, SoftwareRevision="9.9.9")
        return ticket

    def _composite_ticket(self, uri: str) -> str:
        members = [d.product_instance_uri for d in self._plan.devices if d.composite == uri]
        inner = [composite.uri for composite in self._plan.composites if composite.outer == uri]
        claims = Claims(
            manufacturer_name="Delta Cells",
            model_name="delta-cell",
            serial_number=uri.rpartition(":")[2],
            manufacture_date=self._now,
            authorities=(self._builder.identities.chain,),
        )
        payload = tickets.composite_payload(claims, uri, devices=members, composites=inner)
        return tickets.sign(payload, [self._builder.signature(ticket_type=TicketType.COMPOSITE)])

    def _claims(self, device: DevicePlan, maker: Maker) -> Claims:
        return Claims(
            manufacturer_name=f"{maker.name.title()} AG",
            model_name=device.model,
            serial_number=device.serial_number,
            software_revision=OUTDATED_REVISION if device.outdated else WANTED_REVISION,
            manufacture_date=self._now,
            authorities=(maker.identities.chain,) if maker.names_authorities else (),
        )

    def _stored(
        self, device: DevicePlan, by_device: dict[int, str], composites: dict[str, str]
    ) -> tuple[str, ...]:
        # The double of a Device brings the Ticket of the one whose name it bears.
        named = self._plan.devices[device.twin] if device.twin is not None else device
        if device.kind is not Kind.DUPLICATE_URI:
            named = device
        if named.route is not TicketRoute.WITH_DEVICE:
            return ()
        around = [composites[uri] for uri in self._enclosing(named.composite)]
        return (by_device[named.index], *around)


def _is_shipped(device: DevicePlan) -> bool:
    return device.route is TicketRoute.OUT_OF_BAND and device.kind is not Kind.DUPLICATE_URI


def _maker(
    name: str,
    algorithm: Algorithm,
    revocation: Revocation,
    serial: int,
    now: datetime,
    keys: KeyPool | None = None,
) -> Maker:
    """Set up one maker; with ``keys`` its CAs are RSA ones, gamma's apart."""
    title = name.title()

    def key() -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
        if keys is not None and name != "gamma":
            return keys.take()
        return ec.generate_private_key(ec.SECP256R1())

    root = root_authority(f"{title} Root CA", key(), serial=serial, revocation=revocation, now=now)
    identities = root
    if name != "gamma":
        identities = root.subordinate(f"{title} Identity CA", key())
    # The issuers of Ticket signers shall say where their revocation status is found (§6.1).
    known = Revocation.CRL if revocation is Revocation.NOWHERE else revocation
    ticket_root = root_authority(
        f"{title} Ticket Root CA", key(), serial=serial + 64, revocation=known, now=now
    )
    ticket_authority = ticket_root.subordinate(f"{title} Ticket CA", key())
    if algorithm is Algorithm.ES384:
        signing: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = ec.generate_private_key(
            ec.SECP384R1()
        )
    else:
        signing = keys.take() if keys is not None else key()
    return Maker(
        name=name,
        root=root,
        identities=identities,
        ticket_root=ticket_root,
        ticket_authority=ticket_authority,
        signer=ticket_authority.signer(f"{title} Ticket signer", signing),
        algorithm=algorithm,
        names_authorities=name != "gamma",
    )
