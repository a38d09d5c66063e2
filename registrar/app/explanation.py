"""Everything a site knows about one device, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from registrar.app.reports import DEVICES_LISTED, find_devices, outcome_of_row
from registrar.core.enrolment import Event
from registrar.core.reasons import describe
from registrar.core.valid_ticket import Route, ValidTicket
from registrar.enrolment.outcome import Outcome
from registrar.errors import FileInvalid, Reason
from registrar.store import audit, issuances, software, tickets
from registrar.store.audit import AuditEntry, Kind
from registrar.store.enrolments import EnrolmentRow
from registrar.store.issuances import Issuance
from registrar.store.store import Store
from registrar.store.tickets import RejectedTicket

_WORDS: Final[dict[str, str]] = {
    "discovered": "its URL became known",
    Event.TICKET_MATCHED: "a valid Ticket matched one of its certificates",
    Event.TICKET_MISSING: "no valid Ticket matched it",
    Event.TICKETS_RECEIVED: "it was looked at again for a Ticket",
    Event.OWN_CERTIFICATE_SERVED: "it already served a DCA Certificate of this site",
    Event.APPROVAL_NEEDED: "it needs an approval",
    Event.APPROVED: "it was approved",
    Event.IDENTITY_PROVEN: "it proved that it holds its private key",
    Event.PROVISIONING_BEGUN: "provisioning began",
    Event.SOFTWARE_OUTDATED: "certificate and TrustList are in place; its software is outdated",
    Event.DCA_CONFIRMED: "certificate and TrustList were read back",
    Event.SOFTWARE_CURRENT: "its software was reported as current",
    Event.APPLICATIONS_CONFIRMED: "its applications have certificates and TrustLists",
    Event.REFUSED: "it was refused",
    Event.CONFLICTED: "it conflicts with another owner or device",
    Event.LOST: "it stayed out of reach",
    Event.RETRIED: "it was tried again",
    Event.RETIRED: "it was retired",
    "bound": "its name was bound to its key",
    "unbound": "its name was released",
    "registered": "a Ticket was registered",
    "signed_again": "a Ticket came with further signatures",
    "rejected": "a Ticket was refused",
    "verified_again": "a Ticket was verified again",
    "withdrawn": "a Ticket is not believed any more",
    "reserved": "a certificate was reserved",
    "signed": "a certificate was signed",
    "delivered": "a certificate was delivered",
    "confirmed": "a certificate was read back",
    "revoked": "a certificate was revoked",
    "found": "an application was found",
    "current": "software reported as current",
    "outdated": "software reported as outdated",
}
"""Audit events as people say them; others stand as they are."""

_ROUTES: Final = {Route.OUT_OF_BAND: "imported", Route.WITH_DEVICE: "read from the device"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One device, or what is left of one: Tickets without a device."""

    name: str
    outcomes: tuple[Outcome, ...]
    """Usually one; two where two devices claim one name."""
    valid: tuple[ValidTicket, ...]
    refused: tuple[RejectedTicket, ...]
    issued: tuple[Issuance, ...]
    software: str
    trail: tuple[AuditEntry, ...]

    def lines(self) -> Iterator[str]:
        """Yield the explanation as text."""
        for outcome in self.outcomes:
            yield from _about(outcome)
        if not self.outcomes:
            yield f"{self.name}: no device of that name was seen"
        yield from _section("Tickets", [*map(_valid, self.valid), *map(_refused, self.refused)])
        yield from _section("Certificates issued", map(_issued, self.issued))
        yield from _section("Software", [self.software] if self.software else [])
        yield from _section("What happened", map(_told, self.trail))

    def document(self) -> dict[str, object]:
        """Return the explanation for machines."""
        return {
            "name": self.name,
            "devices": [
                {
                    "url": one.url,
                    "product_instance_uri": one.product_instance_uri,
                    "serial_number": one.serial_number,
                    "model": one.model,
                    "state": one.state,
                    "reason": str(one.reason or ""),
                    "detail": one.detail,
                    "next_action": one.next_action,
                }
                for one in self.outcomes
            ],
            "tickets": [
                {
                    "uri": one.uri,
                    "kind": one.ticket.type,
                    "signer": one.signer_subject,
                    "signer_thumbprint": one.signer,
                    "route": one.route,
                    "digest": one.payload_digest,
                }
                for one in self.valid
            ],
            "refused_tickets": [
                {"uri": one.uri, "reason": one.reason, "detail": one.detail, "at": one.at}
                for one in self.refused
            ],
            "certificates": [
                {
                    "serial_number": f"{one.serial:x}",
                    "application_uri": one.application_uri,
                    "profile": one.profile,
                    "state": one.state,
                    "not_after": one.not_after,
                }
                for one in self.issued
            ],
            "software": self.software,
            "trail": [
                {
                    "sequence": one.sequence,
                    "at": one.at,
                    "actor": one.actor,
                    "kind": one.kind,
                    "subject": one.subject,
                    "event": one.event,
                    "before": one.before,
                    "after": one.after,
                    "reason": one.reason,
                    "detail": one.detail,
                }
                for one in self.trail
            ],
        }


def explain(store: Store, device: str) -> Explanation:
    """Collect what is known about a device.

    Args:
        store: the site's.
        device: a URL, a ProductInstanceUri or a serial number.

    Raises:
        FileInvalid: nothing is known by that name.
    """
    reader = store.reader
    rows = find_devices(store, device)
    uris = sorted({row.product_instance_uri for row in rows} - {""}) or [device]
    valid = tickets.tickets_for(reader, uris)
    refused = tickets.rejected_for(reader, uris)
    if not (rows or valid or refused):
        raise FileInvalid("nothing is known of it", subject=device, next_action=DEVICES_LISTED)
    issued = [one for row in rows for one in issuances.history(reader, row.id)]
    reports = [software.last_report(reader, uri) for uri in uris]
    return Explanation(
        name=device,
        outcomes=tuple(map(outcome_of_row, rows)),
        valid=tuple(valid),
        refused=tuple(refused),
        issued=tuple(issued),
        software="; ".join(
            f"revision {told.revision}, {'current' if told.is_current else 'outdated'}"
            for told in reports
            if told is not None
        ),
        trail=_trail(store, rows, uris, valid, refused),
    )


def _trail(
    store: Store,
    rows: Iterable[EnrolmentRow],
    uris: Iterable[str],
    valid: Iterable[ValidTicket],
    refused: Iterable[RejectedTicket],
) -> tuple[AuditEntry, ...]:
    subjects: list[tuple[Kind, str]] = [
        *((Kind.SOFTWARE, uri) for uri in uris),
        *((Kind.TICKET, one.payload_digest) for one in valid),
        *((Kind.TICKET, one.digest) for one in refused),
    ]
    found = [audit.of_device(store.reader, row.id) for row in rows]
    found += [audit.of_subject(store.reader, *subject) for subject in dict.fromkeys(subjects)]
    return tuple(sorted(chain.from_iterable(found), key=lambda entry: entry.sequence))


def _about(outcome: Outcome) -> Iterator[str]:
    yield f"{outcome.url}: {outcome.state}"
    yield f"  ProductInstanceUri  {outcome.product_instance_uri or 'unknown'}"
    yield f"  model               {outcome.model or 'unknown'}"
    yield f"  serial number       {outcome.serial_number or 'unknown'}"
    if outcome.reason is not None:
        yield f"  reason              {outcome.reason}: {describe(outcome.reason).meaning}"
    if outcome.detail:
        yield f"  detail              {outcome.detail}"
    if outcome.next_action:
        yield f"  next                {outcome.next_action}"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    listed = list(lines)
    if listed:
        yield f"{title}:"
        yield from (f"  {line}" for line in listed)


def _valid(ticket: ValidTicket) -> str:
    maker = ticket.ticket.manufacturer_name or "an unnamed maker"
    signer, route = ticket.signer_subject, _ROUTES[ticket.route]
    return f"valid    {ticket.uri} by {maker}, signed by {signer}, {route}"


def _refused(ticket: RejectedTicket) -> str:
    return f"refused  {ticket.uri}: {ticket.reason}: {_meaning(ticket.reason)} ({ticket.detail})"


def _issued(issuance: Issuance) -> str:
    return (
        f"{issuance.state:9}  {issuance.profile} for {issuance.application_uri}, serial "
        f"{issuance.serial:x}, ends {issuance.not_after:%Y-%m-%d}"
    )


def _told(entry: AuditEntry) -> str:
    words = _WORDS.get(entry.event, entry.event.replace("_", " "))
    arrow = f" ({entry.before} → {entry.after})" if entry.before and entry.after else ""
    why = f" [{entry.reason}]" if entry.reason else ""
    detail = f": {entry.detail}" if entry.detail else ""
    return f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.actor}  {words}{arrow}{why}{detail}"


def _meaning(reason: str) -> str:
    return describe(Reason(reason)).meaning if reason in set(Reason) else reason
