"""What a campaign says about one device at its end."""

from __future__ import annotations

from dataclasses import dataclass

from registrar.core.enrolment import State
from registrar.core.ports import Enrolment
from registrar.core.reasons import describe
from registrar.errors import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where one device stands, why, and what somebody has to do next."""

    url: str
    product_instance_uri: str
    serial_number: str
    model: str
    state: State
    reason: Reason | None
    detail: str
    """Device, step and rule; empty for a device that is onboarded."""
    next_action: str


_ALWAYS_EXPLAINED = {
    State.AWAITING_TICKET: Reason.TICKET_MISSING,
    State.SOFTWARE_PENDING: Reason.SOFTWARE_OUTDATED,
}


def outcome_of(enrolment: Enrolment, *, reason: Reason | None = None, detail: str = "") -> Outcome:
    """Return the outcome of ``enrolment``; ``reason`` overrules the one it holds."""
    if enrolment.state is State.ONBOARDED:
        reason, detail = None, ""
    else:
        detail = detail if reason else enrolment.detail
        reason = reason or enrolment.reason or _ALWAYS_EXPLAINED.get(enrolment.state)
    facts = enrolment.facts
    return Outcome(
        url=enrolment.url,
        product_instance_uri=facts.product_instance_uri,
        serial_number=facts.serial_number,
        model=facts.model,
        state=enrolment.state,
        reason=reason,
        detail=detail,
        next_action=describe(reason).next_action if reason else "",
    )
