# The compiled twin of ``registrar.wire.exchanges``: a request and its response, step by step.

cdef enum:
    BAD = 0x80000000

cdef int64_t FROM_1601_TO_1970_US = 11_644_473_600_000_000


def write_nowhere(_):
    pass


cdef class Exchanges:
    """See ``registrar.wire.exchanges.Exchanges``."""

    cdef ClientChannel channel
    cdef object create_future, time
    cdef object decoder, failure, timeout_hint_ms, wake
    cdef public object write, token
    cdef public double wakes_at
    cdef public Py_ssize_t bytes_sent
    cdef readonly Py_ssize_t bytes_received, count
    cdef readonly dict waiting
    cdef double patience_s
    cdef Py_ssize_t most, most_bytes

    def __cinit__(
        self, ClientChannel channel not None, loop, *, double patience_s, Py_ssize_t most,
        Py_ssize_t most_bytes, decoder, failure, wake
    ):
        load_connection()
        self.channel = channel
        self.time = loop.time
        self.create_future = loop.create_future
        self.timeout_hint_ms = int(patience_s * 1000)
        self.patience_s = patience_s
        self.most = most
        self.most_bytes = most_bytes
        self.wake = wake
        self.wakes_at = 0
        self.write = write_nowhere
        self.bytes_sent = 0
        self.bytes_received = 0
        self.decoder = decoder
        self.failure = failure
        self.count = 0
        self.waiting = {}

    def ask(self, request, expected, patience_s, again=None):
        return self.send(
            encode_request(request, self.next_head()), expected, patience_s, None, again)

    def call(self, object_id, method_id, arguments):
        return self.send(
            encode_call(self.next_head(), object_id, method_id, arguments), CALL_RESPONSE, None,
            method_id, None)

    cdef tuple next_head(self):
        cdef timespec moment

        if self.count >= self.most:
            raise ProtocolViolation(f"more than {self.most} requests on one connection")
        self.count += 1
        clock_gettime(CLOCK_REALTIME, &moment)
        return (
            self.token,
            FROM_1601_TO_1970_US + <int64_t>moment.tv_sec * 1_000_000 + moment.tv_nsec // 1000,
            self.count, self.timeout_hint_ms)

    cdef object send(
        self, bytes body, object expected, object patience_s, object method_id, object again
    ):
        cdef bytes chunks
        cdef uint32_t request_id = self.channel.ids.next()
        cdef double now = self.time()
        cdef double deadline, limit = self.patience_s

        chunks = self.channel.request(request_id, body, now)
        future = self.create_future()
        deadline = now + (limit if patience_s is None else min(<double>patience_s, limit))
        self.waiting[request_id] = (
            future, expected, deadline, self.count, method_id, again)
        self.bytes_sent += PyBytes_GET_SIZE(chunks)
        self.write(chunks)
        if deadline < self.wakes_at:
            self.wake(deadline)
        return future

    def let_go(self):
        self.write = self.wake = write_nowhere

    def hear(self, bytes data not None):
        return self.take(data)

    cdef bint take(self, bytes data) except -1:
        cdef uint32_t request_id = 0
        cdef bytes body

        self.bytes_received += PyBytes_GET_SIZE(data)
        if self.bytes_received > self.most_bytes:
            raise ProtocolViolation(f"the peer sent more than {self.most_bytes} bytes")
        body = self.channel.response_in(data, <double>self.time(), &request_id)
        if body is None:
            return False
        self.settle(request_id, body)
        return True

    def answer(self, request_id, body):
        self.settle(request_id, body)

    cdef int settle(self, request_id, body) except -1:
        cdef tuple asked = self.waiting.pop(request_id)
        cdef object future = asked[0]
        cdef object expected = asked[1]
        cdef object method_id = asked[4]
        cdef object kind
        cdef bint bad

        if future.done():
            return 0
        try:
            if method_id is not None and self.settle_call(future, body, asked[3], method_id):
                return 0
            told, status, message = decode_response(body, self.decoder, asked[5])
            if told is None:
                raise ProtocolViolation(f"a {type(message).__name__} is no response")
            self.check_handle(told, asked[3])
            bad = (<uint32_t>status & BAD) != 0
            kind = type(message)
            if kind is not expected and not (bad and kind is ua.ServiceFault):
                raise ProtocolViolation(f"a {kind.__name__} instead of a {expected.__name__}")
            if bad:
                future.set_exception(self.failure(status, service_of(expected)))
            elif method_id is None:
                future.set_result(message)
            else:
                settle_call(future, message, method_id)
        except RegistrarError as error:
            future.set_exception(error)
            raise
        return 0

    cdef bint settle_call(
        self, object future, object body, object handle, object method_id
    ) except -1:
        """Settle a Call by its usual response, without an object for it; False where it is none."""
        cdef tuple told = decode_call(body, self.decoder)
        cdef object failed = None

        if told is None:
            return False
        self.check_handle(told[0], handle)
        if <uint32_t>told[1] & BAD:
            failed = self.failure(told[1], service_of(CALL_RESPONSE))
        elif <uint32_t>told[2] & BAD:
            failed = self.failure(told[2], f"method {method_id.to_string()}")
        if failed is None:
            future.set_result(told[3])
        else:
            future.set_exception(failed)
        return True

    cdef int check_handle(self, object told, object handle) except -1:
        if told != handle:
            raise ProtocolViolation(f"a response to {told} instead of request {handle}")
        return 0
