"""Whose turn it is: a queue that is fair to subnets and keeps two bounds."""

from __future__ import annotations

from collections import OrderedDict, deque


class ReadyQueue:
    """Items that are ready to be worked on, taken round robin over their subnets.

    It knows neither tasks nor time: ``take`` returns an item while both bounds leave room, and
    ``done`` makes room again. Its memory is what was put into it and not yet taken.
    """

    def __init__(self, *, total: int, per_subnet: int) -> None:
        self._total = total
        self._per_subnet = per_subnet
        self._busy: dict[str, int] = {}
        self._running = 0
        self._waiting: OrderedDict[str, deque[int]] = OrderedDict()

    @property
    def running(self) -> int:
        """Items taken and not yet done."""
        return self._running

    def put(self, item: int, subnet: str) -> None:
        """Add ``item`` behind everything of its subnet."""
        self._waiting.setdefault(subnet, deque()).append(item)

    def take(self) -> tuple[int, str] | None:
        """Return the next item and its subnet, or None where nothing may start now."""
        if self._running >= self._total:
            return None
        for subnet in self._waiting:
            if self._busy.get(subnet, 0) < self._per_subnet:
                break
        else:
            return None
        items = self._waiting[subnet]
        item = items.popleft()
        if items:
            self._waiting.move_to_end(subnet)
        else:
            del self._waiting[subnet]
        self._busy[subnet] = self._busy.get(subnet, 0) + 1
        self._running += 1
        return item, subnet

    def done(self, subnet: str) -> None:
        """Make room: an item of ``subnet`` that was taken is finished, or waits elsewhere."""
        self._running -= 1
        self._busy[subnet] -= 1
        if not self._busy[subnet]:
            del self._busy[subnet]
