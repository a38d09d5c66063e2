"""Pretended Devices: makers, DCA Servers, impostors, and the judge of what became of them.

Faithful enough to develop against instead of hardware, and independent of what they test: this
room imports neither ``onboarding`` nor ``server`` nor ``enrolment``.
"""

from registrar.simulate.fleet import Fleet, FleetOptions, run_fleet
from registrar.simulate.judge import judge
from registrar.simulate.truth import DeviceTruth, Truth, load_truth
from registrar.simulate.update_manager import UpdateManagerOptions
from registrar.simulate.verdict import Finding, Mistake, Verdict, compare

__all__ = [
    "DeviceTruth",
    "Finding",
    "Fleet",
    "FleetOptions",
    "Mistake",
    "Truth",
    "UpdateManagerOptions",
    "Verdict",
    "compare",
    "judge",
    "load_truth",
    "run_fleet",
]
