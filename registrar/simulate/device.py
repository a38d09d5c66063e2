"""A pretended Device: a DCA Server on an address of its own.

    factory-new ──first TrustList applied──▶ owned ──certificate, current software──▶ locked
         ▲                                                                              │
         └───────────────────────────── ResetToServerDefaults ──────────────────────────┘

Factory-new it trusts any Client on first use. Owned, only Clients its TrustList trusts may change
anything; locked, nobody else gets a SecureChannel. Source: OPC 10000-21 §4.2.4, §7.1, §7.3, §9.3.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from asyncua import ua

from registrar.errors import CertificateRejected
from registrar.simulate import endpoints
from registrar.simulate.certificate_group import RSA_SHA256, CertificateGroup, Slot
from registrar.simulate.configuration import Clock, Configuration
from registrar.simulate.keys import KeyPool
from registrar.simulate.misbehaviour import HONEST, Misbehaviour
from registrar.simulate.model import Model
from registrar.simulate.peer_trust import TrustListContent, check_peer
from registrar.simulate.plant import WANTED_REVISION
from registrar.simulate.production import Product
from registrar.simulate.security_admin import SecurityAdmin
from registrar.simulate.space import build_space
from registrar.simulate.trust_list_file import MAX_TRUST_LIST_SIZE
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire.key_queue import KeyQueue
from registrar.wire.limits import ServerLimits
from registrar.wire.methods import MethodTable
from registrar.wire.peers import Peer, Role, Session
from registrar.wire.server import Listener
from registrar.wire.space import AddressSpace

SMALL_BLOCK = 2_048
LARGE_BLOCK = 65_536
"""Bytes one Write to a TrustList may carry; every tenth Device takes small blocks only."""
NO_CONFIGURATION = 2
RUNNING = 0
"""ServerState: NoConfiguration while factory-new (part12 Annex G)."""
SESSION_TIMEOUT_S = 10.0
"""A Registrar that was killed gets its Device back after so long."""
SERVER_LIMITS = ServerLimits(
    max_session_timeout_s=SESSION_TIMEOUT_S,
    connections=16,
    connections_per_address=16,
    sessions=8,
    sessions_per_address=8,
    client_nonces=64,
)
TOFU_ROLES = frozenset({Role.ANONYMOUS, Role.SECURITY_ADMIN})
STRANGER_ROLES = frozenset({Role.ANONYMOUS})
TRUSTED_ROLES = frozenset({Role.ANONYMOUS, Role.TRUSTED_APPLICATION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the Devices of one process share."""

    keys: KeyPool
    clock: Clock
    model: Model
    methods: MethodTable
    key_queue: KeyQueue


def system_clock() -> Clock:
    """Return the clock of a running event loop."""
    return Clock(now=lambda: datetime.now(UTC), monotonic=asyncio.get_running_loop().time)


class Device:
    """One Device as its Clients meet it; fits ``wire.Application``."""

    def __init__(
        self,
        product: Product,
        *,
        host: str,
        port: int,
        surroundings: Surroundings,
        misbehaviour: Misbehaviour = HONEST,
    ) -> None:
        """Set the Device up as it left its maker; ``start`` lets it listen."""
        plan = product.plan
        self.product: Product = product
        self.misbehaviour = misbehaviour
        self.application_uri: str = plan.product_instance_uri
        self.host = host
        self.port = port
        self.url = f"opc.tcp://{host}:{port}"
        self.software_revision: str = product.software_revision
        self.registrars: tuple[str, ...] = ()
        """ApplicationUris that SetRegistrarEndpoints named."""
        self.uses_folder = bool(plan.index % 2)
        """Its applications stand in ManagedApplications, else below ProvisionableDevice."""
        self.keeps_groups_together = plan.index % 4 == 0
        self.max_byte_string_length = SMALL_BLOCK if plan.index % 10 == 3 else LARGE_BLOCK
        self.security_admin: SecurityAdmin = _role_of(plan.index)
        self.methods = surroundings.methods
        self.on_owned: Callable[[Device], None] | None = None
        """Told once TrustList and certificate are in force, and again after each change."""
        self._surroundings = surroundings
        self._identities = tuple(
            ApplicationIdentity(
                certificate=identity.certificate, private_key=identity.key, chain=identity.issuers
            )
            for identity in product.identities
        )
        self._listener = Listener(self, limits=SERVER_LIMITS, keys=surroundings.key_queue)
        self._space: AddressSpace | None = None
        self._endpoints: list[ua.EndpointDescription] | None = None
        self._served: tuple[ApplicationIdentity, ...] | None = None
        self._return: asyncio.Task[None] | None = None
        self._touched = 0.0
        names = [f"{self.application_uri}:application-{n + 1}" for n in range(plan.applications)]
        # Default ApplicationUris derive from the ProductInstanceUri (part21 §5.3).
        objects = self.configuration_objects = surroundings.model.objects[: 1 + plan.applications]
        self.configuration: Configuration = Configuration(
            groups=[
                CertificateGroup(node=item.group, trust_list_node=item.trust_list)
                for item in objects
            ],
            application_uris=[self.application_uri, *names],
            host=host,
            validation=plan.validation,
            keys=surroundings.keys,
            clock=surroundings.clock,
            on_applied=self._applied,
            max_trust_list_size=misbehaviour.max_trust_list_size or MAX_TRUST_LIST_SIZE,
        )
        if misbehaviour.always_pending:
            self.configuration.transactions.join(self)

    # State

    @property
    def is_owned(self) -> bool:
        """Whether a Registrar's TrustList is in force."""
        return bool(self.configuration.dca.trust_list)

    @property
    def has_current_software(self) -> bool:
        """Whether the installed revision is the one its site wants."""
        return self.software_revision == WANTED_REVISION

    @property
    def is_locked(self) -> bool:
        """Whether it shows its DCA Certificate only and refuses untrusted Clients (§7.3)."""
        return self.configuration.dca.is_provisioned and self.has_current_software

    @property
    def in_application_setup(self) -> bool:
        """Whether it still waits for an owner, or for a rule of the SecurityAdmin Role."""
        if not self.is_owned:
            return True
        return self.security_admin.is_offered and not self.security_admin.is_configured

    @property
    def server_state(self) -> int:
        """The ServerState it reports."""
        return RUNNING if self.is_owned else NO_CONFIGURATION

    @property
    def dca_certificate(self) -> bytes | None:
        """The DCA Certificate in force."""
        slot = self.configuration.dca.slots.get(RSA_SHA256)
        return slot.certificate if slot else None

    # wire.Application

    @property
    def space(self) -> AddressSpace:
        """The address space; built when a Client first looks."""
        if self._space is None:
            self._space = build_space(self, self._surroundings.model)
        return self._space

    def describe(self) -> ua.ApplicationDescription:
        """Return the description of this Server."""
        plan = self.product.plan
        return endpoints.describe(
            self.application_uri, f"{plan.model} {plan.serial_number}", self.url
        )

    def endpoints(self, endpoint_url: str) -> list[ua.EndpointDescription]:
        """Return the endpoints in the present state, at the one URL it has."""
        self._touch()
        if self._endpoints is None:
            self._endpoints = endpoints.endpoints_of(
                self._served_identities(), self.describe(), self.url
            )
        return self._endpoints

    def identity(self, receiver_thumbprint: bytes) -> ApplicationIdentity | None:
        """Return the served certificate a Client chose (§7.1)."""
        for identity in self._served_identities():
            if identity.thumbprint == receiver_thumbprint:
                return identity
        return None

    def admit(self, peer: Peer, now: datetime) -> None:
        """Refuse untrusted Clients once locked.

        Raises:
            CertificateRejected: with the code of the failed step.
        """
        self._touch()
        if peer.certificate is None or not self.is_locked:
            return
        try:
            check_peer(peer.certificate, peer.chain, self.configuration.dca.trust_list, now)
        except CertificateRejected:
            self.configuration.reject(peer.certificate)
            raise

    def authenticate(self, session: Session) -> frozenset[Role]:
        """Return the Roles of a Session: all trust is in the Client's application."""
        certificate = session.peer.certificate
        if certificate is None:
            return STRANGER_ROLES
        if not self.is_owned:
            return TOFU_ROLES
        if not self._trusts(certificate, session.peer.chain):
            self.configuration.reject(certificate)
            return STRANGER_ROLES
        if self.security_admin.is_granted_to(session.peer.application_uri):
            return TRUSTED_ROLES | {Role.SECURITY_ADMIN}
        return TRUSTED_ROLES

    def session_closed(self, session: Session) -> None:
        """Drop what the Session leaves behind: open files, its transaction."""
        self._touch()
        self.configuration.session_closed(session)

    # Life

    async def start(self) -> None:
        """Listen at its address; port 0 becomes one that is free."""
        await self._listener.start(self.host, self.port)
        if not self.port:
            self.port = self._listener.port
            self.url = f"opc.tcp://{self.host}:{self.port}"

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._return is not None:
            self._return.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._return
        await self._listener.close()

    def is_quiet_for(self, seconds: float) -> bool:
        """Tell whether nobody is connected, and nobody was for ``seconds``."""
        quiet = self._surroundings.clock.monotonic() - self._touched
        return not self._listener.connections and quiet >= seconds

    def apply_changes(self, session: object) -> None:
        """Put the transaction of ``session`` in force, or pretend to."""
        if self.misbehaviour.ignores_changes:
            self.configuration.transactions.apply(session, lambda _: None)
        else:
            self.configuration.apply_changes(session)

    def replace_trust_list(self, group: CertificateGroup, content: TrustListContent) -> None:
        """Put a TrustList in force at once."""
        self.configuration.replace_trust_list(self.configuration.groups.index(group), content)

    def update_software(self, revision: str) -> None:
        """Install ``revision`` and start again, as an update does."""
        self.software_revision = revision
        self._restart()

    def reset(self) -> None:
        """Return to the factory-new state; identities and software stay (§4.2.4)."""
        self.configuration.reset()
        self.security_admin.reset()
        self.registrars = ()
        self._restart()

    def provision(self, contents: TrustListContent, slots: list[Slot]) -> None:
        """Set TrustLists and certificates of all groups, as a former owner left them."""
        for group, slot in zip(self.configuration.groups, slots, strict=True):
            group.trust_list = contents
            group.slots[RSA_SHA256] = slot
        self._restart()

    def _served_identities(self) -> tuple[ApplicationIdentity, ...]:
        if self._served is None:
            self._served = self._identities_to_serve()
        return self._served

    def _identities_to_serve(self) -> tuple[ApplicationIdentity, ...]:
        slot = self.configuration.dca.slots.get(RSA_SHA256)
        if slot is None:
            return self._identities
        own = ApplicationIdentity(certificate=slot.certificate, private_key=slot.key)
        return (own,) if self.is_locked else (*self._identities, own)

    def _trusts(self, certificate: bytes, chain: tuple[bytes, ...] = ()) -> bool:
        now = self._surroundings.clock.now()
        try:
            check_peer(certificate, chain, self.configuration.dca.trust_list, now)
        except CertificateRejected:
            return False
        return True

    def _applied(self, groups: frozenset[CertificateGroup]) -> None:
        if self.configuration.dca not in groups:
            return
        self.security_admin.keep(self._trusts)
        self._restart()
        if self.configuration.dca.is_provisioned and self.on_owned is not None:
            self.on_owned(self)

    def _restart(self) -> None:
        """Serve the present endpoints; open channels are cut once answered (part12 T10)."""
        self._endpoints = self._served = None
        self._listener.drop_channels(after_response=not self.misbehaviour.loses_apply_response)
        loop = asyncio.get_running_loop()
        loop.call_soon(self._end_sessions)
        if self.misbehaviour.refuses_tcp_s:
            self._return = loop.create_task(self._stay_away())

    def _end_sessions(self) -> None:
        for state in self._listener.sessions:
            self._listener.sessions.close(state)

    def _touch(self) -> None:
        self._touched = self._surroundings.clock.monotonic()

    async def _stay_away(self) -> None:
        await self._listener.close()
        await asyncio.sleep(self.misbehaviour.refuses_tcp_s)
        await self.start()


def _role_of(index: int) -> SecurityAdmin:
    """Half of the Devices offer the Role, half of these with a list of applications."""
    return SecurityAdmin(is_offered=index % 4 > 1, lists_applications=index % 4 == 3)
