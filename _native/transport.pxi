# The compiled twins of ``registrar.ua.transport``, as far as each connection needs them.

cdef enum:
    ACKNOWLEDGE_BODY = 20
    HELLO_BODY = 24             # with an empty EndpointUrl


cdef bytes hello_for(object limits, str endpoint_url):
    """Return the HEL of a Client; see ``offer`` and ``encode_hello``."""
    cdef bytes url = endpoint_url.encode()
    cdef unsigned char head[CHUNK_HEAD + HELLO_BODY]

    put_number(head, HEL | FINAL)
    put_number(head + 4, <uint32_t>(CHUNK_HEAD + HELLO_BODY + PyBytes_GET_SIZE(url)))
    put_number(head + 8, 0)     # the version of the protocol
    put_number(head + 12, <uint32_t>limits.receive_buffer_size)
    put_number(head + 16, <uint32_t>limits.send_buffer_size)
    put_number(head + 20, <uint32_t>limits.max_message_size)
    put_number(head + 24, <uint32_t>limits.max_chunk_count)
    put_number(head + 28, <uint32_t>PyBytes_GET_SIZE(url))
    return PyBytes_FromStringAndSize(<const char *>head, CHUNK_HEAD + HELLO_BODY) + url


cdef object hello_in(bytes chunk):
    """Return what a usual HEL says; any other is left to ``decode_hello``, which knows why."""
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(chunk) + CHUNK_HEAD
    cdef Py_ssize_t size = PyBytes_GET_SIZE(chunk) - CHUNK_HEAD
    cdef uint32_t receive, send

    if HELLO_BODY <= size < HELLO_BODY + MAX_URL and number_at(data + 20) == size - HELLO_BODY:
        receive, send = number_at(data + 4), number_at(data + 8)
        if receive >= MIN_BUFFER_SIZE and send >= MIN_BUFFER_SIZE:
            url = PyUnicode_DecodeUTF8(
                <const char *>data + HELLO_BODY, size - HELLO_BODY, b"replace")
            if "\ufffd" not in url:
                return made(HELLOS, (number_at(data), receive, send, number_at(data + 12),
                    number_at(data + 16), url))
    return transport.decode_hello(chunk[CHUNK_HEAD:])


cdef bytes acknowledge_for(object limits, Py_ssize_t receive_size, Py_ssize_t send_size):
    """Return the ACK of a Server; see ``answer`` and ``encode_acknowledge``."""
    cdef unsigned char data[CHUNK_HEAD + ACKNOWLEDGE_BODY]

    put_number(data, ACK | FINAL)
    put_number(data + 4, CHUNK_HEAD + ACKNOWLEDGE_BODY)
    put_number(data + 8, 0)     # the version of the protocol
    put_number(data + 12, <uint32_t>receive_size)
    put_number(data + 16, <uint32_t>send_size)
    put_number(data + 20, <uint32_t>limits.max_message_size)
    put_number(data + 24, <uint32_t>limits.max_chunk_count)
    return PyBytes_FromStringAndSize(<const char *>data, CHUNK_HEAD + ACKNOWLEDGE_BODY)


def decode_acknowledge(bytes body not None):
    """See ``registrar.ua.transport.decode_acknowledge``."""
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(body)
    cdef uint32_t receive, send

    load_protocol()             # nobody may have made a channel yet
    if PyBytes_GET_SIZE(body) != ACKNOWLEDGE_BODY:
        raise DecodingError(f"ACK of {len(body)} bytes")
    receive, send = number_at(data + 4), number_at(data + 8)
    if receive < MIN_BUFFER_SIZE or send < MIN_BUFFER_SIZE:
        raise DecodingError(
            f"buffers of {receive} and {send} bytes, at least {MIN_BUFFER_SIZE} are needed",
            status=StatusCode.BadTcpNotEnoughResources)
    return made(ACKNOWLEDGES, (number_at(data), receive, send, number_at(data + 12), number_at(data + 16)))
