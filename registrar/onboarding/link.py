"""The one connection a visit has to its device at a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from asyncua import ua

from registrar.errors import ProtocolViolation, RegistrarError
from registrar.onboarding.addresses import Place
from registrar.onboarding.endpoints import Offer, Way, read_offer
from registrar.onboarding.settings import PushSettings
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire.client import ChannelSecurity, Client
from registrar.wire.dca import Dca
from registrar.wire.key_queue import KeyQueue
from registrar.wire.limits import ClientLimits
from registrar.wire.unfinished import UnfinishedMessages

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counters:
    """What was spent on a device, or on all of a driver."""

    connections: int = 0
    exchanges: int = 0
    private_key_operations: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def add(self, client: Client) -> None:
        """Charge a connection that is over."""
        self.connections += 1
        self.exchanges += client.exchanges
        self.private_key_operations += client.private_key_operations
        self.bytes_sent += client.bytes_sent
        self.bytes_received += client.bytes_received


class Link:
    """Opens, reuses and closes connections to one device; at most one is open.

    Args:
        place: with the address resolved, so that every connection leads to the same place.
        keys: the queue for private-key work, shared by all links.
        unfinished: counts what answers keep until they are complete, shared by all links.
        settings: its limits of a Client hold for all connections together.
        identity: the Registrar's own.
        application_uri: in that identity.
    """

    def __init__(
        self,
        place: Place,
        *,
        identity: ApplicationIdentity,
        application_uri: str,
        settings: PushSettings,
        counters: Counters,
        keys: KeyQueue,
        unfinished: UnfinishedMessages,
    ) -> None:
        self._url = place.url
        self.hosts = place.hosts
        self._keys = keys
        self._unfinished = unfinished
        self._identity = identity
        self._application_uri = application_uri
        self._settings = settings
        self._counters = counters
        self._spent = Counters()
        self._dca: Dca | None = None
        self._way: Way | None = None

    async def look(self) -> Offer:
        """Ask for the endpoints without security, on a connection of its own.

        Raises:
            Unavailable: the device does not answer.
            Rejected: what it answers is no usable list.
        """
        await self.close()
        client = await Client.connect(
            self._url,
            limits=self._limits(),
            application_uri=self._application_uri,
            keys=self._keys,
            unfinished=self._unfinished,
        )
        try:
            endpoints = await client.get_endpoints()
        finally:
            await self._finish(client)
        return read_offer(endpoints, self._settings.policies)

    async def open(
        self, way: Way, *, discovered: tuple[ua.EndpointDescription, ...] | None = None
    ) -> Dca:
        """Open a Session by ``way``, or return the one that is open by the same certificate.

        Args:
            way: the certificate and how to reach it.
            discovered: the list read without security, which the Session must repeat (T10).
        """
        if self._dca is not None and self._way == way:
            return self._dca
        await self.close()
        security = ChannelSecurity(
            policy=way.policy,
            mode=way.mode,
            identity=self._identity,
            server_certificate=way.server_certificate,
        )
        client = await Client.connect(
            self._url,
            security=security,
            limits=self._limits(),
            application_uri=self._application_uri,
            keys=self._keys,
            unfinished=self._unfinished,
        )
        try:
            await client.create_session(
                discovered=discovered, session_timeout_s=self._settings.session_timeout_s
            )
        except BaseException:
            await self._finish(client)
            raise
        self._dca, self._way = Dca(client), way
        return self._dca

    async def close(self) -> None:
        """Close what is open."""
        dca, self._dca, self._way = self._dca, None, None
        if dca is not None:
            await self._finish(dca.client)

    async def _finish(self, client: Client) -> None:
        try:
            await client.close()
        except RegistrarError as error:
            _log.debug("%s: closing: %s", self._url, error)
        self._counters.add(client)
        self._spent.add(client)

    def _limits(self) -> ClientLimits:
        """Return what a further connection may cost, after all that were before."""
        limits, spent = self._settings.client, self._spent
        size = limits.total_size - spent.bytes_received
        requests = limits.total_requests - spent.exchanges
        if min(size, requests) <= 0:
            raise ProtocolViolation(
                f"the device needs more than {limits.total_size} bytes and "
                f"{limits.total_requests} requests",
                subject=self._url,
            )
        return replace(limits, total_size=size, total_requests=requests)
