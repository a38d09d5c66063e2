"""The engine: whose turn it is, and the loop over the two tables."""

from registrar.enrolment.engine import Engine
from registrar.enrolment.limits import EngineLimits
from registrar.enrolment.outcome import Outcome, outcome_of

__all__ = ["Engine", "EngineLimits", "Outcome", "outcome_of"]
