"""Write what a site receives with a plant, as files an operator would be given.

endpoints.txt                             a URL a line
tickets/*.json                            TicketListType documents
authorities/ticket_authorities/*.der      signers of Tickets, and their CAs
authorities/device_identity_authorities/  CAs of makers whose Tickets name none
crls/…                                    the CRLs for each of the two lists
revisions.json                            the wanted software revision of each model
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from registrar.simulate.production import Shipment
from registrar.simulate.tickets import ticket_list

TICKETS_PER_FILE = 200
TICKET_AUTHORITIES = "ticket_authorities"
DEVICE_IDENTITY_AUTHORITIES = "device_identity_authorities"


def write_shipment(
    directory: Path,
    shipment: Shipment,
    *,
    urls: Sequence[str],
    wanted_revisions: Mapping[str, str],
) -> None:
    """Write ``shipment`` below ``directory``, which is created."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{url}\n" for url in urls)
    (directory / "endpoints.txt").write_text(lines, encoding="utf-8")
    _write_tickets(directory / "tickets", shipment)
    lists = {
        TICKET_AUTHORITIES: (shipment.ticket_authorities, shipment.ticket_crls),
        DEVICE_IDENTITY_AUTHORITIES: (shipment.device_authorities, shipment.device_crls),
    }
    for name, (certificates, crls) in lists.items():
        _write_each(directory / "authorities" / name, certificates, "der")
        _write_each(directory / "crls" / name, crls, "crl")
    text = json.dumps(dict(wanted_revisions), indent=1) + "\n"
    (directory / "revisions.json").write_text(text, encoding="utf-8")


def _write_tickets(directory: Path, shipment: Shipment) -> None:
    _empty(directory, "json")
    lists = [
        *((list(some), []) for some in _in_files(shipment.device_tickets)),
        *(([], list(some)) for some in _in_files(shipment.composite_tickets)),
    ]
    for number, (devices, composites) in enumerate(lists, start=1):
        path = directory / f"shipment-{number:03}.json"
        path.write_text(ticket_list(devices, composites), encoding="utf-8")


def _in_files(tickets: Sequence[str]) -> Iterable[Sequence[str]]:
    return [
        tickets[start : start + TICKETS_PER_FILE]
        for start in range(0, len(tickets), TICKETS_PER_FILE)
    ]


def _empty(directory: Path, ending: str) -> None:
    """Make ``directory``, or remove what an earlier plant left there."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.glob(f"*.{ending}"):
        path.unlink()


def _write_each(directory: Path, items: Iterable[bytes], ending: str) -> None:
    _empty(directory, ending)
    for number, item in enumerate(items, start=1):
        (directory / f"{number:03}.{ending}").write_bytes(item)
