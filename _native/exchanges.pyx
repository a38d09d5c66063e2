# cython: language_level=3
"""The compiled twin of ``registrar.wire.exchanges``: a request and its response, step by step."""

from datetime import UTC

from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.datetime cimport datetime, import_datetime
from libc.stdint cimport uint32_t

from registrar.errors import ProtocolViolation, RegistrarError

import_datetime()

cdef object now_of = datetime.now

cdef enum:
    BAD = 0x80000000


def write_nowhere(_):
    pass


cdef class Exchanges:
    """See ``registrar.wire.exchanges.Exchanges``."""

    cdef object next_request_id, send, receive_response, create_future, time
    cdef object encode, decode, decoder, failure, timeout_hint_ms, wake
    cdef public object write
    cdef public double wakes_at
    cdef public Py_ssize_t bytes_sent
    cdef readonly Py_ssize_t bytes_received, count
    cdef readonly dict waiting
    cdef double patience_s
    cdef Py_ssize_t most, most_bytes

    def __init__(
        self, channel, loop, *, double patience_s, Py_ssize_t most, Py_ssize_t most_bytes, decoder,
        codec, failure, wake
    ):
        self.next_request_id = channel.next_request_id
        self.send = channel.send
        self.receive_response = channel.receive_response
        self.create_future = loop.create_future
        self.time = loop.time
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
        self.encode, self.decode = codec
        self.failure = failure
        self.count = 0
        self.waiting = {}

    def ask(self, request, expected, patience_s):
        cdef object header, handle
        cdef bytes chunks
        cdef double now, deadline, limit = self.patience_s

        if self.count >= self.most:
            raise ProtocolViolation(f"more than {self.most} requests on one connection")
        self.count += 1
        handle = self.count
        header = request.RequestHeader
        header.RequestHandle = handle
        header.Timestamp = now_of(UTC)
        header.TimeoutHint = self.timeout_hint_ms
        request_id = self.next_request_id()
        now = self.time()
        chunks = self.send(request_id, self.encode(request), now)
        future = self.create_future()
        deadline = now + (limit if patience_s is None else min(<double>patience_s, limit))
        self.waiting[request_id] = (future, expected, deadline, handle)
        self.bytes_sent += PyBytes_GET_SIZE(chunks)
        self.write(chunks)
        if deadline < self.wakes_at:
            self.wake(deadline)
        return future

    def hear(self, bytes data not None):
        cdef tuple response

        self.bytes_received += PyBytes_GET_SIZE(data)
        if self.bytes_received > self.most_bytes:
            raise ProtocolViolation(f"the peer sent more than {self.most_bytes} bytes")
        response = self.receive_response(data, self.time())

        if response is None:
            return False
        self.settle(response[0], response[1])
        return True

    def answer(self, request_id, body):
        self.settle(request_id, body)

    cdef int settle(self, request_id, body) except -1:
        cdef tuple asked = self.waiting.pop(request_id)
        cdef object future = asked[0]
        cdef object expected = asked[1]

        if future.done():
            return 0
        try:
            message = self.decode(body, self.decoder)
            header = getattr(message, "ResponseHeader", None)
            if header is None:
                raise ProtocolViolation(f"a {type(message).__name__} is no response")
            if header.RequestHandle != asked[3]:
                raise ProtocolViolation(
                    f"a response to {header.RequestHandle} instead of request {asked[3]}"
                )
            status = header.ServiceResult.value
            if <uint32_t>status & BAD:
                future.set_exception(
                    self.failure(status, expected.__name__.removesuffix("Response")))
            elif type(message) is expected:
                future.set_result(message)
            else:
                raise ProtocolViolation(
                    f"a {type(message).__name__} instead of a {expected.__name__}"
                )
        except RegistrarError as error:
            future.set_exception(error)
            raise
        return 0
