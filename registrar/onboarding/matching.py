"""From the bytes of a GetEndpoints answer to the Ticket, for one Device or for thousands.

    answer ─▶ distinct certificates ─▶ SAN URIs ─▶ index of known Tickets ─▶ row of the Ticket
                                                   Composites up to the outermost

An index holds no Ticket, only what matching needs. It is a pointer, never a proof: whoever acts
on it reads the Ticket from the store and has ``core.match`` confirm it. A generation is immutable;
``extended`` makes the next one beside it, so readers never wait.

The Python index decides by ``core.match`` itself. The compiled one decides what it recognises in
full and says ``ASK`` to the rest. Source: OPC 10000-21 §5.3, §7.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from sys import getsizeof
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from asyncua import ua

from registrar.core.match import MAX_NESTING, lookup_uris, match
from registrar.core.valid_ticket import Route, ValidTicket
from registrar.errors import DecodingError, Rejected
from registrar.native import compiled
from registrar.onboarding.endpoints import read_offer
from registrar.ua.codec import decode_message

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Columns: TypeAlias = tuple[
        npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]
    ]
    """Of many answers: Status, row, and where the certificate begins and ends."""

Verdict: TypeAlias = tuple[int, int, int, int]
"""A ``Status``, the row of the Device's Ticket, and where in the answer the preferred certificate
begins and ends; all but the first are 0 unless it is ``MATCHED``."""


class Status(IntEnum):
    """What an index found for an answer."""

    NO_TICKET = 0
    """No known Ticket speaks for any of its certificates."""
    MATCHED = 1
    PARTIAL = 2
    """Refused: a member's ProductInstanceUri without its Composite, and nothing better."""
    ASK = 3
    """No statement: the answer is malformed or unusual, and the reference has to decide."""


_ASK: Verdict = (Status.ASK, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What an index is told of one believed Ticket."""

    row: int
    """Of the Ticket in the store; of several for one URI the lowest is taken."""
    uri: str
    is_composite: bool
    route: Route
    composite_uris: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    composites: tuple[str, ...] = ()

    @classmethod
    def of(cls, row: int, ticket: ValidTicket) -> Self:
        """Return what matching needs of ``ticket``."""
        return cls(
            row=row,
            uri=ticket.uri,
            is_composite=ticket.is_composite,
            route=ticket.route,
            composite_uris=ticket.composite_uris,
            devices=ticket.devices,
            composites=ticket.composites,
        )

    @property
    def is_out_of_band(self) -> bool:
        return self.route is Route.OUT_OF_BAND


class TicketIndex(Protocol):
    """One generation of what is known of all Tickets; never changes."""

    def __len__(self) -> int:
        """Return how many Tickets it knows."""

    @property
    def size_bytes(self) -> int:
        """What it holds in memory, the URIs included."""

    def extended(self, news: Sequence[Listed]) -> TicketIndex:
        """Return a generation that knows ``news`` as well; takes a copy of this one."""

    def match(self, answer: bytes) -> Verdict:
        """Find the Ticket for one answer.

        Args:
            answer: the body of a GetEndpointsResponse, as it came.
        """

    def match_all(self, answers: Sequence[bytes]) -> Columns:
        """Find the Tickets for many answers, in their order."""


@compiled
def new_index(key: bytes) -> TicketIndex:
    """Return an empty index.

    Args:
        key: 16 random bytes: Devices choose URIs, and must not be able to choose collisions.
    """
    return PythonIndex({}, 0)


class PythonIndex:
    """The index in Python: specification and fallback of the compiled one."""

    def __init__(self, mentioned: dict[str, tuple[Listed, ...]], count: int) -> None:
        self._mentioned = mentioned
        """By each URI a Ticket is to be found by, as ``ValidTicket.mentions``."""
        self._count = count

    def __len__(self) -> int:
        return self._count

    @property
    def size_bytes(self) -> int:
        """What it holds in memory, without what Tickets of one URI share."""
        return getsizeof(self._mentioned) + sum(
            getsizeof(uri) + getsizeof(known) for uri, known in self._mentioned.items()
        )

    def extended(self, news: Sequence[Listed]) -> TicketIndex:
        """Return the next generation; see ``TicketIndex``."""
        mentioned = dict(self._mentioned)
        for listed in news:
            for uri in dict.fromkeys((listed.uri, *listed.devices, *listed.composites)):
                mentioned[uri] = (*mentioned.get(uri, ()), listed)
        return PythonIndex(mentioned, self._count + len(news))

    def match(self, answer: bytes) -> Verdict:
        """Decode the answer, gather what is listed, match; see ``TicketIndex``."""
        try:
            offer = read_offer(_endpoints_of(answer), ())
        except (DecodingError, Rejected):
            return _ASK
        found = match(offer.certificates, self._around(lookup_uris(offer.certificates)))
        if not found.candidates:
            return (Status.PARTIAL if found.partial else Status.NO_TICKET, 0, 0, 0)
        best = found.candidates[0]
        start = answer.find(best.certificate.der)
        return Status.MATCHED, best.ticket.row, start, start + len(best.certificate.der)

    def match_all(self, answers: Sequence[bytes]) -> Columns:
        """Match one after the other; see ``TicketIndex``."""
        import numpy as np

        table = np.array([self.match(answer) for answer in answers], np.int64).reshape(-1, 4)
        status, row, start, stop = table.T
        return status.astype(np.uint8), row, start, stop

    def _around(self, uris: Iterable[str]) -> list[Listed]:
        """Return the listed Tickets around ``uris``, as ``core.match.gather``, oldest first."""
        found: dict[int, Listed] = {}
        asked: set[str] = set()
        wanted = set(uris)
        for _ in range(MAX_NESTING + 1):
            asked |= wanted
            news = [one for uri in wanted for one in self._mentioned.get(uri, ())]
            found.update((one.row, one) for one in news)
            wanted = {uri for one in news for uri in (*one.composite_uris, one.uri)} - asked
        return [found[row] for row in sorted(found)]


def _endpoints_of(answer: bytes) -> Sequence[ua.EndpointDescription]:
    """Return the endpoints of a good answer.

    Raises:
        DecodingError: malformed, another message, or a bad result.
    """
    response = decode_message(answer)
    if not isinstance(response, ua.GetEndpointsResponse):
        raise DecodingError(f"a {type(response).__name__} is no answer to GetEndpoints")
    result = response.ResponseHeader.ServiceResult.value
    if result != 0:
        raise DecodingError(f"GetEndpoints ended with 0x{result:08X}")
    return response.Endpoints or ()
