# libcrypto as the extensions use it to check signatures, and what they demand of keys.
#
# Only keys in the one encoding known here byte by byte are decoded, with the sizes and the
# exponent known here; for all others the twin is asked.

from libc.string cimport memcmp, memcpy

include "digest.pxi"


cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_PKEY:
        pass
    ctypedef struct EVP_PKEY_CTX:
        pass
    int EVP_DigestVerifyInit(
        EVP_MD_CTX *context, EVP_PKEY_CTX **key_context, const EVP_MD *digest, void *engine,
        EVP_PKEY *key)
    int EVP_DigestVerify(
        EVP_MD_CTX *context, const unsigned char *signature, size_t signature_size,
        const unsigned char *message, size_t message_size)
    EVP_PKEY_CTX *EVP_PKEY_CTX_new(EVP_PKEY *key, void *engine)
    void EVP_PKEY_CTX_free(EVP_PKEY_CTX *context)
    int EVP_PKEY_verify_init(EVP_PKEY_CTX *context)
    int EVP_PKEY_CTX_set_signature_md(EVP_PKEY_CTX *context, const EVP_MD *digest)
    int EVP_PKEY_verify(
        EVP_PKEY_CTX *context, const unsigned char *signature, size_t signature_size,
        const unsigned char *digest, size_t digest_size)
    int EVP_PKEY_get_bits(const EVP_PKEY *key)
    void EVP_PKEY_free(EVP_PKEY *key)


cdef extern from "openssl/rsa.h" nogil:
    int RSA_PKCS1_PSS_PADDING
    int RSA_PSS_SALTLEN_DIGEST
    int EVP_PKEY_CTX_set_rsa_padding(EVP_PKEY_CTX *context, int padding)
    int EVP_PKEY_CTX_set_rsa_pss_saltlen(EVP_PKEY_CTX *context, int length)


cdef extern from "openssl/x509.h" nogil:
    EVP_PKEY *d2i_PUBKEY(EVP_PKEY **key, const unsigned char **data, long size)


cdef extern from "openssl/err.h" nogil:
    void ERR_clear_error()


cdef enum:
    MIN_RSA_BITS = 2048
    MAX_RSA_BITS = 8192
    MAX_COORDINATE = 66         # bytes of r or s on P-521
    MAX_SIGNATURE_DER = 2 * (MAX_COORDINATE + 3) + 3


cdef const EVP_MD *SHA384 = EVP_MD_fetch(NULL, b"SHA384", NULL)
cdef const EVP_MD *SHA512 = EVP_MD_fetch(NULL, b"SHA512", NULL)


cdef int recognise(const unsigned char *data, Py_ssize_t size) noexcept nogil:
    """Return the coordinate size of a curve, 0 for RSA, -1 for an encoding not known here.

    Of a key on a curve, the last 2 * size + 1 bytes are its uncompressed point.
    """
    if size == 91 and memcmp(
        data, b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
        b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04", 27) == 0:
        return 32
    if size == 120 and memcmp(
        data, b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
        b"\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04", 24) == 0:
        return 48
    if size == 158 and memcmp(
        data, b"\x30\x81\x9b\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
        b"\x06\x05\x2b\x81\x04\x00\x23\x03\x81\x86\x00\x04", 26) == 0:
        return 66
    # RSA: SEQUENCE, algorithm, BIT STRING { 0, SEQUENCE { INTEGER 00 8x…, INTEGER 65537 } }
    if size < 256 or size > 1200 or data[0] != 0x30 or data[1] != 0x82:
        return -1
    if memcmp(data + 4, b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 15) != 0:
        return -1
    if memcmp(data + size - 5, b"\x02\x03\x01\x00\x01", 5) != 0:
        return -1
    if data[24] != 0x30 or data[25] != 0x82 or ((data[26] << 8) | data[27]) != size - 28:
        return -1
    if data[28] != 0x02 or data[29] != 0x82 or data[32] != 0 or data[33] < 0x80:
        return -1
    if 34 + ((data[30] << 8) | data[31]) - 2 + 5 != size or data[size - 6] & 1 == 0:
        return -1
    return 0


cdef EVP_PKEY *decode_key(const unsigned char *data, Py_ssize_t size) noexcept nogil:
    """Decode the SubjectPublicKeyInfo that ``recognise`` knew; NULL where it cannot be used.

    libcrypto 3 takes some 100 microseconds, so callers keep what they get.
    """
    cdef const unsigned char *cursor = data
    cdef EVP_PKEY *key = d2i_PUBKEY(NULL, &cursor, size)
    cdef int bits

    if key != NULL and cursor == data + size:
        bits = EVP_PKEY_get_bits(key)
        if bits <= MAX_RSA_BITS and (bits >= MIN_RSA_BITS or recognise(data, size) > 0):
            return key
    EVP_PKEY_free(key)
    ERR_clear_error()
    return NULL


cdef bint use_pss(EVP_PKEY_CTX *context) noexcept nogil:
    """Choose PSS with a salt as long as the digest (RFC 7518 §3.5)."""
    return (
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1
        and EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1
    )


cdef size_t to_der(unsigned char *der, const unsigned char *raw, int coordinate) noexcept nogil:
    """Write r || s as SEQUENCE { INTEGER r, INTEGER s }; return its size."""
    cdef unsigned char body[2 * (MAX_COORDINATE + 3)]
    cdef size_t size = put_integer(body, raw, coordinate)
    cdef size_t start = 2
    size += put_integer(body + size, raw + coordinate, coordinate)
    der[0] = 0x30
    if size < 0x80:
        der[1] = <unsigned char>size
    else:
        der[1] = 0x81
        der[2] = <unsigned char>size
        start = 3
    memcpy(der + start, body, size)
    return start + size


cdef size_t put_integer(unsigned char *out, const unsigned char *number, int size) noexcept nogil:
    """Write an unsigned number of at most 66 bytes as INTEGER; return the size written."""
    cdef int pad
    while size > 1 and number[0] == 0:
        number += 1
        size -= 1
    pad = number[0] >= 0x80
    out[0] = 0x02
    out[1] = <unsigned char>(size + pad)
    out[2] = 0
    memcpy(out + 2 + pad, number, size)
    return 2 + pad + size
