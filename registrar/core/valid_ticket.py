"""A believed Ticket, with what made it believed.

It is written as two texts, the document and the evidence, and made again from them without
verifying twice. Source: OPC 10000-21 §6.4, §7.1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import orjson

from registrar.core.jws import TicketType, payload_of
from registrar.core.ticket import CompositeIdentityTicket, Ticket
from registrar.core.ticket_json import decode_ticket_again
from registrar.errors import DecodingError, Reason, TicketInvalid


class Route(StrEnum):
    """How a Ticket was acquired; each way trusts other signers (OPC 10000-21 §6.4)."""

    OUT_OF_BAND = "out_of_band"
    """A RegistrarAdmin or a back office brought it: recorded signers and trusted CAs count."""

    WITH_DEVICE = "with_device"
    """The Device brought it: only signers recorded in advance count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureOutcome:
    """What became of one signature of a Ticket."""

    reason: Reason | None = None
    """Why it does not count; ``None`` where it is good."""

    detail: str = ""
    signer: str = ""
    """SHA-256 thumbprint of the signing certificate; empty where it was not readable."""

    signer_subject: str = ""
    composite_uri: str = ""
    """Its ``opc-uri``; believed only where ``reason`` is ``None``."""

    suppressed: tuple[str, ...] = ()
    """Findings that the owner's policy suppressed; each is audited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidTicket:
    """A Ticket with at least one good signature at ``validated_at``.

    Only ``verify.TicketVerifier`` makes one, and ``rebuild`` from what that one made.
    """

    ticket: Ticket
    document: str = field(repr=False)
    """The EncodedTicket as received, every signature of it."""

    payload_digest: str
    """SHA-256 in hex: the same Ticket under other signatures has the same."""

    route: Route
    signer: str
    """SHA-256 thumbprint of the trusted signer whose certificate ends last."""

    signer_subject: str
    signer_not_after: datetime

    authority: str
    """SHA-256 thumbprint of the listed certificate that the belief in ``signer`` rests on."""

    good_until: datetime
    """When the clock alone takes this belief away; aware."""

    composite_uris: tuple[str, ...]
    """``opc-uri`` of good signatures: the Composites a builder put the Device into."""

    validated_at: datetime
    trust_digest: str
    """``TrustList.digest`` of the Ticket authorities at that time."""

    outcomes: tuple[SignatureOutcome, ...]
    """In the order of the signatures."""

    @property
    def uri(self) -> str:
        """ProductInstanceUri or CompositeInstanceUri."""
        return self.ticket.uri

    @property
    def is_composite(self) -> bool:
        return isinstance(self.ticket, CompositeIdentityTicket)

    @property
    def devices(self) -> tuple[str, ...]:
        """ProductInstanceUris of a Composite's Devices; none of a Device."""
        return self.ticket.devices if isinstance(self.ticket, CompositeIdentityTicket) else ()

    @property
    def composites(self) -> tuple[str, ...]:
        """CompositeInstanceUris of the Composites inside a Composite; none of a Device."""
        return self.ticket.composites if isinstance(self.ticket, CompositeIdentityTicket) else ()

    @property
    def mentions(self) -> tuple[str, ...]:
        """Every URI this Ticket is to be found by: its own and, of a Composite, its members'."""
        return tuple(dict.fromkeys((self.uri, *self.devices, *self.composites)))

    @property
    def evidence(self) -> str:
        """What is to be stored beside the document, as JSON."""
        return orjson.dumps(
            {
                "type": self.ticket.type,
                "route": self.route,
                "signer": self.signer,
                "signer_subject": self.signer_subject,
                "signer_not_after": self.signer_not_after,
                "authority": self.authority,
                "good_until": self.good_until,
                "composite_uris": self.composite_uris,
                "validated_at": self.validated_at,
                "trust_digest": self.trust_digest,
                "outcomes": [_evidence(outcome) for outcome in self.outcomes],
            }
        ).decode()

    @classmethod
    def rebuild(cls, document: str, evidence: str) -> ValidTicket:
        """Make a stored Ticket again, without verifying it again.

        Args:
            document: as it was stored.
            evidence: what ``evidence`` gave; it must come from our own store.

        Raises:
            DecodingError: the stored texts are damaged.
        """
        try:
            stored = orjson.loads(evidence)
            payload = payload_of(document)
            return cls(
                ticket=decode_ticket_again(payload, TicketType(stored["type"])),
                document=document,
                payload_digest=hashlib.sha256(payload).hexdigest(),
                route=Route(stored["route"]),
                signer=stored["signer"],
                signer_subject=stored["signer_subject"],
                signer_not_after=datetime.fromisoformat(stored["signer_not_after"]),
                authority=stored["authority"],
                good_until=datetime.fromisoformat(stored["good_until"]),
                composite_uris=tuple(stored["composite_uris"]),
                validated_at=datetime.fromisoformat(stored["validated_at"]),
                trust_digest=stored["trust_digest"],
                outcomes=tuple(map(_outcome, stored["outcomes"])),
            )
        except (ValueError, TypeError, KeyError, TicketInvalid) as error:
            raise DecodingError(f"a stored Ticket is damaged: {str(error)[:80]}") from error


def _evidence(outcome: SignatureOutcome) -> dict[str, object]:
    # By hand: ``asdict`` copies every value deeply, which costs more than all the rest.
    return {
        "reason": outcome.reason,
        "detail": outcome.detail,
        "signer": outcome.signer,
        "signer_subject": outcome.signer_subject,
        "composite_uri": outcome.composite_uri,
        "suppressed": outcome.suppressed,
    }


def _outcome(stored: dict[str, object]) -> SignatureOutcome:
    reason, suppressed = stored["reason"], stored["suppressed"]
    if not isinstance(suppressed, list):
        raise TypeError("suppressed is not a list")
    return SignatureOutcome(
        reason=None if reason is None else Reason(str(reason)),
        detail=str(stored["detail"]),
        signer=str(stored["signer"]),
        signer_subject=str(stored["signer_subject"]),
        composite_uri=str(stored["composite_uri"]),
        suppressed=tuple(map(str, suppressed)),
    )
