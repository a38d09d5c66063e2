"""A Listener: the socket of a Server, the limits of its peers and the life of its Sessions."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable

from registrar.errors import Misuse, Reason, RegistrarError, Unavailable
from registrar.status import StatusCode
from registrar.wire.application import Application
from registrar.wire.descriptors import most_connections
from registrar.wire.key_queue import KeyQueue
from registrar.wire.limits import ServerLimits
from registrar.wire.log import LOGGER, PeerLog
from registrar.wire.peers import Peer
from registrar.wire.server_connection import ServerConnection
from registrar.wire.sessions import SessionTable
from registrar.wire.stages import Stages
from registrar.wire.turns import Turns
from registrar.wire.unfinished import UnfinishedMessages

BACKLOG = 256
MAX_CHANNEL_ID = 0xFFFFFFFF


class Listener:
    """Serves one application on one address; hundreds in a process are cheap.

    Args:
        application: who answers.
        limits: what peers may cost.
        keys: where private-key work is done; share one among the Listeners of a process.
    """

    def __init__(
        self,
        application: Application,
        *,
        limits: ServerLimits | None = None,
        keys: KeyQueue | None = None,
    ) -> None:
        self.application = application
        self.limits = limits or ServerLimits()
        self.keys = keys or KeyQueue()
        self.sessions = SessionTable(
            self.limits, random=os.urandom, closed=application.session_closed
        )
        self.refusals: Counter[StatusCode] = Counter()
        """How often peers were refused, by status."""
        self._log = PeerLog(
            self.limits.log_lines_per_minute, lines_of_all=self.limits.log_lines_of_all
        )
        self._server: asyncio.Server | None = None
        self._stages: Stages | None = None
        self._turns: Turns | None = None
        self._connections: dict[ServerConnection, None] = {}
        self._addresses: Counter[str] = Counter()
        self._most = self.limits.connections
        self.unfinished = UnfinishedMessages(self.limits.unfinished_size)
        self._tasks: set[asyncio.Future[None]] = set()
        self._channel_id = int.from_bytes(os.urandom(3), "big")
        self._timer: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port in use.

        Raises:
            Misuse: not started.
        """
        if self._server is None or not self._server.sockets:
            raise Misuse("the Listener does not listen")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def stages(self) -> Stages:
        """What the connections wait for.

        Raises:
            Misuse: not started.
        """
        if self._stages is None:
            raise Misuse("the Listener does not listen")
        return self._stages

    @property
    def turns(self) -> Turns:
        """Whose request is served next.

        Raises:
            Misuse: not started.
        """
        if self._turns is None:
            raise Misuse("the Listener does not listen")
        return self._turns

    @property
    def connections(self) -> int:
        """How many peers are connected."""
        return len(self._connections)

    async def start(self, host: str, port: int = 0) -> None:
        """Listen; port 0 takes a free one, see ``port``.

        Raises:
            Unavailable: the address is in use or not ours.
        """
        if self._server is not None:
            raise Misuse("the Listener listens already")
        loop = asyncio.get_running_loop()
        self._stages = Stages(loop, self.limits)
        self._turns = Turns(loop, self.limits.turn_s)
        # A connection we cannot accept waits unanswered; one beyond this count is told so.
        self._most = most_connections(self.limits.connections)
        try:
            self._server = await loop.create_server(
                self._accept, host, port, backlog=BACKLOG, reuse_address=True
            )
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error.strerror
            raise Unavailable(
                f"cannot listen: {why}",
                subject=f"{host}:{port}",
                next_action="End what listens there, or choose another address or port.",
            ) from error
        for listening in self._server.sockets:
            # Each accepted connection inherits it.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    async def close(self) -> None:
        """Stop listening and end connections and Sessions; ``start`` may follow."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.drop_channels(after_response=False)
        for state in self.sessions:
            self.sessions.close(state)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.sleep(0)  # what has not begun could not end the coroutines it was given
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets asyncio tell the connections that they are lost
        if self._stages is not None:
            self._stages.close()

    def drop_channels(
        self,
        *,
        after_response: bool = True,
        predicate: Callable[[Peer], bool] | None = None,
    ) -> None:
        """End connections, as after ApplyChanges; OPC 10000-12 §7.10.9.

        Args:
            after_response: requests that are being served are answered first, among them the
                one whose handler calls this.
            predicate: which peers are meant; None for all.
        """
        for connection in tuple(self._connections):
            if predicate is None or predicate(connection.peer):
                connection.drop(after_response=after_response)

    # Connections call these

    def next_channel_id(self) -> int:
        """Return an id no other channel has."""
        self._channel_id = self._channel_id % MAX_CHANNEL_ID + 1
        return self._channel_id

    def joined(self, connection: ServerConnection) -> None:
        """Count a connection.

        Raises:
            Unavailable: there are too many, of its address or at all.
        """
        limits, own = self.limits, self._addresses.get(connection.address, 0)
        self._connections[connection] = None
        self._addresses[connection.address] = own + 1
        if len(self._connections) > self._most or own >= limits.connections_per_address:
            raise Unavailable(
                f"{own} connections of one address, {len(self._connections) - 1} in all",
                reason=Reason.BUSY,
                status=StatusCode.BadTcpServerTooBusy,
            )

    def left(self, connection: ServerConnection) -> None:
        """Count a connection no more."""
        if self._connections.pop(connection, self) is None:
            self._addresses[connection.address] -= 1
            if not self._addresses[connection.address]:
                del self._addresses[connection.address]

    def watch_sessions(self) -> None:
        """See to it that Sessions end when their time is over."""
        if self._timer is not None:
            return
        at = self.sessions.next_expiry()
        if at is not None:
            # All are looked at each time, so not more often than this.
            loop = asyncio.get_running_loop()
            soonest = loop.time() + self.limits.min_session_timeout_s
            self._timer = loop.call_at(max(at, soonest), self._expire)

    def refused(self, address: str, error: RegistrarError) -> None:
        """Count and log a refusal; a fault of our own has its traceback in the debug log."""
        self.refusals[error.status] += 1
        self._log.warn(address, "refused", error, asyncio.get_running_loop().time())
        LOGGER.debug("refused %s", address, exc_info=error)

    def run(self, answer: Awaitable[None]) -> None:
        """Keep a task running until it ends."""
        task = asyncio.ensure_future(answer)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self) -> ServerConnection:
        self.keys.make_way()
        self.turns.make_way()
        return ServerConnection(self)

    def _expire(self) -> None:
        self._timer = None
        self.sessions.expire(asyncio.get_running_loop().time())
        self.watch_sessions()
