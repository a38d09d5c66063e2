"""Making Tickets: a maker's from a table of its Devices, a CompositeBuilder's by counter-signing.

A table is CSV below a line of names, a Ticket a row. The names are the members of the
structures (OPC 10000-21 §8.2.3 to §8.2.5); ``Devices`` and ``Composites`` hold URIs with spaces
between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from registrar.app.causes import now
from registrar.app.files import Document, check_given, find_tickets
from registrar.app.settings import Settings
from registrar.app.tables import read_table
from registrar.app.tickets import Received, refused, ticket_verifier, unreadable
from registrar.ca.pem import read_certificates
from registrar.ca.ticket_signing import TicketSigner, append_signature, sign_ticket
from registrar.core.certificate import Certificate
from registrar.core.ticket import (
    CertificateAuthority,
    CompositeIdentityTicket,
    DeviceIdentityTicket,
    Ticket,
    is_uri,
)
from registrar.core.valid_ticket import SignatureOutcome, ValidTicket
from registrar.core.verify import Route
from registrar.errors import FileInvalid, Misuse, Reason, TicketInvalid
from registrar.store import tickets as stored
from registrar.store.store import Store
from registrar.store.transaction import Readable

_TEXTS: Final[Mapping[str, str]] = {
    "ManufacturerName": "manufacturer_name",
    "ModelName": "model_name",
    "ModelVersion": "model_version",
    "HardwareRevision": "hardware_revision",
    "SoftwareRevision": "software_revision",
    "SerialNumber": "serial_number",
}
_DEVICE: Final = "ProductInstanceUri"
_COMPOSITE: Final = "CompositeInstanceUri"
_DATE: Final = "ManufactureDate"
_MEMBERS: Final = ("Devices", "Composites")

COLUMNS: Final = frozenset({*_TEXTS, _DEVICE, _COMPOSITE, _DATE, *_MEMBERS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What became of one Ticket that was to be signed."""

    received: Received
    document: str = ""
    """The Ticket with the new signature; empty where ``received`` says why not."""


def create(table: Path, signer: TicketSigner, authorities: Iterable[Path]) -> Iterator[str]:
    """Yield a signed Ticket for each row of ``table``.

    Args:
        table: CSV, see the head of this module.
        signer: signs.
        authorities: PEM files, each a CA of DeviceIdentity Certificates and then its issuers.

    Raises:
        FileInvalid: a file cannot be read, or a column or value is wrong; the message names it.
    """
    cas = tuple(map(_authority, authorities))
    for line, row in read_table(table, known=COLUMNS):
        try:
            ticket = _ticket(row, cas)
        except (TicketInvalid, Misuse, ValueError, OverflowError) as error:
            raise FileInvalid(f"line {line}: {error}", subject=str(table)) from error
        yield sign_ticket(ticket, signer)


def _authority(path: Path) -> CertificateAuthority:
    check_given(path)
    found = read_certificates(path)
    if not found:
        raise FileInvalid("holds no certificate", subject=str(path))
    first, *issuers = [certificate.der for certificate in found]
    return CertificateAuthority(authority_certificate=first, issuer_certificates=tuple(issuers))


def _ticket(row: Mapping[str, str], cas: tuple[CertificateAuthority, ...]) -> Ticket:
    device, composite = row.get(_DEVICE, ""), row.get(_COMPOSITE, "")
    if bool(device) == bool(composite):
        raise Misuse(f"give either {_DEVICE} or {_COMPOSITE}")
    texts = {attribute: row.get(name, "") for name, attribute in _TEXTS.items()}
    date = _date(row.get(_DATE, ""))
    devices, composites = (tuple(row.get(name, "").split()) for name in _MEMBERS)
    if composite:
        return CompositeIdentityTicket(
            composite_instance_uri=composite,
            devices=devices,
            composites=composites,
            manufacture_date=date,
            authorities=cas,
            **texts,
        )
    if devices or composites:
        raise Misuse("a Device has no members")
    return DeviceIdentityTicket(
        product_instance_uri=device, manufacture_date=date, authorities=cas, **texts
    )


def _date(text: str) -> datetime | None:
    if not text:
        return None
    date = datetime.fromisoformat(text)
    return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)


def sign(
    store: Store,
    settings: Settings,
    paths: Iterable[Path],
    signer: TicketSigner,
    *,
    composite_uri: str = "",
) -> Iterator[Signed]:
    """Append a signature to each Ticket in the files that the site believes; yield all.

    Where ``composite_uri`` is not given, the Ticket of a Device that a believed Composite Ticket
    of this signer names gets that Composite's URI: ``opc-uri`` is due in the signature of a
    CompositeBuilder (§8.1). A signature that is there already is not added again.

    Raises:
        Misuse: ``composite_uri`` is no URI.
    """
    if composite_uri and not is_uri(composite_uri):
        raise Misuse(f"{composite_uri[:80]!r} is not a URI")
    verifier = ticket_verifier(store, settings)
    for found in find_tickets(paths):
        if not isinstance(found, Document):
            yield Signed(received=unreadable(found))
            continue
        try:
            valid = verifier.verify(found.text, route=Route.OUT_OF_BAND, now=now())
        except TicketInvalid as error:
            yield Signed(received=refused(found, error))
            continue
        uri = composite_uri or _built_into(store.reader, valid, signer.certificates[0])
        received = Received(source=found.source, uri=valid.uri, kind=valid.ticket.type)
        if _has_signed(valid, signer.certificates[0], uri):
            yield Signed(received=received, document=valid.document)
        else:
            yield _appended(found, received, valid, signer, uri)


def _appended(
    found: Document, received: Received, valid: ValidTicket, signer: TicketSigner, uri: str
) -> Signed:
    try:
        return Signed(
            received=received, document=append_signature(valid, signer, composite_uri=uri)
        )
    except Misuse as error:
        problem = TicketInvalid(str(error), reason=Reason.TICKET_TOO_LARGE)
        return Signed(received=refused(found, problem))


def _built_into(reader: Readable, valid: ValidTicket, builder: Certificate) -> str:
    """Return the Composite of ``builder`` whose Ticket names this one, or "" if there is none."""
    for known in stored.tickets_for(reader, [valid.uri]):
        ticket = known.ticket
        if not isinstance(ticket, CompositeIdentityTicket):
            continue
        is_member = valid.uri in (*ticket.devices, *ticket.composites)
        if is_member and any(_is_good(one, builder) for one in known.outcomes):
            return known.uri
    return ""


def _has_signed(valid: ValidTicket, signer: Certificate, composite_uri: str) -> bool:
    return any(
        _is_good(one, signer) and one.composite_uri == composite_uri for one in valid.outcomes
    )


def _is_good(outcome: SignatureOutcome, signer: Certificate) -> bool:
    return outcome.reason is None and outcome.signer == signer.thumbprint
