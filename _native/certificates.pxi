# The compiled twins of ``registrar.ua.certificates``: where the certificates of a chain end.

cdef enum:
    DER_SEQUENCE = 0x30


def split_chain(bytes blob not None):
    return chain_in(blob)


def leaf_of(bytes blob not None):
    return leaf_in(blob)


cdef tuple chain_in(bytes blob):
    """See ``registrar.ua.certificates.split_chain``."""
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t end = sequence_end(blob, 0) if blob else 0
    cdef list certificates

    if end and end == PyBytes_GET_SIZE(blob):
        return (blob,)
    certificates = []
    while at < PyBytes_GET_SIZE(blob):
        if len(certificates) == MAX_CHAIN_LENGTH:
            raise invalid_certificate(f"more than {MAX_CHAIN_LENGTH} certificates in a chain")
        end = sequence_end(blob, at)
        certificates.append(blob[at:end])
        at = end
    if not certificates:
        raise invalid_certificate("no certificate")
    return tuple(certificates)


cdef bytes leaf_in(bytes blob):
    """See ``registrar.ua.certificates.leaf_of``."""
    cdef Py_ssize_t end = sequence_end(blob, 0)

    return blob if end == PyBytes_GET_SIZE(blob) else blob[:end]


cdef Py_ssize_t sequence_end(bytes blob, Py_ssize_t at) except -1:
    """Return where the DER SEQUENCE at ``at`` ends."""
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(blob)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(blob)
    cdef Py_ssize_t length, start, count, i

    if size - at < 2 or data[at] != DER_SEQUENCE:
        raise invalid_certificate(f"no certificate at offset {at}")
    length = data[at + 1]
    start = at + 2
    if length >= 0x80:
        count = length - 0x80
        if not 1 <= count <= 3 or size - start < count:
            raise invalid_certificate(f"no certificate at offset {at}")
        length = 0
        for i in range(count):
            length = length << 8 | data[start + i]
        start += count
    if length > size - start:
        raise invalid_certificate(f"a certificate of {length} bytes leaves its field")
    return start + length


cdef object invalid_certificate(str message):
    return SecurityChecksFailed(message, status=StatusCode.BadCertificateInvalid)
