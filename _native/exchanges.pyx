# cython: language_level=3
"""The compiled twin of ``registrar.wire.exchanges``: a request and its response, step by step."""

from datetime import UTC

from cpython.datetime cimport datetime, import_datetime
from libc.stdint cimport uint32_t

from registrar.errors import ProtocolViolation, RegistrarError

import_datetime()

cdef object now_of = datetime.now

cdef enum:
    BAD = 0x80000000


cdef class Exchanges:
    """See ``registrar.wire.exchanges.Exchanges``."""

    cdef object next_request_id, send, receive_response, create_future
    cdef object encode, decode, decoder, failure, timeout_hint_ms
    cdef readonly Py_ssize_t count
    cdef readonly dict waiting
    cdef Py_ssize_t most

    def __init__(self, channel, loop, *, timeout_hint_ms, Py_ssize_t most, decoder, codec, failure):
        self.next_request_id = channel.next_request_id
        self.send = channel.send
        self.receive_response = channel.receive_response
        self.create_future = loop.create_future
        self.timeout_hint_ms = timeout_hint_ms
        self.most = most
        self.decoder = decoder
        self.encode, self.decode = codec
        self.failure = failure
        self.count = 0
        self.waiting = {}

    def ask(self, request, expected, now, deadline):
        cdef object header, handle

        if self.count >= self.most:
            raise ProtocolViolation(f"more than {self.most} requests on one connection")
        self.count += 1
        handle = self.count
        header = request.RequestHeader
        header.RequestHandle = handle
        header.Timestamp = now_of(UTC)
        header.TimeoutHint = self.timeout_hint_ms
        request_id = self.next_request_id()
        chunks = self.send(request_id, self.encode(request), now)
        future = self.create_future()
        self.waiting[request_id] = (future, expected, deadline, handle)
        return future, chunks

    def hear(self, data, now):
        cdef tuple response = self.receive_response(data, now)

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
