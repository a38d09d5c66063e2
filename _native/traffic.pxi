# The compiled twin of ``registrar.wire.traffic``.


cdef class Traffic:
    """See ``registrar.wire.traffic.Traffic``."""

    cdef:
        object owner            # None once the connection is lost
        ServerChannel channel
        object serve, loop_time, call_soon
        object decoder
        object context
        object drain_handle
        Py_ssize_t requests_per_turn, outstanding_requests
        Py_ssize_t charged      # bytes that are kept of what is not complete
        public Py_ssize_t running, max_response_size
        public object transport, events
        readonly bint is_reading
        public bint is_opening, is_stuck, is_doomed, is_closed

    def __cinit__(self, owner, ServerChannel channel not None, *, serve, limits, loop):
        self.owner = owner
        self.channel = channel
        self.serve = serve
        self.loop_time = loop.time
        self.call_soon = loop.call_soon
        self.decoder = limits.decoder
        self.requests_per_turn = limits.requests_per_turn
        self.outstanding_requests = limits.outstanding_requests
        self.events = deque()
        self.is_reading = True

    def take(self, bytes data not None):
        cdef list events
        cdef Py_ssize_t size

        if self.is_doomed:
            return
        try:
            events = self.channel.receive(data, self.loop_time())
            size = self.channel.buffered() + self.channel.parts_size
            if size != self.charged:
                self.charged = size
                self.owner.charge(size)
        except RegistrarError as error:
            self.owner.refuse(error)
            return
        if events:
            self.events.extend(events)
            self.drain()
        else:
            self.flow()

    def drain(self):
        cdef Py_ssize_t left = self.requests_per_turn

        self.drain_handle = None
        while self.events and not self.held():
            if not left:
                if self.drain_handle is None:
                    self.drain_handle = self.call_soon(self.drain)
                break
            left -= 1
            event = self.events.popleft()
            try:
                if type(event) is MessageReceived:
                    self.take_up(event.request_id, event.body)
                else:
                    self.owner.handle(event)
            except RegistrarError as error:
                self.owner.refuse(error)
        self.flow()

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
        if self.drain_handle is not None:
            self.drain_handle.cancel()
        self.owner = self.context = self.transport = self.drain_handle = None

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
            answer = self.serve(self.context, request)
        except Exception as error:  # a request ends here
            self.owner.fault(request_id, handle, error)
            return 0
        if hasattr(type(answer), "__await__"):
            self.running += 1
            self.owner.wait_for(request_id, handle, answer)
        else:
            self.send(request_id, answer, handle)
        return 0
