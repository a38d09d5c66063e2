"""What the Devices of a plant show, set against the truth and against what a Registrar says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registrar.core.enrolment import State
from registrar.simulate.truth import Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one Device shows."""

    onboarded: bool
    is_ours: bool
    """It shows a certificate that the site issued: it was changed, if perhaps not completed."""
    defects: tuple[str, ...] = ()
    """Why it does not count as onboarded; empty where it does, or was never touched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What all Devices of a plant show, by URL."""

    findings: Mapping[str, Finding]

    @property
    def onboarded(self) -> int:
        """How many Devices are onboarded."""
        return sum(finding.onboarded for finding in self.findings.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A Device whose end differs from the truth."""

    url: str
    expected: str
    found: str


def compare(
    truth: Truth,
    verdict: Verdict,
    outcomes: Mapping[str, tuple[str, str]],
) -> list[Mistake]:
    """Return every Device that did not end as it should.

    Args:
        verdict: what the Devices themselves show.
        outcomes: by URL the state and the reason (or nothing) the Registrar gives.
    """
    mistakes = []
    for device in truth.devices:
        state, reason = outcomes.get(device.url, ("no outcome", ""))
        said = f"{state} {reason}".rstrip()
        flaw = ""
        if (state, reason) not in device.expected:
            flaw = said
        elif device.twin and outcomes.get(device.twin, ("", ""))[0] == state:
            flaw = f"{said}, and so is its twin"
        elif shown := _contradiction(verdict.findings.get(device.url), state):
            flaw = f"{said}, but the device {shown}"
        if flaw:
            wanted = " or ".join(f"{s} {r}".rstrip() for s, r in device.expected)
            mistakes.append(Mistake(url=device.url, expected=wanted, found=flaw))
    return mistakes


def _contradiction(finding: Finding | None, state: str) -> str:
    if finding is None:
        return "was not asked"
    if state == State.ONBOARDED:
        return "" if finding.onboarded else "is not: " + "; ".join(finding.defects)
    if finding.is_ours:
        return "shows a certificate of the site"
    return "; ".join(finding.defects)
