# OPN chunks: what ``registrar.ua.open_chunk``, ``asymmetric`` and ``opening`` do for the channels.
#
# Operations with keys are those of ``cryptography``, whose objects are the same as in the twins.

cdef extern from "openssl/evp.h" nogil:
    int EVP_Digest(
        const void *data, size_t size, unsigned char *digest, unsigned int *digest_size,
        const EVP_MD *kind, void *engine)


cdef const EVP_MD *SHA1 = EVP_MD_fetch(NULL, b"SHA1", NULL)

cdef enum:
    OPEN_HEADER = 12            # MessageType with IsFinal, MessageSize, ChannelId
    SHA1_SIZE = 20
    SMALL_KEY_BITS = 2048
    REQUEST_SIZE = 33           # type and RequestHeader of a request of ours
    LEAST_RESPONSE = 56         # an OpenSecureChannelResponse with an empty nonce
    OPEN_REQUEST = 446          # encoding ids of OPC 10000-6
    OPEN_RESPONSE = 449
    CLOSE_REQUEST = 452
    NULL_LENGTH = 0xFFFFFFFF    # of a String or ByteString


@cython.final
cdef class Policy:
    """A row of ``registrar.ua.security_policy``, and how ``cryptography`` is told to follow it."""

    cdef:
        object row
        bytes uri
        bint is_none, legacy
        Py_ssize_t nonce_size, signing_key_size, encrypting_key_size, iv_size, overhead
        Py_ssize_t min_key_bits, max_key_bits
        object signature        # padding of a signature
        object encryption       # padding of a block

    def __cinit__(self, row):
        self.row = row
        self.uri = row.uri.encode()
        self.is_none = row.is_none
        self.legacy = row.legacy_sequence_numbers
        self.nonce_size = row.nonce_size
        self.signing_key_size = row.signing_key_size
        self.encrypting_key_size = row.encrypting_key_size
        self.iv_size = row.iv_size
        self.overhead = row.asymmetric_overhead
        self.min_key_bits = row.min_key_bits
        self.max_key_bits = row.max_key_bits
        self.signature = SIGNATURES.get(row.asymmetric_signature)
        self.encryption = ENCRYPTIONS.get(row.asymmetric_encryption)

    cdef bint allows_key(self, Py_ssize_t bits):
        return self.min_key_bits <= bits <= self.max_key_bits


cdef dict policies = {}         # by the identity of their row, which they keep alive
cdef dict policies_by_uri = {}


cdef Policy policy_for(object row):
    cdef Policy policy = <Policy>policies.get(id(row))

    if policy is None:
        policy = policies[id(row)] = Policy(row)
    return policy


cdef Policy policy_named(bytes uri):
    """Return the policy that a peer names; raises where we do not speak it."""
    cdef Policy policy = <Policy>policies_by_uri.get(uri)

    if policy is None:
        try:
            policy = policy_for(policy_of(uri.decode()))
        except UnicodeDecodeError as error:
            raise DecodingError("SecurityPolicyUri is not UTF-8") from error
        policies_by_uri[uri] = policy
    return policy


@cython.final
cdef class OpenFields:
    """The security header of an OPN."""

    cdef:
        uint32_t channel_id
        Policy policy
        bytes sender_certificate, receiver_thumbprint
        Py_ssize_t size         # of the chunk before the encrypted part

    cdef object header(self):
        return made(OPEN_HEADERS, (self.channel_id, self.policy.row, self.sender_certificate,
            self.receiver_thumbprint, self.size))


cdef OpenFields fields_of_open(bytes chunk):
    """See ``registrar.ua.open_chunk.parse_header``."""
    cdef OpenFields fields = OpenFields.__new__(OpenFields)
    cdef Py_ssize_t at = OPEN_HEADER
    cdef bytes uri

    if PyBytes_GET_SIZE(chunk) < OPEN_HEADER:
        raise DecodingError(f"OPN of {len(chunk)} bytes")
    fields.channel_id = number_at(<const unsigned char *>PyBytes_AS_STRING(chunk) + 8)
    uri = field_of(chunk, &at, MAX_POLICY_URI)
    fields.sender_certificate = field_of(chunk, &at, MAX_OPEN_SIZE)
    fields.receiver_thumbprint = field_of(chunk, &at, SHA1_SIZE)
    fields.policy = policy_named(uri)
    if not fields.policy.is_none and len(fields.receiver_thumbprint) != SHA1_SIZE:
        raise DecodingError(
            f"ReceiverCertificateThumbprint of {len(fields.receiver_thumbprint)} bytes")
    fields.size = at
    return fields


cdef bytes field_of(bytes chunk, Py_ssize_t *at, Py_ssize_t limit):
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(chunk)
    cdef Py_ssize_t end = PyBytes_GET_SIZE(chunk)
    cdef Py_ssize_t start = at[0]
    cdef int32_t length

    if end - start < 4:
        raise DecodingError("the security header of an OPN is cut off")
    length = <int32_t>number_at(data + start)
    start += 4
    if not -1 <= length <= limit:
        raise DecodingError(
            f"a field of {length} bytes in an OPN, at most {limit} are allowed",
            status=StatusCode.BadSecurityChecksFailed)
    if length < 0:
        length = 0
    if length > end - start:
        raise DecodingError(f"a field of {length} bytes leaves the OPN")
    at[0] = start + length
    return PyBytes_FromStringAndSize(<const char *>data + start, length)


cdef bytes sha1(bytes certificate):
    """See ``registrar.ua.certificates.thumbprint_of``."""
    cdef unsigned char digest[SHA1_SIZE]

    if EVP_Digest(
        PyBytes_AS_STRING(certificate), PyBytes_GET_SIZE(certificate), digest, NULL, SHA1, NULL
    ) != 1:
        raise RuntimeError("SHA-1 fails")
    return PyBytes_FromStringAndSize(<const char *>digest, SHA1_SIZE)


cdef Py_ssize_t blocks_of(
    Py_ssize_t length, Py_ssize_t our_bits, Py_ssize_t peer_bits
) except -1:
    """See ``registrar.ua.open_chunk.count_blocks``."""
    cdef Py_ssize_t size = our_bits // 8
    cdef bint both_small = our_bits == peer_bits == SMALL_KEY_BITS
    cdef Py_ssize_t limit = MAX_SMALL_BLOCKS if both_small else MAX_OPEN_BLOCKS

    if length % size or not 1 <= length // size <= limit:
        raise SecurityChecksFailed(f"{length} encrypted bytes, at most {limit} blocks are allowed")
    return length // size


cdef bytes opened(Policy policy, bytes chunk, Py_ssize_t head, object identity, object sender_key):
    """Return what an OPN holds from its SequenceNumber on; all of it is checked.

    Whatever is wrong, all blocks are decrypted and one signature is checked, and the class of the
    error is the same (T15).
    """
    cdef Py_ssize_t bits = identity.key_bits
    cdef Py_ssize_t size = bits // 8
    cdef Py_ssize_t at, end
    cdef bint intact = True
    cdef object decrypt = identity.private_key.decrypt
    cdef list blocks = []
    cdef bytes plain

    for at in range(head, PyBytes_GET_SIZE(chunk), size):
        try:
            blocks.append(decrypt(chunk[at : at + size], policy.encryption))
        except ValueError:
            blocks.append(bytes(size - policy.overhead))
            intact = False
    plain = b"".join(blocks)
    end = max(PyBytes_GET_SIZE(plain) - <Py_ssize_t>sender_key.key_size // 8, 0)
    check_signature(policy, sender_key, plain[end:], chunk[:head] + plain[:end])
    if not intact:
        raise SecurityChecksFailed("a block does not decrypt")
    return without_open_padding(plain, end, bits > SMALL_KEY_BITS)


cdef int check_signature(Policy policy, object key, bytes signature, bytes data) except -1:
    try:
        key.verify(signature, data, policy.signature, DIGEST_OF_SIGNATURES)
    except InvalidSignature as error:
        raise SecurityChecksFailed("the signature does not verify") from error
    return 0


cdef bytes without_open_padding(bytes plain, Py_ssize_t end, bint long):
    """Return the first ``end`` bytes less their padding, every byte of which must be right."""
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(plain)
    cdef Py_ssize_t size, start, at

    if end < SEQUENCE + 1 + long:
        raise SecurityChecksFailed("an OPN without content")
    size = data[end - 1] << 8 | data[end - 2] if long else data[end - 1]
    start = end - size - 1 - long
    if start < SEQUENCE:
        raise SecurityChecksFailed("wrong padding in an OPN")
    for at in range(start, end - long):
        if data[at] != (size & 0xFF):
            raise SecurityChecksFailed("wrong padding in an OPN")
    return plain[:start]


cdef bytes sealed(
    Policy policy, object identity, object receiver_key, bytes receiver_certificate,
    uint32_t channel_id, uint32_t sequence, uint32_t request_id, bytes body
):
    """Return an OPN; one private-key operation unless there is no security."""
    cdef bytes numbers = two_numbers(sequence, request_id)
    cdef bytes fields, head, plain, signature
    cdef Py_ssize_t bits, block, signature_size, padding, size, at
    cdef bint long
    cdef object encrypt, scheme

    if policy.is_none:
        fields = field(policy.uri) + b"\xff\xff\xff\xff\xff\xff\xff\xff"
        size = OPEN_HEADER + len(fields) + SEQUENCE + len(body)
        return open_header(size, channel_id) + fields + numbers + body
    fields = (
        field(policy.uri) + field(identity.sender_certificate)
        + field(sha1(receiver_certificate)))
    bits = receiver_key.key_size
    long = bits > SMALL_KEY_BITS
    block = bits // 8 - policy.overhead
    signature_size = <Py_ssize_t>identity.key_bits // 8
    size = SEQUENCE + len(body) + 1 + long + signature_size
    padding = (block - size % block) % block
    plain = numbers + body + bytes((padding & 0xFF,)) * (padding + 1)
    if long:
        plain += bytes((padding >> 8,))
    size = OPEN_HEADER + len(fields) + (size + padding) // block * (bits // 8)
    head = open_header(size, channel_id) + fields
    signature = identity.private_key.sign(head + plain, policy.signature, DIGEST_OF_SIGNATURES)
    plain += signature
    encrypt, scheme = receiver_key.encrypt, policy.encryption
    return head + b"".join(
        [encrypt(plain[at : at + block], scheme) for at in range(0, len(plain), block)])


cdef bytes open_header(Py_ssize_t size, uint32_t channel_id):
    cdef unsigned char head[OPEN_HEADER]

    if size > MAX_OPEN_SIZE:
        raise MessageTooLarge(f"an OPN of {size} bytes, at most {MAX_OPEN_SIZE} are allowed")
    memcpy(head, b"OPNF", 4)
    put_number(head + 4, <uint32_t>size)
    put_number(head + 8, channel_id)
    return PyBytes_FromStringAndSize(<const char *>head, OPEN_HEADER)


cdef bytes two_numbers(uint32_t first, uint32_t second):
    cdef unsigned char data[8]

    put_number(data, first)
    put_number(data + 4, second)
    return PyBytes_FromStringAndSize(<const char *>data, 8)


cdef bytes field(bytes value):
    """Return ``value`` with its length in front."""
    cdef unsigned char length[4]

    put_number(length, <uint32_t>PyBytes_GET_SIZE(value))
    return PyBytes_FromStringAndSize(<const char *>length, 4) + value


# Bodies


cdef Py_ssize_t request_start(unsigned char *out, int encoding_id, object timestamp) except -1:
    """Write type and RequestHeader of a request without Session; see ``registrar.ua.opening``."""
    memset(out, 0, REQUEST_SIZE)
    out[0] = 1
    out[2] = encoding_id & 0xFF
    out[3] = encoding_id >> 8
    put_time(out + 6, timestamp)
    put_number(out + 22, NULL_LENGTH)
    return REQUEST_SIZE


cdef int put_time(unsigned char *out, object timestamp) except -1:
    cdef int64_t ticks = ticks_of(timestamp)

    put_number(out, <uint32_t>(ticks & 0xFFFFFFFF))
    put_number(out + 4, <uint32_t>(ticks >> 32))
    return 0


cdef bytes open_request_body(
    object timestamp, bint renewal, uint32_t mode, bytes nonce, double lifetime_s
):
    cdef unsigned char data[REQUEST_SIZE + 16]

    request_start(data, OPEN_REQUEST, timestamp)
    put_number(data + REQUEST_SIZE, 0)
    put_number(data + REQUEST_SIZE + 4, renewal)
    put_number(data + REQUEST_SIZE + 8, mode)
    put_number(data + REQUEST_SIZE + 12, <uint32_t>len(nonce) if nonce else NULL_LENGTH)
    return (
        PyBytes_FromStringAndSize(<const char *>data, REQUEST_SIZE + 16) + nonce
        + two_numbers(<uint32_t>(lifetime_s * 1000), 0)[:4])


cdef bytes close_request_body(object timestamp):
    cdef unsigned char data[REQUEST_SIZE]

    request_start(data, CLOSE_REQUEST, timestamp)
    return PyBytes_FromStringAndSize(<const char *>data, REQUEST_SIZE)


cdef struct Granted:
    # What a usual OpenSecureChannelResponse says.
    uint32_t channel_id, token_id, lifetime_ms
    const unsigned char *nonce
    Py_ssize_t nonce_size


cdef bint read_usual_response(const unsigned char *data, Py_ssize_t size, Granted *granted) noexcept:
    """Fill ``granted`` from a response without anything unusual; False is no verdict.

    Type, Timestamp, RequestHandle, a good ServiceResult, no diagnostics, no StringTable, no
    AdditionalHeader; version, ChannelId, TokenId, CreatedAt, RevisedLifetime, ServerNonce.
    """
    cdef Py_ssize_t at
    cdef int32_t count

    if size < LEAST_RESPONSE:
        return False
    if number_at(data) != (1 | OPEN_RESPONSE << 16) or number_at(data + 16) or data[20]:
        return False
    at = 21
    count = <int32_t>number_at(data + at)
    if count > 0 or count < -1:
        return False
    at += 4
    if data[at] or data[at + 1] or data[at + 2]:
        return False
    at += 3 + 4
    granted.channel_id = number_at(data + at)
    granted.token_id = number_at(data + at + 4)
    granted.lifetime_ms = number_at(data + at + 16)
    at += 20
    count = <int32_t>number_at(data + at)
    at += 4
    if count < -1:
        return False
    granted.nonce = data + at
    granted.nonce_size = max(count, 0)
    return granted.nonce_size == size - at


cdef struct Wanted:
    # What a usual OpenSecureChannelRequest asks for.
    uint32_t request_handle, version, lifetime_ms
    int32_t kind, mode          # enumerations are Int32
    const unsigned char *nonce
    Py_ssize_t nonce_size


cdef bint read_usual_request(const unsigned char *data, Py_ssize_t size, Wanted *wanted) noexcept:
    """Fill ``wanted`` from a request without anything unusual; False is no verdict.

    Type, a null AuthenticationToken of two bytes, Timestamp, RequestHandle, ReturnDiagnostics, no
    AuditEntryId, TimeoutHint, no AdditionalHeader; version, RequestType, SecurityMode, ClientNonce,
    RequestedLifetime.
    """
    cdef Py_ssize_t at
    cdef int32_t length

    if size < REQUEST_SIZE + 20:
        return False
    if number_at(data) != (1 | OPEN_REQUEST << 16) or data[4] or data[5]:
        return False
    if number_at(data + 22) != NULL_LENGTH or data[30] or data[31] or data[32]:
        return False
    wanted.request_handle = number_at(data + 14)
    at = REQUEST_SIZE
    wanted.version = number_at(data + at)
    wanted.kind = <int32_t>number_at(data + at + 4)
    wanted.mode = <int32_t>number_at(data + at + 8)
    length = <int32_t>number_at(data + at + 12)
    at += 16
    if length < -1 or max(length, 0) != size - at - 4:
        return False
    wanted.nonce = data + at
    wanted.nonce_size = max(length, 0)
    wanted.lifetime_ms = number_at(data + at + wanted.nonce_size)
    return True
