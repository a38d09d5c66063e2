"""What a connection needs of the Listener it belongs to."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Protocol

from registrar.errors import RegistrarError
from registrar.wire.application import Application
from registrar.wire.key_queue import KeyQueue
from registrar.wire.limits import ServerLimits
from registrar.wire.sessions import SessionTable
from registrar.wire.stages import Stages
from registrar.wire.turns import Turns
from registrar.wire.unfinished import UnfinishedMessages

if TYPE_CHECKING:
    from registrar.wire.server_connection import ServerConnection


class Host(Protocol):
    """What a connection needs of its Listener."""

    @property
    def application(self) -> Application:
        """Who answers."""

    @property
    def limits(self) -> ServerLimits:
        """What it may cost."""

    @property
    def keys(self) -> KeyQueue:
        """Where private-key work is done."""

    @property
    def sessions(self) -> SessionTable:
        """All Sessions of the Listener."""

    @property
    def stages(self) -> Stages:
        """What its connections wait for."""

    @property
    def turns(self) -> Turns:
        """Whose request is served next."""

    @property
    def unfinished(self) -> UnfinishedMessages:
        """What its peers leave unfinished."""

    def next_channel_id(self) -> int:
        """Return an id no other channel has."""

    def joined(self, connection: ServerConnection) -> None:
        """Count the connection.

        Raises:
            Unavailable: there are too many.
        """

    def left(self, connection: ServerConnection) -> None:
        """Count the connection no more."""

    def watch_sessions(self) -> None:
        """See to it that Sessions end when their time is over."""

    def refused(self, address: str, error: RegistrarError) -> None:
        """Count and log a refusal."""

    def run(self, answer: Awaitable[None]) -> None:
        """Keep ``answer`` running."""
