# cython: language_level=3
"""The compiled twin of ``read_plain_request`` in ``registrar.ca.signing_request``.

It recognises the requests that Devices with RSA keys really send; to all others it says nothing,
and the library reads them.
"""

from libc.stdint cimport uint64_t

include "crypto.pxi"
include "der.pxi"
include "certificate.pxi"


def read_plain_request(bytes der not None):
    """See ``registrar.ca.signing_request.read_plain_request``."""
    cdef Span whole, outer, info, inside, key, attributes, signature
    cdef Facts facts
    cdef int digest
    cdef list uris = []
    cdef list dns_names = []
    cdef list addresses = []

    whole.at = <Bytes><const char *>der
    whole.end = whole.at + len(der)
    if size_of(&whole) > MAX_CERTIFICATE:
        return None
    if not take(&whole, 0x30, &outer) or size_of(&whole):
        return None
    whole.at = outer.at
    if not take(&outer, 0x30, &info):
        return None
    whole.end = outer.at
    if not take(&info, 0x02, &inside) or not is_exactly(&inside, b"\x00", 1):
        return None
    if not take(&info, 0x30, &inside) or not is_name(inside):
        return None
    key.at = info.at
    if not take(&info, 0x30, &inside):
        return None
    key.end = info.at
    if recognise(key.at, size_of(&key)) != 0 or not is_plain_key(inside):
        return None
    if not take(&info, 0xA0, &attributes) or size_of(&info):
        return None
    if not take_extensions(attributes, &inside) or not read_extensions(inside, &facts):
        return None
    if not take(&outer, 0x30, &attributes) or size_of(&attributes) != 13:
        return None
    if not is_signature_algorithm(&attributes):
        return None
    digest = attributes.at[10] - 11
    if not take(&outer, 0x03, &signature) or not is_whole_bytes(&signature) or size_of(&outer):
        return None
    signature.at += 1
    collect(inside, uris, dns_names, addresses)
    return (
        of(&whole),
        of(&key),
        8 * ((key.at[30] << 8 | key.at[31]) - 1),
        tuple(uris),
        tuple(dns_names),
        tuple(addresses),
        ("RS256", "RS384", "RS512")[digest],
        of(&signature),
    )


cdef bint is_plain_key(Span key) noexcept nogil:
    """Tell whether a key that ``recognise`` knew by some of its bytes has all of its shape."""
    cdef Span algorithm, bits, numbers, number
    if not take(&key, 0x30, &algorithm) or not take(&key, 0x03, &bits) or size_of(&key):
        return False
    if not is_whole_bytes(&bits):
        return False
    bits.at += 1
    return (
        take(&bits, 0x30, &numbers) and not size_of(&bits)
        and take(&numbers, 0x02, &number) and take(&numbers, 0x02, &number)
        and not size_of(&numbers)
    )


cdef bint take_extensions(Span attributes, Span *extensions) noexcept nogil:
    """Find the only attribute, extensionRequest (RFC 2985 §5.4.2), and give its value."""
    cdef Span attribute, kind
    return (
        take(&attributes, 0x30, &attribute) and not size_of(&attributes)
        and take(&attribute, 0x06, &kind)
        and is_exactly(&kind, b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e", 9)
        and take(&attribute, 0x31, extensions) and not size_of(&attribute)
    )


cdef int collect(Span outside, list uris, list dns_names, list addresses) except -1:
    """Take the names out of what ``read_extensions`` has read."""
    cdef Span extensions, extension, kind, value, names, text

    take(&outside, 0x30, &extensions)
    while take(&extensions, 0x30, &extension):
        take(&extension, 0x06, &kind)
        take(&extension, 0x01, &value)
        take(&extension, 0x04, &value)
        if not is_exactly(&kind, b"\x55\x1d\x11", 3) or not take(&value, 0x30, &names):
            continue
        while size_of(&names):
            if take(&names, 0x86, &text):
                uris.append(of(&text).decode("ascii"))
            elif take(&names, 0x82, &text):
                dns_names.append(of(&text).decode("ascii"))
            elif take(&names, 0x87, &text):
                addresses.append(of(&text))
    return 0


cdef bytes of(const Span *span):
    return (<const char *>span.at)[:size_of(span)]
