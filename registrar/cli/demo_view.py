"""The demo as it is watched: its phases, and the campaign in the middle of it."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console

from registrar.cli.view import CampaignView

if TYPE_CHECKING:
    from registrar.core.ports import Enrolment
    from registrar.enrolment import Outcome

CAMPAIGN = "onboarding"


class DemoView:
    """Says each phase in a line on stderr; shows the campaign where that is a terminal."""

    def __init__(self, *, total: int, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._campaign = CampaignView(total=total, console=self._console)
        self._began = time.monotonic()
        self._showing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def phase(self, name: str) -> None:
        """Say what begins now."""
        self._close()
        self._console.print(f"{time.monotonic() - self._began:6.1f} s  {name} …")
        if name == CAMPAIGN:
            self._campaign.__enter__()
            self._showing = True

    def observe(self, enrolment: Enrolment) -> None:
        """Take in an arrow."""
        self._campaign.observe(enrolment)

    def end(self, outcome: Outcome) -> None:
        """Take in the end of a device."""
        self._campaign.end(outcome)

    def _close(self) -> None:
        if self._showing:
            self._showing = False
            self._campaign.__exit__(None, None, None)
