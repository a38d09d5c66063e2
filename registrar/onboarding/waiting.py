"""Whom of the Devices that wait for a Ticket a delivery may concern.

    no Ticket ─▶ remember its certificates ─▶ Tickets arrive ─▶ one call: new Tickets × all waiting
                                                                   │ nothing    stays parked
                                                                   └ else       looked at again

Without it every delivery would have every waiting Device visited again: a connection, and with
``RequestTickets`` a secured one, for thousands that it does not concern. Nothing is decided here:
whoever is named is looked at again from the beginning, and the store decides. So an index of the
new Tickets is all it takes, and their Composites do not matter.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua

from registrar.core.certificate import Certificate
from registrar.core.valid_ticket import Route
from registrar.onboarding.matching import Listed, Status, new_index
from registrar.store import tickets
from registrar.store.store import Store
from registrar.ua.codec import encode_message

MAX_REMEMBERED = 10_000
"""Devices whose certificates are kept, some 2 KB each; any other is always concerned."""

MAX_NEWS = 500
"""New Tickets that are compared; of a larger delivery whoever waits is concerned."""

SLICE = 64
"""Devices compared before other tasks have their turn."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A Device as it was when no Ticket was known for it."""

    newest: int
    """The newest Ticket it was compared with, see ``tickets.newest``."""
    answer: bytes


class Waiting:
    """Remembers Devices without a Ticket, by URL, while a process runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._remembered: dict[str, _Remembered] = {}

    def remember(self, url: str, certificates: Sequence[Certificate], *, newest: int) -> None:
        """Keep what Tickets can be compared with.

        Args:
            newest: ``tickets.newest`` from before the Device's Tickets were looked up.
        """
        if len(self._remembered) < MAX_REMEMBERED:
            self._remembered[url] = _Remembered(newest, answer_with(certificates))

    def forget(self, url: str) -> None:
        """Drop what is known of a Device, because it is being looked at."""
        self._remembered.pop(url, None)

    async def concerned(self, urls: Sequence[str]) -> set[str]:
        """Return those of ``urls`` that a Ticket registered meanwhile may speak for."""
        known = [url for url in urls if url in self._remembered]
        found = set(urls).difference(known)
        if not known:
            return found
        oldest = min(self._remembered[url].newest for url in known)
        news = tickets.devices_after(self._store.reader, oldest, limit=MAX_NEWS + 1)
        if len(news) > MAX_NEWS:
            return set(urls)
        index = new_index(os.urandom(16)).extended(
            [
                Listed(row=number, uri=uri, is_composite=False, route=Route.OUT_OF_BAND)
                for number, uri in news
            ]
        )
        for start in range(0, len(known), SLICE):
            part = known[start : start + SLICE]
            answers = [self._remembered[url].answer for url in part]
            statuses = index.match_all(answers)[0].tolist()
            found.update(
                url
                for url, status in zip(part, statuses, strict=True)
                if status != Status.NO_TICKET
            )
            await asyncio.sleep(0)
        return found


def answer_with(certificates: Sequence[Certificate]) -> bytes:
    """Return the shortest answer to GetEndpoints that offers just these certificates."""
    response = ua.GetEndpointsResponse()
    response.Endpoints = [
        ua.EndpointDescription(
            ServerCertificate=certificate.der, SecurityMode=ua.MessageSecurityMode.Sign
        )
        for certificate in certificates
    ]
    return encode_message(response)
