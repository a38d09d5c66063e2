# cython: language_level=3
"""The compiled twin of ``registrar.core.signatures``: many signatures, one call, no GIL.

It says yes only to what its twin accepts: keys in the one encoding it knows byte by byte, with
the sizes and exponent it knows. To everything else it says no, and the twin is asked.
libcrypto 3 takes some 100 microseconds to decode a key, so decoded keys are kept.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy


cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_PKEY:
        pass
    ctypedef struct EVP_PKEY_CTX:
        pass
    ctypedef struct EVP_MD:
        pass
    ctypedef struct EVP_MD_CTX:
        pass
    EVP_MD *EVP_MD_fetch(void *library, const char *algorithm, const char *properties)
    EVP_MD_CTX *EVP_MD_CTX_new()
    int EVP_MD_CTX_reset(EVP_MD_CTX *context)
    void EVP_MD_CTX_free(EVP_MD_CTX *context)
    int EVP_DigestVerifyInit(
        EVP_MD_CTX *context, EVP_PKEY_CTX **key_context, const EVP_MD *digest, void *engine,
        EVP_PKEY *key)
    int EVP_DigestVerify(
        EVP_MD_CTX *context, const unsigned char *signature, size_t signature_size,
        const unsigned char *message, size_t message_size)
    int EVP_PKEY_get_bits(const EVP_PKEY *key)
    void EVP_PKEY_free(EVP_PKEY *key)


cdef extern from "openssl/rsa.h" nogil:
    int RSA_PKCS1_PSS_PADDING
    int RSA_PSS_SALTLEN_DIGEST
    int EVP_PKEY_CTX_set_rsa_padding(EVP_PKEY_CTX *context, int padding)
    int EVP_PKEY_CTX_set_rsa_pss_saltlen(EVP_PKEY_CTX *context, int length)


cdef extern from "openssl/x509.h" nogil:
    EVP_PKEY *d2i_PUBKEY(EVP_PKEY **key, const unsigned char **data, long size)


cdef extern from "openssl/err.h" nogil:
    void ERR_clear_error()


cdef enum:
    KEYS = 512                  # decoded keys kept; at the limit all are dropped
    MIN_RSA_BITS = 2048
    MAX_RSA_BITS = 8192
    MAX_COORDINATE = 66         # bytes of r or s on P-521
    MAX_DER = 2 * (MAX_COORDINATE + 3) + 3


# How each key begins: SubjectPublicKeyInfo up to the uncompressed point, and the coordinate size.
cdef tuple CURVES = (
    (bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"), 32),
    (bytes.fromhex("3076301006072a8648ce3d020106052b8104002203620004"), 48),
    (bytes.fromhex("30819b301006072a8648ce3d020106052b810400230381860004"), 66),
)
cdef bytes RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")
cdef bytes RSA_EXPONENT = bytes.fromhex("0203010001")

cdef const EVP_MD *SHA256 = EVP_MD_fetch(NULL, b"SHA256", NULL)
cdef const EVP_MD *SHA384 = EVP_MD_fetch(NULL, b"SHA384", NULL)
cdef const EVP_MD *SHA512 = EVP_MD_fetch(NULL, b"SHA512", NULL)


cdef class Key:
    """A decoded public key, immutable."""

    cdef EVP_PKEY *pointer
    cdef int coordinate         # bytes of r and of s; 0 for RSA

    def __dealloc__(self):
        EVP_PKEY_free(self.pointer)


cdef struct Job:
    EVP_PKEY *key               # NULL: the answer is no
    const EVP_MD *digest
    bint is_pss
    int coordinate
    const unsigned char *message
    size_t message_size
    const unsigned char *signature
    size_t signature_size
    bint holds


cdef dict keys = {}


def verify_signatures(public_keys, algorithms, messages, signatures):
    """Check many signatures at once; see ``registrar.core.signatures.verify_signatures``."""
    # Tuples of our own hold every byte string alive and in place while the GIL is away.
    cdef tuple encoded = tuple(public_keys)
    cdef tuple names = tuple(algorithms)
    cdef tuple contents = tuple(messages)
    cdef tuple proofs = tuple(signatures)
    cdef Py_ssize_t count = len(encoded)
    cdef Py_ssize_t at
    cdef list held = []
    cdef Job *jobs

    if len(names) != count or len(contents) != count or len(proofs) != count:
        raise ValueError("the sequences differ in length")
    if count == 0:
        return []
    jobs = <Job *>calloc(count, sizeof(Job))
    if jobs == NULL:
        raise MemoryError()
    try:
        for at in range(count):
            prepare(&jobs[at], encoded[at], names[at], contents[at], proofs[at], held)
        with nogil:
            verify(jobs, count)
        return [jobs[at].holds != 0 for at in range(count)]
    finally:
        free(jobs)


cdef int prepare(
    Job *job, object encoded, object name, object message, object signature, list held
) except -1:
    """Fill in ``job``; leave its key NULL where the twin has to decide."""
    cdef Key key

    if type(message) is not bytes or type(signature) is not bytes or type(encoded) is not bytes:
        return 0
    if not isinstance(name, str) or len(name) != 5:
        return 0
    kind, size = name[:2], name[2:]
    if size == "256":
        job.digest = SHA256
    elif size == "384":
        job.digest = SHA384
    elif size == "512":
        job.digest = SHA512
    if job.digest == NULL or kind not in ("RS", "PS", "ES"):
        return 0
    key = decode(<bytes>encoded)
    if key is None:
        return 0
    if (kind == "ES") != (key.coordinate != 0):
        return 0
    if kind == "ES":
        if key.coordinate != {"256": 32, "384": 48, "512": 66}[size]:
            return 0
        if len(<bytes>signature) != 2 * key.coordinate:
            return 0
    held.append(key)
    job.key = key.pointer
    job.is_pss = kind == "PS"
    job.coordinate = key.coordinate
    job.message = <const unsigned char *><const char *><bytes>message
    job.message_size = len(<bytes>message)
    job.signature = <const unsigned char *><const char *><bytes>signature
    job.signature_size = len(<bytes>signature)
    return 0


cdef Key decode(bytes encoded):
    """Return the key of a SubjectPublicKeyInfo, or None where the twin has to decide."""
    cdef Key key
    cdef const unsigned char *start = <const unsigned char *><const char *>encoded
    cdef const unsigned char *cursor = start
    cdef Py_ssize_t size = len(encoded)
    cdef int coordinate
    cdef int bits

    known = keys.get(encoded)
    if known is not None:
        return <Key>known
    coordinate = recognise(encoded, start, size)
    if coordinate < 0:
        return None
    key = Key.__new__(Key)
    key.coordinate = coordinate
    key.pointer = d2i_PUBKEY(NULL, &cursor, size)
    if key.pointer == NULL or cursor != start + size:
        ERR_clear_error()
        return None
    if coordinate == 0:
        bits = EVP_PKEY_get_bits(key.pointer)
        if bits < MIN_RSA_BITS or bits > MAX_RSA_BITS:
            return None
    if len(keys) >= KEYS:
        keys.clear()
    keys[encoded] = key
    return key


cdef int recognise(bytes encoded, const unsigned char *data, Py_ssize_t size) except -2:
    """Return the coordinate size of a curve, 0 for RSA, -1 for an encoding not known here."""
    for prefix, coordinate in CURVES:
        if encoded.startswith(prefix) and size == len(prefix) + 2 * coordinate:
            return coordinate
    # RSA: SEQUENCE, algorithm, BIT STRING { 0, SEQUENCE { INTEGER 00 8x…, INTEGER 65537 } }
    if size < 256 or size > 1200 or data[0] != 0x30 or data[1] != 0x82:
        return -1
    if encoded[4:19] != RSA_ALGORITHM or not encoded.endswith(RSA_EXPONENT):
        return -1
    if data[28] != 0x02 or data[29] != 0x82 or data[32] != 0 or data[33] < 0x80:
        return -1
    if 34 + ((data[30] << 8) | data[31]) - 2 + 5 != size or data[size - 6] & 1 == 0:
        return -1
    return 0


cdef void verify(Job *jobs, Py_ssize_t count) noexcept nogil:
    cdef EVP_MD_CTX *context = EVP_MD_CTX_new()
    cdef Py_ssize_t at
    if context == NULL:
        return
    for at in range(count):
        if jobs[at].key != NULL:
            jobs[at].holds = holds(context, &jobs[at])
            EVP_MD_CTX_reset(context)
    EVP_MD_CTX_free(context)
    ERR_clear_error()


cdef bint holds(EVP_MD_CTX *context, const Job *job) noexcept nogil:
    cdef EVP_PKEY_CTX *key_context = NULL
    cdef unsigned char der[MAX_DER]
    cdef const unsigned char *signature = job.signature
    cdef size_t size = job.signature_size

    if EVP_DigestVerifyInit(context, &key_context, job.digest, NULL, job.key) != 1:
        return False
    if job.is_pss:
        if EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) != 1:
            return False
        if EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) != 1:
            return False
    if job.coordinate:
        size = to_der(der, signature, job.coordinate)
        signature = der
    return EVP_DigestVerify(context, signature, size, job.message, job.message_size) == 1


cdef size_t to_der(unsigned char *der, const unsigned char *raw, int coordinate) noexcept nogil:
    """Write r || s as SEQUENCE { INTEGER r, INTEGER s }; return its size."""
    cdef unsigned char body[2 * (MAX_COORDINATE + 3)]
    cdef size_t size = put_integer(body, raw, coordinate)
    cdef size_t start = 2
    size += put_integer(body + size, raw + coordinate, coordinate)
    der[0] = 0x30
    if size < 0x80:
        der[1] = <unsigned char>size
    else:
        der[1] = 0x81
        der[2] = <unsigned char>size
        start = 3
    memcpy(der + start, body, size)
    return start + size


cdef size_t put_integer(unsigned char *out, const unsigned char *number, int size) noexcept nogil:
    """Write an unsigned number of at most 66 bytes as INTEGER; return the size written."""
    cdef int pad
    while size > 1 and number[0] == 0:
        number += 1
        size -= 1
    pad = number[0] >= 0x80
    out[0] = 0x02
    out[1] = <unsigned char>(size + pad)
    out[2] = 0
    memcpy(out + 2 + pad, number, size)
    return 2 + pad + size
