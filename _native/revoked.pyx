# cython: language_level=3
"""The compiled twin of ``registrar.core.revoked``: a million entries of a CRL in one walk."""

from cpython cimport array
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from array import array as make_array

from registrar.errors import DecodingError


cdef enum:
    SEQUENCE = 0x30
    INTEGER = 0x02
    OBJECT_IDENTIFIER = 0x06
    BOOLEAN = 0x01
    OCTET_STRING = 0x04
    UTC_TIME = 0x17
    GENERALIZED_TIME = 0x18
    MAX_SERIAL_BYTES = 21
    MAX_LENGTH_BYTES = 4

    MALFORMED = -1              # what a walk ends with instead of a count
    NOT_UNDERSTOOD = -2


cdef struct Element:
    unsigned char tag
    Py_ssize_t start            # of its content
    Py_ssize_t end


cdef bint read_header(const unsigned char *data, Py_ssize_t at, Py_ssize_t end,
                      Element *element) noexcept nogil:
    """Read the header at ``at``; answer whether the element is whole and in shortest form."""
    cdef Py_ssize_t length, count, index
    if end - at < 2:
        return False
    element.tag = data[at]
    if element.tag & 0x1F == 0x1F:
        return False
    length = data[at + 1]
    at += 2
    if length >= 0x80:
        count = length & 0x7F
        if count == 0 or count > MAX_LENGTH_BYTES or count > end - at:
            return False
        length = 0
        for index in range(count):
            length = length << 8 | data[at + index]
        if length < 0x80 or data[at] == 0:
            return False
        at += count
    if length > end - at:
        return False
    element.start = at
    element.end = at + length
    return True


cdef inline bint expect(const unsigned char *data, Py_ssize_t at, Py_ssize_t end,
                        unsigned char tag, Element *element) noexcept nogil:
    return read_header(data, at, end, element) and element.tag == tag


cdef bint is_shortest(const unsigned char *content, Py_ssize_t size) noexcept nogil:
    if size == 0 or size > MAX_SERIAL_BYTES:
        return False
    return size == 1 or content[0] != 0xFF * (content[1] >> 7)


cdef int read_extension(const unsigned char *data, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Return 0, or what is wrong with the extension that fills ``at`` to ``end``."""
    cdef Element name, value
    cdef bint is_critical = False
    if not expect(data, at, end, OBJECT_IDENTIFIER, &name):
        return MALFORMED
    if not read_header(data, name.end, end, &value):
        return MALFORMED
    at = name.end
    if value.tag == BOOLEAN:
        is_critical = value.end - value.start != 1 or data[value.start] != 0
        at = value.end
    if not expect(data, at, end, OCTET_STRING, &value) or value.end != end:
        return MALFORMED
    if not is_critical:
        return 0
    if name.end - name.start == 3 and (
        memcmp(data + name.start, b"\x55\x1d\x15", 3) == 0
        or memcmp(data + name.start, b"\x55\x1d\x18", 3) == 0
    ):
        return 0
    return NOT_UNDERSTOOD


cdef int read_entry(const unsigned char *data, Py_ssize_t at, Py_ssize_t end,
                    Element *entry, Element *serial) noexcept nogil:
    """Read the entry at ``at``; return 0, or what is wrong with it."""
    cdef Element date, extensions, extension
    cdef int fault, found = 0
    if not expect(data, at, end, SEQUENCE, entry):
        return MALFORMED
    if not expect(data, entry.start, entry.end, INTEGER, serial):
        return MALFORMED
    if not is_shortest(data + serial.start, serial.end - serial.start):
        return MALFORMED
    if not read_header(data, serial.end, entry.end, &date):
        return MALFORMED
    if date.tag != UTC_TIME and date.tag != GENERALIZED_TIME:
        return MALFORMED
    if date.end == entry.end:
        return 0
    if not expect(data, date.end, entry.end, SEQUENCE, &extensions):
        return MALFORMED
    if extensions.end != entry.end:
        return MALFORMED
    at = extensions.start
    while at < extensions.end:
        if not expect(data, at, extensions.end, SEQUENCE, &extension):
            return MALFORMED
        fault = read_extension(data, extension.start, extension.end)
        if fault == MALFORMED:
            return MALFORMED
        if fault:
            found = fault
        at = extension.end
    return found


cdef Py_ssize_t walk(const unsigned char *data, Py_ssize_t at, Py_ssize_t end,
                     Py_ssize_t *place) noexcept nogil:
    """Count the entries; return what is wrong with one, and in ``place`` where it stands."""
    cdef Element entry, serial
    cdef Py_ssize_t count = 0
    cdef int fault
    while at < end:
        fault = read_entry(data, at, end, &entry, &serial)
        if fault:
            place[0] = at
            return fault
        count += 1
        at = entry.end
    return count


cdef void fill(const unsigned char *data, Py_ssize_t at, Py_ssize_t end,
               uint64_t *tails, uint32_t *offsets) noexcept nogil:
    """Write the entries of a list that ``walk`` has passed."""
    cdef Element entry, serial
    cdef Py_ssize_t count = 0, index
    cdef uint64_t tail
    while at < end:
        read_entry(data, at, end, &entry, &serial)
        tail = 0
        for index in range(max(serial.start, serial.end - 8), serial.end):
            tail = tail << 8 | data[index]
        tails[count] = tail
        offsets[count] = <uint32_t>serial.start
        count += 1
        at = entry.end


cdef bint is_sorted(const uint64_t *tails, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(1, count):
        if tails[at - 1] > tails[at]:
            return False
    return True


cdef bint sort(uint64_t *tails, uint32_t *offsets, Py_ssize_t count) noexcept nogil:
    """Sort by tail, from its last byte to its first; false without memory for it."""
    cdef uint64_t *tails_by_byte = <uint64_t *>malloc(count * sizeof(uint64_t))
    cdef uint32_t *offsets_by_byte = <uint32_t *>malloc(count * sizeof(uint32_t))
    cdef bint has_memory = tails_by_byte != NULL and offsets_by_byte != NULL
    cdef Py_ssize_t place[256]
    cdef Py_ssize_t at, size, before
    cdef int byte, shift = 0

    while has_memory and shift < 64:
        memset(place, 0, sizeof(place))
        for at in range(count):
            place[tails[at] >> shift & 0xFF] += 1
        if place[tails[0] >> shift & 0xFF] < count:
            before = 0
            for byte in range(256):
                size = place[byte]
                place[byte] = before
                before += size
            for at in range(count):
                byte = tails[at] >> shift & 0xFF
                tails_by_byte[place[byte]] = tails[at]
                offsets_by_byte[place[byte]] = offsets[at]
                place[byte] += 1
            memcpy(tails, tails_by_byte, count * sizeof(uint64_t))
            memcpy(offsets, offsets_by_byte, count * sizeof(uint32_t))
        shift += 8
    free(tails_by_byte)
    free(offsets_by_byte)
    return has_memory


def read_entries(bytes der not None, Py_ssize_t at, Py_ssize_t end):
    cdef:
        const unsigned char *data = der
        Py_ssize_t count, place = 0
        bint has_memory = True
        array.array tails, offsets
        uint64_t *tail
        uint32_t *offset

    if at < 0 or end > len(der) or len(der) > 0xFFFFFFFF:
        raise DecodingError(f"a CRL of {len(der)} bytes has no entries from {at} to {end}")
    with nogil:
        count = walk(data, at, end, &place)
    if count == MALFORMED:
        raise DecodingError(f"the CRL entry at offset {place} cannot be read")
    if count == NOT_UNDERSTOOD:
        raise DecodingError(f"the CRL entry at offset {place} has an unknown critical extension")
    tails = array.clone(make_array("Q"), count, zero=False)
    offsets = array.clone(make_array("I"), count, zero=False)
    tail, offset = <uint64_t *>tails.data.as_ulonglongs, <uint32_t *>offsets.data.as_uints
    with nogil:
        fill(data, at, end, tail, offset)
        if not is_sorted(tail, count):
            has_memory = sort(tail, offset, count)
    if not has_memory:
        raise MemoryError
    return tails, offsets
