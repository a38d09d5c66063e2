# The compiled twin of ``registrar.ua.server_channel``.

cdef enum:
    ISSUE = 0                   # RequestType
    RENEW = 1


cdef class ServerChannel(Conversation):
    """See ``registrar.ua.server_channel.ServerChannel``."""

    cdef:
        object identity_of
        object policies
        object hello            # as it came, or None
        bint in_open
        readonly uint32_t channel_id
        readonly object identity
        readonly bytes peer_certificate
        readonly tuple peer_chain
        readonly Py_ssize_t private_key_operations

    def __cinit__(
        self, *, channel_id, identity_of, policies=ALL_POLICIES, limits=None,
        first_sequence_number=None
    ):
        self.prepare(DEFAULT_LIMITS if limits is None else limits, first_sequence_number)
        if not channel_id:
            raise Misuse("SecureChannelId 0")
        self.channel_id = channel_id
        self.identity_of = identity_of
        self.policies = policies
        self.peer_chain = ()

    def acknowledge(self):
        hello = self.hello
        if hello is None or self.state_ != GREETED:
            raise Misuse(f"ACK on a channel that is {self.state}")
        self.negotiate(
            hello.receive_buffer_size, hello.send_buffer_size, hello.max_message_size,
            hello.max_chunk_count)
        self.enter(ACKNOWLEDGED)
        return acknowledge_for(self.limits, self.receive_chunk_size, self.send_chunk_size)

    def process_open(self, received):
        try:
            return self.open_received(received)
        except RegistrarError:
            self.enter(CLOSED)
            raise

    def accept_open(
        self, requested, *, uint32_t token_id, bytes nonce not None, created_at, double now
    ):
        cdef Policy policy = policy_for(requested.policy)
        cdef double lifetime_s
        cdef bytes data
        cdef Token token

        if len(nonce) != policy.nonce_size or not self.open_pending:
            raise Misuse("OPN with a wrong nonce, or without a request")
        for token in self.kept:
            if token.id == token_id:
                raise Misuse(f"token {token_id} was given before")
        if not requested.renewal:
            self.identity = requested.identity
            self.peer_certificate = requested.peer_certificate
            self.peer_chain = requested.peer_chain
            self.policy_ = policy
            self.mode_ = requested.mode
            self.id = self.channel_id
        lifetime_s = self.lifetime(requested.requested_lifetime_s)
        token = make_token(
            policy, <int>requested.mode, token_id, now + GRACE * lifetime_s, nonce,
            requested.client_nonce)
        self.private_key_operations += not policy.is_none
        data = self.seal_open(
            requested.identity, requested.peer_certificate, requested.peer_key,
            requested.request_id,
            open_response_body(
                requested.request_handle, self.channel_id, token_id, created_at,
                <uint32_t>(lifetime_s * 1000), nonce))
        self.settle(token, False)
        self.in_open = False
        return data

    def send(self, uint32_t request_id, bytes body not None, double now):
        return self.write(MSG, request_id, body, now, StatusCode.BadResponseTooLarge)

    def abort(self, uint32_t request_id, *, status, double now, str reason=""):
        cdef bytes body = transport.encode_error_body(ErrorMessage(error=status, reason=reason))

        return self.seal(
            self.sending_token(now), MSG | ABORT, request_id,
            <const unsigned char *>PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))

    def error_message(self, error):
        self.enter(CLOSED)
        return encode_outward(error, opening=self.in_open)

    # What comes from the client

    cdef Py_ssize_t expected(self, uint32_t kind):
        cdef int state = self.state_

        if kind == MSG:
            return MAX_BUFFER_SIZE if state == OPEN else 0
        if kind == OPN:
            return MAX_OPEN_SIZE if state == OPEN or state == ACKNOWLEDGED else 0
        if kind == CLO:
            return MAX_OPEN_SIZE if state == OPEN else 0
        if kind == HEL:
            return MAX_HELLO_SIZE if state == START else 0
        if kind == ERR:
            return MAX_ERROR_SIZE if state == OPEN or state == ACKNOWLEDGED else 0
        return 0

    cdef object handle(self, uint32_t kind, bytes chunk, double now):
        cdef uint32_t request_id = 0
        cdef bytes body

        if kind == MSG:
            body = self.open_message(chunk, now, &request_id)
            return self.add_chunk(request_id, body)
        if kind == OPN:
            return self.on_open(chunk)
        if kind == CLO:
            self.open_message(chunk, now, &request_id)
            self.enter(CLOSED)
            return CloseReceived()
        if kind == HEL:
            self.hello = hello_in(chunk)
            self.enter(GREETED)
            return made(HELLO_EVENTS, (self.hello,))
        return self.on_error(chunk)

    cdef object on_open(self, bytes chunk):
        """Check what costs nothing, before any key is used."""
        cdef bint renewal = self.state_ == OPEN
        cdef OpenFields fields
        cdef object identity = None
        cdef object key = None
        cdef tuple chain = ()
        cdef Py_ssize_t blocks = 0

        self.in_open = True
        fields = fields_of_open(chunk)
        if fields.channel_id != (self.channel_id if renewal else 0):
            raise ProtocolViolation(
                f"OPN for channel {fields.channel_id}",
                status=StatusCode.BadTcpSecureChannelUnknown)
        if not self.allows(fields.policy):
            raise SecurityChecksFailed(
                f"the policy {fields.policy.row.name} is not allowed here",
                status=StatusCode.BadSecurityPolicyRejected)
        if not fields.policy.is_none:
            identity = self.identity_of(fields.receiver_thumbprint)
            if identity is None or not fields.policy.allows_key(identity.key_bits):
                raise SecurityChecksFailed(
                    "no usable certificate has the thumbprint "
                    f"{fields.receiver_thumbprint.hex()}",
                    status=StatusCode.BadCertificateInvalid)
            chain = chain_in(fields.sender_certificate)
            if self.identity_of(sha1(chain[0])) is not None:
                raise SecurityChecksFailed("the client shows our own certificate")
            key = public_key_of(chain[0], fields.policy.row)
            blocks = blocks_of(
                PyBytes_GET_SIZE(chunk) - fields.size, identity.key_bits, key.key_size)
        if not renewal:
            self.enter(OPENING)
        elif (
            fields.policy is not self.policy_
            or (chain[0] if chain else None) != self.peer_certificate
            or identity is not self.identity
        ):
            raise SecurityChecksFailed("a renewal with another certificate or policy")
        self.open_pending = True
        return made(OPEN_RECEIVED_EVENTS, (fields.header(), chunk, identity, chain, key, blocks))

    cdef bint allows(self, Policy policy) except -1:
        for row in self.policies:
            if row is policy.row:
                return True
        return False

    cdef object open_received(self, object received):
        cdef object header = received.header
        cdef Policy policy = policy_for(header.policy)
        cdef bytes chunk = received.chunk
        cdef Py_ssize_t head = header.size
        cdef bint renewal = self.state_ == OPEN
        cdef tuple chain = received.peer_chain
        cdef uint32_t sequence = 0
        cdef uint32_t request_id = 0
        cdef Wanted wanted
        cdef bytes plain, body, nonce
        cdef object mode

        if not self.open_pending:
            raise Misuse("no OPN is pending")
        self.private_key_operations += <Py_ssize_t>received.private_operations
        if received.identity is None or received.peer_key is None:
            plain = chunk[head:]
        else:
            plain = opened(policy, chunk, head, received.identity, received.peer_key)
        body = content_of(plain, &sequence, &request_id)
        if not renewal:
            self.use_policy(policy)
        self.receives.accept(sequence)
        if read_usual_request(
            <const unsigned char *>PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), &wanted
        ):
            mode = MODES.get(wanted.mode, wanted.mode)
            nonce = PyBytes_FromStringAndSize(<const char *>wanted.nonce, wanted.nonce_size)
        else:
            request = decode_message(body)
            if not isinstance(request, ua.OpenSecureChannelRequest):
                raise ProtocolViolation(f"an OPN that holds a {type(request).__name__}")
            asked = request.Parameters
            wanted.request_handle = request.RequestHeader.RequestHandle
            wanted.version = asked.ClientProtocolVersion
            wanted.kind = asked.RequestType
            wanted.lifetime_ms = asked.RequestedLifetime
            mode = asked.SecurityMode
            nonce = asked.ClientNonce or b""
        nonce = self.check_request(&wanted, mode, nonce, policy, renewal)
        return made(OPEN_REQUESTED_EVENTS, (renewal, policy.row, mode, received.identity,
            chain[0] if chain else None, chain[1:], received.peer_key, nonce,
            wanted.lifetime_ms / 1000.0, request_id, wanted.request_handle))

    cdef bytes check_request(
        self, Wanted *wanted, object mode, bytes nonce, Policy policy, bint renewal
    ):
        """Check the fields of a request that verified; return the client's nonce."""
        if self.hello is None or wanted.version != <uint32_t>self.hello.protocol_version:
            raise ProtocolViolation(
                f"protocol version {wanted.version} after another in HEL",
                status=StatusCode.BadProtocolVersionUnsupported)
        if wanted.kind != (RENEW if renewal else ISSUE):
            raise ProtocolViolation(
                f"request type {wanted.kind}", status=StatusCode.BadRequestTypeInvalid)
        if mode not in MODES or policy.is_none is not (mode == UNSECURED):
            raise SecurityChecksFailed(
                f"the mode {mode} with the policy {policy.row.name}",
                status=StatusCode.BadSecurityModeRejected)
        if renewal and mode != self.mode_:
            raise SecurityChecksFailed("a renewal with another mode")
        if policy.is_none:
            return b""
        if PyBytes_GET_SIZE(nonce) != policy.nonce_size:
            raise SecurityChecksFailed(
                f"a client nonce of {len(nonce)} bytes", status=StatusCode.BadNonceInvalid)
        return nonce

    cdef double lifetime(self, double requested_s) except -1:
        """Return the lifetime we grant; 0 asks for the longest."""
        if not requested_s:
            return self.limits.max_token_lifetime_s
        return min(
            max(requested_s, <double>self.limits.min_token_lifetime_s),
            <double>self.limits.max_token_lifetime_s)


cdef bytes open_response_body(
    uint32_t request_handle, uint32_t channel_id, uint32_t token_id, object created_at,
    uint32_t lifetime_ms, bytes nonce
):
    cdef unsigned char data[LEAST_RESPONSE]

    memset(data, 0, LEAST_RESPONSE)
    data[0] = 1
    data[2] = OPEN_RESPONSE & 0xFF
    data[3] = OPEN_RESPONSE >> 8
    put_time(data + 4, created_at)
    put_number(data + 12, request_handle)
    put_number(data + 32, channel_id)
    put_number(data + 36, token_id)
    put_time(data + 40, created_at)
    put_number(data + 48, lifetime_ms)
    put_number(data + 52, <uint32_t>len(nonce) if nonce else NULL_LENGTH)
    return PyBytes_FromStringAndSize(<const char *>data, LEAST_RESPONSE) + nonce
