# The compiled twin of ``registrar.wire.traffic``.


cdef class Traffic:
    """See ``registrar.wire.traffic.Traffic``."""

    cdef:
        object owner            # None once the connection is lost
        ServerChannel channel
        object serve_request, loop_time
        object decoder
        object context
        object turns
        object events           # not yet taken up
        Py_ssize_t outstanding_requests
        Py_ssize_t waiting_size # bytes of the requests among them
        Py_ssize_t charged      # bytes that are kept of what was not taken up
        bint is_waiting
        public Py_ssize_t running, max_response_size
        public object transport
        readonly bint is_reading, is_doomed
        public bint is_closed, is_known, is_opening, is_stuck

    def __cinit__(self, owner, ServerChannel channel not None, *, serve, limits, turns, loop):
        load_connection()
        self.owner = owner
        self.channel = channel
        self.serve_request = serve
        self.loop_time = loop.time
        self.turns = turns
        self.decoder = limits.decoder
        self.outstanding_requests = limits.outstanding_requests
        self.events = deque()
        self.is_reading = True

    def take(self, bytes data not None):
        cdef list events

        if self.is_doomed:
            return
        try:
            events = self.channel.receive(data, self.loop_time())
        except RegistrarError as error:
            self.owner.refuse(error)
            return
        for event in events:
            if type(event) is MessageReceived:
                self.waiting_size += PyBytes_GET_SIZE(event.body) + EVENT_SIZE
        self.events.extend(events)
        self.drain()

    def drain(self):
        if not self.is_waiting:
            self.go_on(self.is_known)
        self.settle()

    def serve(self):
        self.is_waiting = False
        if not self.is_closed:
            self.go_on(True)
            self.settle()

    def doom(self):
        self.is_doomed = True
        self.events.clear()
        self.waiting_size = 0

    def flow(self):
        cdef bint may_read = self.awaiting() or not (self.held() or self.events)

        if may_read == self.is_reading or self.transport is None or self.transport.is_closing():
            return
        self.is_reading = may_read
        if may_read:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def send(self, request_id, response, handle, status=0):
        cdef timespec moment
        cdef int64_t moment_us
        cdef bytes body, data

        if self.is_closed or self.has_failed():
            return
        clock_gettime(CLOCK_REALTIME, &moment)
        moment_us = moment.tv_sec * 1_000_000 + moment.tv_nsec // 1000 + FROM_1601_TO_1970_US
        try:
            body = encode_response(response, (moment_us, handle, status))
            if self.max_response_size and PyBytes_GET_SIZE(body) > self.max_response_size:
                raise MessageTooLarge(f"a response of {len(body)} bytes")
            data = self.channel.send(request_id, body, self.loop_time())
        except RegistrarError as error:
            self.owner.unsent(request_id, response, handle, error)
        else:
            self.write(data)

    def write(self, data):
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def let_go(self):
        self.is_closed = True
        self.events.clear()
        self.owner = self.context = self.transport = None

    cdef int go_on(self, bint may_serve) except -1:
        """Handle what has arrived up to the first request, and that if it may be served now."""
        cdef bint is_request

        while self.events and not self.held():
            event = self.events[0]
            is_request = type(event) is MessageReceived
            if is_request and not may_serve:
                if not self.is_waiting:     # it may already, by what an OPN brought along
                    self.is_waiting = True
                    self.turns.wait(self, self.is_known)
                return 0
            self.events.popleft()
            try:
                if is_request:
                    may_serve = False
                    self.waiting_size -= PyBytes_GET_SIZE(event.body) + EVENT_SIZE
                    self.take_up(event.request_id, event.body)
                else:
                    self.owner.handle(event)
            except RegistrarError as error:
                self.owner.refuse(error)
        return 0

    cdef int settle(self) except -1:
        """Read from the peer or do not, and account for what is kept of it."""
        cdef Py_ssize_t size

        self.flow()
        size = self.channel.buffered() + self.channel.parts_size + self.waiting_size
        if size != self.charged and not self.is_doomed:
            self.charged = size
            self.owner.charge(size)
        return 0

    cdef bint held(self):
        return (
            self.is_opening or self.is_stuck or self.is_doomed
            or self.running >= self.outstanding_requests)

    cdef bint has_failed(self):
        return self.is_opening and self.channel.state_ == CLOSED

    cdef bint awaiting(self):
        return self.channel.state_ == OPENING and not (
            self.channel.buffered() + self.channel.parts_size)

    cdef int take_up(self, object request_id, bytes body) except -1:
        cdef object handle = 0

        if self.is_closed:
            return 0
        if self.context is None:
            self.context = self.owner.make_context()
        try:
            request = decode_message(body, self.decoder)
        except DecodingError as error:
            self.owner.fault(request_id, read_request_handle(body), error)
            return 0
        try:
            header = getattr(request, "RequestHeader", None)
            if header is None:
                raise DecodingError("a response is no request")
            handle = header.RequestHandle
            answer = self.serve_request(self.context, request)
        except Exception as error:  # a request ends here
            self.owner.fault(request_id, handle, error)
            return 0
        if hasattr(type(answer), "__await__"):
            self.running += 1
            self.owner.wait_for(request_id, handle, answer)
        else:
            self.send(request_id, answer, handle)
        return 0
