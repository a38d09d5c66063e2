"""Log lines about peers: one line each, and only so many for each address."""

from __future__ import annotations

import logging
from collections import OrderedDict

LOGGER = logging.getLogger("registrar.wire")

WINDOW_S = 60.0
MAX_ADDRESSES = 1_024


class PeerLog:
    """Writes at most ``lines_per_minute`` for an address; addresses are bounded, oldest go."""

    __slots__ = ("_lines_per_minute", "_windows")

    def __init__(self, lines_per_minute: int) -> None:
        self._lines_per_minute = lines_per_minute
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def warn(self, address: str, what: str, error: Exception, now: float) -> None:
        """Log that ``what`` went wrong with the peer at ``address``; never a traceback."""
        begin, count = self._windows.pop(address, (now, 0))
        if now - begin >= WINDOW_S:
            begin, count = now, 0
        self._windows[address] = (begin, count + 1)
        if len(self._windows) > MAX_ADDRESSES:
            self._windows.popitem(last=False)
        if count < self._lines_per_minute:
            LOGGER.warning("%s: %s: %s", address, what, _one_line(error))
        elif count == self._lines_per_minute:
            LOGGER.warning("%s: more of the same is not logged for a minute", address)


def _one_line(error: Exception) -> str:
    """Return the message with everything but printable characters escaped (T27)."""
    text = f"{type(error).__name__}: {error}"[:300]
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
