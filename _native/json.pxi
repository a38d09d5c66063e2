# Strict JSON and Base64url as Tickets have them: a checked cursor over ``Span``.
#
# The twins are ``registrar.core.strict_json`` and ``jws.decode_base64url``. A text with a backslash
# is never accepted here, so the first quotation mark after its begin is its end.

cdef unsigned int BASE64URL[4][256]     # the bits of a character in each place; else INVALID
cdef enum:
    INVALID = 0x80000000


cdef void fill_base64url() noexcept nogil:
    cdef const char *alphabet = (
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    cdef unsigned int number
    cdef int place
    for place in range(4):
        for number in range(256):
            BASE64URL[place][number] = <unsigned int>INVALID
        for number in range(64):
            BASE64URL[place][<unsigned char>alphabet[number]] = number << (18 - 6 * place)


fill_base64url()


cdef inline void skip_space(Span *text) noexcept nogil:
    while text.at < text.end and (
        text.at[0] == b' ' or text.at[0] == b'\n' or text.at[0] == b'\r' or text.at[0] == b'\t'
    ):
        text.at += 1


cdef inline bint take_mark(Span *text, unsigned char mark) noexcept nogil:
    """Step over white space and one ``mark``."""
    skip_space(text)
    if text.at == text.end or text.at[0] != mark:
        return False
    text.at += 1
    return True


cdef inline bint take_string(Span *text, Span *content) noexcept nogil:
    """Step over a string; the caller has to check that its content has no backslash."""
    cdef const void *quote
    if not take_mark(text, b'"'):
        return False
    quote = memchr(text.at, b'"', size_of(text))
    if quote == NULL:
        return False
    content.at = text.at
    content.end = <Bytes>quote
    text.at = content.end + 1
    return True


cdef bint take_array(Span *text, Span *array) noexcept nogil:
    """Step over an array, brackets included; nothing else of it is checked."""
    cdef Span content
    cdef int depth = 0

    skip_space(text)
    array.at = text.at
    if text.at == text.end or text.at[0] != b'[':
        return False
    while text.at < text.end:
        if text.at[0] == b'"':
            if not take_string(text, &content):
                return False
            continue
        depth += text.at[0] == b'['
        depth -= text.at[0] == b']'
        text.at += 1
        if depth == 0:
            array.end = text.at
            return memchr(array.at, b'\\', size_of(array)) == NULL
    return False


cdef bint is_text(const Span *text) noexcept nogil:
    """Tell whether ``text`` may stand between quotation marks as it is: UTF-8, no escapes."""
    cdef Bytes at = text.at
    cdef unsigned char wrong = 0
    cdef unsigned char wide = 0

    while at < text.end:
        wrong |= (at[0] < 0x20) | (at[0] == b'\\')
        wide |= at[0]
        at += 1
    return not wrong and (wide < 0x80 or is_utf8(text))


cdef bint is_utf8(const Span *text) noexcept nogil:
    """Tell whether every character is in its shortest form and none is a surrogate (RFC 3629)."""
    cdef Bytes at = text.at
    cdef unsigned int character, least
    cdef int more

    while at < text.end:
        if at[0] < 0x80:
            at += 1
            continue
        if at[0] < 0xC2 or at[0] > 0xF4:
            return False
        more = 1 + (at[0] >= 0xE0) + (at[0] >= 0xF0)
        least = 0x80 if more == 1 else 0x800 if more == 2 else 0x10000
        character = at[0] & (0x3F >> more)
        at += 1
        while more:
            if at == text.end or at[0] & 0xC0 != 0x80:
                return False
            character = (character << 6) | (at[0] & 0x3F)
            at += 1
            more -= 1
        if character < least or character > 0x10FFFF or 0xD800 <= character <= 0xDFFF:
            return False
    return True


cdef bint decode_base64url(const Span *text, unsigned char *out, Span *decoded) noexcept nogil:
    """Decode the one canonical form into ``out``, which has 3 bytes for each 4 characters."""
    cdef Bytes at = text.at
    cdef Bytes whole = text.at + size_of(text) // 4 * 4
    cdef unsigned int bits, wrong = 0
    cdef Py_ssize_t rest = text.end - whole

    decoded.at = out
    while at < whole:
        bits = (
            BASE64URL[0][at[0]] | BASE64URL[1][at[1]] | BASE64URL[2][at[2]] | BASE64URL[3][at[3]])
        wrong |= bits
        out[0] = <unsigned char>(bits >> 16)
        out[1] = <unsigned char>(bits >> 8)
        out[2] = <unsigned char>bits
        out += 3
        at += 4
    if rest == 1:
        return False
    if rest:
        bits = BASE64URL[0][at[0]] | BASE64URL[1][at[1]]
        if rest == 3:
            bits |= BASE64URL[2][at[2]]
        wrong |= bits
        if bits & (0xFF if rest == 3 else 0xFFFF):
            return False
        out[0] = <unsigned char>(bits >> 16)
        out[1] = <unsigned char>(bits >> 8)
        out += rest - 1
    decoded.end = out
    return not wrong & <unsigned int>INVALID
