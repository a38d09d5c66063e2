"""Sessions of a Server and the rules that bind them to channels; OPC 10000-4 §5.7.

    CreateSession ──▶ created ──ActivateSession──▶ activated ──CloseSession, timeout──▶ closed
                         │  same channel, first        │  other channel: same certificate, user,
                         └─ anything else: closed      └─ policy, mode and valid signatures (T12)

A failed ActivateSession changes nothing. What a Session holds ends with it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from asyncua import ua

from registrar.errors import Reason, SecurityChecksFailed, ServiceFailed, Unavailable
from registrar.status import StatusCode
from registrar.ua.user_tokens import UserNameUser, X509UserClaim
from registrar.wire import builtin
from registrar.wire.browsing import ContinuationPoints
from registrar.wire.limits import ServerLimits
from registrar.wire.peers import DecodedUser, Peer, Session

TOKEN_SIZE = 32
"""Bytes of an AuthenticationToken and of a nonce: 256 random bits."""


class BoundChannel(Protocol):
    """The connection a Session is bound to."""

    def sessions_changed(self) -> None:
        """Take note that a Session of this channel was activated, moved away or ended."""


@dataclass(slots=True, eq=False)
class SessionState:
    """A Session with what only the Server knows."""

    session: Session
    token: bytes = field(repr=False)
    channel: BoundChannel | None
    """The connection it is bound to; None after that was lost."""
    client_nonce: bytes = field(repr=False)
    server_nonce: bytes = field(repr=False)
    timeout_s: float
    used_at: float
    points: ContinuationPoints
    is_activated: bool = False

    def is_over(self, now: float) -> bool:
        """Tell whether the timeout has passed without a request."""
        return now - self.used_at > self.timeout_s


class NonceMemory:
    """The last client nonces; one that comes again is refused. Bounded."""

    __slots__ = ("_limit", "_nonces")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._nonces: OrderedDict[bytes, None] = OrderedDict()

    def use(self, nonce: bytes) -> None:
        """Remember ``nonce``.

        Raises:
            SecurityChecksFailed: BadNonceInvalid, it was used before.
        """
        if nonce in self._nonces:
            raise SecurityChecksFailed("a nonce came again", status=StatusCode.BadNonceInvalid)
        self._nonces[nonce] = None
        if len(self._nonces) > self._limit:
            self._nonces.popitem(last=False)


class SessionTable:
    """All Sessions of a Listener, by AuthenticationToken.

    What it does for one of ten thousand Sessions does not depend on the others.
    """

    __slots__ = (
        "_addresses",
        "_by_channel",
        "_by_token",
        "_closed",
        "_limits",
        "_lost",
        "_numbers",
        "_random",
        "nonces",
    )

    def __init__(
        self,
        limits: ServerLimits,
        *,
        random: Callable[[int], bytes],
        closed: Callable[[Session], None],
    ) -> None:
        self._limits = limits
        self._random = random
        self._closed = closed
        self._by_token: dict[bytes, SessionState] = {}
        self._by_channel: dict[BoundChannel, tuple[SessionState, ...]] = {}
        self._addresses: Counter[str] = Counter()
        self._lost: dict[SessionState, None] = {}
        self._numbers = 0
        self.nonces = NonceMemory(limits.client_nonces)

    def __len__(self) -> int:
        return len(self._by_token)

    def __iter__(self) -> Iterator[SessionState]:
        return iter(tuple(self._by_token.values()))

    def make_room(self, peer: Peer) -> None:
        """See to it that ``peer`` may have one more Session.

        Sessions of the same certificate that lost their channel give way first.

        Raises:
            Unavailable: BadTooManySessions.
        """
        own, limits = self._addresses[peer.address], self._limits
        full = len(self._by_token) >= limits.sessions
        if not full and own < limits.sessions_per_address:
            return
        for state in self._lost:
            loser = state.session.peer
            if loser.certificate == peer.certificate and (full or loser.address == peer.address):
                self.close(state)
                return
        raise Unavailable(
            f"{own} Sessions of one address, {len(self._by_token)} in all",
            reason=Reason.BUSY,
            status=StatusCode.BadTooManySessions,
        )

    def create(
        self,
        session: Session,
        channel: BoundChannel,
        *,
        client_nonce: bytes,
        asked_s: float,
        now: float,
    ) -> SessionState:
        """Add a Session that is not yet activated; see ``make_room``."""
        limits = self._limits
        # In this order NaN, which is neither more nor less than anything, becomes the minimum.
        timeout_s = min(max(limits.min_session_timeout_s, asked_s), limits.max_session_timeout_s)
        state = SessionState(
            session=session,
            token=self._random(TOKEN_SIZE),
            channel=channel,
            client_nonce=client_nonce,
            server_nonce=self._random(TOKEN_SIZE),
            timeout_s=timeout_s,
            used_at=now,
            points=ContinuationPoints(limits.continuation_points, self._random),
        )
        self._by_token[state.token] = state
        self._addresses[session.peer.address] += 1
        self._attach(state, channel)
        return state

    def next_id(self) -> ua.NodeId:
        """Return the NodeId of a new Session; it is public and grants nothing."""
        self._numbers += 1
        return builtin.node_id(self._numbers, 1)

    def find(self, token: ua.NodeId, now: float) -> SessionState:
        """Return the Session of an AuthenticationToken.

        Raises:
            ServiceFailed: BadSessionIdInvalid, also where it has timed out.
        """
        state = None
        if isinstance(token.Identifier, bytes) and token.NamespaceIndex == 0:
            state = self._by_token.get(token.Identifier)
        if state is not None and state.is_over(now):
            self.close(state)
            state = None
        if state is None:
            raise ServiceFailed("no such Session", status=StatusCode.BadSessionIdInvalid)
        return state

    def require(self, token: ua.NodeId, channel: BoundChannel, now: float) -> SessionState:
        """Return the activated Session of a request, which must come over its channel.

        Raises:
            ServiceFailed: BadSessionIdInvalid; BadSessionNotActivated, which also closes it.
        """
        state = self.find(token, now)
        if state.channel is not channel:
            raise ServiceFailed(
                "the Session belongs to another channel", status=StatusCode.BadSessionIdInvalid
            )
        if not state.is_activated:
            self.close(state)
            raise ServiceFailed("not activated", status=StatusCode.BadSessionNotActivated)
        state.used_at = now
        return state

    def renew_nonce(self, state: SessionState) -> bytes:
        """Replace the server nonce: each serves one signature."""
        state.server_nonce = self._random(TOKEN_SIZE)
        return state.server_nonce

    def bind(self, state: SessionState, channel: BoundChannel, peer: Peer, now: float) -> None:
        """Activate a Session, or move it to the ``channel`` of ``peer``; both channels are told."""
        before = state.channel
        self._detach(state)
        self._count_down(state.session.peer.address)
        self._addresses[peer.address] += 1
        state.session.peer = peer
        state.is_activated = True
        state.used_at = now
        self._attach(state, channel)
        if before is not None and before is not channel:
            before.sessions_changed()
        channel.sessions_changed()

    def close(self, state: SessionState) -> None:
        """End a Session and tell the application."""
        if self._by_token.pop(state.token, None) is not None:
            channel = state.channel
            self._detach(state)
            self._count_down(state.session.peer.address)
            self._closed(state.session)
            state.session.data.clear()
            if channel is not None:
                channel.sessions_changed()

    def serves(self, channel: BoundChannel) -> bool:
        """Tell whether an activated Session is bound to ``channel``."""
        return any(state.is_activated for state in self._by_channel.get(channel, ()))

    def lose(self, channel: BoundChannel) -> None:
        """Take note that a channel was lost: Sessions not yet activated end, others wait."""
        for state in self._by_channel.get(channel, ()):
            self._detach(state)
            if state.is_activated:
                self._lost[state] = None
            else:
                self.close(state)

    def _attach(self, state: SessionState, channel: BoundChannel) -> None:
        state.channel = channel
        self._by_channel[channel] = (*self._by_channel.get(channel, ()), state)

    def _detach(self, state: SessionState) -> None:
        """Bind ``state`` to no channel, lost or not."""
        self._lost.pop(state, None)
        channel, state.channel = state.channel, None
        if channel is None:
            return
        left = tuple(one for one in self._by_channel[channel] if one is not state)
        if left:
            self._by_channel[channel] = left
        else:
            del self._by_channel[channel]

    def _count_down(self, address: str) -> None:
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def expire(self, now: float) -> None:
        """End all Sessions whose timeout has passed."""
        for state in self:
            if state.is_over(now):
                self.close(state)

    def next_expiry(self) -> float | None:
        """Return when the next Session can time out; None without Sessions."""
        return min((state.used_at + state.timeout_s for state in self), default=None)


def check_transfer(state: SessionState, peer: Peer) -> None:
    """Refuse to bind a Session to a channel of another peer, policy, mode or of our other key.

    Raises:
        SecurityChecksFailed: they differ (T12).
    """
    owner = state.session.peer
    if owner.certificate is None or _essence(owner) != _essence(peer):
        raise SecurityChecksFailed("the new channel is not of the same peer, policy and mode")


def _essence(peer: Peer) -> tuple[object, ...]:
    ours = peer.identity.certificate if peer.identity is not None else None
    return peer.certificate, peer.policy.uri, peer.mode, ours


def is_same_user(one: DecodedUser, other: DecodedUser) -> bool:
    """Tell whether two tokens mean the same user."""
    if isinstance(one, UserNameUser) and isinstance(other, UserNameUser):
        return one.name == other.name
    if isinstance(one, X509UserClaim) and isinstance(other, X509UserClaim):
        return one.certificate == other.certificate
    return type(one) is type(other)
