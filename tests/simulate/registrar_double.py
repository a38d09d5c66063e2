"""A Registrar that knows one Method, UpdateSoftwareStatus, and remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from asyncua import ua

from registrar.errors import ServiceFailed
from registrar.simulate.endpoints import describe, endpoints_of
from registrar.simulate.model import node_id
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire.methods import Method, MethodTable, Mode
from registrar.wire.nodes import ONBOARDING_NAMESPACE, load_node_table
from registrar.wire.peers import Peer, Role, Session
from registrar.wire.server import Listener
from registrar.wire.space import AddressSpace


@dataclass
class RegistrarDouble:
    """Fits ``wire.Application``."""

    own: ApplicationIdentity
    application_uri: str
    not_found: int = 0
    """How many reports it answers with Bad_NotFound first."""
    told: list[tuple[str, bool, str]] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    callers: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.space = AddressSpace(load_node_table(), application_uri=self.application_uri)
        self.methods = MethodTable()
        self.listener = Listener(self)
        self.url = ""
        namespace = self.space.namespace_index(ONBOARDING_NAMESPACE)
        kinds = ua.VariantType
        method = Method(
            handler=self._update_software_status,
            inputs=(kinds.String, kinds.Boolean, kinds.String),
            roles=None,
            mode=Mode.ENCRYPT,
        )
        ids = (node_id(1510, namespace), node_id(1503, namespace))
        self.methods.add(node_id(1344, namespace), ids, method)

    async def start(self) -> None:
        """Listen on a free port."""
        await self.listener.start("127.0.0.1", 0)
        self.url = f"opc.tcp://127.0.0.1:{self.listener.port}"

    def describe(self) -> ua.ApplicationDescription:
        """Return what it is."""
        return describe(self.application_uri, "Registrar", self.url)

    def endpoints(self, endpoint_url: str) -> list[ua.EndpointDescription]:
        """Return its endpoints."""
        return endpoints_of([self.own], self.describe(), self.url)

    def identity(self, receiver_thumbprint: bytes) -> ApplicationIdentity | None:
        """Return its one identity."""
        return self.own if receiver_thumbprint == self.own.thumbprint else None

    def admit(self, peer: Peer, now: datetime) -> None:
        """Let everybody in."""
        if peer.certificate is not None:
            self.callers.add(peer.certificate)

    def authenticate(self, session: Session) -> frozenset[Role]:
        """Grant what is needed."""
        return frozenset({Role.SOFTWARE_UPDATE_ADMIN})

    def session_closed(self, session: Session) -> None:
        """Nothing is kept."""

    def _update_software_status(
        self, session: Session, uri: str, status: bool, revision: str
    ) -> Sequence[ua.Variant]:
        if self.not_found:
            self.not_found -= 1
            raise ServiceFailed("unknown device", status=StatusCode.BadNotFound)
        self.told.append((uri, status, revision))
        self.heard.set()
        return []
