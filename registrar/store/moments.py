"""Points in time as the database holds them: whole microseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_REMEMBERED: Final = 64
"""Moments: all that one change writes has the same one."""


@lru_cache(maxsize=_REMEMBERED)
def to_stored(moment: datetime) -> int:
    """Return ``moment`` (timezone-aware) as microseconds since 1970, exact up to year 9999."""
    return (moment - _EPOCH) // _MICROSECOND


def from_stored(microseconds: int) -> datetime:
    """Return the point in time, in UTC, that ``to_stored`` made ``microseconds`` of."""
    return _EPOCH + timedelta(microseconds=microseconds)
