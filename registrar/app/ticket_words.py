"""One Ticket in words: what it vouches for, who signed, which signature counts, until when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from registrar.core.jws import JwsLimits, decode_jws
from registrar.core.ticket import CompositeIdentityTicket, Ticket
from registrar.core.valid_ticket import SignatureOutcome, ValidTicket

Words = tuple[str, str]
"""What is said of, and what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signer:
    """What the protected header of one signature says."""

    subject: str
    ends: str


def describe(valid: ValidTicket) -> Iterator[Words]:
    """Yield pairs of a name and a sentence about a believed Ticket."""
    ticket = valid.ticket
    yield "Ticket", f"for the {_kind(ticket)} {valid.uri}"
    yield from _claims(ticket)
    for number, (outcome, signer) in enumerate(
        zip(valid.outcomes, _signers(valid), strict=True), 1
    ):
        yield f"signature {number}", _signature(outcome, signer)
    yield (
        "believed",
        f"because of {valid.signer_subject}, until {valid.signer_not_after:%Y-%m-%d} at the latest",
    )


def _kind(ticket: Ticket) -> str:
    return "Composite" if isinstance(ticket, CompositeIdentityTicket) else "Device"


def _claims(ticket: Ticket) -> Iterator[Words]:
    for name, value in (
        ("manufacturer", ticket.manufacturer_name),
        ("model", f"{ticket.model_name} {ticket.model_version}".strip()),
        ("serial number", ticket.serial_number),
        ("hardware", ticket.hardware_revision),
        ("software", ticket.software_revision),
        ("made", f"{ticket.manufacture_date:%Y-%m-%d}" if ticket.manufacture_date else ""),
    ):
        if value:
            yield name, value
    if isinstance(ticket, CompositeIdentityTicket):
        for member in (*ticket.devices, *ticket.composites):
            yield "member", member
    if ticket.authorities:
        count = len(ticket.authorities)
        yield "device CAs", f"{count} named; their certificates are to be issued below one of them"


def _signers(valid: ValidTicket) -> list[_Signer]:
    limits = JwsLimits()
    return [
        _Signer(
            subject=signature.header.signer.subject,
            ends=f"{signature.header.signer.not_after:%Y-%m-%d}",
        )
        if signature.header is not None
        else _Signer(subject="somebody unreadable", ends="")
        for signature in decode_jws(valid.document, limits).signatures
    ]


def _signature(outcome: SignatureOutcome, signer: _Signer) -> str:
    if outcome.reason is not None:
        return f"does not count ({outcome.reason}): by {signer.subject}; {outcome.detail}"
    builder = f", who built it into {outcome.composite_uri}" if outcome.composite_uri else ""
    passed = f"; let pass: {'; '.join(outcome.suppressed)}" if outcome.suppressed else ""
    return f"counts: by {signer.subject}{builder}, whose certificate ends {signer.ends}{passed}"
