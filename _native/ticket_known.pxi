# What the reference judged good: the table that ``ticket_batch`` reads without the GIL.

cdef class Known:
    """What the twin judged good under one state of trust, by its exact bytes.

    Grows only: a batch that runs without the GIL reads the entries that were there when it began,
    and those never move. What is learned twice stands here once.
    """

    cdef Header header[HEADERS]
    cdef int slots[SLOTS]
    cdef Span authorities[AUTHORITY_TEXTS]
    cdef Issuer issuer[ISSUERS]
    cdef Key key[KEYS]
    cdef EC_GROUP *table[KEYS]  # of keys on P-256 that are used often
    cdef int uses[KEYS]         # of each key, up to ``USES``
    cdef int tables, most_tables
    cdef EVP_MD_CTX *empty[3]
    cdef int header_count, authorities_count, issuer_count, key_count
    cdef Py_ssize_t document_bytes, payload_bytes
    cdef int signatures
    cdef uint64_t now
    cdef dict numbers           # what was learned, with its number; keeps the bytes alive
    cdef readonly list headers, issuers
    cdef list idle              # workers

    def __cinit__(
        self, Py_ssize_t document_bytes, Py_ssize_t payload_bytes, int signatures, uint64_t now,
        int tables
    ):
        cdef int at
        memset(self.slots, 0xFF, sizeof(self.slots))
        self.document_bytes = document_bytes
        self.payload_bytes = payload_bytes
        self.signatures = min(signatures, <int>MAX_SIGNATURES)
        self.now = now
        self.most_tables = tables
        self.numbers = {}
        self.headers = []
        self.issuers = []
        self.idle = []
        for at in range(3):
            self.empty[at] = state_over(at, b"")

    def __dealloc__(self):
        cdef int at
        for at in range(self.header_count):
            EVP_MD_CTX_free(self.header[at].state)
        for at in range(3):
            EVP_MD_CTX_free(self.empty[at])
        for at in range(self.key_count):
            EC_GROUP_free(self.table[at])

    def __len__(self):
        return self.header_count + self.authorities_count + self.issuer_count

    def learn_header(
        self, value, bytes text not None, *, bytes key not None, str algorithm not None,
        bint is_composite, bytes uris not None, int64_t not_after
    ):
        """Take in a protected header whose signer is valid and trusted; return its number or -1."""
        cdef int number = self.numbers.get(("header", text), -1)
        cdef int digest = ("256", "384", "512").index(algorithm[2:])
        cdef Header *header
        cdef unsigned int slot

        if number >= 0 or self.header_count == HEADERS:
            return number
        header = &self.header[self.header_count]
        header.key = self.learn_key(key, digest, algorithm[:2])
        if header.key < 0:
            return -1
        header.text = span_of(text)
        header.uris = span_of(uris)
        header.state = state_over(digest, text + b".")
        header.not_after = not_after
        header.owner = OF_COMPOSITE if is_composite else OF_DEVICE
        number = self.numbers["header", text] = self.header_count
        self.numbers["uris", number] = uris
        self.headers.append(value)
        self.header_count += 1
        slot = slot_of(&header.text)
        while self.slots[slot] >= 0:
            slot = (slot + 1) % SLOTS
        self.slots[slot] = number
        return number

    def learn_authorities(self, bytes text not None):
        """Take in an array of Authorities that a good payload has; return its number or -1."""
        cdef int number = self.numbers.get(("authorities", text), -1)
        if number >= 0 or self.authorities_count == AUTHORITY_TEXTS:
            return number
        number = self.numbers["authorities", text] = self.authorities_count
        self.authorities[number] = span_of(text)
        self.authorities_count += 1
        return number

    def learn_issuer(
        self, value, int authorities, bytes name not None, bytes aki not None, *,
        bytes key not None, bytes revoked not None
    ):
        """Take in a CA whose Device certificates are genuine; return its number or -1."""
        cdef int number = self.numbers.get(("issuer", authorities, name, aki), -1)
        cdef Issuer *issuer
        cdef int digest

        if number >= 0 or self.issuer_count == ISSUERS or self.key_count > KEYS - 3:
            return number
        issuer = &self.issuer[self.issuer_count]
        issuer.keys = self.key_count
        for digest in range(3):
            # Three in a row, whether or not one of them is there already.
            if self.add_key(key, digest, False, False) < 0:
                return -1
        issuer.is_rsa = self.key[issuer.keys].coordinate == 0
        issuer.authorities = authorities
        issuer.name = span_of(name)
        issuer.aki = span_of(aki)
        issuer.revoked = span_of(revoked)
        number = self.numbers["issuer", authorities, name, aki] = self.issuer_count
        self.numbers["revoked", number] = revoked
        self.issuers.append(value)
        self.issuer_count += 1
        return number

    cdef void lend_tables(self, Worker worker) noexcept:
        """Let a worker use the tables there are, and count what it uses without one."""
        memcpy(worker.table, self.table, self.key_count * sizeof(self.table[0]))
        memset(worker.uses, 0, sizeof(worker.uses))

    cdef int make_tables(self, Worker worker) except -1:
        """Add what a worker counted, and make the tables that pay from now on."""
        cdef EC_GROUP *table
        cdef int at, before
        for at in range(self.key_count):
            before = self.uses[at]
            self.uses[at] = min(before + worker.uses[at], <int>USES)
            # One thread alone sees a key come to ``USES``.
            if before == self.uses[at] or self.uses[at] < USES or self.key[at].coordinate != P256:
                continue
            if self.tables < self.most_tables:
                self.tables += 1
                with nogil:
                    table = table_of(&self.key[at])
                self.table[at] = table
        return 0

    cdef int learn_key(self, bytes encoded, int digest, str kind) except -2:
        cdef int number = self.numbers.get(("key", encoded, digest, kind), -1)
        if number < 0:
            number = self.add_key(encoded, digest, kind == "PS", kind == "ES")
            if number >= 0:
                self.numbers["key", encoded, digest, kind] = number
        return number

    cdef int add_key(self, bytes encoded, int digest, bint is_pss, bint is_raw) except -2:
        cdef Span span = span_of(encoded)
        cdef int coordinate = recognise(span.at, size_of(&span))
        if coordinate < 0 or self.key_count == KEYS:
            return -1
        self.numbers["encoded", self.key_count] = encoded
        self.key[self.key_count] = Key(
            encoded=span, digest=digest, is_pss=is_pss, coordinate=coordinate, is_raw=is_raw)
        self.key_count += 1
        return self.key_count - 1


cdef EVP_MD_CTX *state_over(int digest, bytes text) except NULL:
    """Return a digest that has taken in ``text``."""
    cdef EVP_MD_CTX *state = EVP_MD_CTX_new()
    if (
        state == NULL or EVP_DigestInit_ex(state, DIGESTS[digest], NULL) != 1
        or EVP_DigestUpdate(state, <const char *>text, len(text)) != 1
    ):
        EVP_MD_CTX_free(state)
        raise MemoryError()
    return state
