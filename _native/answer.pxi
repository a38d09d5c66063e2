# The walk over a GetEndpoints answer: each secured endpoint's certificate, and nothing built.
#
# The twins are ``registrar.ua.codec.decode_message`` and ``registrar.onboarding.endpoints``. An
# answer in any but the usual form is left to them: texts beyond ASCII, diagnostics, a fault.

cdef enum:
    MAX_ENDPOINTS = 64          # as in registrar.onboarding.endpoints
    MAX_URLS = 64               # DiscoveryUrls, or kinds of users, of one endpoint
    SIGN = 2
    SIGN_AND_ENCRYPT = 3


cdef inline bint skip(Span *body, Py_ssize_t size) noexcept nogil:
    if size_of(body) < size:
        return False
    body.at += size
    return True


cdef inline bint read_int32(Span *body, int32_t *number) noexcept nogil:
    if size_of(body) < 4:
        return False
    memcpy(number, body.at, 4)
    body.at += 4
    return True


cdef inline bint read_byte_string(Span *body, Span *content) noexcept nogil:
    """Read a String or ByteString; a null one is empty."""
    cdef int32_t size
    if not read_int32(body, &size) or size < -1:
        return False
    if size < 0:
        size = 0
    if size > size_of(body):
        return False
    content.at = body.at
    content.end = body.at = body.at + size
    return True


cdef inline bint skip_text(Span *body) noexcept nogil:
    """Step over a String; false where it is not ASCII."""
    cdef Span text
    cdef uint64_t word
    cdef uint64_t high = 0

    if not read_byte_string(body, &text):
        return False
    while size_of(&text) >= 8:
        memcpy(&word, text.at, 8)
        high |= word
        text.at += 8
    while text.at < text.end:
        high |= text.at[0]
        text.at += 1
    return high & <uint64_t>0x8080808080808080 == 0


cdef inline bint skip_texts(Span *body, int count) noexcept nogil:
    while count:
        if not skip_text(body):
            return False
        count -= 1
    return True


cdef bint begin_answer(Span *body, int32_t *endpoints) noexcept nogil:
    """Step over the header of a good GetEndpointsResponse, to the first endpoint."""
    cdef Bytes at = body.at
    cdef int32_t strings

    # TypeId 431, Timestamp, RequestHandle, ServiceResult Good, no ServiceDiagnostics.
    if not skip(body, 21) or memcmp(at, b"\x01\x00\xaf\x01", 4) != 0:
        return False
    if memcmp(at + 16, b"\x00\x00\x00\x00\x00", 5) != 0:
        return False
    if not read_int32(body, &strings) or strings < -1 or strings > 0:
        return False
    at = body.at                # AdditionalHeader: none
    if not skip(body, 3) or memcmp(at, b"\x00\x00\x00", 3) != 0:
        return False
    return read_int32(body, endpoints) and 0 < endpoints[0] <= MAX_ENDPOINTS


cdef bint next_endpoint(Span *body, Span *certificate, int32_t *mode) noexcept nogil:
    """Step over one EndpointDescription; give its ServerCertificate and SecurityMode."""
    cdef int32_t count
    cdef unsigned char mask

    # EndpointUrl; Server: ApplicationUri, ProductUri, ApplicationName
    if not skip_texts(body, 3) or not size_of(body):
        return False
    mask = body.at[0]
    body.at += 1
    if mask > 3 or not skip_texts(body, (mask & 1) + (mask >> 1)):
        return False
    # ApplicationType, GatewayServerUri, DiscoveryProfileUri, DiscoveryUrls
    if not skip(body, 4) or not skip_texts(body, 2) or not read_int32(body, &count):
        return False
    if count < -1 or count > MAX_URLS or (count > 0 and not skip_texts(body, count)):
        return False
    if not read_byte_string(body, certificate) or not read_int32(body, mode):
        return False
    # SecurityPolicyUri, UserIdentityTokens
    if not skip_text(body) or not read_int32(body, &count) or count < -1 or count > MAX_URLS:
        return False
    while count > 0:
        # PolicyId, TokenType, IssuedTokenType, IssuerEndpointUrl, SecurityPolicyUri
        if not skip_text(body) or not skip(body, 4) or not skip_texts(body, 3):
            return False
        count -= 1
    # TransportProfileUri, SecurityLevel
    return skip_text(body) and skip(body, 1)
