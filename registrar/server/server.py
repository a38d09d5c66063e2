"""The Registrar's listener: open while a campaign runs, or longer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from registrar.errors import Unavailable
from registrar.server.application import RegistrarApplication
from registrar.server.settings import ListenSettings
from registrar.store.store import Store
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire.key_queue import KeyQueue
from registrar.wire.server import Listener


class RegistrarServer:
    """Others call the Registrar here; an asynchronous context manager.

    Args:
        store: of the site.
        identity: the Registrar's own.
        application_uri: in that identity.
        application_name: what people see.
        settings: where and for whom.
        now: the present, timezone-aware.
        keys: the queue for private-key work, best shared with the push driver.
    """

    def __init__(
        self,
        *,
        store: Store,
        identity: ApplicationIdentity,
        application_uri: str,
        settings: ListenSettings,
        now: Callable[[], datetime],
        application_name: str = "Registrar",
        keys: KeyQueue | None = None,
    ) -> None:
        self._settings = settings
        self._application = RegistrarApplication(
            store,
            identity=identity,
            application_uri=application_uri,
            application_name=application_name,
            settings=settings,
            now=now,
        )
        self._listener = Listener(self._application, limits=settings.limits, keys=keys)

    @property
    def url(self) -> str:
        """The URL others use; empty before ``start``."""
        return self._application.url

    @property
    def port(self) -> int:
        """The TCP port in use."""
        return self._listener.port

    async def start(self) -> None:
        """Listen.

        Raises:
            Unavailable: the address or port cannot be had.
        """
        host = self._settings.host
        try:
            await self._listener.start(host, self._settings.port)
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {host} port {self._settings.port}: {error.strerror}"
            ) from error
        shown = f"[{host}]" if ":" in host else host
        self._application.url = f"opc.tcp://{shown}:{self._listener.port}"

    async def close(self) -> None:
        """Stop listening and let go of everybody."""
        await self._listener.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
