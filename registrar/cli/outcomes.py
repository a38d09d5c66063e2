"""How the outcome of one device is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registrar.enrolment import Outcome

OUTCOME_COLUMNS: Final = (
    "serial_number",
    "model",
    "url",
    "product_instance_uri",
    "state",
    "reason",
    "next_action",
)


def outcome_row(outcome: Outcome) -> dict[str, str]:
    """Return the values of ``OUTCOME_COLUMNS``."""
    return {
        "serial_number": outcome.serial_number,
        "model": outcome.model,
        "url": outcome.url,
        "product_instance_uri": outcome.product_instance_uri,
        "state": str(outcome.state),
        "reason": str(outcome.reason or ""),
        "next_action": outcome.next_action,
    }
