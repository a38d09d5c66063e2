# cython: language_level=3
"""The compiled twin of ``registrar.core.signatures``: many signatures, one call, no GIL.

It says yes only to what its twin accepts: keys in the one encoding it knows byte by byte, with
the sizes and exponent it knows. To everything else it says no, and the twin is asked.
libcrypto 3 takes some 100 microseconds to decode a key, so decoded keys are kept.
"""

from libc.stdlib cimport calloc, free

include "crypto.pxi"


cdef enum:
    KEYS = 512                  # decoded keys kept; at the limit all are dropped


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
    cdef const unsigned char *data = <const unsigned char *><const char *>encoded
    cdef int coordinate

    known = keys.get(encoded)
    if known is not None:
        return <Key>known
    coordinate = recognise(data, len(encoded))
    if coordinate < 0:
        return None
    key = Key.__new__(Key)
    key.coordinate = coordinate
    key.pointer = decode_key(data, len(encoded))
    if key.pointer == NULL:
        return None
    if len(keys) >= KEYS:
        keys.clear()
    keys[encoded] = key
    return key


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
    cdef unsigned char der[MAX_SIGNATURE_DER]
    cdef const unsigned char *signature = job.signature
    cdef size_t size = job.signature_size

    if EVP_DigestVerifyInit(context, &key_context, job.digest, NULL, job.key) != 1:
        return False
    if job.is_pss and not use_pss(key_context):
        return False
    if job.coordinate:
        size = to_der(der, signature, job.coordinate)
        signature = der
    return EVP_DigestVerify(context, signature, size, job.message, job.message_size) == 1
