# What the codec reads from and writes to. Every byte of a peer is reached through ``take``.

from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t)
from libc.string cimport memcpy

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

cdef enum:
    FIRST_CAPACITY = 512        # bytes; most requests fit


@cython.final
cdef class Reader:
    """Bytes not yet decoded, and what is left of the limits of their message."""

    cdef:
        bytes data              # keeps the bytes alive
        const uint8_t *start
        const uint8_t *at
        const uint8_t *end
        int depth
        Py_ssize_t elements
        # A list that may come again: its structures, their encoding, and the elements it counts.
        list again
        bytes again_encoded
        Py_ssize_t again_elements

    cdef const uint8_t *take(self, Py_ssize_t size) except NULL:
        """Return the next ``size`` bytes, at least 0, and step behind them."""
        cdef const uint8_t *taken = self.at
        if size > self.end - taken:
            raise DecodingError(
                f"malformed bytes: {size} bytes at offset {taken - self.start} leave the body")
        self.at = taken + size
        return taken

    cdef bint skip_zeros(self, Py_ssize_t size) noexcept:
        """Step over ``size`` bytes if all of them are there and 0."""
        cdef Py_ssize_t i
        if size > self.end - self.at:
            return False
        for i in range(size):
            if self.at[i]:
                return False
        self.at += size
        return True

    cdef int descend(self) except -1:
        """Go one level deeper; the value there counts as an element."""
        self.depth -= 1
        if self.depth < 0:
            raise DecodingError("values are nested deeper than the limit")
        return self.charge(1)

    cdef int charge(self, Py_ssize_t count) except -1:
        """Count elements that are about to be decoded."""
        self.elements -= count
        if self.elements < 0:
            raise DecodingError("more elements than the limit")
        return 0


@cython.final
cdef class Writer:
    """Bytes encoded so far, and the levels left."""

    cdef:
        uint8_t *data
        Py_ssize_t size
        Py_ssize_t capacity
        int depth

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef uint8_t *add(self, Py_ssize_t size) except NULL:
        """Return room for ``size`` bytes; it moves with the next call."""
        cdef:
            Py_ssize_t capacity
            uint8_t *data
        if self.data is NULL or size > self.capacity - self.size:
            if size > PY_SSIZE_T_MAX // 2 - self.size:
                raise MemoryError
            capacity = max(2 * (self.size + size), FIRST_CAPACITY)
            data = <uint8_t *> PyMem_Realloc(self.data, capacity)
            if data is NULL:
                raise MemoryError
            self.data = data
            self.capacity = capacity
        data = self.data + self.size
        self.size += size
        return data

    cdef int descend(self) except -1:
        """Go one level deeper; values that hold themselves would never end."""
        self.depth -= 1
        if self.depth < 0:
            raise Misuse("values are nested deeper than can be encoded")
        return 0


# Numbers are little-endian on the wire, and on every machine this extension is built for.

cdef inline uint8_t get_byte(Reader reader) except? 255:
    return reader.take(1)[0]


cdef inline uint16_t get_uint16(Reader reader) except? 65535:
    cdef uint16_t number
    memcpy(&number, reader.take(2), 2)
    return number


cdef inline int32_t get_int32(Reader reader) except? -1:
    cdef int32_t number
    memcpy(&number, reader.take(4), 4)
    return number


cdef inline uint32_t get_uint32(Reader reader) except? 4294967295:
    cdef uint32_t number
    memcpy(&number, reader.take(4), 4)
    return number


cdef inline int64_t get_int64(Reader reader) except? -1:
    cdef int64_t number
    memcpy(&number, reader.take(8), 8)
    return number


cdef inline int put(Writer writer, const void *bytes_, Py_ssize_t size) except -1:
    memcpy(writer.add(size), bytes_, size)
    return 0


cdef inline int put_byte(Writer writer, uint8_t number) except -1:
    writer.add(1)[0] = number
    return 0


cdef inline int put_int32(Writer writer, int32_t number) except -1:
    return put(writer, &number, 4)


cdef inline int32_t length_of(Py_ssize_t length) except? -1:
    if length > 0x7FFFFFFF:
        raise Misuse(f"{length} are more than an Int32 can count")
    return <int32_t> length
