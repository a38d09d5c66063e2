"""What all peers of one side leave unfinished, under one limit (threat-model 5.2)."""

from __future__ import annotations

from collections.abc import Callable

from registrar.errors import Misuse, Reason, RegistrarError, Unavailable
from registrar.status import StatusCode
from registrar.wire.limits import MAX_UNFINISHED_SIZE

End = Callable[[RegistrarError], object]
"""Ends a connection, because of the error."""


class UnfinishedMessages:
    """Bytes of chunks and messages not yet complete that are kept, of all connections together.

    Where they become too many, the connection that keeps most is ended: whoever keeps little
    never pays for those who keep much.

    Args:
        limit: of those bytes; above 0 and at most ``MAX_UNFINISHED_SIZE``.
    """

    __slots__ = ("_sizes", "limit", "size")

    def __init__(self, limit: int = 64 * 1024 * 1024) -> None:
        if not 0 < limit <= MAX_UNFINISHED_SIZE:
            raise Misuse(
                f"unfinished_size is {limit}; it must be above 0 and at most {MAX_UNFINISHED_SIZE}"
            )
        self.limit = limit
        self.size = 0
        """Bytes kept now."""
        self._sizes: dict[End, int] = {}

    def keep(self, end: End, size: int) -> None:
        """Note that the connection that ``end`` ends keeps ``size`` bytes now, in place of before.

        An ended connection counts no more, since it lets go of what it kept.
        """
        self.size += size - self._sizes.pop(end, 0)
        if size:
            self._sizes[end] = size
        while self.size > self.limit:
            largest = max(self._sizes, key=self._sizes.__getitem__)
            kept = self._sizes.pop(largest)
            largest(
                Unavailable(
                    f"{kept} of {self.size} bytes of unfinished messages, of all peers; at most "
                    f"{self.limit} are kept",
                    reason=Reason.BUSY,
                    status=StatusCode.BadTcpNotEnoughResources,
                )
            )
            self.size -= kept
