# What matching reads of a certificate, from its bytes alone.
#
# Only the shapes that Device certificates really have are recognised: one by one, in full. The
# twin is ``registrar.core.certificate.Certificate``; what is read here it reads alike, and what is
# not recognised here it still may read.

cdef enum:
    SAN_URIS = 8                # URIs of one certificate; with more the twin is asked
    MAX_CERTIFICATE = 16384     # bytes, as in registrar.core.certificate
    MAX_NAMES = 64              # entries of one subjectAltName, as there
    MAX_NAME = 1000             # bytes of a Name; with more the twin is asked, which takes 1024
    SUBJECT_ALT_NAME = 17       # last byte of the object identifiers 2.5.29.x


cdef struct Facts:
    uint64_t not_before         # YYYYMMDDhhmmss
    bint ends                   # before the year 9999
    bint has_rsa_key
    bint has_pointer            # cRLDistributionPoints or authorityInfoAccess
    int uris
    Span uri[SAN_URIS]


cdef bint read_certificate(Span der, Facts *facts) noexcept nogil:
    """Read one certificate that fills ``der``; false where it is not of a recognised shape."""
    cdef Span outer, tbs, inside, algorithm

    if size_of(&der) > MAX_CERTIFICATE:
        return False
    if not take(&der, 0x30, &outer) or size_of(&der):
        return False
    if not take(&outer, 0x30, &tbs):
        return False
    if not take(&tbs, 0xA0, &inside) or not is_exactly(&inside, b"\x02\x01\x02", 3):
        return False
    if not take(&tbs, 0x02, &inside) or not is_serial(&inside):
        return False
    if not take(&tbs, 0x30, &algorithm) or not is_signature_algorithm(&algorithm):
        return False
    if not take(&outer, 0x30, &inside) or not is_same(&inside, &algorithm):
        return False
    if not take(&outer, 0x03, &inside) or not is_whole_bytes(&inside) or size_of(&outer):
        return False
    if not take(&tbs, 0x30, &inside) or not is_name(inside):
        return False
    if not take(&tbs, 0x30, &inside) or not read_validity(inside, facts):
        return False
    if not take(&tbs, 0x30, &inside) or not is_name(inside):
        return False
    if not take(&tbs, 0x30, &inside) or not read_key(inside, facts):
        return False
    if not take(&tbs, 0xA3, &inside) or size_of(&tbs):
        return False
    return read_extensions(inside, facts)


cdef inline bint is_serial(const Span *number) noexcept nogil:
    """Tell whether an INTEGER is positive, of at most 20 octets and in its shortest form."""
    cdef Py_ssize_t size = size_of(number)
    if size < 1 or size > 21 or number.at[0] >= 0x80:
        return False
    if number.at[0]:
        return size <= 20
    return size > 1 and number.at[1] >= 0x80


cdef inline bint is_signature_algorithm(const Span *algorithm) noexcept nogil:
    """Tell whether it is RSA PKCS#1 v1.5 or ECDSA with SHA-256, SHA-384 or SHA-512."""
    cdef unsigned char last
    if size_of(algorithm) == 13:
        last = algorithm.at[10]
        return (
            memcmp(algorithm.at, b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01", 10) == 0
            and 11 <= last <= 13 and algorithm.at[11] == 5 and algorithm.at[12] == 0
        )
    if size_of(algorithm) == 10:
        last = algorithm.at[9]
        return (
            memcmp(algorithm.at, b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03", 9) == 0
            and 2 <= last <= 4
        )
    return False


cdef inline bint is_whole_bytes(const Span *bits) noexcept nogil:
    return size_of(bits) > 1 and bits.at[0] == 0


cdef bint is_name(Span name) noexcept nogil:
    """Tell whether a Name has one attribute in each part, in printable ASCII."""
    cdef Span part, attribute, kind, text

    if size_of(&name) > MAX_NAME:
        return False
    while size_of(&name):
        if not take(&name, 0x31, &part) or not take(&part, 0x30, &attribute) or size_of(&part):
            return False
        if not take(&attribute, 0x06, &kind) or not is_identifier(&kind):
            return False
        if take(&attribute, 0x13, &text):
            if not is_printable_string(&text):
                return False
        elif not take(&attribute, 0x0C, &text) or not is_visible(&text):
            return False
        if size_of(&attribute) or not size_of(&text):
            return False
    return True


cdef bint is_usual_name(Span name) noexcept nogil:
    """Tell whether a Name has CN, O and OU alone, none longer than 64 characters."""
    cdef Span part, attribute, kind

    if not is_name(name):
        return False
    while size_of(&name):
        take(&name, 0x31, &part)
        take(&part, 0x30, &attribute)
        take(&attribute, 0x06, &kind)
        if not begins_with(&kind, b"\x55\x04", 2) or size_of(&kind) != 3:
            return False
        if kind.at[2] not in (3, 10, 11) or size_of(&attribute) > 2 + 64:
            return False
    return True


cdef bint is_identifier(const Span *identifier) noexcept nogil:
    """Tell whether an OBJECT IDENTIFIER has arcs of at most 28 bits in their shortest form."""
    cdef Bytes at = identifier.at
    cdef int arc = 0

    if not 1 <= size_of(identifier) <= 32:
        return False
    while at < identifier.end:
        if arc == 0 and at[0] == 0x80:
            return False
        arc = arc + 1 if at[0] & 0x80 else 0
        if arc == 4:
            return False
        at += 1
    return arc == 0


cdef inline bint is_visible(const Span *text) noexcept nogil:
    """Tell whether every byte is printable ASCII."""
    cdef Bytes at = text.at
    cdef unsigned char wrong = 0
    while at < text.end:
        wrong |= <unsigned char>(at[0] - 0x20) > 0x5E
        at += 1
    return not wrong


cdef bint is_printable_string(const Span *text) noexcept nogil:
    """Tell whether every byte is one of PrintableString (X.680 §41.4)."""
    cdef Bytes at = text.at
    cdef unsigned char byte
    while at < text.end:
        byte = at[0]
        if not (
            b'a' <= byte <= b'z' or b'A' <= byte <= b'Z' or b'\'' <= byte <= b')'
            or b'+' <= byte <= b':' or byte == b' ' or byte == b'=' or byte == b'?'
        ):
            return False
        at += 1
    return True


cdef inline bint read_validity(Span validity, Facts *facts) noexcept nogil:
    cdef uint64_t not_after
    if not read_time(&validity, &facts.not_before) or not read_time(&validity, &not_after):
        return False
    facts.ends = not_after < <uint64_t>99990000000000
    return size_of(&validity) == 0


cdef bint read_time(Span *times, uint64_t *moment) noexcept nogil:
    """Read a UTCTime, or a GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5)."""
    cdef Span text
    cdef uint64_t number = 0
    cdef uint64_t century
    cdef int month, day
    cdef bint is_short = take(times, 0x17, &text)

    if not is_short and not take(times, 0x18, &text):
        return False
    if size_of(&text) != (13 if is_short else 15) or text.end[-1] != b'Z':
        return False
    while text.at < text.end - 1:
        if not b'0' <= text.at[0] <= b'9':
            return False
        number = 10 * number + (text.at[0] - <unsigned char>b'0')
        text.at += 1
    if is_short:
        century = 20 if number < <uint64_t>500000000000 else 19
        number += century * <uint64_t>1000000000000
    elif number < <uint64_t>20500000000000:
        return False
    month = number // <uint64_t>100000000 % 100
    day = number // <uint64_t>1000000 % 100
    if not 1 <= month <= 12 or not 1 <= day <= days_of(number // <uint64_t>10000000000, month):
        return False
    if number // 10000 % 100 > 23 or number // 100 % 100 > 59 or number % 100 > 59:
        return False
    moment[0] = number
    return True


cdef inline int days_of(int year, int month) noexcept nogil:
    if month == 2:
        return 28 + (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))
    return 30 + ((month + month // 8) & 1)


cdef bint read_key(Span key, Facts *facts) noexcept nogil:
    """Recognise RSA and the three NIST curves; the key itself is not decoded."""
    cdef Span algorithm, bits
    if not take(&key, 0x30, &algorithm) or not take(&key, 0x03, &bits) or size_of(&key):
        return False
    if not is_whole_bytes(&bits):
        return False
    facts.has_rsa_key = is_exactly(
        &algorithm, b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 13)
    if facts.has_rsa_key:
        return True
    if not begins_with(&algorithm, b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", 9):
        return False
    algorithm.at += 9
    return (
        is_exactly(&algorithm, b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10)
        or is_exactly(&algorithm, b"\x06\x05\x2b\x81\x04\x00\x22", 7)
        or is_exactly(&algorithm, b"\x06\x05\x2b\x81\x04\x00\x23", 7)
    )


cdef bint read_extensions(Span outside, Facts *facts) noexcept nogil:
    cdef Span extensions, extension, kind, critical, value
    cdef uint64_t seen = 0
    cdef uint64_t bit

    facts.uris = 0
    if not take(&outside, 0x30, &extensions) or size_of(&outside) or not size_of(&extensions):
        return False
    while size_of(&extensions):
        if not take(&extensions, 0x30, &extension) or not take(&extension, 0x06, &kind):
            return False
        if take(&extension, 0x01, &critical) and not is_exactly(&critical, b"\xff", 1):
            return False
        if not take(&extension, 0x04, &value) or size_of(&extension):
            return False
        if size_of(&kind) == 3 and kind.at[0] == 0x55 and kind.at[1] == 0x1D and kind.at[2] < 63:
            bit = <uint64_t>1 << kind.at[2]
            if not read_standard_extension(kind.at[2], value, facts):
                return False
        elif is_exactly(&kind, b"\x2b\x06\x01\x05\x05\x07\x01\x01", 8):
            bit = <uint64_t>1 << 63
            if not is_authority_access(value):
                return False
        else:
            return False
        if seen & bit:
            return False
        seen |= bit
    facts.has_pointer = seen >> 31 & 1 or seen >> 63
    return True


cdef bint read_standard_extension(unsigned char number, Span value, Facts *facts) noexcept nogil:
    """Read 2.5.29.``number``: false for one that is not recognised, or not of its usual shape."""
    if number == SUBJECT_ALT_NAME:
        return read_names(value, facts)
    if number == 14:
        return is_key_identifier(value, 0x04)
    if number == 15:
        return is_key_usage(&value)
    if number == 19:
        return is_constraints(&value)
    if number == 31:
        return is_distribution(value)
    if number == 35:
        return is_authority_key(value)
    if number == 37:
        return is_extended_usage(value)
    return False


cdef bint read_names(Span outside, Facts *facts) noexcept nogil:
    cdef Span names, text
    cdef int count = 0

    if not take(&outside, 0x30, &names) or size_of(&outside) or not size_of(&names):
        return False
    while size_of(&names):
        count += 1
        if count > MAX_NAMES:
            return False
        if take(&names, 0x86, &text):
            if facts.uris == SAN_URIS or not is_visible(&text):
                return False
            facts.uri[facts.uris] = text
            facts.uris += 1
        elif take(&names, 0x82, &text):
            if not is_visible(&text):
                return False
        elif not take(&names, 0x87, &text) or size_of(&text) not in (4, 16):
            return False
    return True


cdef inline bint is_key_identifier(Span outside, unsigned char tag) noexcept nogil:
    cdef Span identifier
    return take(&outside, tag, &identifier) and not size_of(&outside) and size_of(&identifier) > 0


cdef bint is_authority_key(Span outside) noexcept nogil:
    """Tell whether authorityKeyIdentifier holds the identifier, alone or with issuer and serial."""
    cdef Span inside, identifier, names, name, serial
    if not take(&outside, 0x30, &inside) or size_of(&outside):
        return False
    if not take(&inside, 0x80, &identifier) or not size_of(&identifier):
        return False
    if not size_of(&inside):
        return True
    if not take(&inside, 0xA1, &names) or not take(&names, 0xA4, &name) or size_of(&names):
        return False
    if not take(&inside, 0x82, &serial) or size_of(&inside) or not is_serial(&serial):
        return False
    return take(&name, 0x30, &inside) and not size_of(&name) and is_usual_name(inside)


cdef inline bint is_key_usage(const Span *value) noexcept nogil:
    """Tell whether it is a BIT STRING of one octet, its last used bit set; not encipherOnly."""
    cdef Bytes at = value.at
    cdef unsigned char unused
    if size_of(value) != 4 or at[0] != 0x03 or at[1] != 0x02 or at[2] > 7:
        return False
    unused = at[2]
    return at[3] & 1 == 0 and at[3] & ((1 << unused) - 1) == 0 and at[3] >> unused & 1 == 1


cdef inline bint is_constraints(const Span *value) noexcept nogil:
    if is_exactly(value, b"\x30\x00", 2) or is_exactly(value, b"\x30\x03\x01\x01\xff", 5):
        return True
    return (
        size_of(value) == 8 and value.at[7] < 0x80
        and begins_with(value, b"\x30\x06\x01\x01\xff\x02\x01", 7)
    )


cdef bint is_extended_usage(Span outside) noexcept nogil:
    cdef Span usages, usage
    if not take(&outside, 0x30, &usages) or size_of(&outside) or not size_of(&usages):
        return False
    while size_of(&usages):
        if not take(&usages, 0x06, &usage) or not is_identifier(&usage):
            return False
    return True


cdef bint is_distribution(Span outside) noexcept nogil:
    """Tell whether cRLDistributionPoints holds URIs alone."""
    cdef Span points, point, name, names, text
    if not take(&outside, 0x30, &points) or size_of(&outside) or not size_of(&points):
        return False
    while size_of(&points):
        if not take(&points, 0x30, &point) or not take(&point, 0xA0, &name) or size_of(&point):
            return False
        if not take(&name, 0xA0, &names) or size_of(&name) or not size_of(&names):
            return False
        while size_of(&names):
            if not take(&names, 0x86, &text) or not is_visible(&text):
                return False
    return True


cdef bint is_authority_access(Span outside) noexcept nogil:
    """Tell whether authorityInfoAccess holds URIs alone."""
    cdef Span accesses, access, method, text
    if not take(&outside, 0x30, &accesses) or size_of(&outside) or not size_of(&accesses):
        return False
    while size_of(&accesses):
        if not take(&accesses, 0x30, &access) or not take(&access, 0x06, &method):
            return False
        if not is_identifier(&method) or not take(&access, 0x86, &text) or size_of(&access):
            return False
        if not is_visible(&text):
            return False
    return True
