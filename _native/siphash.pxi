# SipHash-1-3 (Aumasson, Bernstein): a keyed hash, so that nobody can choose URIs that collide.

cdef inline uint64_t turned(uint64_t word, int bits) noexcept nogil:
    return word << bits | word >> (64 - bits)


cdef inline void sip_round(uint64_t *v) noexcept nogil:
    v[0] += v[1]
    v[2] += v[3]
    v[1] = turned(v[1], 13) ^ v[0]
    v[3] = turned(v[3], 16) ^ v[2]
    v[0] = turned(v[0], 32)
    v[2] += v[1]
    v[0] += v[3]
    v[1] = turned(v[1], 17) ^ v[2]
    v[3] = turned(v[3], 21) ^ v[0]
    v[2] = turned(v[2], 32)


cdef uint64_t siphash(
    const uint64_t *key, const unsigned char *data, Py_ssize_t size
) noexcept nogil:
    cdef uint64_t v[4]
    cdef uint64_t word
    cdef uint64_t last = <uint64_t>size << 56
    cdef int round

    v[0] = key[0] ^ <uint64_t>0x736F6D6570736575
    v[1] = key[1] ^ <uint64_t>0x646F72616E646F6D
    v[2] = key[0] ^ <uint64_t>0x6C7967656E657261
    v[3] = key[1] ^ <uint64_t>0x7465646279746573
    while size >= 8:
        memcpy(&word, data, 8)
        v[3] ^= word
        sip_round(v)
        v[0] ^= word
        data += 8
        size -= 8
    word = 0
    memcpy(&word, data, size)
    last |= word
    v[3] ^= last
    sip_round(v)
    v[0] ^= last
    v[2] ^= 0xFF
    for round in range(3):
        sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
