# The one checked reader of DER; every walk over untrusted certificates goes through it.
# The twin is ``registrar.core.der``: what this reader takes, that one takes.

ctypedef const unsigned char *Bytes


cdef struct Span:
    Bytes at
    Bytes end


cdef inline bint take(Span *outside, unsigned char tag, Span *inside) noexcept nogil:
    """Step over the element at the front of ``outside`` and give its content.

    Returns false, with nothing changed, where the element carries another tag, leaves its parent,
    or has a length that is not the shortest form.
    """
    cdef Bytes at = outside.at
    cdef Py_ssize_t left = outside.end - at
    cdef Py_ssize_t length
    cdef int count

    if left < 2 or at[0] != tag:
        return False
    length = at[1]
    at += 2
    left -= 2
    if length >= 0x80:
        count = length & 0x7F
        if count == 0 or count > 4 or count > left or at[0] == 0:
            return False
        left -= count
        length = 0
        while count:
            length = (length << 8) | at[0]
            at += 1
            count -= 1
        if length < 0x80:
            return False
    if length > left:
        return False
    inside.at = at
    inside.end = at + length
    outside.at = at + length
    return True


cdef inline Py_ssize_t size_of(const Span *span) noexcept nogil:
    return span.end - span.at


cdef inline bint is_same(const Span *one, const Span *other) noexcept nogil:
    cdef Py_ssize_t size = size_of(one)
    return size == size_of(other) and memcmp(one.at, other.at, size) == 0


cdef inline bint begins_with(const Span *span, const char *start, Py_ssize_t size) noexcept nogil:
    return size_of(span) >= size and memcmp(span.at, start, size) == 0


cdef inline bint is_exactly(const Span *span, const char *content, Py_ssize_t size) noexcept nogil:
    return size_of(span) == size and memcmp(span.at, content, size) == 0
