# What both ends of a SecureChannel share; see ``registrar.ua.conversation``.

cdef enum State:
    START
    GREETED
    ACKNOWLEDGED
    OPENING
    OPEN
    CLOSED

cdef enum Kind:
    # MessageType as a number of three bytes, and with IsFinal of four.
    HEL = 0x4C4548
    ACK = 0x4B4341
    ERR = 0x525245
    OPN = 0x4E504F
    MSG = 0x47534D
    CLO = 0x4F4C43
    FINAL = 0x46000000
    INTERMEDIATE = 0x43000000
    ABORT = 0x41000000

cdef enum:
    CHUNK_HEAD = 8              # MessageType, IsFinal, MessageSize
    MODE_NONE = 1
    MODE_SIGN = 2

cdef double GRACE = 1.25        # of its lifetime, a token is taken (OPC 10000-4 section 5.6.2)


@cython.final
cdef class Token:
    """The keys of a SecurityToken, with their contexts."""

    cdef uint32_t id
    cdef double expires_at      # monotonic seconds; its grace time is over then
    cdef ChunkSecurity sealing, opening


cdef Token make_token(
    Policy policy, int mode, uint32_t token_id, double expires_at, bytes our_nonce,
    bytes peer_nonce
):
    cdef Token token = Token.__new__(Token)

    token.id = token_id
    token.expires_at = expires_at
    token.sealing = security_of(policy, mode, peer_nonce, our_nonce)
    token.opening = security_of(policy, mode, our_nonce, peer_nonce)
    return token


cdef ChunkSecurity security_of(Policy policy, int mode, bytes secret, bytes seed):
    cdef unsigned char keys[3 * DIGEST]
    cdef Py_ssize_t first = policy.signing_key_size
    cdef Py_ssize_t second = policy.encrypting_key_size
    cdef SignedChunks signed
    cdef EncryptedChunks encrypted

    if mode == MODE_NONE:
        return PlainChunks.__new__(PlainChunks)
    if policy.row.signature_size != DIGEST or first + second + policy.iv_size > 3 * DIGEST:
        raise ValueError(f"keys of {first} and {second} bytes")
    expand(
        <const unsigned char *>PyBytes_AS_STRING(secret), PyBytes_GET_SIZE(secret),
        <const unsigned char *>PyBytes_AS_STRING(seed), PyBytes_GET_SIZE(seed),
        keys, first + second + policy.iv_size)
    try:
        if mode == MODE_SIGN:
            signed = SignedChunks.__new__(SignedChunks)
            signed.mac.use(keys, first)
            return signed
        encrypted = EncryptedChunks.__new__(EncryptedChunks)
        encrypted.mac.use(keys, first)
        encrypted.use(keys + first, second, keys + first + second)
        return encrypted
    finally:
        OPENSSL_cleanse(keys, 3 * DIGEST)


cdef class Conversation:
    """One end of a connection; the two channels add their rules.

    The channels inherit, since only so a call between the two costs no look-up.
    """

    cdef:
        object limits
        int state_
        Policy policy_
        object mode_            # of asyncua
        uint32_t id
        bint is_negotiated
        Py_ssize_t receive_chunk_size, send_chunk_size, send_message_size, send_chunk_count
        bint open_pending       # an OPN is out for its private-key work
        list kept               # tokens, at most two, the older first
        Token sending
        object first_sequence_number
        SendSequence sends
        ReceiveSequence receives
        # The stream: bytes that came and were not taken, from ``at`` on.
        object came             # bytes, or a bytearray where more than one piece came
        Py_ssize_t at
        Py_ssize_t max_chunk_size
        uint32_t kind           # of the last chunk, with IsFinal
        # Unfinished messages.
        dict parts              # chunks by RequestId
        dict sizes              # bytes by RequestId
        Py_ssize_t parts_size
        Py_ssize_t max_message_size

    def __cinit__(self):
        load_protocol()
        self.policy_ = policy_for(NONE)

    cdef int prepare(self, object limits, object first_sequence_number) except -1:
        self.limits = limits
        self.state_ = START
        self.mode_ = MODES[MODE_NONE]
        self.kept = []
        self.first_sequence_number = first_sequence_number
        self.use_policy(self.policy_)
        self.came = b""
        self.max_chunk_size = MAX_BUFFER_SIZE
        self.parts = {}
        self.sizes = {}
        self.max_message_size = limits.max_message_size
        return 0

    cdef int use_policy(self, Policy policy) except -1:
        """Fix the policy, and with it the rule of sequence numbers."""
        self.policy_ = policy
        self.sends = SendSequence.__new__(SendSequence)
        self.sends.begin(policy.legacy, self.first_sequence_number)
        self.receives = ReceiveSequence.__new__(ReceiveSequence)
        self.receives.begin(policy.legacy)
        return 0

    @property
    def state(self):
        return STATES[self.state_]

    @property
    def policy(self):
        return self.policy_.row

    @property
    def mode(self):
        return self.mode_

    @property
    def tokens(self):
        return {(<Token>token).id: (<Token>token).expires_at for token in self.kept}

    cdef int mode_number(self) except -1:
        return <int>self.mode_

    # What the two ends decide

    cdef Py_ssize_t expected(self, uint32_t kind):
        """Return the longest chunk of this type that may come now; 0 where none may."""
        return 0

    cdef object handle(self, uint32_t kind, bytes chunk, double now):
        """Return the event of a chunk, or None."""
        return None

    # Receiving

    def receive(self, bytes data not None, double now):
        if self.state_ == CLOSED:
            return []
        try:
            return self.take_all(data, now)
        except RegistrarError:
            self.enter(CLOSED)
            raise

    cdef list take_all(self, bytes data, double now):
        cdef list events = []
        cdef bytes chunk

        self.feed(data)
        while not self.open_pending:
            chunk = self.next_chunk()
            if chunk is None:
                return events
            event = self.handle(self.kind & 0xFFFFFF, chunk, now)
            if event is not None:
                events.append(event)
            if self.state_ == CLOSED:
                return events
        if self.buffered() > 2 * <Py_ssize_t>self.limits.receive_buffer_size:
            raise ProtocolViolation("too many bytes before an OPN was answered")
        return events

    cdef inline Py_ssize_t buffered(self) except -1:
        return len(self.came) - self.at

    cdef int feed(self, bytes data) except -1:
        if not self.came:
            self.came = data    # mostly one chunk, which is then taken without a copy
            return 0
        # A bytearray, because adding to one does not copy what it holds.
        if isinstance(self.came, bytes):
            self.came = bytearray(self.came)
        del self.came[: self.at]
        self.at = 0
        self.came += data
        return 0

    cdef bytes next_chunk(self):
        """Return the next complete chunk, or None; see ``registrar.ua.chunk.ChunkReader``."""
        cdef object came = self.came
        cdef const unsigned char *data
        cdef Py_ssize_t available, size, limit
        cdef uint32_t kind, mark
        cdef bytes chunk

        if isinstance(came, bytes):
            data = <const unsigned char *>PyBytes_AS_STRING(came)
            available = PyBytes_GET_SIZE(came) - self.at
        else:
            data = <const unsigned char *>PyByteArray_AS_STRING(came)
            available = PyByteArray_GET_SIZE(came) - self.at
        if available < CHUNK_HEAD:
            return None
        data += self.at
        self.kind = number_at(data)
        kind, mark = self.kind & 0xFFFFFF, self.kind & 0xFF000000
        size = number_at(data + 4)
        limit = self.expected(kind)
        if not limit:
            raise ProtocolViolation(f"a chunk of type {bytes(data[:3])!r} cannot come now")
        limit = min(limit, self.max_chunk_size)
        if size > limit:
            raise ChunkTooLarge(
                f"{bytes(data[:3]).decode()} chunk of {size} bytes, at most {limit} are allowed")
        if size < CHUNK_HEAD:
            raise ProtocolViolation(f"{bytes(data[:3]).decode()} chunk of {size} bytes")
        if mark != FINAL and (kind != MSG or (mark != INTERMEDIATE and mark != ABORT)):
            raise ProtocolViolation(
                f"{bytes(data[:3]).decode()} chunk marked {bytes(data[3:4])!r}")
        if available < size:
            return None
        if available > size:
            chunk = PyBytes_FromStringAndSize(<const char *>data, size)
            self.at += size
            return chunk
        if self.at or not isinstance(came, bytes):
            chunk = PyBytes_FromStringAndSize(<const char *>data, size)
        else:
            chunk = came
        self.came = b""
        self.at = 0
        return chunk

    cdef int enter(self, int state) except -1:
        self.state_ = state
        if self.is_negotiated:
            self.max_chunk_size = self.receive_chunk_size
        return 0

    @property
    def unfinished_size(self):
        return self.buffered() + self.parts_size

    def bound_messages(self, Py_ssize_t size):
        self.max_message_size = min(size, <Py_ssize_t>self.limits.max_message_size)

    cdef bytes open_message(self, bytes chunk, double now, uint32_t *request_id):
        """Remove the security of a MSG or CLO and return its body."""
        cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(chunk)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(chunk)
        cdef uint32_t sequence = 0
        cdef Token token
        cdef bytes body

        if size < HEADER + SEQUENCE:
            raise DecodingError(f"{chunk[:3].decode()} chunk of {size} bytes")
        if number_at(data + 8) != self.id:
            raise ProtocolViolation(
                f"SecureChannelId {number_at(data + 8)}, this is {self.id}",
                status=StatusCode.BadTcpSecureChannelUnknown)
        token = self.token_of(number_at(data + 12), now)
        body = token.opening.take_apart(chunk, &sequence, request_id)
        self.receives.accept(sequence)
        if token is not self.kept[0]:
            # The peer uses the new token, so the old one is over, for us as well.
            self.kept = [token]
            self.sending = token
        return body

    cdef Token token_of(self, uint32_t token_id, double now):
        cdef Token token

        for token in self.kept:
            if token.id == token_id:
                if now > token.expires_at:
                    raise ProtocolViolation(
                        f"token {token_id} expired {now - token.expires_at:.1f} s ago",
                        status=StatusCode.BadSecureChannelTokenUnknown)
                return token
        raise ProtocolViolation(
            f"token {token_id} is not one of this channel",
            status=StatusCode.BadSecureChannelTokenUnknown)

    cdef object add_chunk(self, uint32_t request_id, bytes body):
        """Add the last chunk that came to its message; return the event that completes."""
        cdef uint32_t mark = self.kind & 0xFF000000
        cdef bytes message

        if mark == ABORT:
            self.discard(request_id)
            error = transport.decode_error(body)
            return MessageAborted(request_id, error.error, error.reason)
        message = self.assemble(request_id, body, mark == FINAL)
        return None if message is None else made(MESSAGE_EVENTS, (request_id, message))

    cdef bytes assemble(self, uint32_t request_id, bytes body, bint final):
        """See ``registrar.ua.chunk.MessageAssembler``."""
        cdef list parts = <list>self.parts.get(request_id)
        cdef Py_ssize_t chunks, limit

        if parts is None:
            self.check_size(PyBytes_GET_SIZE(body))
            if final:
                return body
            limit = self.limits.max_partial_messages
            if len(self.parts) >= limit:
                raise message_too_large("another unfinished message", limit)
            parts = self.parts[request_id] = []
            self.sizes[request_id] = 0
        chunks = len(parts) + (1 if final else 2)
        limit = self.limits.max_chunk_count
        if chunks > limit:
            raise message_too_large(f"{chunks} chunks or more", limit)
        self.check_size(self.parts_size + PyBytes_GET_SIZE(body))
        parts.append(body)
        self.parts_size += PyBytes_GET_SIZE(body)
        self.sizes[request_id] += PyBytes_GET_SIZE(body)
        if not final:
            return None
        self.discard(request_id)
        return b"".join(parts)

    cdef int check_size(self, Py_ssize_t size) except -1:
        if size > self.max_message_size:
            raise message_too_large(f"{size} bytes", self.max_message_size)
        return 0

    cdef int discard(self, uint32_t request_id) except -1:
        if self.parts.pop(request_id, None) is not None:
            self.parts_size -= self.sizes.pop(request_id)
        return 0

    cdef object on_error(self, bytes chunk):
        if PyBytes_GET_SIZE(chunk) > MAX_ERROR_SIZE:
            raise DecodingError(f"ERR of {len(chunk)} bytes")
        error = transport.decode_error(chunk[CHUNK_HEAD:])
        self.enter(CLOSED)
        return ErrorReceived(error.error, error.reason)

    # Sending

    cdef int settle(self, Token token, bint send_with_it) except -1:
        """Take a new token beside the current one and go on with what was buffered."""
        self.kept = [*self.kept, token][-2:]
        if send_with_it or self.sending is None:
            self.sending = token
        elif self.sending not in self.kept:
            self.sending = self.kept[0]
        self.enter(OPEN)
        self.open_pending = False
        return 0

    cdef bytes write(
        self, uint32_t kind, uint32_t request_id, bytes body, double now, object too_large
    ):
        """Return all chunks of a message; see ``registrar.ua.conversation``."""
        cdef Token token = self.sending_token(now)
        cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(body)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(body)
        cdef Py_ssize_t size, count, at
        cdef list chunks

        if not self.is_negotiated:
            raise Misuse("nothing was negotiated yet")
        size = token.sealing.room(self.send_chunk_size)
        count = (length + size - 1) // size or 1
        if self.send_message_size and length > self.send_message_size:
            raise MessageTooLarge(
                f"a message of {length} bytes, the peer takes {self.send_message_size}",
                status=too_large)
        if self.send_chunk_count and count > self.send_chunk_count:
            raise MessageTooLarge(
                f"a message of {count} chunks, the peer takes {self.send_chunk_count}",
                status=too_large)
        if count == 1:
            return self.seal(token, kind | FINAL, request_id, data, length)
        chunks = [
            self.seal(token, kind | INTERMEDIATE, request_id, data + at, size)
            for at in range(0, size * (count - 1), size)]
        at = size * (count - 1)
        chunks.append(self.seal(token, kind | FINAL, request_id, data + at, length - at))
        return b"".join(chunks)

    cdef bytes seal(
        self, Token token, uint32_t kind, uint32_t request_id, const unsigned char *body,
        Py_ssize_t size
    ):
        return token.sealing.close_up(
            kind, self.id, token.id, self.sends.next(), request_id, body, size)

    cdef Token sending_token(self, double now):
        cdef Token token = self.sending

        if token is None or self.state_ != OPEN:
            raise ProtocolViolation(
                f"the channel is {self.state}", status=StatusCode.BadSecureChannelClosed)
        if now > token.expires_at:
            raise ProtocolViolation(
                f"token {token.id} has expired", status=StatusCode.BadSecureChannelClosed)
        return token

    cdef bytes seal_open(
        self, object identity, bytes peer_certificate, object peer_key, uint32_t request_id,
        bytes body
    ):
        """Return an OPN; the number of the chunk is used up even where it fails."""
        return sealed(
            self.policy_, identity, peer_key, peer_certificate, self.id, self.sends.next(),
            request_id, body)

    cdef int negotiate(
        self, Py_ssize_t receive_buffer_size, Py_ssize_t send_buffer_size,
        Py_ssize_t max_message_size, Py_ssize_t max_chunk_count
    ) except -1:
        """Take what the peer said in HEL or ACK; it can only lower ours."""
        self.receive_chunk_size = min(
            <Py_ssize_t>self.limits.receive_buffer_size, send_buffer_size)
        self.send_chunk_size = min(<Py_ssize_t>self.limits.send_buffer_size, receive_buffer_size)
        self.send_message_size = max_message_size
        self.send_chunk_count = max_chunk_count
        self.is_negotiated = True
        return 0


cdef object message_too_large(str what, Py_ssize_t limit):
    return MessageTooLarge(
        f"a message of {what}, at most {limit} are allowed",
        status=StatusCode.BadTcpMessageTooLarge)


cdef bytes content_of(bytes plain, uint32_t *sequence, uint32_t *request_id):
    """Return the body of an OPN, and its numbers."""
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(plain)

    if PyBytes_GET_SIZE(plain) < SEQUENCE:
        raise SecurityChecksFailed("an OPN without content")
    return content(data, PyBytes_GET_SIZE(plain), sequence, request_id)
