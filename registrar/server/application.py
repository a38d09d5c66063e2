"""The Registrar as a Server: endpoints, trust, Roles (OPC 10000-21 §4.2.6, §9.2).

| caller | becomes SoftwareUpdateAdmin by |
| --- | --- |
| a SoftwareUpdateManager | its certificate: valid by the list of administrators |
| a trusted application | its ApplicationUri: named in the configuration |
| a person | user name and password |
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from asyncua import ua

from registrar.core.certificate import Certificate
from registrar.core.path import validate_path
from registrar.core.trust import TrustList
from registrar.core.validation import ValidationOptions
from registrar.errors import AccessDenied, CertificateRejected
from registrar.server.accounts import Doorkeeper, is_password
from registrar.server.nodes import (
    DEVICE_REGISTRAR,
    UPDATE_SOFTWARE_STATUS,
    UPDATE_SOFTWARE_STATUS_OF_TYPE,
    make_space,
    onboarding_node,
)
from registrar.server.settings import ListenSettings
from registrar.server.software_status import SoftwareStatus
from registrar.status import StatusCode
from registrar.store import trust
from registrar.store.store import Store
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.user_tokens import AnonymousUser, UserNameUser
from registrar.wire.methods import MethodTable
from registrar.wire.peers import Peer, Role, Session

_OPTIONS: Final = ValidationOptions()
_MODES: Final = (ua.MessageSecurityMode.SignAndEncrypt, ua.MessageSecurityMode.Sign)
_TRANSPORT: Final = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
_PRODUCT_URI: Final = "urn:opcua-registrar"


class RegistrarApplication:
    """Fits ``wire.Application``.

    Args:
        store: of the site, with the trust lists.
        identity: the Registrar's own.
        application_uri: in that identity.
        application_name: what people see.
        settings: of the listener.
        now: the present, timezone-aware.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        identity: ApplicationIdentity,
        application_uri: str,
        application_name: str,
        settings: ListenSettings,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.space = make_space(application_uri)
        self.methods = MethodTable()
        self.url = ""
        """Where the listener is reached; set when it listens."""
        self._store = store
        self._identity = identity
        self._application_uri = application_uri
        self._application_name = application_name
        self._settings = settings
        self._now = now
        self._clock = clock
        self._doorkeeper = Doorkeeper(settings.accounts)
        self._comparing = asyncio.Lock()
        self._endpoints: Sequence[ua.EndpointDescription] = ()
        self._version = trust.version(store.reader)
        self._lists = self._load()
        ids = (UPDATE_SOFTWARE_STATUS, UPDATE_SOFTWARE_STATUS_OF_TYPE)
        self.methods.add(
            onboarding_node(DEVICE_REGISTRAR, self.space),
            [onboarding_node(number, self.space) for number in ids],
            SoftwareStatus(store, now=now).method(),
        )

    # --- what it is

    def describe(self) -> ua.ApplicationDescription:
        """Return what FindServers tells."""
        return ua.ApplicationDescription(
            ApplicationUri=self._application_uri,
            ProductUri=_PRODUCT_URI,
            ApplicationName=ua.LocalizedText(self._application_name),
            ApplicationType=ua.ApplicationType.ClientAndServer,
            DiscoveryUrls=[self.url],
        )

    def endpoints(self, endpoint_url: str) -> Sequence[ua.EndpointDescription]:
        """Return an endpoint for each policy and mode, strongest first.

        They are kept, because every channel that opens asks for them.
        """
        if not self._endpoints or self._endpoints[0].EndpointUrl != self.url:
            self._endpoints = self._make_endpoints()
        return self._endpoints

    def _make_endpoints(self) -> Sequence[ua.EndpointDescription]:
        described = self.describe()
        policies = self._settings.policies
        return [
            ua.EndpointDescription(
                EndpointUrl=self.url,
                Server=described,
                ServerCertificate=self._identity.sender_certificate,
                SecurityMode=mode,
                SecurityPolicyUri=policy.uri,
                UserIdentityTokens=self._token_policies(policy.uri),
                TransportProfileUri=_TRANSPORT,
                SecurityLevel=ua.Byte(10 * (len(policies) - number) + int(mode)),
            )
            for number, policy in enumerate(policies)
            for mode in _MODES
        ]

    def _token_policies(self, policy_uri: str) -> list[ua.UserTokenPolicy]:
        anonymous = ua.UserTokenPolicy(PolicyId="anonymous", TokenType=ua.UserTokenType.Anonymous)
        if not self._settings.accounts:
            return [anonymous]
        by_name = ua.UserTokenPolicy(
            PolicyId="user_name",
            TokenType=ua.UserTokenType.UserName,
            SecurityPolicyUri=policy_uri,
        )
        return [anonymous, by_name]

    def identity(self, receiver_thumbprint: bytes) -> ApplicationIdentity | None:
        """Return our one identity, if it is meant."""
        return self._identity if receiver_thumbprint == self._identity.thumbprint else None

    # --- whom it lets in

    def admit(self, peer: Peer, now: datetime) -> None:
        """Let in whom the lists of applications, administrators or site authorities trust.

        Raises:
            CertificateRejected: with the code of the step that failed.
        """
        if peer.certificate is None:
            raise CertificateRejected("no certificate")
        if peer.certificate == self._identity.certificate:
            raise CertificateRejected(
                "the peer shows our own certificate", status=StatusCode.BadCertificateUntrusted
            )
        applications, administrators, site = self._current()
        leaf, issuers = _decoded(peer)
        validate_path(
            leaf,
            intermediates=issuers,
            trust=applications,
            further=(administrators, site),
            now=now,
            options=_OPTIONS,
        )

    def authenticate(self, session: Session) -> frozenset[Role] | Awaitable[frozenset[Role]]:
        """Return the Roles of a Session; passwords are compared on a thread.

        Raises:
            AccessDenied: wrong password, unknown user, or a kind of user we do not have.
        """
        roles = self._roles_of_application(session.peer)
        if isinstance(session.user, AnonymousUser):
            return roles | {Role.ANONYMOUS}
        if not isinstance(session.user, UserNameUser):
            raise AccessDenied(
                "only user names are known here", status=StatusCode.BadIdentityTokenRejected
            )
        return self._roles_of_person(session.user, session.peer.address, roles)

    def _roles_of_application(self, peer: Peer) -> frozenset[Role]:
        roles = {Role.TRUSTED_APPLICATION}
        if peer.application_uri in self._settings.software_update_admins or (
            self._is_administrator(peer)
        ):
            roles.add(Role.SOFTWARE_UPDATE_ADMIN)
        return frozenset(roles)

    def _is_administrator(self, peer: Peer) -> bool:
        _, administrators, _ = self._current()
        if not administrators.trusted_certificates:
            return False
        leaf, issuers = _decoded(peer)
        helpers = [*issuers, *self._lists[0].issuer_certificates, *self._site_certificates()]
        try:
            validate_path(
                leaf,
                intermediates=helpers,
                trust=administrators,
                now=self._now(),
                options=_OPTIONS,
            )
        except CertificateRejected:
            return administrators.trusts(leaf)
        return True

    def _site_certificates(self) -> tuple[Certificate, ...]:
        _, _, site = self._lists
        return (*site.trusted_certificates, *site.issuer_certificates)

    async def _roles_of_person(
        self, user: UserNameUser, address: str, roles: frozenset[Role]
    ) -> frozenset[Role]:
        # One at a time: of guesses sent together, each is to find the failures of those before.
        async with self._comparing:
            password_hash = self._doorkeeper.admit(user.name, address, now=self._clock())
            is_right = await asyncio.to_thread(is_password, user.password, password_hash)
            self._doorkeeper.settle(user.name, address, is_right=is_right, now=self._clock())
        return roles | {Role.AUTHENTICATED_USER, Role.SOFTWARE_UPDATE_ADMIN}

    def session_closed(self, session: Session) -> None:
        """Nothing hangs on a Session."""

    # --- the lists

    def _current(self) -> tuple[TrustList, TrustList, TrustList]:
        """Return applications, administrators, site authorities as they stand now."""
        version = trust.version(self._store.reader)
        if version != self._version:
            self._lists, self._version = self._load(), version
        return self._lists

    def _load(self) -> tuple[TrustList, TrustList, TrustList]:
        reader = self._store.reader
        return (
            trust.applications(reader),
            trust.administrators(reader),
            trust.site_authorities(reader),
        )


def _decoded(peer: Peer) -> tuple[Certificate, list[Certificate]]:
    leaf = Certificate.from_der(peer.certificate or b"")
    return leaf, [Certificate.from_der(der) for der in peer.chain]
