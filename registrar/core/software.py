"""Is a software update due before a device may receive its applications?

The wanted revision stands per model in the configuration; what is installed is known from the
Ticket or from the last report of the SoftwareUpdateManager. A report of TRUE ends the waiting,
because by OPC 10000-21 §9.2.4 the SoftwareUpdateManager decides what is current.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NUMBERED = re.compile(r"[vV]?(\d{1,9}(?:\.\d{1,9}){0,7})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareReport:
    """What UpdateSoftwareStatus, or an operator, last said about one device."""

    is_current: bool
    revision: str
    """Installed if current, required otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwarePolicy:
    """Which software the site wants.

    An update is due where the wanted revision of a model is configured and the installed one
    is older; where nothing tells the installed one, ``wait_for_unknown`` decides.
    """

    wanted_revisions: Mapping[str, str] = field(default_factory=dict)
    """Model name to revision."""
    wait_for_unknown: bool = True


def is_update_due(
    policy: SoftwarePolicy, *, model: str, installed: str, report: SoftwareReport | None
) -> bool:
    """Tell whether the device must be updated before its applications are configured.

    Args:
        policy: the site's wish.
        model: the model name of the device's Ticket.
        installed: the revision its Ticket states; empty where unknown.
        report: the last report about the device, which overrules the Ticket.

    Source: OPC 10000-21 §7.3, §9.2.4.
    """
    if report is not None:
        return not report.is_current
    wanted = policy.wanted_revisions.get(model)
    if wanted is None:
        return False
    if not installed:
        return policy.wait_for_unknown
    return _is_older(installed, wanted)


def _is_older(installed: str, wanted: str) -> bool:
    """Compare numbers part by part; revisions that are not numbers must be equal."""
    left, right = _NUMBERED.match(installed), _NUMBERED.match(wanted)
    if left is None or right is None:
        return installed != wanted
    return _numbers(left[1]) < _numbers(right[1])


def _numbers(text: str) -> tuple[int, ...]:
    parts = [int(part) for part in text.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
