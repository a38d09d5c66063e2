"""What a site knows about its devices, and the one thing an operator reports by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from registrar.app.causes import by_operator
from registrar.core.enrolment import State
from registrar.core.ports import Enrolment, Facts
from registrar.core.software import SoftwareReport
from registrar.core.ticket import is_uri
from registrar.enrolment.outcome import Outcome, outcome_of
from registrar.errors import FileInvalid, Reason
from registrar.store import enrolments, inbox, software
from registrar.store.enrolments import EnrolmentRow
from registrar.store.store import Store
from registrar.store.transaction import Transaction

DEVICES_LISTED: Final = "Take the name from registrar status --devices."


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many devices stand in one state for one reason."""

    state: State
    reason: str
    count: int
    next_action: str

    def row(self) -> dict[str, object]:
        """Return the values as columns."""
        return {
            "state": self.state,
            "reason": self.reason,
            "count": self.count,
            "next_action": self.next_action,
        }


def outcome_of_row(row: EnrolmentRow) -> Outcome:
    """Return where the device of a stored enrolment stands, and what to do next."""
    return outcome_of(
        Enrolment(
            id=row.id,
            url=row.url,
            state=row.state,
            facts=Facts(
                product_instance_uri=row.product_instance_uri,
                serial_number=row.serial_number,
                model=row.model,
            ),
            reason=Reason(row.reason) if row.reason else None,
            detail=row.detail,
        )
    )


def outcomes(store: Store) -> Iterator[Outcome]:
    """Yield where each device of the site stands, in the order they were discovered."""
    after = 0
    while page := enrolments.in_states(store.reader, State, after=after):
        after = page[-1].id
        yield from map(outcome_of_row, page)


def counts(store: Store) -> list[Count]:
    """Count the devices by state and reason: states in their order, the most frequent first."""
    rows = Counter((one.state, str(one.reason or ""), one.next_action) for one in outcomes(store))
    order = list(State)
    return [
        Count(state=state, reason=reason, count=count, next_action=action)
        for (state, reason, action), count in sorted(
            rows.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1])
        )
    ]


def find_devices(store: Store, device: str) -> list[EnrolmentRow]:
    """Return the enrolments a person means by a URL, a ProductInstanceUri or a serial number."""
    return enrolments.find(store.reader, device.strip())


def report_software(store: Store, device: str, *, revision: str) -> str:
    """Note that the software of a device is current, and return its ProductInstanceUri.

    A campaign that runs hears of it. A ProductInstanceUri may be reported before its device
    was ever seen.

    Raises:
        FileInvalid: ``device`` names none or several.
    """
    uri = _uri_of(store, device)
    cause = by_operator()
    told = SoftwareReport(is_current=True, revision=revision)

    def change(tx: Transaction) -> None:
        software.report(tx, uri, told, cause=cause)
        inbox.append(tx, inbox.News.SOFTWARE, uri, now=cause.now)

    store.write_sync(change)
    return uri


def _uri_of(store: Store, device: str) -> str:
    found = find_devices(store, device)
    uris = {row.product_instance_uri for row in found} - {""}
    if len(uris) == 1:
        return uris.pop()
    if uris:
        raise FileInvalid(
            f"names {len(uris)} devices", subject=device, next_action="Name one by its URL."
        )
    if found:
        raise FileInvalid(
            "has not shown its ProductInstanceUri yet",
            subject=device,
            next_action="Onboard it first, or name it by its ProductInstanceUri.",
        )
    if is_uri(device) and not device.startswith("opc.tcp:"):
        return device
    raise FileInvalid("is no device of this site", subject=device, next_action=DEVICES_LISTED)
