"""How the outcomes of devices are printed: one by one, and at the end all together."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from registrar.core.enrolment import State

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


class Tally:
    """How many devices ended in which state; as text the last line of a campaign.

    Args:
        wanted: the states all of them ought to end in.
    """

    def __init__(self, *wanted: State) -> None:
        self._wanted = wanted
        self._counts: Counter[State] = Counter()
        self.missed = ""
        """The URL of the first device that ended elsewhere."""

    def add(self, outcome: Outcome) -> None:
        """Count a device."""
        self._counts[outcome.state] += 1
        if outcome.state not in self._wanted:
            self.missed = self.missed or outcome.url

    @property
    def is_good(self) -> bool:
        """Whether all devices ended as they ought to."""
        return not self.missed

    def __str__(self) -> str:
        counts = [f"{self._counts[state]} {state}" for state in State if self._counts[state]]
        return ", ".join(counts) or "no device had anything left to do"
