# The compiled twin of ``registrar.ua.client_channel``.

cdef double MAX_LIFETIME_S = 4_294_967
cdef double RENEW_AFTER = 0.75  # of the lifetime (OPC 10000-4 section 5.6.2)


cdef class ClientChannel(Conversation):
    """See ``registrar.ua.client_channel.ClientChannel``."""

    cdef:
        str endpoint_url
        object identity
        readonly object peer_key
        readonly bytes peer_certificate
        readonly tuple peer_chain
        bytes nonce
        int64_t open_request_id     # -1 where no OPN is out
        double opened_at, requested_lifetime_s
        RequestIds ids
        set waiting
        readonly Py_ssize_t private_key_operations
        readonly object renew_at, expires_at

    def __cinit__(
        self, *, str endpoint_url not None, policy=NONE, mode=UNSECURED, identity=None,
        bytes server_certificate=None, limits=None, first_sequence_number=None
    ):
        cdef tuple chain

        self.prepare(DEFAULT_LIMITS if limits is None else limits, first_sequence_number)
        check_security(policy, mode, identity)
        self.policy_ = policy_for(policy)
        self.mode_ = mode
        if not self.policy_.is_none:
            self.use_policy(self.policy_)
        self.endpoint_url = endpoint_url
        self.identity = None if self.policy_.is_none else identity
        self.peer_chain = ()
        if not self.policy_.is_none:
            chain = chain_in(server_certificate or b"")
            self.peer_certificate, self.peer_chain = chain[0], chain[1:]
            self.peer_key = public_key_of(chain[0], policy)
            if identity is not None and chain[0] == identity.certificate:
                raise SecurityChecksFailed("the server shows our own certificate")
        self.nonce = b""
        self.open_request_id = -1
        self.ids = RequestIds()
        self.waiting = set()

    @property
    def channel_id(self):
        return self.id

    @property
    def outstanding(self):
        return len(self.waiting)

    def next_request_id(self):
        return self.ids.next()

    def hello(self):
        if self.state_ != START:
            raise Misuse(f"HEL on a channel that is {self.state}")
        self.enter(GREETED)
        return hello_for(self.limits, self.endpoint_url)

    def receive_response(self, bytes data not None, double now):
        cdef uint32_t request_id = 0
        cdef bytes body = self.response_in(data, now, &request_id)

        return None if body is None else (request_id, body)

    cdef bytes response_in(self, bytes data, double now, uint32_t *request_id):
        """Return the message where ``data`` is one whole response; else None, nothing changed."""
        cdef const unsigned char *bare = <const unsigned char *>PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef uint32_t sequence = 0
        cdef Token token
        cdef bytes body

        if self.state_ != OPEN or self.open_pending or self.came or len(self.kept) != 1:
            return None
        token = <Token>self.kept[0]
        if (
            size < HEADER + SEQUENCE
            or size > self.receive_chunk_size
            or number_at(bare) != (MSG | FINAL)
            or number_at(bare + 4) != size
            or number_at(bare + 8) != self.id
            or number_at(bare + 12) != token.id
            or now > token.expires_at
            or self.parts
        ):
            return None
        try:
            body = token.opening.take_apart(data, &sequence, request_id)
            self.receives.accept(sequence)
            self.check_waiting(request_id[0])
            self.check_size(PyBytes_GET_SIZE(body))
        except RegistrarError:
            self.enter(CLOSED)
            raise
        self.waiting.remove(request_id[0])
        return body

    def open_request(
        self, *, bytes nonce not None, double requested_lifetime_s, double now, timestamp
    ):
        cdef bint renewal = self.state_ == OPEN
        cdef bytes body

        if not renewal and self.state_ != ACKNOWLEDGED:
            raise Misuse(f"OPN on a channel that is {self.state}")
        if len(nonce) != self.policy_.nonce_size or self.open_request_id >= 0:
            raise Misuse("OPN with a wrong nonce, or before the last one was answered")
        if not 0 <= requested_lifetime_s <= MAX_LIFETIME_S:
            raise Misuse(f"a lifetime of {requested_lifetime_s} s")
        body = open_request_body(
            timestamp, renewal, self.mode_number(), nonce, requested_lifetime_s)
        self.nonce = nonce
        self.opened_at = now
        self.requested_lifetime_s = requested_lifetime_s
        self.open_request_id = self.ids.next()
        if not renewal:
            self.enter(OPENING)
        self.private_key_operations += not self.policy_.is_none
        return self.seal_open(
            self.identity, self.peer_certificate, self.peer_key, self.open_request_id, body)

    def process_open(self, received):
        try:
            return self.open_received(received)
        except RegistrarError:
            self.enter(CLOSED)
            raise

    def send(self, uint32_t request_id, bytes body not None, double now):
        return self.request(request_id, body, now)

    cdef bytes request(self, uint32_t request_id, bytes body, double now):
        cdef bytes data

        if len(self.waiting) >= <Py_ssize_t>self.limits.max_outstanding:
            raise Misuse(f"more than {len(self.waiting)} outstanding requests")
        data = self.write(MSG, request_id, body, now, REQUEST_TOO_LARGE)
        self.waiting.add(request_id)
        return data

    def close_message(self, *, double now, timestamp):
        cdef bytes data = self.write(
            CLO, self.ids.next(), close_request_body(timestamp), now,
            REQUEST_TOO_LARGE)

        self.enter(CLOSED)
        return data

    def error_message(self, error):
        self.enter(CLOSED)
        return encode_outward(error, opening=self.open_request_id >= 0)

    # What comes from the server

    cdef Py_ssize_t expected(self, uint32_t kind):
        if kind == MSG:
            return MAX_BUFFER_SIZE if self.state_ == OPEN else 0
        if kind == OPN:
            return MAX_OPEN_SIZE if self.state_ == OPEN or self.state_ == OPENING else 0
        if kind == ACK:
            return MAX_ACKNOWLEDGE_SIZE if self.state_ == GREETED else 0
        if kind == ERR:
            return MAX_ERROR_SIZE if self.state_ != START and self.state_ != CLOSED else 0
        return 0

    cdef object handle(self, uint32_t kind, bytes chunk, double now):
        if kind == MSG:
            return self.on_message(chunk, now)
        if kind == OPN:
            return self.on_open(chunk)
        if kind == ACK:
            return self.on_acknowledge(chunk)
        return self.on_error(chunk)

    cdef object on_acknowledge(self, bytes chunk):
        said = decode_acknowledge(chunk[CHUNK_HEAD:])
        self.negotiate(
            said.receive_buffer_size, said.send_buffer_size, said.max_message_size,
            said.max_chunk_count)
        self.enter(ACKNOWLEDGED)
        return made(ACKNOWLEDGED_EVENTS, (said,))

    cdef object on_open(self, bytes chunk):
        cdef OpenFields fields
        cdef bytes shown
        cdef Py_ssize_t blocks = 0
        cdef object identity = self.identity

        if self.open_request_id < 0:
            raise ProtocolViolation("an OPN that was not asked for")
        fields = fields_of_open(chunk)
        if fields.policy is not self.policy_:
            raise SecurityChecksFailed(f"OPN with the policy {fields.policy.row.name}")
        if identity is not None and self.peer_key is not None:
            shown = fields.sender_certificate
            if shown != self.peer_certificate and chain_in(shown)[0] != self.peer_certificate:
                raise SecurityChecksFailed("OPN with another certificate than the endpoint's")
            if fields.receiver_thumbprint != identity.thumbprint:
                raise SecurityChecksFailed("OPN for another receiver")
            blocks = blocks_of(
                PyBytes_GET_SIZE(chunk) - fields.size, identity.key_bits, self.peer_key.key_size)
        self.open_pending = True
        return made(OPEN_RECEIVED_EVENTS, (fields.header(), chunk, identity,
            (self.peer_certificate, *self.peer_chain) if self.peer_certificate else (),
            self.peer_key, blocks))

    cdef object open_received(self, object received):
        cdef bytes chunk = received.chunk
        cdef object header = received.header
        cdef Py_ssize_t head = header.size
        cdef bint renewed = self.state_ == OPEN
        cdef uint32_t sequence = 0
        cdef uint32_t request_id = 0
        cdef double lifetime_s
        cdef Granted granted
        cdef bytes plain, body, nonce
        cdef Token token

        self.private_key_operations += <Py_ssize_t>received.private_operations
        if received.identity is None or received.peer_key is None:
            plain = chunk[head:]
        else:
            plain = opened(
                policy_for(header.policy), chunk, head, received.identity, received.peer_key)
        body = content_of(plain, &sequence, &request_id)
        self.receives.accept(sequence)
        if request_id != self.open_request_id:
            raise ProtocolViolation(f"an OPN for request {request_id}")
        if read_usual_response(
            <const unsigned char *>PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), &granted
        ):
            nonce = PyBytes_FromStringAndSize(<const char *>granted.nonce, granted.nonce_size)
        else:
            result = open_response_in(body)
            granted.channel_id = result.SecurityToken.ChannelId
            granted.token_id = result.SecurityToken.TokenId
            granted.lifetime_ms = result.SecurityToken.RevisedLifetime
            nonce = result.ServerNonce or b""
        if PyBytes_GET_SIZE(nonce) != self.policy_.nonce_size and not self.policy_.is_none:
            raise SecurityChecksFailed(
                f"a server nonce of {len(nonce)} bytes", status=StatusCode.BadNonceInvalid)
        if (
            not granted.channel_id
            or granted.channel_id != <uint32_t>header.channel_id
            or (renewed and granted.channel_id != self.id)
        ):
            raise ProtocolViolation(
                f"channel {granted.channel_id} in an OPN for {header.channel_id}",
                status=StatusCode.BadTcpSecureChannelUnknown)
        for token in self.kept:
            if token.id == granted.token_id:
                raise ProtocolViolation(f"token {granted.token_id} was given before")
        lifetime_s = min(granted.lifetime_ms / 1000.0, self.requested_lifetime_s)
        if lifetime_s < <double>self.limits.min_token_lifetime_s:
            raise ProtocolViolation(f"a token for {granted.lifetime_ms} ms")
        self.id = granted.channel_id
        self.renew_at = self.opened_at + RENEW_AFTER * lifetime_s
        self.expires_at = self.opened_at + lifetime_s
        token = make_token(
            self.policy_, self.mode_number(), granted.token_id,
            self.opened_at + GRACE * lifetime_s, self.nonce, nonce)
        self.settle(token, True)
        self.open_request_id = -1
        return made(CHANNEL_OPENED_EVENTS, (granted.channel_id, granted.token_id, lifetime_s, renewed))

    cdef object on_message(self, bytes chunk, double now):
        cdef uint32_t request_id = 0
        cdef bytes body = self.open_message(chunk, now, &request_id)

        self.check_waiting(request_id)
        event = self.add_chunk(request_id, body)
        if event is not None:
            self.waiting.discard(request_id)
        return event

    cdef int check_waiting(self, uint32_t request_id) except -1:
        if request_id not in self.waiting:
            raise ProtocolViolation(f"a response to request {request_id}, which nobody made")
        return 0


cdef object open_response_in(bytes body):
    """Return what an OPN grants that says it in an unusual way."""
    response = decode_message(body)
    if not isinstance(response, (ua.OpenSecureChannelResponse, ua.ServiceFault)):
        raise ProtocolViolation(f"an OPN that holds a {type(response).__name__}")
    result = response.ResponseHeader.ServiceResult.value
    if is_bad(result):
        raise ServiceFailed("OpenSecureChannel failed", status=status_of(result))
    if isinstance(response, ua.ServiceFault):
        raise ProtocolViolation(f"an OPN that holds a ServiceFault of {name_of(result)}")
    return response.Parameters
