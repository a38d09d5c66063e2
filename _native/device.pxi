# What the verdict on a Device's certificate needs, beside what ``certificate.pxi`` recognises.

cdef struct Device:
    Span tbs                    # the whole element, as signed
    Span issuer                 # the whole element
    Span subject                # the whole element
    Span aki                    # empty without one
    Span key                    # SubjectPublicKeyInfo, the whole element
    Span signature
    unsigned char serial[20]    # filled up with zeros on the left
    int digest                  # of the signature: 0, 1, 2 for SHA-256, SHA-384, SHA-512
    bint has_rsa_signature
    uint64_t not_before         # YYYYMMDDhhmmss
    uint64_t not_after


cdef bint read_device(Span der, Device *device) noexcept nogil:
    """Read a certificate that ``read_certificate`` recognised.

    Returns false where it is a CA's or self-issued, or where its usages are not those of a Device
    that signs and opens channels: the twin has to decide.
    """
    cdef Span outer, tbs, inside, extensions

    if not take(&der, 0x30, &outer):
        return False
    inside = outer
    if not take(&inside, 0x30, &tbs) or not take_whole(&outer, 0x30, &device.tbs):
        return False
    if not take(&tbs, 0xA0, &inside) or not take(&tbs, 0x02, &inside):
        return False
    if inside.at[0] == 0:
        inside.at += 1
    memset(device.serial, 0, 20)
    memcpy(device.serial + 20 - size_of(&inside), inside.at, size_of(&inside))
    if not take(&tbs, 0x30, &inside):
        return False
    device.has_rsa_signature = size_of(&inside) == 13
    if device.has_rsa_signature:
        device.digest = inside.at[10] - 11
    else:
        device.digest = inside.at[9] - 2
    if not take(&outer, 0x30, &inside) or not take(&outer, 0x03, &device.signature):
        return False
    device.signature.at += 1
    if not take_whole(&tbs, 0x30, &device.issuer) or not take(&tbs, 0x30, &inside):
        return False
    if not read_time(&inside, &device.not_before) or not read_time(&inside, &device.not_after):
        return False
    if not take_whole(&tbs, 0x30, &device.subject):
        return False
    if is_same_name(device.subject, device.issuer):
        return False
    if not take_whole(&tbs, 0x30, &device.key) or not take(&tbs, 0xA3, &inside):
        return False
    return take(&inside, 0x30, &extensions) and read_usages(extensions, device)


cdef bint is_same_name(Span one, Span other) noexcept nogil:
    """Tell whether two names that ``is_name`` recognised are the same; the twin is
    ``registrar.core.names.canonical``."""
    cdef Span parts, other_parts, kind, other_kind, text, other_text

    take(&one, 0x30, &parts)
    take(&other, 0x30, &other_parts)
    while size_of(&parts) and size_of(&other_parts):
        read_attribute(&parts, &kind, &text)
        read_attribute(&other_parts, &other_kind, &other_text)
        if not is_same(&kind, &other_kind) or not is_same_text(text, other_text):
            return False
    return not size_of(&parts) and not size_of(&other_parts)


cdef inline void read_attribute(Span *name, Span *kind, Span *text) noexcept nogil:
    """Step over the next part of a recognised name, and give what its attribute is and says."""
    cdef Span part, attribute

    take(name, 0x31, &part)
    take(&part, 0x30, &attribute)
    take(&attribute, 0x06, kind)
    if not take(&attribute, 0x13, text):
        take(&attribute, 0x0C, text)


cdef bint is_same_text(Span one, Span other) noexcept nogil:
    """Tell whether two texts of printable ASCII differ only in their case and in their blanks."""
    cdef bint is_blank, is_other_blank

    skip_blanks(&one)
    skip_blanks(&other)
    while one.at < one.end and other.at < other.end:
        if lower(one.at[0]) != lower(other.at[0]):
            return False
        one.at += 1
        other.at += 1
        is_blank = skip_blanks(&one)
        is_other_blank = skip_blanks(&other)
        if is_blank != is_other_blank and one.at < one.end and other.at < other.end:
            return False
    return one.at == one.end and other.at == other.end


cdef inline bint skip_blanks(Span *text) noexcept nogil:
    cdef Bytes start = text.at
    while text.at < text.end and text.at[0] == b' ':
        text.at += 1
    return text.at > start


cdef inline unsigned char lower(unsigned char byte) noexcept nogil:
    return byte | 0x20 if b'A' <= byte <= b'Z' else byte


cdef inline bint take_whole(Span *outside, unsigned char tag, Span *element) noexcept nogil:
    """Step over an element and give all of it, its header included."""
    cdef Span content
    element.at = outside.at
    if not take(outside, tag, &content):
        return False
    element.end = outside.at
    return True


cdef bint read_usages(Span extensions, Device *device) noexcept nogil:
    cdef Span extension, kind, value, inside

    device.aki.at = device.aki.end = NULL
    while size_of(&extensions):
        if not take(&extensions, 0x30, &extension) or not take(&extension, 0x06, &kind):
            return False
        take(&extension, 0x01, &inside)
        if not take(&extension, 0x04, &value):
            return False
        if size_of(&kind) != 3:
            continue
        if kind.at[2] == 15:
            if not value.at[3] & 0x80:              # digitalSignature
                return False
        elif kind.at[2] == 19:
            if size_of(&value) != 2:                # not a CA: an empty SEQUENCE
                return False
        elif kind.at[2] == 37:
            if not is_for_channels(value):
                return False
        elif kind.at[2] == 35:
            if not take(&value, 0x30, &inside) or not take(&inside, 0x80, &device.aki):
                return False
    return True


cdef bint is_for_channels(Span value) noexcept nogil:
    """Tell whether extendedKeyUsage holds serverAuth, clientAuth or anyExtendedKeyUsage."""
    cdef Span usages, usage
    if not take(&value, 0x30, &usages):
        return False
    while take(&usages, 0x06, &usage):
        if (
            is_exactly(&usage, b"\x2b\x06\x01\x05\x05\x07\x03\x01", 8)
            or is_exactly(&usage, b"\x2b\x06\x01\x05\x05\x07\x03\x02", 8)
            or is_exactly(&usage, b"\x55\x1d\x25\x00", 4)
        ):
            return True
    return False
