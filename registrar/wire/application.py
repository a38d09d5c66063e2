"""What a Listener asks of the application behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Protocol

from asyncua import ua

from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire.methods import MethodTable
from registrar.wire.peers import Peer, Role, Session
from registrar.wire.space import AddressSpace


class Application(Protocol):
    """A Server without its sockets: identities, trust, Roles, nodes and Methods.

    Everything is called on the event loop and must return quickly.
    """

    @property
    def space(self) -> AddressSpace:
        """What Read, Browse, Translate and Write see."""

    @property
    def methods(self) -> MethodTable:
        """What Call may call."""

    def describe(self) -> ua.ApplicationDescription:
        """Return what FindServers tells."""

    def endpoints(self, endpoint_url: str) -> Sequence[ua.EndpointDescription]:
        """Return the endpoints; only their policies and modes can be used.

        Args:
            endpoint_url: how the Client reached us, empty where it did not say.
        """

    def identity(self, receiver_thumbprint: bytes) -> ApplicationIdentity | None:
        """Return our identity with this SHA-1 thumbprint, None where there is none."""

    def admit(self, peer: Peer, now: datetime) -> None:
        """Decide whether the certificate of ``peer`` is trusted.

        Called when a secured channel opens, after the proof of possession, and at each renewal.

        Raises:
            CertificateRejected, or another ``RegistrarError``, to refuse the peer.
        """

    def authenticate(self, session: Session) -> frozenset[Role] | Awaitable[frozenset[Role]]:
        """Return the Roles of ``session``, whose ``user`` and ``peer`` are set.

        Called at each ActivateSession. The place to compare passwords, with a slow hash and
        a back-off per account and per ``session.peer.address`` (T16); afterwards the password is
        forgotten. At a later activation ``session`` is a copy that is thrown away.

        Raises:
            AccessDenied: the user is not let in.
        """

    def session_closed(self, session: Session) -> None:
        """Take note that ``session`` has ended, for whatever reason; it still has its ``data``."""
