"""A progress bar for reading files: how much of their bytes, how long still."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from registrar.app.files import Meter, size_of


class ReadingBar:
    """Shows a bar on stderr while files are read, and nothing where that is no terminal.

    Args:
        paths: files and folders that will be read.
        console: where to; made for stderr unless given.
    """

    def __init__(self, paths: Sequence[Path], *, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self.meter = Meter()
        """For the function that reads."""
        self._is_shown = console.is_terminal
        self._progress = Progress(
            TextColumn("reading"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        if self._is_shown:
            self._task = self._progress.add_task("", total=size_of(paths))

    def __enter__(self) -> Self:
        if self._is_shown:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_shown:
            self._progress.stop()

    def show(self) -> None:
        """Move the bar to where the meter is."""
        if self._is_shown:
            self._progress.update(self._task, completed=self.meter.bytes_read)
