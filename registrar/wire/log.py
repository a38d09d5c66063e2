"""Log lines about peers: one line each, and only so many for each address."""

from __future__ import annotations

import logging
from collections import OrderedDict

LOGGER = logging.getLogger("registrar.wire")

WINDOW_S = 60.0
MAX_ADDRESSES = 1_024


class PeerLog:
    """Writes so many lines a minute for an address, and for all; both are bounded, oldest go."""

    __slots__ = ("_all", "_lines_of_all", "_lines_per_minute", "_windows")

    def __init__(self, lines_per_minute: int, *, lines_of_all: int) -> None:
        self._lines_per_minute = lines_per_minute
        self._lines_of_all = lines_of_all
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._all: _Window = (0.0, 0)

    def warn(self, address: str, what: str, error: Exception, now: float) -> None:
        """Log that ``what`` went wrong with the peer at ``address``; never a traceback."""
        begin, count = _current(self._windows.pop(address, (now, 0)), now)
        self._windows[address] = (begin, count + 1)
        if len(self._windows) > MAX_ADDRESSES:
            self._windows.popitem(last=False)
        if count > self._lines_per_minute:
            return
        begin, of_all = _current(self._all, now)
        self._all = (begin, of_all + 1)
        if of_all > self._lines_of_all:
            return
        if of_all == self._lines_of_all:
            LOGGER.warning("more of any address is not logged for a minute")
        elif count == self._lines_per_minute:
            LOGGER.warning("%s: more of the same is not logged for a minute", address)
        else:
            LOGGER.warning("%s: %s: %s", address, what, _one_line(error))


_Window = tuple[float, int]
"""When it began, and how many lines there were to write."""


def _current(window: _Window, now: float) -> _Window:
    return window if now - window[0] < WINDOW_S else (now, 0)


def _one_line(error: Exception) -> str:
    """Return the message with everything but printable characters escaped (T27)."""
    text = f"{type(error).__name__}: {error}"[:300]
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
