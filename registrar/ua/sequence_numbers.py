"""SequenceNumbers of one direction of a SecureChannel, and RequestIds (OPC 10000-6 §6.7.2.4).

legacy (None, RSA)    any first value, +1; wraps only above 4 294 966 271, to below 1024
otherwise (ECC)       0, +1, …, 4 294 967 295, 0
"""

from __future__ import annotations

from registrar.errors import ProtocolViolation
from registrar.native import compiled
from registrar.status import StatusCode

MAX_UINT32 = 0xFFFF_FFFF
LEGACY_WRAP_AFTER = MAX_UINT32 - 1024
LEGACY_WRAP_BELOW = 1024


@compiled
class SendSequence:
    """The numbers we give to the chunks we send."""

    __slots__ = ("_legacy", "_next")

    def __init__(self, *, legacy: bool, first: int | None = None) -> None:
        self._legacy = legacy
        self._next = int(legacy) if first is None else first

    def take(self) -> int:
        """Return the number of the next chunk."""
        number = self._next
        last = LEGACY_WRAP_AFTER + 1 if self._legacy else MAX_UINT32
        self._next = int(self._legacy) if number >= last else number + 1
        return number


@compiled
class RequestIds:
    """The numbers a client gives to its requests; never 0."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def take(self) -> int:
        """Return the number of the next request."""
        self._last = self._last % MAX_UINT32 + 1
        return self._last


@compiled
class ReceiveSequence:
    """The numbers the peer gives to its chunks; a violation ends the channel."""

    __slots__ = ("_last", "_legacy")

    def __init__(self, *, legacy: bool) -> None:
        self._legacy = legacy
        self._last: int | None = None

    def check(self, number: int) -> None:
        """Accept ``number`` as the next one.

        Raises:
            ProtocolViolation: it is not; the peer repeats, skips, or wraps where it must not.
        """
        last = self._last
        if last is not None and number == last + 1:
            self._last = number
            return
        if not self._may_follow(last, number):
            raise ProtocolViolation(
                f"SequenceNumber {number} after {last}", status=StatusCode.BadSequenceNumberInvalid
            )
        self._last = number

    def _may_follow(self, last: int | None, number: int) -> bool:
        if last is None:
            # A published ECC example begins with 1, so 1 is tolerated beside 0.
            return self._legacy or number <= 1
        if self._legacy:
            return last > LEGACY_WRAP_AFTER and number < LEGACY_WRAP_BELOW
        return last == MAX_UINT32 and number == 0
