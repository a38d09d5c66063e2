# Documents and payloads of Tickets, read in place.
#
# The twins are ``registrar.core.jws`` and ``ticket_json``. Members that are not known here, written
# otherwise, or written twice are left to them.

cdef enum:
    MAX_SIGNATURES = 64             # as in registrar.core.jws, as the next
    MAX_SIGNATURE_CHARACTERS = 2048
    MAX_TEXT = 4096                 # bytes of a text; the twin counts characters
    MAX_URI = 1024
    MAX_MEMBERS = 4096              # Devices, or Composites, of one Composite

    TEXT = 0                        # how a member is written
    DATE = 1
    AUTHORITIES = 2
    URI = 3
    URIS = 4

    OF_DEVICE = 1                   # whose member it is
    OF_COMPOSITE = 2
    MEMBERS = 12


cdef struct Member:
    const char *name
    Py_ssize_t size
    int kind
    int owner


cdef struct Document:
    Span payload                    # Base64url, as the next ones
    int count
    Span protected[MAX_SIGNATURES]
    Span signature[MAX_SIGNATURES]


cdef struct Claim:
    Span uri
    Span authorities                # the JSON array; empty without one


cdef Member TICKET[MEMBERS]
cdef unsigned char IN_URI[256]      # 1: may stand in a URI; 2: in its scheme; 4: is hexadecimal


cdef void describe(int at, const char *name, int kind, int owner) noexcept:
    TICKET[at] = Member(name=name, size=strlen(name), kind=kind, owner=owner)


describe(0, b"ManufacturerName", TEXT, OF_DEVICE | OF_COMPOSITE)
describe(1, b"ModelName", TEXT, OF_DEVICE | OF_COMPOSITE)
describe(2, b"ModelVersion", TEXT, OF_DEVICE | OF_COMPOSITE)
describe(3, b"HardwareRevision", TEXT, OF_DEVICE | OF_COMPOSITE)
describe(4, b"SoftwareRevision", TEXT, OF_DEVICE | OF_COMPOSITE)
describe(5, b"SerialNumber", TEXT, OF_DEVICE | OF_COMPOSITE)
describe(6, b"ManufactureDate", DATE, OF_DEVICE | OF_COMPOSITE)
describe(7, b"Authorities", AUTHORITIES, OF_DEVICE | OF_COMPOSITE)
describe(8, b"ProductInstanceUri", URI, OF_DEVICE)
describe(9, b"CompositeInstanceUri", URI, OF_COMPOSITE)
describe(10, b"Devices", URIS, OF_COMPOSITE)
describe(11, b"Composites", URIS, OF_COMPOSITE)

cdef void allow(const char *characters, unsigned char use) noexcept:
    while characters[0]:
        IN_URI[<unsigned char>characters[0]] |= use
        characters += 1


allow(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-", 3)
allow(b"_~:/?#[]@!$&'()*,;=", 1)
allow(b"0123456789abcdefABCDEF", 4)


cdef bint read_document(Span text, int limit, Document *document) noexcept nogil:
    """Find payload and signatures of a document in General JSON Serialization."""
    cdef Span name
    cdef bint has_payload = False

    document.count = 0
    if not take_mark(&text, b'{'):
        return False
    while True:
        if not take_string(&text, &name) or not take_mark(&text, b':'):
            return False
        if not has_payload and is_exactly(&name, b"payload", 7):
            has_payload = True
            if not take_string(&text, &document.payload):
                return False
        elif document.count or not is_exactly(&name, b"signatures", 10):
            return False
        elif not read_signatures(&text, limit, document):
            return False
        if not take_mark(&text, b','):
            break
    if not take_mark(&text, b'}'):
        return False
    skip_space(&text)
    return has_payload and document.count > 0 and text.at == text.end


cdef bint read_signatures(Span *text, int limit, Document *document) noexcept nogil:
    cdef Span name, value
    cdef bint has_protected, has_signature

    if not take_mark(text, b'['):
        return False
    while document.count < limit:
        has_protected = has_signature = False
        if not take_mark(text, b'{'):
            return False
        while True:
            if not take_string(text, &name) or not take_mark(text, b':'):
                return False
            if not take_string(text, &value):
                return False
            if not has_protected and is_exactly(&name, b"protected", 9):
                has_protected = True
                document.protected[document.count] = value
            elif not has_signature and is_exactly(&name, b"signature", 9):
                has_signature = True
                document.signature[document.count] = value
                if size_of(&value) > MAX_SIGNATURE_CHARACTERS:
                    return False
            else:
                return False
            if not take_mark(text, b','):
                break
        if not take_mark(text, b'}') or not has_protected or not has_signature:
            return False
        document.count += 1
        if not take_mark(text, b','):
            return take_mark(text, b']')
    return False


cdef bint read_claim(Span text, int owner, Claim *claim) noexcept nogil:
    """Read a payload of the kind ``owner``; what stands in Authorities is not looked at."""
    cdef Span name
    cdef unsigned int seen = 0
    cdef int at

    claim.uri.at = claim.uri.end = NULL
    claim.authorities.at = claim.authorities.end = NULL
    if not take_mark(&text, b'{'):
        return False
    while True:
        if not take_string(&text, &name) or not take_mark(&text, b':'):
            return False
        at = 0
        while not is_exactly(&name, TICKET[at].name, TICKET[at].size):
            at += 1
            if at == MEMBERS:
                return False
        if seen >> at & 1 or not TICKET[at].owner & owner:
            return False
        seen |= 1 << at
        if not read_member(&text, TICKET[at].kind, claim):
            return False
        if not take_mark(&text, b','):
            break
    if not take_mark(&text, b'}'):
        return False
    skip_space(&text)
    return claim.uri.at != NULL and text.at == text.end


cdef bint read_member(Span *text, int kind, Claim *claim) noexcept nogil:
    cdef Span value
    if kind == AUTHORITIES:
        return take_array(text, &claim.authorities)
    if kind == URIS:
        return read_uris(text)
    if not take_string(text, &value):
        return False
    if kind == TEXT:
        return size_of(&value) <= MAX_TEXT and is_text(&value)
    if kind == DATE:
        return is_date(&value)
    claim.uri = value
    return is_uri(&value)


cdef bint read_uris(Span *text) noexcept nogil:
    cdef Span uri
    cdef int count = 0

    if not take_mark(text, b'['):
        return False
    if take_mark(text, b']'):
        return True
    while count < MAX_MEMBERS:
        count += 1
        if not take_string(text, &uri) or not is_uri(&uri):
            return False
        if not take_mark(text, b','):
            return take_mark(text, b']')
    return False


cdef bint is_uri(const Span *uri) noexcept nogil:
    """As ``registrar.core.ticket.is_uri``."""
    cdef Bytes at = uri.at

    if not 2 < size_of(uri) <= MAX_URI or not b'a' <= at[0] | 0x20 <= b'z':
        return False
    while at[0] != b':':
        if not IN_URI[at[0]] & 2:
            return False
        at += 1
        if at == uri.end:
            return False
    at += 1
    if at == uri.end:
        return False
    while at < uri.end:
        if at[0] == b'%':
            if uri.end - at < 3 or not IN_URI[at[1]] & IN_URI[at[2]] & 4:
                return False
            at += 3
            continue
        if not IN_URI[at[0]] & 1:
            return False
        at += 1
    return True


cdef bint is_date(const Span *date) noexcept nogil:
    """Tell whether it is YYYY-MM-DDThh:mm:ss, a fraction at will, and Z."""
    cdef const char *form = b"0000-00-00T00:00:00"
    cdef int month, day
    cdef Py_ssize_t at
    cdef Py_ssize_t size = size_of(date)

    if not (size == 20 or 22 <= size <= 30) or date.at[size - 1] != b'Z':
        return False
    for at in range(size - 1):
        if at < 19 and form[at] != b'0':
            if date.at[at] != form[at]:
                return False
        elif at == 19:
            if date.at[at] != b'.':
                return False
        elif not b'0' <= date.at[at] <= b'9':
            return False
    month, day = two_digits(date.at + 5), two_digits(date.at + 8)
    return (
        two_digits(date.at) + two_digits(date.at + 2) > 0
        and 1 <= month <= 12
        and 1 <= day <= days_of(100 * two_digits(date.at) + two_digits(date.at + 2), month)
        and two_digits(date.at + 11) < 24
        and two_digits(date.at + 14) < 60
        and two_digits(date.at + 17) < 60
    )


cdef inline int two_digits(Bytes at) noexcept nogil:
    return 10 * (at[0] - c'0') + at[1] - c'0'
