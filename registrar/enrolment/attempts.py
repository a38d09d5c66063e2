"""How often and how long one device may still try within a campaign."""

from __future__ import annotations

from registrar.enrolment.limits import EngineLimits
from registrar.errors import Reason


class Attempts:
    """Counts the failures of one device and the seconds spent on it."""

    __slots__ = ("_limits", "failures", "spent_s")

    def __init__(self, limits: EngineLimits) -> None:
        self._limits = limits
        self.failures = 0
        self.spent_s = 0.0

    @property
    def step_s(self) -> float:
        """The budget of the next command: its own, but never more than the device has left."""
        return max(min(self._limits.step_s, self._limits.device_s - self.spent_s), 0.0)

    def spend(self, seconds: float) -> None:
        """Charge the device for ``seconds`` of work."""
        self.spent_s += seconds

    def succeeded(self) -> None:
        """An arrow was gone: the next command has all its attempts again."""
        self.failures = 0

    def failed(self, reason: Reason = Reason.UNREACHABLE) -> bool:
        """Count a failure; tell whether another attempt is left.

        A busy device has more of them: the transaction of a Registrar that died ends only with
        its Session (OPC 10000-12 §7.10.2), and one of a Registrar that lives ends in an owner.
        """
        self.failures += 1
        allowed = self._limits.busy_attempts if reason is Reason.BUSY else self._limits.attempts
        return self.failures < allowed and self.spent_s < self._limits.device_s
