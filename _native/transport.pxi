# The compiled twins of ``registrar.ua.transport``, as far as each connection needs them.

cdef enum:
    ACKNOWLEDGE_BODY = 20


cdef bytes hello_for(object limits, str endpoint_url):
    """Return the HEL of a Client; see ``offer`` and ``encode_hello``."""
    cdef bytes url = endpoint_url.encode()
    cdef unsigned char head[CHUNK_HEAD + 24]

    put_number(head, HEL | FINAL)
    put_number(head + 4, <uint32_t>(CHUNK_HEAD + 24 + PyBytes_GET_SIZE(url)))
    put_number(head + 8, 0)     # the version of the protocol
    put_number(head + 12, <uint32_t>limits.receive_buffer_size)
    put_number(head + 16, <uint32_t>limits.send_buffer_size)
    put_number(head + 20, <uint32_t>limits.max_message_size)
    put_number(head + 24, <uint32_t>limits.max_chunk_count)
    put_number(head + 28, <uint32_t>PyBytes_GET_SIZE(url))
    return PyBytes_FromStringAndSize(<const char *>head, CHUNK_HEAD + 24) + url


def decode_acknowledge(bytes body not None):
    """See ``registrar.ua.transport.decode_acknowledge``."""
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(body)
    cdef uint32_t receive, send

    if PyBytes_GET_SIZE(body) != ACKNOWLEDGE_BODY:
        raise DecodingError(f"ACK of {len(body)} bytes")
    receive, send = number_at(data + 4), number_at(data + 8)
    if receive < MIN_BUFFER_SIZE or send < MIN_BUFFER_SIZE:
        raise DecodingError(
            f"buffers of {receive} and {send} bytes, at least {MIN_BUFFER_SIZE} are needed",
            status=StatusCode.BadTcpNotEnoughResources)
    return made(ACKNOWLEDGES, (number_at(data), receive, send, number_at(data + 12), number_at(data + 16)))
