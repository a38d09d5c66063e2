# ECDSA on P-256 for the keys of those who sign thousands of Tickets (FIPS 186-5 §6.4.2).
#
#     w = 1 / s        R = (digest · w) · G  +  (r · w) · Q        r = x(R) mod n
#
# libcrypto keeps multiples of G, which makes ``k · G`` six times as fast as ``k · Q``. In a group
# whose generator is Q it keeps those of Q: 150 KB and 20 ms for each key. One inversion serves
# all signatures that are checked together. All of it is public; no secret could leak by its time.

cdef extern from "openssl/bn.h" nogil:
    ctypedef struct BIGNUM:
        pass
    ctypedef struct BN_CTX:
        pass
    BN_CTX *BN_CTX_new()
    void BN_CTX_free(BN_CTX *context)
    BIGNUM *BN_new()
    void BN_free(BIGNUM *number)
    BIGNUM *BN_bin2bn(const unsigned char *data, int size, BIGNUM *number)
    const BIGNUM *BN_value_one()
    BIGNUM *BN_copy(BIGNUM *to, const BIGNUM *number)
    int BN_cmp(const BIGNUM *one, const BIGNUM *other)
    int BN_is_zero(const BIGNUM *number)
    int BN_mod_mul(
        BIGNUM *product, const BIGNUM *one, const BIGNUM *other, const BIGNUM *modulus,
        BN_CTX *context)
    int BN_nnmod(BIGNUM *rest, const BIGNUM *number, const BIGNUM *modulus, BN_CTX *context)
    BIGNUM *BN_mod_inverse(
        BIGNUM *inverse, const BIGNUM *number, const BIGNUM *modulus, BN_CTX *context)


cdef extern from *:
    """
    #include <openssl/opensslv.h>
    /* Deprecated in 3.0 and gone in 4.0; without it, every signature goes the ordinary way. */
    #if OPENSSL_VERSION_NUMBER >= 0x40000000L || defined(OPENSSL_NO_DEPRECATED_3_0)
    #define EC_GROUP_precompute_mult(group, context) 0
    #endif
    """
    int EC_GROUP_precompute_mult(EC_GROUP *group, BN_CTX *context) nogil


cdef extern from "openssl/ec.h" nogil:
    const BIGNUM *EC_GROUP_get0_order(const EC_GROUP *group)
    int EC_GROUP_set_generator(
        EC_GROUP *group, const EC_POINT *generator, const BIGNUM *order, const BIGNUM *cofactor)
    int EC_POINT_mul(
        const EC_GROUP *group, EC_POINT *product, const BIGNUM *times, const EC_POINT *point,
        const BIGNUM *times_point, BN_CTX *context)
    int EC_POINT_add(
        const EC_GROUP *group, EC_POINT *sum, const EC_POINT *one, const EC_POINT *other,
        BN_CTX *context)
    int EC_POINT_is_at_infinity(const EC_GROUP *group, const EC_POINT *point)
    int EC_POINT_get_affine_coordinates(
        const EC_GROUP *group, const EC_POINT *point, BIGNUM *x, BIGNUM *y, BN_CTX *context)


cdef enum:
    TOGETHER = 64               # signatures that share an inversion
    P256 = 32                   # bytes of a coordinate and of a scalar
    POINT = 2 * P256 + 1


cdef struct Question:
    BIGNUM *digest
    BIGNUM *r
    BIGNUM *s
    BIGNUM *product             # of this s and all before
    Job *job


cdef EC_GROUP *table_of(const Key *key) noexcept nogil:
    """Return P-256 with ``key``, of a known encoding, as its generator; NULL where that fails."""
    cdef EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)
    cdef EC_POINT *point = EC_POINT_new(group) if group != NULL else NULL
    cdef bint made = (
        point != NULL
        and EC_POINT_oct2point(group, point, key.encoded.end - POINT, POINT, NULL) == 1
        and EC_GROUP_set_generator(group, point, EC_GROUP_get0_order(group), BN_value_one()) == 1
        and EC_GROUP_precompute_mult(group, NULL) == 1
    )
    EC_POINT_free(point)
    ERR_clear_error()
    if made:
        return group
    EC_GROUP_free(group)
    return NULL


cdef class Solver:
    """Numbers and points of libcrypto, and the questions that wait for their inversion."""

    cdef EC_GROUP *curve
    cdef const BIGNUM *order
    cdef BN_CTX *context
    cdef EC_POINT *sum
    cdef EC_POINT *part
    cdef BIGNUM *inverse
    cdef BIGNUM *scalar
    cdef BIGNUM *rest
    cdef Question question[TOGETHER]
    cdef int count

    def __cinit__(self):
        cdef int at
        cdef bint is_whole
        self.curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)
        if self.curve == NULL:
            raise MemoryError()
        self.order = EC_GROUP_get0_order(self.curve)
        self.context = BN_CTX_new()
        self.sum = EC_POINT_new(self.curve)
        self.part = EC_POINT_new(self.curve)
        self.inverse = BN_new()
        self.scalar = BN_new()
        self.rest = BN_new()
        is_whole = (
            self.context != NULL and self.sum != NULL and self.part != NULL
            and self.inverse != NULL and self.scalar != NULL and self.rest != NULL
        )
        for at in range(TOGETHER):
            self.question[at] = Question(
                digest=BN_new(), r=BN_new(), s=BN_new(), product=BN_new(), job=NULL)
            is_whole = (
                is_whole and self.question[at].digest != NULL and self.question[at].r != NULL
                and self.question[at].s != NULL and self.question[at].product != NULL
            )
        if not is_whole:
            raise MemoryError()

    def __dealloc__(self):
        cdef int at
        for at in range(TOGETHER):
            BN_free(self.question[at].digest)
            BN_free(self.question[at].r)
            BN_free(self.question[at].s)
            BN_free(self.question[at].product)
        BN_free(self.inverse)
        BN_free(self.scalar)
        BN_free(self.rest)
        EC_POINT_free(self.sum)
        EC_POINT_free(self.part)
        BN_CTX_free(self.context)
        EC_GROUP_free(self.curve)


cdef bint take_question(
    Solver solver, Job *job, const unsigned char *digest, bint is_raw
) noexcept nogil:
    """Put a signature among those that wait; false where it cannot hold, or is written otherwise.

    A digest longer than the curve counts with its first bytes.
    """
    cdef Question *question = &solver.question[solver.count]
    cdef Span text = job.signature
    cdef Span r, s, inside

    if is_raw:
        if size_of(&text) != 2 * P256:
            return False
        r.at, r.end = text.at, text.at + P256
        s.at, s.end = text.at + P256, text.end
    elif (
        not take(&text, 0x30, &inside) or size_of(&text)
        or not take(&inside, 0x02, &r) or not take(&inside, 0x02, &s) or size_of(&inside)
        or not is_scalar(&r) or not is_scalar(&s)
    ):
        return False
    if (
        BN_bin2bn(digest, P256, question.digest) == NULL
        or BN_bin2bn(r.at, <int>size_of(&r), question.r) == NULL
        or BN_bin2bn(s.at, <int>size_of(&s), question.s) == NULL
        or BN_is_zero(question.r) or BN_is_zero(question.s)
        or BN_cmp(question.r, solver.order) >= 0 or BN_cmp(question.s, solver.order) >= 0
    ):
        return False
    if solver.count:
        if BN_mod_mul(
            question.product, solver.question[solver.count - 1].product, question.s, solver.order,
            solver.context) != 1:
            return False
    elif BN_copy(question.product, question.s) == NULL:
        return False
    question.job = job
    solver.count += 1
    return True


cdef inline bint is_scalar(const Span *number) noexcept nogil:
    """Tell whether an INTEGER is positive, of at most 32 bytes and in its shortest form."""
    cdef Py_ssize_t size = size_of(number)
    if size < 1 or size > P256 + 1 or number.at[0] >= 0x80:
        return False
    if number.at[0]:
        return size <= P256
    return size > 1 and number.at[1] >= 0x80


cdef bint invert(Solver solver) noexcept nogil:
    """Begin to answer: invert the product of every s that waits."""
    return BN_mod_inverse(
        solver.inverse, solver.question[solver.count - 1].product, solver.order, solver.context
    ) != NULL


cdef bint answer_last(Solver solver, const EC_GROUP *table) noexcept nogil:
    """Answer the question that came last of those that wait; its key is the ``table``'s."""
    cdef Question *question
    cdef const BIGNUM *order = solver.order
    cdef BN_CTX *context = solver.context

    solver.count -= 1
    question = &solver.question[solver.count]
    # Now ``rest`` becomes 1 / s, and ``inverse`` that of the product of those before.
    if solver.count:
        if BN_mod_mul(
            solver.rest, solver.inverse, solver.question[solver.count - 1].product, order, context
        ) != 1 or BN_mod_mul(solver.inverse, solver.inverse, question.s, order, context) != 1:
            return False
    elif BN_copy(solver.rest, solver.inverse) == NULL:
        return False
    return (
        BN_mod_mul(solver.scalar, question.digest, solver.rest, order, context) == 1
        and EC_POINT_mul(solver.curve, solver.sum, solver.scalar, NULL, NULL, context) == 1
        and BN_mod_mul(solver.scalar, question.r, solver.rest, order, context) == 1
        and EC_POINT_mul(table, solver.part, solver.scalar, NULL, NULL, context) == 1
        and EC_POINT_add(solver.curve, solver.sum, solver.sum, solver.part, context) == 1
        and not EC_POINT_is_at_infinity(solver.curve, solver.sum)
        and EC_POINT_get_affine_coordinates(
            solver.curve, solver.sum, solver.scalar, NULL, context) == 1
        and BN_nnmod(solver.scalar, solver.scalar, order, context) == 1
        and BN_cmp(solver.scalar, question.r) == 0
    )


def table_holds(bytes encoded, bytes digest, bytes signature, bint is_raw):
    """Tell whether a signature of the key ``encoded`` holds by a table, as vectors need it.

    Args:
        encoded: the SubjectPublicKeyInfo of a key on P-256.
        digest: 32 bytes or more.
        is_raw: the signature is r || s, not an ECDSA-Sig-Value.
    """
    cdef Key key = Key(encoded=span_of(encoded), coordinate=P256)
    cdef Job job = Job(signature=span_of(signature))
    cdef Solver solver = Solver()
    cdef EC_GROUP *table
    if recognise(key.encoded.at, size_of(&key.encoded)) != P256 or len(digest) < P256:
        raise ValueError("not a key on P-256, or a short digest")
    table = table_of(&key)
    if table == NULL:
        raise MemoryError()
    try:
        return (
            take_question(solver, &job, digest, is_raw)
            and invert(solver) and answer_last(solver, table)
        )
    finally:
        EC_GROUP_free(table)
