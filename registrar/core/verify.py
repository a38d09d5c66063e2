"""How a Ticket becomes believed.

    document ─▶ JWS ─▶ signatures ─▶ signer valid, trusted by this route? ─▶ signature holds?
                                                                         ─▶ payload ─▶ ValidTicket

One signature that holds, by a signer who is valid and trusted, is enough; whatever the others
are, they neither help nor harm, and their outcomes are kept. If none is good, the reason is
that of the signature that came furthest. Source: OPC 10000-21 §6.4, §8.1, §9.2.10.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from registrar.core.certificate import Certificate
from registrar.core.jws import Jws, JwsLimits, JwsSignature, ProtectedHeader, decode_jws
from registrar.core.path import (
    MAX_SIGNATURE_CHECKS,
    NEVER,
    SignatureBudget,
    validate_path,
)
from registrar.core.signatures import SignatureCheck, signatures_hold
from registrar.core.ticket import Ticket
from registrar.core.ticket_json import claimed_uri, decode_ticket
from registrar.core.trust import TicketAuthorities
from registrar.core.valid_ticket import Route, SignatureOutcome, ValidTicket
from registrar.core.validation import TICKET_SIGNER, Anchor, Check, ValidationOptions
from registrar.errors import CertificateRejected, Reason, TicketInvalid
from registrar.status import StatusCode

__all__ = ["Route", "SignatureOutcome", "TicketPolicy", "TicketVerifier", "ValidTicket"]

MAX_WASTED_CHECKS = 48
"""Signatures of certificates that one Ticket may cost for signers who are not good: three for each
of sixteen. The signatures behind them are left out; one check on P-521 takes 0.5 ms."""

_SIGNER_REASONS: Mapping[StatusCode, Reason] = {
    StatusCode.BadCertificateInvalid: Reason.TICKET_SIGNER_INVALID,
    StatusCode.BadCertificateChainIncomplete: Reason.TICKET_SIGNER_UNTRUSTED,
    StatusCode.BadCertificatePolicyCheckFailed: Reason.TICKET_SIGNER_INVALID,
    StatusCode.BadCertificateUntrusted: Reason.TICKET_SIGNER_UNTRUSTED,
    StatusCode.BadCertificateTimeInvalid: Reason.TICKET_SIGNER_EXPIRED,
    StatusCode.BadCertificateIssuerTimeInvalid: Reason.TICKET_SIGNER_EXPIRED,
    StatusCode.BadCertificateUseNotAllowed: Reason.TICKET_SIGNER_INVALID,
    StatusCode.BadCertificateIssuerUseNotAllowed: Reason.TICKET_SIGNER_INVALID,
    StatusCode.BadCertificateRevocationUnknown: Reason.TICKET_SIGNER_REVOCATION_UNKNOWN,
    StatusCode.BadCertificateIssuerRevocationUnknown: Reason.TICKET_SIGNER_REVOCATION_UNKNOWN,
    StatusCode.BadCertificateRevoked: Reason.TICKET_SIGNER_REVOKED,
    StatusCode.BadCertificateIssuerRevoked: Reason.TICKET_SIGNER_REVOKED,
}

_FURTHEST: Mapping[Reason, int] = {
    reason: distance
    for distance, reason in enumerate(
        (
            Reason.TICKET_TOO_LARGE,
            Reason.TICKET_MALFORMED,
            Reason.TICKET_ALGORITHM_REFUSED,
            Reason.TICKET_SIGNER_INVALID,
            Reason.TICKET_SIGNER_UNTRUSTED,
            Reason.AUTHORITY_STOPPED,
            Reason.TICKET_SIGNER_EXPIRED,
            Reason.TICKET_SIGNER_REVOCATION_UNKNOWN,
            Reason.TICKET_SIGNER_REVOKED,
            Reason.TICKET_SIGNATURE_INVALID,
            Reason.AUTHORITY_OUT_OF_SCOPE,
        )
    )
}
"""How far a signature came before it failed, in the order of the checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketPolicy:
    """What the owner allows beyond the strict reading; every use is recorded."""

    issuing_ca_with_device: bool = False
    """For Tickets from a Device, also trust signers whose issuing CA is in the list (Q7)."""

    suppress_revocation_unknown: bool = False
    """Believe signers of whose issuer no current CRL is known."""

    limits: JwsLimits = field(default_factory=JwsLimits)


_STRICT = TicketPolicy()

_LEFT_OUT = SignatureOutcome(
    reason=Reason.TICKET_TOO_LARGE,
    detail=f"{MAX_WASTED_CHECKS} checks were wasted on the signers before",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerVerdict:
    """What is thought of one signer, whatever he signed."""

    error: CertificateRejected | None
    checks: int = 0
    """Signatures that were checked before it was refused."""

    suppressed: tuple[str, ...] = ()
    anchors: tuple[Certificate, ...] = ()
    ends: datetime = NEVER


_NOBODY: Mapping[tuple[Certificate, ...], SignerVerdict] = {}


class TicketVerifier:
    """Verifies Tickets against one state of the Ticket authorities."""

    def __init__(self, authorities: TicketAuthorities, *, policy: TicketPolicy = _STRICT) -> None:
        self._authorities = authorities
        self._policy = policy

    @property
    def authorities(self) -> TicketAuthorities:
        return self._authorities

    @property
    def policy(self) -> TicketPolicy:
        return self._policy

    def verify(self, document: str | bytes, *, route: Route, now: datetime) -> ValidTicket:
        """Return the Ticket that ``document`` holds, believed.

        Args:
            route: how it was acquired; decides who is trusted.
            now: aware.

        Raises:
            TicketInvalid: no signature is good, or the document or its payload is malformed;
                ``reason`` says which, ``claimed_uri`` whom the payload would describe.
        """
        (result,) = self.verify_all([document], route=route, now=now)
        if isinstance(result, TicketInvalid):
            raise result
        return result

    def verify_all(
        self,
        documents: Sequence[str | bytes],
        *,
        route: Route,
        now: datetime,
        judged: Mapping[tuple[Certificate, ...], SignerVerdict] = _NOBODY,
    ) -> list[ValidTicket | TicketInvalid]:
        """Verify many Tickets with one call for all their signatures; never raises for one.

        Args:
            judged: what ``judge_signer`` said before of the same route and time.

        Returns:
            In the order of ``documents`` each Ticket or why it is refused.
        """
        opened = [self._open(document) for document in documents]
        verdicts = dict(judged)
        outcomes: list[list[SignatureOutcome]] = []
        places: list[tuple[int, int]] = []
        checks: list[SignatureCheck] = []
        for at, jws in enumerate(opened):
            outcomes.append([])
            if isinstance(jws, TicketInvalid):
                continue
            outcomes[at] = self._judge_all(jws, verdicts, route, now)
            for index, (signature, outcome) in enumerate(
                zip(jws.signatures, outcomes[at], strict=True)
            ):
                if outcome.reason is None and signature.header is not None:
                    places.append((at, index))
                    checks.append(_question(signature, signature.header))
        for (at, index), holds in zip(places, signatures_hold(checks), strict=True):
            if not holds:
                outcomes[at][index] = replace(
                    outcomes[at][index],
                    reason=Reason.TICKET_SIGNATURE_INVALID,
                    detail="the signature does not fit content and key",
                )
        return [
            jws
            if isinstance(jws, TicketInvalid)
            else self.conclude(jws, found, verdicts, route, now)
            for jws, found in zip(opened, outcomes, strict=True)
        ]

    def verify_again(
        self, tickets: Sequence[ValidTicket], *, now: datetime
    ) -> list[ValidTicket | TicketInvalid]:
        """Return each Ticket as it stands now: those whose basis is unchanged as they are (R81)."""
        results: list[ValidTicket | TicketInvalid] = list(tickets)
        for route in Route:
            places = [
                at
                for at, one in enumerate(tickets)
                if one.route is route
                and (one.trust_digest != self._authorities.digest or one.good_until < now)
            ]
            if not places:
                continue
            documents = [tickets[at].document for at in places]
            verdicts = self.verify_all(documents, route=route, now=now)
            for at, verdict in zip(places, verdicts, strict=True):
                results[at] = verdict
        return results

    def _open(self, document: str | bytes) -> Jws | TicketInvalid:
        try:
            return decode_jws(document, self._policy.limits)
        except TicketInvalid as error:
            return error

    def _judge_all(
        self,
        jws: Jws,
        verdicts: dict[tuple[Certificate, ...], SignerVerdict],
        route: Route,
        now: datetime,
    ) -> list[SignatureOutcome]:
        """Judge each signature, until too much was wasted on signers who are not good."""
        outcomes: list[SignatureOutcome] = []
        wasted = 0
        for signature in jws.signatures:
            if wasted >= MAX_WASTED_CHECKS:
                outcomes.append(_LEFT_OUT)
                continue
            outcomes.append(self._judge(signature, verdicts, route, now))
            if signature.header is not None:
                verdict = verdicts[signature.header.certificates]
                wasted += verdict.checks if verdict.error is not None else 0
        return outcomes

    def _judge(
        self,
        signature: JwsSignature,
        verdicts: dict[tuple[Certificate, ...], SignerVerdict],
        route: Route,
        now: datetime,
    ) -> SignatureOutcome:
        """Say what is known of a signature before its key is used; no reason is good so far."""
        header = signature.header
        if header is None:
            problem = signature.problem or TicketInvalid("unusable")
            return SignatureOutcome(reason=problem.reason, detail=str(problem))
        verdict = verdicts.get(header.certificates)
        if verdict is None:
            verdict = self.judge_signer(header.certificates, route, now)
            verdicts[header.certificates] = verdict
        outcome = SignatureOutcome(
            signer=header.signer.thumbprint,
            signer_subject=header.signer.subject,
            composite_uri=header.composite_uri or "",
            suppressed=verdict.suppressed,
        )
        if verdict.error is None:
            return outcome
        reason = verdict.error.reason
        if reason is not Reason.AUTHORITY_STOPPED:
            reason = _SIGNER_REASONS[verdict.error.status]
        return replace(outcome, reason=reason, detail=str(verdict.error))

    def judge_signer(
        self, certificates: tuple[Certificate, ...], route: Route, now: datetime
    ) -> SignerVerdict:
        """Say whether a signer, with the chain that came along, is valid and trusted."""
        budget = SignatureBudget()
        try:
            path = validate_path(
                certificates[0],
                intermediates=certificates[1:],
                trust=self._authorities,
                now=now,
                options=self._options(route),
                budget=budget,
            )
        except CertificateRejected as error:
            return SignerVerdict(error=error, checks=MAX_SIGNATURE_CHECKS - budget.left)
        return SignerVerdict(
            error=None,
            suppressed=tuple(f"{one.check}: {one.detail}" for one in path.suppressed),
            anchors=path.anchors,
            ends=path.ends,
        )

    def _options(self, route: Route) -> ValidationOptions:
        options = TICKET_SIGNER
        if self._policy.suppress_revocation_unknown:
            unknown = frozenset({Check.REVOCATION_UNKNOWN, Check.ISSUER_REVOCATION_UNKNOWN})
            options = replace(options, suppress=unknown)
        if route is Route.OUT_OF_BAND:
            return options
        wide = self._policy.issuing_ca_with_device
        return replace(options, anchor=Anchor.LEAF_OR_ISSUING_CA if wide else Anchor.LEAF)

    def conclude(
        self,
        jws: Jws,
        outcomes: list[SignatureOutcome],
        verdicts: Mapping[tuple[Certificate, ...], SignerVerdict],
        route: Route,
        now: datetime,
    ) -> ValidTicket | TicketInvalid:
        """Return the Ticket, believed or refused, from what became of each of its signatures.

        Args:
            verdicts: of the signers of good signatures, by the certificates in their headers.
        """
        try:
            return self._believe(jws, outcomes, verdicts, route, now)
        except TicketInvalid as error:
            error.claimed_uri = claimed_uri(jws.payload)
            error.subject = error.subject or error.claimed_uri
            return error

    def _believe(
        self,
        jws: Jws,
        outcomes: list[SignatureOutcome],
        verdicts: Mapping[tuple[Certificate, ...], SignerVerdict],
        route: Route,
        now: datetime,
    ) -> ValidTicket:
        headers = [signature.header for signature in jws.signatures]
        good = [
            header
            for header, outcome in zip(headers, outcomes, strict=True)
            if header is not None and outcome.reason is None
        ]
        if not good:
            best = max(outcomes, key=lambda one: _FURTHEST[one.reason or Reason.TICKET_MALFORMED])
            raise TicketInvalid(best.detail, reason=best.reason)
        ticket = _decode(jws.payload, good)
        good = [
            header
            for header in good
            if header.ticket_type is ticket.type and ticket.uri not in header.signer.san_uris
        ]
        if not good:
            raise TicketInvalid(
                "a Device cannot sign its own Ticket", reason=Reason.TICKET_SIGNER_INVALID
            )
        resting = self._authorities_of(ticket, good, verdicts, now)
        good = list(resting)
        first = max(good, key=lambda header: header.signer.not_after)
        authority = resting[first]
        until = self._authorities.scope_of(authority).until or NEVER
        return ValidTicket(
            ticket=ticket,
            document=jws.document,
            payload_digest=hashlib.sha256(jws.payload).hexdigest(),
            route=route,
            signer=first.signer.thumbprint,
            signer_subject=first.signer.subject,
            signer_not_after=first.signer.not_after,
            authority=authority.thumbprint,
            good_until=min(verdicts[first.certificates].ends, until),
            composite_uris=tuple(
                dict.fromkeys(header.composite_uri for header in good if header.composite_uri)
            ),
            validated_at=now,
            trust_digest=self._authorities.digest,
            outcomes=tuple(outcomes),
        )

    def _authorities_of(
        self,
        ticket: Ticket,
        good: Sequence[ProtectedHeader],
        verdicts: Mapping[tuple[Certificate, ...], SignerVerdict],
        now: datetime,
    ) -> dict[ProtectedHeader, Certificate]:
        """Return for each good signature the nearest authority whose scope holds the Ticket (T7).

        Raises:
            TicketInvalid: every authority is trusted for something else.
        """
        resting: dict[ProtectedHeader, Certificate] = {}
        fault = ""
        for header in good:
            for anchor in verdicts[header.certificates].anchors:
                found = self._authorities.scope_of(anchor).fault(
                    manufacturer=ticket.manufacturer_name, uri=ticket.uri, now=now
                )
                if not found:
                    resting[header] = anchor
                    break
                fault = fault or f"authority {anchor.subject[:80]!r}: {found}"
        if not resting:
            raise TicketInvalid(fault, reason=Reason.AUTHORITY_OUT_OF_SCOPE)
        return resting


def _decode(payload: bytes, good: Sequence[ProtectedHeader]) -> Ticket:
    """Read the payload as the first type that a good signature names and the payload has."""
    *others, last = dict.fromkeys(header.ticket_type for header in good)
    for ticket_type in others:
        with suppress(TicketInvalid):
            return decode_ticket(payload, ticket_type)
    return decode_ticket(payload, last)


def _question(signature: JwsSignature, header: ProtectedHeader) -> SignatureCheck:
    return SignatureCheck(
        public_key=header.signer.public_key_der,
        algorithm=header.algorithm,
        message=signature.signed,
        signature=signature.signature,
    )
