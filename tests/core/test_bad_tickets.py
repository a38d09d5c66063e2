"""B1 to B31: each bad Ticket has its reason, and costs no more than it may."""

from __future__ import annotations

import tracemalloc
from time import process_time

import pytest

from registrar.core.jws import decode_protected
from registrar.core.signatures import is_issued_by
from registrar.core.ticket_snapshot import TicketSnapshot
from registrar.core.verify import Route, TicketVerifier
from registrar.errors import TicketInvalid
from tests.core.bad_tickets import BAD_TICKETS, BadTicket
from tests.core.building import NOW
from tests.core.costs import MOST_MEMORY, MOST_S, OF_ANY_SIZE
from tests.core.spoiling import GOOD, TRUST

VERIFIER = TicketVerifier(TRUST)
EVERY = pytest.mark.parametrize(
    "bad", BAD_TICKETS, ids=[f"{one.number} {one.what}" for one in BAD_TICKETS]
)


def refuse(document: str | bytes) -> TicketInvalid | None:
    """Return why the reference refuses it, with nothing kept from before."""
    decode_protected.cache_clear()
    is_issued_by.cache_clear()
    try:
        VERIFIER.verify(document, route=Route.OUT_OF_BAND, now=NOW)
    except TicketInvalid as error:
        return error
    return None


def test_what_they_are_made_of_is_good() -> None:
    assert refuse(GOOD) is None


@EVERY
def test_a_bad_ticket_has_its_reason(bad: BadTicket) -> None:
    document = bad.make()

    error = refuse(document)

    assert (error.reason if error else None) is bad.reason, str(error)
    if error is not None:
        assert len(str(error)) < 500
        assert GOOD[100:180] not in str(error)


@EVERY
def test_the_batch_refuses_what_the_reference_refuses(bad: BadTicket) -> None:
    snapshot = TicketSnapshot(VERIFIER, route=Route.OUT_OF_BAND, now=NOW)
    document = bad.make()

    # The good one first: the batch knows its signer by then.
    snapshot.verify_all([GOOD])
    (result,) = snapshot.verify_all([document])

    assert (result.reason if isinstance(result, TicketInvalid) else None) is bad.reason


@EVERY
def test_a_bad_ticket_costs_little(bad: BadTicket) -> None:
    document = bad.make()
    refuse(document)

    tracemalloc.start()
    refuse(document)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most <= max(MOST_MEMORY * len(document), OF_ANY_SIZE)
    assert min(_taken(document) for _ in range(3)) <= MOST_S


def _taken(document: str | bytes) -> float:
    begin = process_time()
    refuse(document)
    return process_time() - begin
