# The compiled twins of ``registrar.ua.symmetric``: a chunk in one pass, in one buffer.
#
# A context serves one token and one direction. What depends on its keys alone is done once: the
# key schedule of AES, and both SHA-256 states that an HMAC begins with. What is left for a chunk of
# 150 bytes takes 0.6 microseconds, a quarter of the time in Python.
# The GIL is kept, because most chunks are done before it could be handed over.

include "digest.pxi"


cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_CIPHER:
        pass
    ctypedef struct EVP_CIPHER_CTX:
        pass
    EVP_CIPHER *EVP_CIPHER_fetch(void *library, const char *algorithm, const char *properties)
    EVP_CIPHER_CTX *EVP_CIPHER_CTX_new()
    void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *context)
    int EVP_CIPHER_CTX_set_padding(EVP_CIPHER_CTX *context, int padding)
    int EVP_CipherInit_ex(
        EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, void *engine,
        const unsigned char *key, const unsigned char *iv, int encrypting)
    int EVP_CipherUpdate(
        EVP_CIPHER_CTX *context, unsigned char *out, int *out_size,
        const unsigned char *data, int size)


cdef extern from "openssl/crypto.h" nogil:
    int CRYPTO_memcmp(const void *first, const void *second, size_t size)
    void OPENSSL_cleanse(void *data, size_t size)


cdef enum:
    HEADER = 16                 # MessageType to TokenId
    SEQUENCE = 8                # SequenceNumber and RequestId
    BLOCK = 16                  # of AES
    DIGEST = 32                 # of SHA-256, and so of the signature
    LONGEST_KEY = 32            # of AES
    HASH_BLOCK = 64             # what SHA-256 takes in at once
    KEEP = -1                   # EVP_CipherInit_ex: go on in the direction the context has
    LARGEST = INT_MAX - 512     # bytes of a chunk; libcrypto counts in int


cdef const EVP_CIPHER *AES128 = EVP_CIPHER_fetch(NULL, b"AES-128-CBC", NULL)
cdef const EVP_CIPHER *AES256 = EVP_CIPHER_fetch(NULL, b"AES-256-CBC", NULL)


cdef class Hmac:
    """HMAC-SHA256 with a fixed key (RFC 2104)."""

    cdef EVP_MD_CTX *inner
    cdef EVP_MD_CTX *outer
    cdef EVP_MD_CTX *running

    def __cinit__(self):
        self.inner = EVP_MD_CTX_new()
        self.outer = EVP_MD_CTX_new()
        self.running = EVP_MD_CTX_new()
        if self.inner == NULL or self.outer == NULL or self.running == NULL:
            raise MemoryError()

    cdef int use(self, const unsigned char *key, Py_ssize_t size) except -1:
        """Take the key; before this, nothing can be signed."""
        cdef unsigned char block[HASH_BLOCK]
        cdef int good = 1

        memset(block, 0, HASH_BLOCK)
        if size <= HASH_BLOCK:
            memcpy(block, key, size)
        else:
            good = self.hash_key(key, size, block)
        good = good and absorb(self.inner, block, 0x36) and absorb(self.outer, block, 0x5C)
        OPENSSL_cleanse(block, HASH_BLOCK)
        if not good:
            raise RuntimeError("SHA-256 fails")
        return 0

    def __dealloc__(self):
        EVP_MD_CTX_free(self.inner)     # wipes what it held
        EVP_MD_CTX_free(self.outer)
        EVP_MD_CTX_free(self.running)

    cdef int hash_key(self, const unsigned char *key, Py_ssize_t size, unsigned char *digest):
        return (
            EVP_DigestInit_ex(self.running, SHA256, NULL) == 1
            and EVP_DigestUpdate(self.running, key, size) == 1
            and EVP_DigestFinal_ex(self.running, digest, NULL) == 1
        )

    cdef int sign(
        self, const void *first, size_t first_size, const void *second, size_t second_size,
        unsigned char *digest
    ) except -1:
        """Write the HMAC of ``first`` and ``second`` in a row to ``digest``."""
        if (
            EVP_MD_CTX_copy_ex(self.running, self.inner) != 1
            or EVP_DigestUpdate(self.running, first, first_size) != 1
            or EVP_DigestUpdate(self.running, second, second_size) != 1
            or EVP_DigestFinal_ex(self.running, digest, NULL) != 1
            or EVP_MD_CTX_copy_ex(self.running, self.outer) != 1
            or EVP_DigestUpdate(self.running, digest, DIGEST) != 1
            or EVP_DigestFinal_ex(self.running, digest, NULL) != 1
        ):
            raise RuntimeError("SHA-256 fails")
        return 0

    cdef int check(
        self, const void *first, size_t first_size, const void *second, size_t second_size,
        const unsigned char *signature
    ) except -1:
        """Compare the HMAC with ``signature`` in a time that does not depend on either."""
        cdef unsigned char digest[DIGEST]

        self.sign(first, first_size, second, second_size, digest)
        if CRYPTO_memcmp(digest, signature, DIGEST) != 0:
            raise SecurityChecksFailed("the signature of a chunk does not verify")
        return 0


cdef int absorb(EVP_MD_CTX *context, const unsigned char *key, unsigned char pad) noexcept:
    """Begin a hash with ``key`` xor ``pad``; return whether that went well."""
    cdef unsigned char block[HASH_BLOCK]
    cdef int at
    cdef int good

    for at in range(HASH_BLOCK):
        block[at] = key[at] ^ pad
    good = (
        EVP_DigestInit_ex(context, SHA256, NULL) == 1
        and EVP_DigestUpdate(context, block, HASH_BLOCK) == 1
    )
    OPENSSL_cleanse(block, HASH_BLOCK)
    return good


cdef int expand(
    const unsigned char *secret, Py_ssize_t secret_size, const unsigned char *seed,
    Py_ssize_t seed_size, unsigned char *out, Py_ssize_t length
) except -1:
    """Fill ``out`` with P_SHA256 (RFC 5246 section 5, without a label)."""
    cdef Hmac mac = Hmac.__new__(Hmac)
    cdef unsigned char link[DIGEST]
    cdef unsigned char block[DIGEST]
    cdef Py_ssize_t at

    mac.use(secret, secret_size)
    mac.sign(NULL, 0, seed, seed_size, link)
    for at in range(0, length, DIGEST):
        mac.sign(link, DIGEST, seed, seed_size, block)
        memcpy(out + at, block, min(length - at, DIGEST))
        mac.sign(NULL, 0, link, DIGEST, link)
    OPENSSL_cleanse(link, DIGEST)
    OPENSSL_cleanse(block, DIGEST)
    return 0


def p_sha256(bytes secret not None, bytes seed not None, Py_ssize_t length):
    """Return P_SHA256; see ``registrar.ua.symmetric.p_sha256``."""
    cdef bytes data = PyBytes_FromStringAndSize(NULL, max(length, 0))

    expand(
        <const unsigned char *>PyBytes_AS_STRING(secret), PyBytes_GET_SIZE(secret),
        <const unsigned char *>PyBytes_AS_STRING(seed), PyBytes_GET_SIZE(seed),
        <unsigned char *>PyBytes_AS_STRING(data), length)
    return data


cdef class ChunkSecurity:
    """Secures or opens the chunks of one direction and one token."""

    cdef Py_ssize_t room(self, Py_ssize_t chunk_size):
        """Return how many bytes of a message a chunk of ``chunk_size`` bytes holds."""
        return chunk_size - HEADER - SEQUENCE

    cdef bytes close_up(
        self, uint32_t kind, uint32_t channel_id, uint32_t token_id, uint32_t sequence,
        uint32_t request_id, const unsigned char *body, Py_ssize_t size
    ):
        """Return the chunk that holds ``size`` bytes from ``body`` on."""
        return begin(
            HEADER + SEQUENCE + checked(size), kind, channel_id, token_id, sequence, request_id,
            body, size)

    cdef bytes take_apart(self, bytes chunk, uint32_t *sequence, uint32_t *request_id):
        """Return the body of ``chunk`` and fill in the numbers before it."""
        if PyBytes_GET_SIZE(chunk) < HEADER + SEQUENCE:
            raise SecurityChecksFailed("a chunk without SequenceNumber and RequestId")
        return content(
            <const unsigned char *>PyBytes_AS_STRING(chunk) + HEADER,
            PyBytes_GET_SIZE(chunk) - HEADER, sequence, request_id)

    def body_size(self, Py_ssize_t chunk_size):
        return self.room(chunk_size)

    def seal(
        self, bytes kind not None, uint32_t channel_id, uint32_t token_id, uint32_t sequence,
        uint32_t request_id, bytes body not None
    ):
        if PyBytes_GET_SIZE(kind) != 4:
            raise ValueError(f"a MessageType with IsFinal of {len(kind)} bytes")
        return self.close_up(
            number_at(<const unsigned char *>PyBytes_AS_STRING(kind)), channel_id, token_id,
            sequence, request_id, <const unsigned char *>PyBytes_AS_STRING(body),
            PyBytes_GET_SIZE(body))

    def open(self, bytes chunk not None):
        cdef uint32_t sequence = 0
        cdef uint32_t request_id = 0
        cdef bytes body = self.take_apart(chunk, &sequence, &request_id)

        return sequence, request_id, body


cdef class PlainChunks(ChunkSecurity):
    """See ``registrar.ua.symmetric.PlainChunks``."""


cdef class SignedChunks(ChunkSecurity):
    """See ``registrar.ua.symmetric.SignedChunks``."""

    cdef Hmac mac

    def __cinit__(self, policy=None, keys=None):
        self.mac = Hmac.__new__(Hmac)

    def __init__(self, policy, keys):
        cdef bytes key = keys.signing_key

        if policy.signature_size != DIGEST:
            raise ValueError(f"a signature of {policy.signature_size} bytes")
        self.mac.use(<const unsigned char *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))

    cdef Py_ssize_t room(self, Py_ssize_t chunk_size):
        return chunk_size - HEADER - SEQUENCE - DIGEST

    cdef bytes close_up(
        self, uint32_t kind, uint32_t channel_id, uint32_t token_id, uint32_t sequence,
        uint32_t request_id, const unsigned char *body, Py_ssize_t size
    ):
        cdef Py_ssize_t end = HEADER + SEQUENCE + checked(size)
        cdef bytes chunk = begin(
            end + DIGEST, kind, channel_id, token_id, sequence, request_id, body, size)
        cdef unsigned char *data = <unsigned char *>PyBytes_AS_STRING(chunk)

        self.mac.sign(data, end, NULL, 0, data + end)
        return chunk

    cdef bytes take_apart(self, bytes chunk, uint32_t *sequence, uint32_t *request_id):
        cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(chunk)
        cdef Py_ssize_t end = PyBytes_GET_SIZE(chunk) - DIGEST

        if end < HEADER + SEQUENCE:
            raise SecurityChecksFailed(f"a signed chunk of {PyBytes_GET_SIZE(chunk)} bytes")
        self.mac.check(data, end, NULL, 0, data + end)
        return content(data + HEADER, end - HEADER, sequence, request_id)


cdef class EncryptedChunks(ChunkSecurity):
    """See ``registrar.ua.symmetric.EncryptedChunks``; the schedule is made at the first use."""

    cdef Hmac mac
    cdef EVP_CIPHER_CTX *context
    cdef int encrypting
    cdef Py_ssize_t key_size
    cdef unsigned char key[LONGEST_KEY]
    cdef unsigned char iv[BLOCK]

    def __cinit__(self, policy=None, keys=None):
        self.mac = Hmac.__new__(Hmac)
        self.context = EVP_CIPHER_CTX_new()
        self.encrypting = KEEP
        if self.context == NULL:
            raise MemoryError()

    def __init__(self, policy, keys):
        cdef bytes signing_key = keys.signing_key
        cdef bytes key = keys.encrypting_key
        cdef bytes iv = keys.iv

        if policy.signature_size != DIGEST or len(iv) != BLOCK or len(key) not in (16, 32):
            raise ValueError(f"a key of {len(key)} bytes, an IV of {len(iv)}")
        self.mac.use(
            <const unsigned char *>PyBytes_AS_STRING(signing_key), PyBytes_GET_SIZE(signing_key))
        self.use(
            <const unsigned char *>PyBytes_AS_STRING(key), len(key),
            <const unsigned char *>PyBytes_AS_STRING(iv))

    cdef int use(
        self, const unsigned char *key, Py_ssize_t key_size, const unsigned char *iv
    ) except -1:
        """Take the key of AES, 16 or 32 bytes, and the IV."""
        self.key_size = key_size
        memcpy(self.key, key, key_size)
        memcpy(self.iv, iv, BLOCK)
        return 0

    def __dealloc__(self):
        EVP_CIPHER_CTX_free(self.context)   # wipes the key schedule
        OPENSSL_cleanse(self.key, LONGEST_KEY)
        OPENSSL_cleanse(self.iv, BLOCK)

    cdef Py_ssize_t room(self, Py_ssize_t chunk_size):
        return (chunk_size - HEADER) // BLOCK * BLOCK - SEQUENCE - 1 - DIGEST

    cdef bytes close_up(
        self, uint32_t kind, uint32_t channel_id, uint32_t token_id, uint32_t sequence,
        uint32_t request_id, const unsigned char *body, Py_ssize_t size
    ):
        cdef Py_ssize_t start = HEADER + SEQUENCE + checked(size)
        cdef int padding = (BLOCK - (start + 1 + DIGEST) % BLOCK) % BLOCK
        cdef Py_ssize_t end = start + 1 + padding
        cdef bytes chunk = begin(
            end + DIGEST, kind, channel_id, token_id, sequence, request_id, body, size)
        cdef unsigned char *data = <unsigned char *>PyBytes_AS_STRING(chunk)

        memset(data + start, padding, 1 + padding)
        self.mac.sign(data, end, NULL, 0, data + end)
        self.run(1, data + HEADER, data + HEADER, end + DIGEST - HEADER)
        return chunk

    cdef bytes take_apart(self, bytes chunk, uint32_t *sequence, uint32_t *request_id):
        cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(chunk)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(chunk) - HEADER
        cdef unsigned char *plain

        if size % BLOCK or size < SEQUENCE + 1 + DIGEST or size > LARGEST:
            raise SecurityChecksFailed(f"an encrypted chunk of {size + HEADER} bytes")
        plain = <unsigned char *>PyMem_Malloc(size)
        if plain == NULL:
            raise MemoryError()
        try:
            self.run(0, plain, data + HEADER, size)
            self.mac.check(data, HEADER, plain, size - DIGEST, plain + size - DIGEST)
            return content(plain, without_padding(plain, size - DIGEST), sequence, request_id)
        finally:
            PyMem_Free(plain)

    cdef int run(
        self, int encrypting, unsigned char *out, const unsigned char *data, Py_ssize_t size
    ) except -1:
        """Encrypt or decrypt whole blocks from the derived IV on; ``out`` may be ``data``."""
        cdef int done = 0

        if encrypting != self.encrypting:
            self.schedule(encrypting)
        if (
            EVP_CipherInit_ex(self.context, NULL, NULL, NULL, self.iv, KEEP) != 1
            or EVP_CipherUpdate(self.context, out, &done, data, <int>size) != 1
            or done != size
        ):
            raise RuntimeError("AES-CBC fails")
        return 0

    cdef int schedule(self, int encrypting) except -1:
        """Make the key schedule of one direction."""
        cdef const EVP_CIPHER *cipher = AES128 if self.key_size == 16 else AES256

        if (
            EVP_CipherInit_ex(self.context, cipher, NULL, self.key, NULL, encrypting) != 1
            or EVP_CIPHER_CTX_set_padding(self.context, 0) != 1
        ):
            raise RuntimeError("AES-CBC fails")
        self.encrypting = encrypting
        return 0


cdef Py_ssize_t checked(Py_ssize_t size) except -1:
    if size > LARGEST:
        raise OverflowError(f"a chunk of {size} bytes")
    return size


cdef bytes begin(
    Py_ssize_t size, uint32_t kind, uint32_t channel_id, uint32_t token_id, uint32_t sequence,
    uint32_t request_id, const unsigned char *body, Py_ssize_t body_size
):
    """Return a chunk of ``size`` bytes, filled as far as its body goes."""
    cdef bytes chunk = PyBytes_FromStringAndSize(NULL, size)
    cdef unsigned char *data = <unsigned char *>PyBytes_AS_STRING(chunk)

    put_number(data, kind)
    put_number(data + 4, <uint32_t>size)
    put_number(data + 8, channel_id)
    put_number(data + 12, token_id)
    put_number(data + HEADER, sequence)
    put_number(data + HEADER + 4, request_id)
    memcpy(data + HEADER + SEQUENCE, body, body_size)
    return chunk


cdef bytes content(
    const unsigned char *plain, Py_ssize_t size, uint32_t *sequence, uint32_t *request_id
):
    """Return the body behind SequenceNumber and RequestId, which are filled in."""
    sequence[0] = number_at(plain)
    request_id[0] = number_at(plain + 4)
    return PyBytes_FromStringAndSize(<const char *>plain + SEQUENCE, size - SEQUENCE)


cdef Py_ssize_t without_padding(const unsigned char *plain, Py_ssize_t end) except -1:
    """Return where the padding before ``end`` begins; every byte of it must be right."""
    cdef Py_ssize_t padding = plain[end - 1]
    cdef Py_ssize_t start = end - 1 - padding
    cdef Py_ssize_t at

    if start < SEQUENCE:
        raise SecurityChecksFailed("wrong padding")
    for at in range(start, end):
        if plain[at] != padding:
            raise SecurityChecksFailed("wrong padding")
    return start


cdef inline void put_number(unsigned char *out, uint32_t number) noexcept:
    out[0] = number & 0xFF
    out[1] = number >> 8 & 0xFF
    out[2] = number >> 16 & 0xFF
    out[3] = number >> 24


cdef inline uint32_t number_at(const unsigned char *data) noexcept:
    return (
        data[0] | <uint32_t>data[1] << 8 | <uint32_t>data[2] << 16 | <uint32_t>data[3] << 24
    )
