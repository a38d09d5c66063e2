"""The live view of a campaign: counts per state, the rate, the last refusals."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from registrar.cli.text import printable
from registrar.core.enrolment import ENDED, State

if TYPE_CHECKING:
    from registrar.core.ports import Enrolment
    from registrar.enrolment import Outcome

REFRESHES_PER_S: Final = 4
"""A view costs some milliseconds; more often would slow the campaign on two cores."""

LAST_REFUSALS: Final = 5

_STYLES: Final = {
    State.ONBOARDED: "green",
    State.REFUSED: "red",
    State.CONFLICT: "red",
    State.UNREACHABLE: "yellow",
    State.AWAITING_TICKET: "yellow",
    State.SOFTWARE_PENDING: "cyan",
}


class CampaignView:
    """Shows a campaign on stderr while it runs, and nothing where that is no terminal.

    Args:
        total: devices in the campaign; None where that is not known.
        console: where to; made for stderr unless given.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        total: int | None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(stderr=True)
        self._total = total
        self._clock = clock
        self._began = clock()
        self._states: dict[str, State] = {}
        self._refusals: deque[tuple[str, str]] = deque(maxlen=LAST_REFUSALS)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._began = self._clock()
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self.render,
                console=self._console,
                refresh_per_second=REFRESHES_PER_S,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
            )
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, traceback)

    def observe(self, enrolment: Enrolment) -> None:
        """Take in an arrow."""
        self._states[enrolment.url] = enrolment.state

    def end(self, outcome: Outcome) -> None:
        """Take in the end of a device."""
        self._states[outcome.url] = outcome.state
        if outcome.reason is not None:
            self._refusals.append((outcome.url, str(outcome.reason)))

    def render(self) -> Group:
        """Return the view as it stands."""
        counts = Counter(self._states.values())
        elapsed = max(self._clock() - self._began, 1e-9)
        table = Table.grid(padding=(0, 2))
        for state in State:
            if counts[state]:
                style = _STYLES.get(state, "")
                table.add_row(Text(str(state), style), Text(str(counts[state]), style))
        of = f" of {self._total}" if self._total is not None else ""
        ended = sum(counts[state] for state in ENDED)
        rate = Text(f"{ended}{of} ended in {elapsed:.1f} s, {ended / elapsed:.0f} a second")
        bar = ProgressBar(total=self._total, completed=ended, width=30, pulse=self._total is None)
        head = Table.grid(padding=(0, 2))
        head.add_row(bar, rate)
        refusals = [
            Text(f"{printable(url)}  {reason}", "red dim") for url, reason in self._refusals
        ]
        return Group(head, table, *refusals)
