# The compiled twins of ``registrar.ua.sequence_numbers``.

cdef enum:
    NONE_YET = -1
    LEGACY_WRAP_BELOW = 1024

cdef int64_t MAX_UINT32 = 0xFFFF_FFFF
cdef int64_t LEGACY_WRAP_AFTER = MAX_UINT32 - 1024


cdef class SendSequence:
    """See ``registrar.ua.sequence_numbers.SendSequence``."""

    cdef bint legacy
    cdef int64_t following

    def __init__(self, *, bint legacy, first=None):
        self.begin(legacy, first)

    cdef int begin(self, bint legacy, object first) except -1:
        self.legacy = legacy
        self.following = legacy if first is None else <uint32_t>first
        return 0

    def take(self):
        return self.next()

    cdef uint32_t next(self) noexcept:
        cdef int64_t number = self.following

        if number >= (LEGACY_WRAP_AFTER + 1 if self.legacy else MAX_UINT32):
            self.following = self.legacy
        else:
            self.following = number + 1
        return <uint32_t>number


cdef class RequestIds:
    """See ``registrar.ua.sequence_numbers.RequestIds``."""

    cdef int64_t last

    def take(self):
        return self.next()

    cdef uint32_t next(self) noexcept:
        self.last = self.last % MAX_UINT32 + 1
        return <uint32_t>self.last


cdef class ReceiveSequence:
    """See ``registrar.ua.sequence_numbers.ReceiveSequence``."""

    cdef bint legacy
    cdef int64_t last

    def __init__(self, *, bint legacy):
        self.begin(legacy)

    cdef void begin(self, bint legacy) noexcept:
        self.legacy = legacy
        self.last = NONE_YET

    def check(self, uint32_t number):
        self.accept(number)

    cdef int accept(self, uint32_t number) except -1:
        if self.last == NONE_YET or number != self.last + 1:
            if not self.may_follow(number):
                last = None if self.last == NONE_YET else self.last
                raise ProtocolViolation(
                    f"SequenceNumber {number} after {last}",
                    status=StatusCode.BadSequenceNumberInvalid,
                )
        self.last = number
        return 0

    cdef bint may_follow(self, int64_t number) noexcept:
        if self.last == NONE_YET:
            return self.legacy or number <= 1
        if self.legacy:
            return self.last > LEGACY_WRAP_AFTER and number < LEGACY_WRAP_BELOW
        return self.last == MAX_UINT32 and number == 0
