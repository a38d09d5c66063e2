"""Whom the site believes, loaded once and again when the store's lists changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from registrar.core.identity import IdentityPolicy
from registrar.core.trust import DeviceIdentityAuthorities
from registrar.core.verify import TicketPolicy, TicketVerifier
from registrar.store import trust
from registrar.store.store import Store

LOOK_EVERY_S: Final = 1.0
"""Between two questions whether a list changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """One consistent state of the lists that decide about devices."""

    verifier: TicketVerifier
    device_identity_authorities: DeviceIdentityAuthorities
    identity_policy: IdentityPolicy


class Beliefs:
    """Gives the current ``Belief``.

    Args:
        store: of the site.
        ticket_policy: what the owner allows for Tickets.
        identity_policy: what the owner allows for DeviceIdentity Certificates.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        ticket_policy: TicketPolicy,
        identity_policy: IdentityPolicy,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._ticket_policy = ticket_policy
        self._identity_policy = identity_policy
        self._clock = clock
        self._looked_at = 0.0
        self._version = trust.version(store.reader)
        self._belief = self._load()

    def current(self) -> Belief:
        """Return the lists as they stand, at most ``LOOK_EVERY_S`` old."""
        now = self._clock()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            version = trust.version(self._store.reader)
            if version != self._version:
                self._belief, self._version = self._load(), version
        return self._belief

    def _load(self) -> Belief:
        reader = self._store.reader
        authorities = trust.ticket_authorities(reader)
        return Belief(
            verifier=TicketVerifier(authorities, policy=self._ticket_policy),
            device_identity_authorities=trust.device_identity_authorities(reader),
            identity_policy=self._identity_policy,
        )
