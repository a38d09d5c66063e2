"""Who is at the other end: the peer of a channel, its Session, its Roles."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from asyncua import ua

from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import SecurityPolicy
from registrar.ua.user_tokens import AnonymousUser, UserNameUser, X509UserClaim

if TYPE_CHECKING:
    from registrar.wire.application import Application

DecodedUser = AnonymousUser | UserNameUser | X509UserClaim
"""Who a Session says it acts for; a certificate's key is proven, its trust is not."""


class Role(StrEnum):
    """A Role by its BrowseName; OPC 10000-18 §4.3, OPC 10000-12 §7.2, OPC 10000-21 §9."""

    ANONYMOUS = "Anonymous"
    AUTHENTICATED_USER = "AuthenticatedUser"
    TRUSTED_APPLICATION = "TrustedApplication"
    OBSERVER = "Observer"
    OPERATOR = "Operator"
    ENGINEER = "Engineer"
    SUPERVISOR = "Supervisor"
    CONFIGURE_ADMIN = "ConfigureAdmin"
    SECURITY_ADMIN = "SecurityAdmin"
    REGISTRAR_ADMIN = "RegistrarAdmin"
    SOFTWARE_UPDATE_ADMIN = "SoftwareUpdateAdmin"
    DISCOVERY_ADMIN = "DiscoveryAdmin"
    CERTIFICATE_AUTHORITY_ADMIN = "CertificateAuthorityAdmin"
    REGISTRATION_AUTHORITY_ADMIN = "RegistrationAuthorityAdmin"


@dataclass(slots=True, kw_only=True)
class Peer:
    """The Client at the other end of one SecureChannel."""

    address: str
    """IP address, without the port."""
    policy: SecurityPolicy
    mode: ua.MessageSecurityMode
    certificate: bytes | None
    """DER of the certificate the channel was opened with; None without security."""
    chain: tuple[bytes, ...] = ()
    """Issuers the Client sent along."""
    identity: ApplicationIdentity | None = None
    """Which of our certificates the Client chose."""
    application_uri: str = ""
    """Known after CreateSession, where it was found in the certificate."""


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One activated Session, as handlers see it."""

    id: ua.NodeId
    peer: Peer
    application: Application
    name: str = ""
    user: DecodedUser = field(default_factory=AnonymousUser)
    roles: frozenset[Role] = frozenset()
    data: dict[Any, Any] = field(default_factory=dict)
    """For the application; dropped with the Session."""
