# cython: language_level=3, cdivision=True
"""The compiled twins of both ends of a SecureChannel, of what they are made of, of the Client's
connection around its end, and of what passes through a Server's.

Chunks, tokens and sequence numbers pass between the parts without an object for each step, and
requests and responses without a look-up. Certificates are read, HEL, ACK and ERR laid out, and keys
used by what the twins use as well.
"""

from asyncio import get_running_loop
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from os import urandom

from asyncua import ua
from cryptography.exceptions import InvalidSignature

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.limits cimport INT_MAX
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from registrar.errors import (
    ChunkTooLarge, ConnectionClosed, DecodingError, MessageTooLarge, Misuse, ProtocolViolation,
    Reason, RegistrarError, SecurityChecksFailed, ServiceFailed, TimedOut, Unavailable)
from registrar.status import StatusCode, is_bad, name_of
from registrar.ua.asymmetric import DIGEST as DIGEST_OF_SIGNATURES
from registrar.ua.asymmetric import ENCRYPTIONS, SIGNATURES
from registrar.ua.limits import (
    MAX_ACKNOWLEDGE_SIZE as ACKNOWLEDGE_SIZE, MAX_BUFFER_SIZE as BUFFER_SIZE,
    MAX_CHAIN_LENGTH as CHAIN_LENGTH,
    MAX_ERROR_SIZE as ERROR_SIZE, MAX_HELLO_SIZE as HELLO_SIZE, MAX_OPEN_BLOCKS as OPEN_BLOCKS,
    MAX_OPEN_SIZE as OPEN_SIZE, MAX_POLICY_URI as POLICY_URI, MAX_SMALL_BLOCKS as SMALL_BLOCKS,
    MAX_URL as URL_SIZE, MIN_BUFFER_SIZE as LEAST_BUFFER_SIZE, ChannelLimits)
from registrar.ua.security_policy import NONE, POLICIES, policy_of

cdef object now_of = datetime.now

cdef:
    Py_ssize_t MAX_ACKNOWLEDGE_SIZE = ACKNOWLEDGE_SIZE
    Py_ssize_t MAX_BUFFER_SIZE = BUFFER_SIZE
    Py_ssize_t MAX_CHAIN_LENGTH = CHAIN_LENGTH
    Py_ssize_t MAX_ERROR_SIZE = ERROR_SIZE
    Py_ssize_t MAX_HELLO_SIZE = HELLO_SIZE
    Py_ssize_t MAX_OPEN_BLOCKS = OPEN_BLOCKS
    Py_ssize_t MAX_OPEN_SIZE = OPEN_SIZE
    Py_ssize_t MAX_POLICY_URI = POLICY_URI
    Py_ssize_t MAX_SMALL_BLOCKS = SMALL_BLOCKS
    Py_ssize_t MAX_URL = URL_SIZE
    Py_ssize_t MIN_BUFFER_SIZE = LEAST_BUFFER_SIZE
    object DEFAULT_LIMITS = ChannelLimits()
    object CALL_RESPONSE = ua.CallResponse
    # Before Python 3.12 to look up the member of an enumeration takes as long as a small call.
    object UNSECURED = ua.MessageSecurityMode.None_
    object REQUEST_TOO_LARGE = StatusCode.BadRequestTooLarge
    object CONNECTION_CLOSED = StatusCode.BadConnectionClosed
    tuple ALL_POLICIES = tuple(POLICIES.values())
    dict MODES = {
        int(mode): mode
        for mode in (
            ua.MessageSecurityMode.None_, ua.MessageSecurityMode.Sign,
            ua.MessageSecurityMode.SignAndEncrypt)}

# Their modules need this extension while they are imported.
cdef:
    bint protocol_loaded = False
    bint connection_loaded = False
    object CloseReceived, ErrorReceived, MessageAborted
    object Acknowledged, MessageReceived, OpenReceived
    object ErrorMessage, transport
    object check_security, encode_outward, failure_of, public_key_of, service_of, settle_call
    object status_of
    object decode_call, decode_message, decode_response, encode_call, encode_request
    object encode_response, read_request_handle
    Shape ACKNOWLEDGES, ACKNOWLEDGED_EVENTS, CHANNEL_OPENED_EVENTS, HELLOS, HELLO_EVENTS
    Shape MESSAGE_EVENTS
    Shape OPEN_HEADERS, OPEN_RECEIVED_EVENTS, OPEN_REQUESTED_EVENTS
    tuple STATES
    Py_ssize_t MAX_INLINE_BITS, MAX_KNOWN, MAX_PER_ADDRESS, MAX_THREADS, MAX_TOTAL
    int REST
    Py_ssize_t CRUMB_SIZE, MAX_CRUMBS
    double REST_S
    Py_ssize_t EVENT_SIZE


cdef int load_protocol() except -1:
    global protocol_loaded, CloseReceived, ErrorReceived, MessageAborted
    global Acknowledged, MessageReceived, OpenReceived, ErrorMessage, transport
    global check_security, encode_outward, public_key_of, status_of
    global decode_call, decode_message, decode_response, encode_call, encode_request
    global encode_response, read_request_handle
    global ACKNOWLEDGES, ACKNOWLEDGED_EVENTS, CHANNEL_OPENED_EVENTS, HELLOS, HELLO_EVENTS
    global MESSAGE_EVENTS
    global OPEN_HEADERS, OPEN_RECEIVED_EVENTS, OPEN_REQUESTED_EVENTS, STATES

    if protocol_loaded:
        return 0
    from registrar.ua import certificates, codec, events, open_chunk, opening, outward
    from registrar.ua import transport as messages

    transport = messages
    ErrorMessage = messages.ErrorMessage
    CloseReceived = events.CloseReceived
    ErrorReceived = events.ErrorReceived
    MessageAborted = events.MessageAborted
    Acknowledged = events.Acknowledged
    MessageReceived = events.MessageReceived
    OpenReceived = events.OpenReceived
    ACKNOWLEDGES = shape_of(messages.Acknowledge)
    ACKNOWLEDGED_EVENTS = shape_of(events.Acknowledged)
    CHANNEL_OPENED_EVENTS = shape_of(events.ChannelOpened)
    HELLOS = shape_of(messages.Hello)
    HELLO_EVENTS = shape_of(events.HelloReceived)
    MESSAGE_EVENTS = shape_of(events.MessageReceived)
    OPEN_HEADERS = shape_of(open_chunk.OpenHeader)
    OPEN_RECEIVED_EVENTS = shape_of(events.OpenReceived)
    OPEN_REQUESTED_EVENTS = shape_of(events.OpenRequested)
    STATES = tuple(events.ChannelState)
    check_security = opening.check_security
    encode_outward = outward.encode_outward
    public_key_of = certificates.public_key_of
    status_of = opening.status_of
    decode_call, encode_call = codec.decode_call, codec.encode_call
    decode_response, encode_request = codec.decode_response, codec.encode_request
    decode_message = codec.decode_message
    encode_response, read_request_handle = codec.encode_response, codec.read_request_handle
    protocol_loaded = True
    return 0


cdef int load_connection() except -1:
    global connection_loaded, failure_of, service_of, settle_call
    global MAX_INLINE_BITS, MAX_KNOWN, MAX_PER_ADDRESS, MAX_THREADS, MAX_TOTAL, REST
    global CRUMB_SIZE, MAX_CRUMBS, REST_S, EVENT_SIZE

    if connection_loaded:
        return 0
    from registrar.wire import client_connection, exchanges, key_queue, traffic

    failure_of = exchanges.failure_of
    service_of = exchanges.service_of
    settle_call = exchanges.settle_call
    MAX_INLINE_BITS = key_queue.MAX_INLINE_BITS
    MAX_KNOWN = key_queue.MAX_KNOWN
    MAX_PER_ADDRESS = key_queue.MAX_PER_ADDRESS
    MAX_THREADS = key_queue.MAX_THREADS
    MAX_TOTAL = key_queue.MAX_TOTAL
    REST = key_queue.REST
    CRUMB_SIZE = client_connection.CRUMB_SIZE
    MAX_CRUMBS = client_connection.MAX_CRUMBS
    REST_S = client_connection.REST_S
    EVENT_SIZE = traffic.EVENT_SIZE
    connection_loaded = True
    return 0


cdef Shape shape_of(object cls):
    """Return the shape of a dataclass with slots, whose instances need no checks."""
    return Shape(cls, *[one.name for one in fields(cls)])


include "shape.pxi"
include "time.pxi"
include "symmetric.pxi"
include "sequence_numbers.pxi"
include "certificates.pxi"
include "open_chunk.pxi"
include "conversation.pxi"
include "transport.pxi"
include "client_channel.pxi"
include "server_channel.pxi"
include "key_queue.pxi"
include "exchanges.pxi"
include "client_connection.pxi"
include "traffic.pxi"
