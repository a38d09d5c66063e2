"""Whose turn it is: a queue that is fair to subnets and keeps two bounds."""

from __future__ import annotations

from collections import OrderedDict, deque


class _Line:
    """The items of one subnet: those that come again, and those that come for the first time."""

    __slots__ = ("_again", "_new", "_was_again")

    def __init__(self) -> None:
        self._again: deque[int] = deque()
        self._new: deque[int] = deque()
        self._was_again = False

    def __bool__(self) -> bool:
        return bool(self._again or self._new)

    def put(self, item: int, *, again: bool) -> None:
        (self._again if again else self._new).append(item)

    def take(self) -> int:
        """Prefer what comes again, but never twice in a row while something new waits."""
        self._was_again = bool(self._again) and not (self._was_again and self._new)
        return (self._again if self._was_again else self._new).popleft()


class ReadyQueue:
    """Items that are ready to be worked on, taken round robin over their subnets.

    Within a subnet an item that comes again goes before new ones, so that what was begun is
    finished and the last to be woken does not work alone; taking turns keeps the new ones moving.

    It knows neither tasks nor time: ``take`` returns an item while both bounds leave room, and
    ``done`` makes room again. Its memory is what was put into it and not yet taken.
    """

    def __init__(self, *, total: int, per_subnet: int) -> None:
        self._total = total
        self._per_subnet = per_subnet
        self._busy: dict[str, int] = {}
        self._running = 0
        self._waiting: OrderedDict[str, _Line] = OrderedDict()

    @property
    def running(self) -> int:
        """Items taken and not yet done."""
        return self._running

    def put(self, item: int, subnet: str, *, again: bool = False) -> None:
        """Add ``item`` behind everything of its subnet that comes again, or is new, as it is."""
        self._waiting.setdefault(subnet, _Line()).put(item, again=again)

    def take(self) -> tuple[int, str] | None:
        """Return the next item and its subnet, or None where nothing may start now."""
        if self._running >= self._total:
            return None
        for subnet in self._waiting:
            if self._busy.get(subnet, 0) < self._per_subnet:
                break
        else:
            return None
        line = self._waiting[subnet]
        item = line.take()
        if line:
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
