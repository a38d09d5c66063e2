# Checks the signatures of a batch: decoded keys and contexts of libcrypto, and what they say.

cdef class Worker:
    """Decoded keys and contexts of libcrypto; one thread at a time uses it."""

    cdef EVP_PKEY *pkey[KEYS]
    cdef EVP_PKEY_CTX *context[KEYS]
    cdef EVP_MD_CTX *digest
    cdef EC_GROUP *table[KEYS]  # lent by ``Known``, which keeps them
    cdef int uses[KEYS]         # signatures checked without a table
    cdef Solver solver
    cdef EC_GROUP *group[3]
    cdef EC_POINT *point[3]

    def __cinit__(self):
        cdef int at
        cdef int *names = [NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1]
        self.digest = EVP_MD_CTX_new()
        self.solver = Solver()
        for at in range(3):
            self.group[at] = EC_GROUP_new_by_curve_name(names[at])
            if self.group[at] != NULL:
                self.point[at] = EC_POINT_new(self.group[at])
            if self.digest == NULL or self.point[at] == NULL:
                raise MemoryError()

    def __dealloc__(self):
        cdef int at
        for at in range(KEYS):
            EVP_PKEY_CTX_free(self.context[at])
            EVP_PKEY_free(self.pkey[at])
        for at in range(3):
            EC_POINT_free(self.point[at])
            EC_GROUP_free(self.group[at])
        EVP_MD_CTX_free(self.digest)


cdef bint prepare(Worker worker, const Key *key, int at) noexcept nogil:
    """Decode a key for the algorithm it is used with."""
    cdef EVP_PKEY_CTX *context
    worker.pkey[at] = decode_key(key.encoded.at, size_of(&key.encoded))
    if worker.pkey[at] == NULL:
        return False
    context = EVP_PKEY_CTX_new(worker.pkey[at], NULL)
    if (
        context != NULL and EVP_PKEY_verify_init(context) == 1
        and EVP_PKEY_CTX_set_signature_md(context, DIGESTS[key.digest]) == 1
        and (not key.is_pss or use_pss(context))
    ):
        worker.context[at] = context
        return True
    EVP_PKEY_CTX_free(context)
    EVP_PKEY_free(worker.pkey[at])
    worker.pkey[at] = NULL
    return False


cdef bint digest_of(
    Worker worker, const EVP_MD_CTX *state, const Span *message, unsigned char *digest
) noexcept nogil:
    """Write the digest of what ``state`` has taken in and ``message``."""
    return (
        EVP_MD_CTX_copy_ex(worker.digest, state) == 1
        and EVP_DigestUpdate(worker.digest, message.at, size_of(message)) == 1
        and EVP_DigestFinal_ex(worker.digest, digest, NULL) == 1
    )


cdef bint holds(Worker worker, const Key *key, const Job *job) noexcept nogil:
    """Tell whether the signature of ``job`` is that of ``key``."""
    cdef unsigned char digest[64]
    cdef unsigned char der[MAX_SIGNATURE_DER]
    cdef Bytes signature = job.signature.at
    cdef size_t size = size_of(&job.signature)

    worker.uses[job.key] += 1
    if worker.context[job.key] == NULL and not prepare(worker, key, job.key):
        return False
    if not digest_of(worker, job.state, &job.message, digest):
        return False
    if key.is_raw:
        if size != <size_t>(2 * key.coordinate):
            return False
        size = to_der(der, signature, key.coordinate)
        signature = der
    return EVP_PKEY_verify(
        worker.context[job.key], signature, size, digest, DIGEST_SIZES[key.digest]) == 1


cdef bint is_sound_key(Worker worker, const Span *key) noexcept nogil:
    """Tell whether the twin would decode ``key``: of a known encoding, its point on its curve."""
    cdef int coordinate = recognise(key.at, size_of(key))
    cdef int curve
    cdef size_t size = 2 * coordinate + 1

    if coordinate <= 0:
        return coordinate == 0
    curve = 0 if coordinate == 32 else 1 if coordinate == 48 else 2
    return EC_POINT_oct2point(
        worker.group[curve], worker.point[curve], key.end - size, size, NULL) == 1
