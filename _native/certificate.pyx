# cython: language_level=3
"""The compiled twin of ``read_plain_leaf`` in ``registrar.core.certificate``.

It recognises the certificates that Devices really have, one shape after the other; to all others it
says nothing, and they are read as any certificate.
"""

from datetime import UTC

from cpython.datetime cimport datetime_new, import_datetime
from libc.stdint cimport uint64_t
from libc.string cimport memset

include "crypto.pxi"
include "der.pxi"
include "certificate.pxi"
include "device.pxi"

import_datetime()

cdef tuple RSA = ("RS256", "RS384", "RS512")
cdef tuple ECDSA = ("ES256", "ES384", "ES512")


def read_plain_leaf(bytes der not None):
    """See ``registrar.core.certificate.read_plain_leaf``."""
    cdef Span whole
    cdef Facts facts
    cdef Device device
    cdef int at, bits

    whole.at = <Bytes><const char *>der
    whole.end = whole.at + len(der)
    if not read_certificate(whole, &facts) or not read_device(whole, &device):
        return None
    if not facts.has_rsa_key:
        return None
    if recognise(device.key.at, size_of(&device.key)) != 0:
        return None
    bits = 8 * ((device.key.at[30] << 8 | device.key.at[31]) - 1)
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        return None
    return (
        of(&device.issuer),
        of(&device.subject),
        of(&device.key),
        of(&device.tbs),
        moment(device.not_before),
        moment(device.not_after),
        tuple([of(&facts.uri[at]).decode("ascii") for at in range(facts.uris)]),
        None if device.aki.at == NULL else of(&device.aki),
        facts.has_pointer,
        bits,
        int.from_bytes(device.serial[:20], "big"),
        (RSA if device.has_rsa_signature else ECDSA)[device.digest],
        of(&device.signature),
    )


cdef bytes of(const Span *span):
    return (<const char *>span.at)[:size_of(span)]


cdef object moment(uint64_t number):
    """Return the time that is written YYYYMMDDhhmmss."""
    cdef int date = number // 1000000
    cdef int time = number % 1000000
    return datetime_new(
        date // 10000, date // 100 % 100, date % 100,
        time // 10000, time // 100 % 100, time % 100, 0, UTC,
    )
