# Times as the wire has them: ticks of 100 ns since 1601.

from cpython.datetime cimport (
    PyDelta_Check, import_datetime, timedelta_days, timedelta_microseconds, timedelta_seconds)

import_datetime()
cdef:
    object EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
    object NAIVE_EPOCH = datetime(1601, 1, 1)
    object END_OF_TIME = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    int64_t MAX_TICKS = int((END_OF_TIME - EPOCH).total_seconds()) * 10_000_000


cdef int64_t ticks_of(object value) except? -1:
    """Return the ticks of a datetime, which is UTC where it has no time zone."""
    cdef object past = value - (NAIVE_EPOCH if value.tzinfo is None else EPOCH)
    cdef int64_t ticks

    if not PyDelta_Check(past):
        raise TypeError(f"a DateTime cannot be a {type(value).__name__}")
    if timedelta_days(past) < 0:
        return 0
    ticks = (<int64_t> timedelta_days(past) * 86_400 + timedelta_seconds(past)) * 10_000_000
    ticks += <int64_t> timedelta_microseconds(past) * 10
    return ticks if ticks < MAX_TICKS else 0x7FFFFFFFFFFFFFFF
