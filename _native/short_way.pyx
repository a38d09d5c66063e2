# cython: language_level=3
"""The compiled twin of ``registrar.ua.short_way``: the header of a chunk is compared in place."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcmp

from registrar.errors import MessageTooLarge, ProtocolViolation, StatusCode

cdef enum:
    HEADER = 16                 # MessageType with IsFinal, MessageSize, ChannelId, TokenId
    LEAST_CHUNK = HEADER + 8    # with SequenceNumber and RequestId

cdef bytes WHOLE = b"MSGF"


cdef class ShortWay:
    """See ``registrar.ua.short_way.ShortWay``."""

    cdef uint32_t channel_id, token_id
    cdef double expires_at
    cdef object seal, open, take, check
    cdef set outstanding
    cdef dict unfinished
    cdef Py_ssize_t receive_size, receive_message_size, send_size, max_outstanding

    def __init__(
        self, *, uint32_t channel_id, uint32_t token_id, double expires_at, sealing, opening,
        sends, receives, dict unfinished not None, Py_ssize_t receive_size,
        Py_ssize_t receive_message_size, Py_ssize_t send_size, set outstanding not None,
        Py_ssize_t max_outstanding
    ):
        self.channel_id = channel_id
        self.token_id = token_id
        self.expires_at = expires_at
        self.seal = sealing.seal
        self.open = opening.open
        self.take = sends.take
        self.check = receives.check
        self.unfinished = unfinished
        self.receive_size = receive_size
        self.receive_message_size = receive_message_size
        self.send_size = send_size
        self.outstanding = outstanding
        self.max_outstanding = max_outstanding

    def send(self, request_id, bytes body not None, double now):
        if (
            PyBytes_GET_SIZE(body) > self.send_size
            or now > self.expires_at
            or len(self.outstanding) >= self.max_outstanding
        ):
            return None
        chunk = self.seal(
            WHOLE, self.channel_id, self.token_id, self.take(), request_id, body)
        self.outstanding.add(request_id)
        return chunk

    def receive(self, bytes data not None, double now):
        cdef const unsigned char *at = <const unsigned char *>PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)

        if size < LEAST_CHUNK or size > self.receive_size or now > self.expires_at:
            return None
        if memcmp(at, PyBytes_AS_STRING(WHOLE), 4) != 0 or take(at + 4) != size:
            return None
        if take(at + 8) != self.channel_id or take(at + 12) != self.token_id:
            return None
        if self.unfinished:
            return None
        sequence_number, request_id, body = <tuple>self.open(data)
        self.check(sequence_number)
        if request_id not in self.outstanding:
            raise ProtocolViolation(f"a response to request {request_id}, which nobody made")
        if len(<bytes>body) > self.receive_message_size:
            raise MessageTooLarge(
                f"a message of {len(body)} bytes, at most {self.receive_message_size} are allowed",
                status=StatusCode.BadTcpMessageTooLarge,
            )
        self.outstanding.remove(request_id)
        return request_id, body


cdef inline uint32_t take(const unsigned char *data) noexcept:
    return (
        data[0] | <uint32_t>data[1] << 8 | <uint32_t>data[2] << 16 | <uint32_t>data[3] << 24
    )
