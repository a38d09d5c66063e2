"""Tickets: the claims that a Device or a Composite is genuine, decoded and not yet believed.

Source: OPC 10000-21 §8.2 (the structures), §8.1 and OPC 10000-6 §5.4 (their JSON).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from registrar.core.jws import TicketType
from registrar.errors import TicketInvalid

MAX_URI = 1024
"""Characters of a ProductInstanceUri or CompositeInstanceUri; labels hold far fewer."""

MAX_TEXT = 4096
"""Characters of any other text of a Ticket."""

MAX_MEMBERS = 4096
"""Devices, or Composites, of one Composite."""

MAX_AUTHORITIES = 32
MAX_AUTHORITY_ISSUERS = 10

_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+", re.ASCII
)


def is_uri(text: str) -> bool:
    """Tell whether ``text`` is a URI of RFC 3986 characters, scheme first, of bearable length."""
    return len(text) <= MAX_URI and _URI.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAuthority:
    """A CA that issued DeviceIdentity Certificates (OPC 10000-21 §8.2.2)."""

    authority_certificate: bytes = field(repr=False)
    """DER, or a chain of DER certificates, the issuing CA first."""

    issuer_certificates: tuple[bytes, ...] = field(default=(), repr=False)
    """DER of its issuers; the root should be among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentityTicket:
    """The claim that the Device of one ProductInstanceUri is genuine (§8.2.4).

    An instance is *decoded*, not yet *believed*: ``verify.TicketVerifier`` makes a
    ``ValidTicket`` of it, and ``match`` takes nothing else.
    """

    product_instance_uri: str
    """Globally unique name of the Device; Tickets are matched by it (§5.2)."""

    manufacturer_name: str = ""
    model_name: str = ""
    """Empty where unknown, as the other texts."""

    model_version: str = ""
    hardware_revision: str = ""
    software_revision: str = ""
    """As delivered; another may run by now."""

    serial_number: str = ""
    manufacture_date: datetime | None = None
    """UTC; ``None`` where unknown, which the standard writes as DateTime.MinValue."""

    authorities: tuple[CertificateAuthority, ...] = ()

    def __post_init__(self) -> None:
        _check_uri("ProductInstanceUri", self.product_instance_uri)
        _check_base(self)

    @property
    def type(self) -> TicketType:
        return TicketType.DEVICE_IDENTITY

    @property
    def uri(self) -> str:
        """What the Ticket is known by: the ProductInstanceUri."""
        return self.product_instance_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeIdentityTicket:
    """The claim that Devices and Composites form one Composite (§8.2.5); not yet believed."""

    composite_instance_uri: str
    """Stands in the LDevIDs of the Composite's Devices beside their ProductInstanceUris."""

    devices: tuple[str, ...] = ()
    """ProductInstanceUris of the externally visible Devices."""

    composites: tuple[str, ...] = ()
    """CompositeInstanceUris of the externally visible Composites inside."""

    manufacturer_name: str = ""
    model_name: str = ""
    model_version: str = ""
    hardware_revision: str = ""
    software_revision: str = ""
    serial_number: str = ""
    manufacture_date: datetime | None = None
    authorities: tuple[CertificateAuthority, ...] = ()

    def __post_init__(self) -> None:
        _check_uri("CompositeInstanceUri", self.composite_instance_uri)
        for members in (self.devices, self.composites):
            if len(members) > MAX_MEMBERS:
                raise TicketInvalid(f"{len(members)} members exceed {MAX_MEMBERS}")
            for uri in members:
                _check_uri("a member's URI", uri)
        _check_base(self)

    @property
    def type(self) -> TicketType:
        return TicketType.COMPOSITE_IDENTITY

    @property
    def uri(self) -> str:
        """What the Ticket is known by: the CompositeInstanceUri."""
        return self.composite_instance_uri


Ticket: TypeAlias = DeviceIdentityTicket | CompositeIdentityTicket


def _check_uri(name: str, uri: str) -> None:
    if not is_uri(uri):
        raise TicketInvalid(f"{name} {uri[:80]!r} is not a URI", subject=uri[:MAX_URI])


def _check_base(ticket: Ticket) -> None:
    texts = (
        ticket.manufacturer_name,
        ticket.model_name,
        ticket.model_version,
        ticket.hardware_revision,
        ticket.software_revision,
        ticket.serial_number,
    )
    longest = max(map(len, texts))
    if longest > MAX_TEXT:
        raise TicketInvalid(f"a text of {longest} characters exceeds {MAX_TEXT}")
    if len(ticket.authorities) > MAX_AUTHORITIES:
        raise TicketInvalid(f"{len(ticket.authorities)} authorities exceed {MAX_AUTHORITIES}")
    for authority in ticket.authorities:
        if not authority.authority_certificate:
            raise TicketInvalid("an authority without AuthorityCertificate")
        if len(authority.issuer_certificates) > MAX_AUTHORITY_ISSUERS:
            raise TicketInvalid(f"an authority with more than {MAX_AUTHORITY_ISSUERS} issuers")
