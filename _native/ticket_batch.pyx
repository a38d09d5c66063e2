# cython: language_level=3
"""The compiled twin of ``registrar.core.ticket_batch``: verifies Tickets and Device certificates by the batch, without the GIL.

    documents ─▶ read: JSON, Base64url, known headers, known Authorities, DER ─▶ check: signatures

It says yes only to what ``registrar.core.verify`` and ``identity`` accept: what the bytes of a
header, of Authorities and of an issuer are worth, they said before (``Known``). It gives no reason;
what it does not recognise, and what fails, they decide.
"""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memset, strlen

cdef extern from *:
    """
    #define OPENSSL_SUPPRESS_DEPRECATED
    """

include "crypto.pxi"
include "der.pxi"
include "certificate.pxi"
include "device.pxi"
include "json.pxi"
include "ticket.pxi"


cdef extern from "string.h" nogil:
    void *memmem(const void *data, size_t size, const void *part, size_t part_size)


cdef extern from "openssl/ec.h" nogil:
    ctypedef struct EC_GROUP:
        pass
    ctypedef struct EC_POINT:
        pass
    int NID_X9_62_prime256v1
    int NID_secp384r1
    int NID_secp521r1
    EC_GROUP *EC_GROUP_new_by_curve_name(int name)
    void EC_GROUP_free(EC_GROUP *group)
    EC_POINT *EC_POINT_new(const EC_GROUP *group)
    void EC_POINT_free(EC_POINT *point)
    int EC_POINT_oct2point(
        const EC_GROUP *group, EC_POINT *point, const unsigned char *data, size_t size,
        void *context)


cdef enum:
    HEADERS = 4096              # most entries of each table of ``Known``
    SLOTS = 4 * HEADERS
    AUTHORITY_TEXTS = 256
    ISSUERS = 256
    KEYS = 1536                 # a key under one algorithm counts once
    USES = 256                  # signatures of a key after which its table pays
    SERIAL = 20                 # bytes of a serial number

    BELIEVED = 1                # bits of ``Row.status``: the Ticket is good
    GENUINE = 2                 # the Device certificate is good, and the Ticket's
    COMPOSITE = 4               # the Ticket is a Composite's
    NEW_HEADER = 8              # left to the twin: a protected header not known
    NEW_AUTHORITIES = 16        # … an array of Authorities not known
    NEW_ISSUER = 32             # … an issuer of Device certificates not known
    READ = 256                  # nothing but signatures is missing
    READ_DEVICE = 512


cdef packed struct Row:
    int status
    int signer                  # the header whose certificate ends last; -1 where unknown
    int issuer                  # of the Device certificate; -1 where unknown
    int authorities             # -1 without
    long long payload           # where the payload begins in ``Batch.payloads``
    int payload_size
    int uri                     # where the URI begins in the payload
    int uri_size
    int unknown                 # what is new: where it begins in document, payload or certificate
    int unknown_size
    int first_header            # its headers in ``Batch.headers``
    int headers


cdef struct Job:
    const EVP_MD_CTX *state     # holds what the signed bytes begin with
    Span message
    Span signature
    int key
    int row
    bint is_device


cdef struct Key:
    Span encoded
    int digest
    bint is_pss
    int coordinate              # bytes of r and of s; 0 for RSA
    bint is_raw                 # the signature is r || s


cdef struct Header:
    Span text                   # as received
    Span uris                   # all URIs of the signer
    EVP_MD_CTX *state           # over the text and "."
    int64_t not_after           # of the signer, for comparison only
    int key
    int owner                   # OF_DEVICE or OF_COMPOSITE


cdef struct Issuer:
    int authorities
    Span name
    Span aki                    # of the certificates it issues; empty without one
    Span revoked                # sorted serial numbers of 20 bytes
    int keys                    # the first of three, by digest
    bint is_rsa


cdef const EVP_MD *DIGESTS[3]
cdef size_t[3] DIGEST_SIZES = [32, 48, 64]
DIGESTS[:] = [SHA256, SHA384, SHA512]


cdef inline Span span_of(bytes data) noexcept:
    cdef Span span
    span.at = <Bytes><const char *>data
    span.end = span.at + len(data)
    return span


cdef inline unsigned int slot_of(const Span *text) noexcept nogil:
    """Mix all of ``text`` into the number of a slot; four lanes, as one would wait for itself."""
    cdef uint64_t lane[4]
    cdef uint64_t word
    cdef Bytes at = text.at
    cdef int place
    cdef uint64_t prime = <uint64_t>0x9E3779B97F4A7C15

    lane[0] = lane[1] = lane[2] = lane[3] = <uint64_t>size_of(text)
    while text.end - at >= 32:
        for place in range(4):
            memcpy(&word, at + 8 * place, 8)
            lane[place] = (lane[place] ^ word) * prime
            lane[place] ^= lane[place] >> 29
        at += 32
    while at < text.end:
        lane[0] = (lane[0] ^ at[0]) * prime
        at += 1
    word = (lane[0] ^ (lane[1] >> 7) ^ (lane[2] >> 13) ^ (lane[3] >> 19)) * prime
    return <unsigned int>(word >> 40) % SLOTS


include "ticket_tables.pxi"
include "ticket_known.pxi"
include "ticket_worker.pxi"


cdef class Batch:
    """Documents, and with each perhaps the certificate of its Device, on their way to a verdict.

    ``read`` and ``check`` hold no GIL; one thread at a time may call them. All bytes are kept in
    place by this object.
    """

    cdef Known known
    cdef tuple documents, certificates
    cdef Py_ssize_t count
    cdef Span *text
    cdef Span *der
    cdef Row *row
    cdef unsigned char *arena   # decoded payloads and signatures
    cdef unsigned char *free
    cdef int *header            # of all rows, one after the other
    cdef Py_ssize_t header_count, header_room
    cdef Job *job
    cdef Py_ssize_t job_count, job_room
    cdef int headers_known, authorities_known, issuers_known

    def __cinit__(self, Known known not None, documents, certificates=()):
        cdef Py_ssize_t at, size
        cdef size_t total = 0

        self.known = known
        self.documents = tuple(documents)
        self.certificates = tuple(certificates)
        self.count = len(self.documents)
        if self.certificates and len(self.certificates) != self.count:
            raise ValueError("the sequences differ in length")
        self.headers_known = known.header_count
        self.authorities_known = known.authorities_count
        self.issuers_known = known.issuer_count
        self.text = <Span *>calloc(self.count + 1, sizeof(Span))
        self.der = <Span *>calloc(self.count + 1, sizeof(Span))
        self.row = <Row *>calloc(self.count + 1, sizeof(Row))
        if self.text == NULL or self.der == NULL or self.row == NULL:
            raise MemoryError()
        for at in range(self.count):
            document = self.documents[at]
            if isinstance(document, bytes):
                self.text[at] = span_of(document)
            elif (<str?>document).isascii():
                self.text[at].at = <Bytes>PyUnicode_AsUTF8AndSize(document, &size)
                self.text[at].end = self.text[at].at + size
            if size_of(&self.text[at]) > known.document_bytes:
                self.text[at].end = self.text[at].at
            total += size_of(&self.text[at])
            if self.certificates and self.certificates[at] is not None:
                self.der[at] = span_of(<bytes?>self.certificates[at])
        self.free = self.arena = <unsigned char *>malloc(total + 1)
        if self.arena == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.text)
        free(self.der)
        free(self.row)
        free(self.arena)
        free(self.header)
        free(self.job)

    def read(self):
        """Read every document and certificate, up to the signatures."""
        cdef Worker worker = self.worker()
        cdef Py_ssize_t at
        with nogil:
            self.free = self.arena
            self.header_count = self.job_count = 0
            for at in range(self.count):
                self.row[at].status = 0
                self.row[at].signer = self.row[at].issuer = self.row[at].authorities = -1
                self.read_row(worker, at)
            ERR_clear_error()
        self.known.idle.append(worker)

    def check(self):
        """Check the signatures of what was read; afterwards ``rows`` says yes or nothing."""
        cdef Worker worker = self.worker()
        cdef Solver solver = worker.solver
        cdef Py_ssize_t at
        cdef Job *job
        cdef Row *row
        self.known.lend_tables(worker)
        with nogil:
            for at in range(self.count):
                row = &self.row[at]
                if row.status & READ:
                    row.status |= BELIEVED
                if row.status & READ_DEVICE:
                    row.status |= GENUINE
            for at in range(self.job_count):
                job = &self.job[at]
                if worker.table[job.key] != NULL:
                    self.ask_solver(worker, solver, job)
                elif not holds(worker, &self.known.key[job.key], job):
                    self.refuse(job)
            self.hear_solver(worker, solver)
            ERR_clear_error()
        self.known.make_tables(worker)
        self.known.idle.append(worker)

    def rows(self):
        """Return the rows, packed as ``registrar.core.ticket_batch.ROW`` says."""
        return <bytes>(<char *>self.row)[:self.count * sizeof(Row)]

    def headers(self):
        """Return the numbers of all headers as native ints; each row has a range of them."""
        return <bytes>(<char *>self.header)[:self.header_count * sizeof(int)]

    def payloads(self):
        """Return all payloads that were read, signatures between them."""
        return <bytes>(<char *>self.arena)[:self.free - self.arena]

    def payload(self, Py_ssize_t at):
        """Return the payload of one document."""
        if not 0 <= at < self.count:
            raise IndexError(at)
        return <bytes>(<char *>self.arena + self.row[at].payload)[:self.row[at].payload_size]

    cdef Worker worker(self):
        return <Worker>self.known.idle.pop() if self.known.idle else Worker()

    cdef void refuse(self, const Job *job) noexcept nogil:
        self.row[job.row].status &= ~(GENUINE if job.is_device else BELIEVED | GENUINE)

    cdef void ask_solver(self, Worker worker, Solver solver, Job *job) noexcept nogil:
        """Check a signature by the table of its key, as soon as enough of them wait."""
        cdef unsigned char digest[64]
        if (
            not digest_of(worker, job.state, &job.message, digest)
            or not take_question(solver, job, digest, self.known.key[job.key].is_raw)
        ):
            self.refuse(job)
        elif solver.count == TOGETHER:
            self.hear_solver(worker, solver)

    cdef void hear_solver(self, Worker worker, Solver solver) noexcept nogil:
        """Check the signatures that wait."""
        cdef bint is_ready = solver.count and invert(solver)
        cdef Job *job
        while solver.count:
            job = solver.question[solver.count - 1].job
            if not answer_last(solver, worker.table[job.key]) or not is_ready:
                self.refuse(job)

    cdef int find_header(self, const Span *text) noexcept nogil:
        cdef unsigned int slot = slot_of(text)
        cdef int number = self.known.slots[slot]
        while number >= 0:
            # An entry that came after this batch began may not be read yet.
            if number < self.headers_known and is_same(&self.known.header[number].text, text):
                return number
            slot = (slot + 1) % SLOTS
            number = self.known.slots[slot]
        return -1

    cdef int find_authorities(self, const Span *text) noexcept nogil:
        cdef int number
        for number in range(self.authorities_known):
            if is_same(&self.known.authorities[number], text):
                return number
        return -1

    cdef int find_issuer(self, int authorities, const Device *device) noexcept nogil:
        cdef const Issuer *issuer
        cdef int number
        for number in range(self.issuers_known):
            issuer = &self.known.issuer[number]
            if (
                issuer.authorities == authorities and is_same(&issuer.name, &device.issuer)
                and is_same(&issuer.aki, &device.aki)
            ):
                return number
        return -1

    cdef void read_row(self, Worker worker, Py_ssize_t at) noexcept nogil:
        """Take one document, then its Device's certificate, as far as they are recognised."""
        cdef Row *row = &self.row[at]
        cdef Py_ssize_t asked = self.job_count
        cdef Document document
        cdef Span payload

        if not read_document(self.text[at], self.known.signatures, &document):
            return
        if size_of(&document.payload) * 3 // 4 > self.known.payload_bytes:
            return
        if not self.know_headers(row, &document, self.text[at].at):
            return
        if not decode_base64url(&document.payload, self.free, &payload):
            return
        row.payload = self.free - self.arena
        row.payload_size = <int>size_of(&payload)
        self.free += size_of(&payload)
        if self.read_payload(row, &payload, &document) and not row.status & COMPOSITE:
            if size_of(&self.der[at]):
                self.read_identity(worker, row, self.der[at])
            if row.status & NEW_ISSUER:
                # All of it comes again when the issuer is known: no signature is checked twice.
                row.status &= ~READ
                self.job_count = asked

    cdef bint know_headers(self, Row *row, const Document *document, Bytes start) noexcept nogil:
        """Look up every protected header; note the first that is not known."""
        cdef int at, number
        cdef void *more

        if self.header_count + document.count > self.header_room:
            more = realloc(self.header, (2 * self.header_room + 1024) * sizeof(int))
            if more == NULL:
                return False
            self.header = <int *>more
            self.header_room = 2 * self.header_room + 1024
        row.first_header = <int>self.header_count
        row.headers = document.count
        for at in range(document.count):
            number = self.find_header(&document.protected[at])
            if number < 0:
                row.status |= NEW_HEADER
                row.unknown = <int>(document.protected[at].at - start)
                row.unknown_size = <int>size_of(&document.protected[at])
                row.headers = 0
                return False
            self.header[self.header_count + at] = number
        self.header_count += document.count
        return True

    cdef bint read_payload(
        self, Row *row, const Span *payload, const Document *document
    ) noexcept nogil:
        """Read what is signed, and ask for the signatures."""
        cdef int *numbers = self.header + row.first_header
        cdef const Header *header
        cdef const Header *best = NULL
        cdef int owner = self.known.header[numbers[0]].owner
        cdef Claim claim
        cdef Span signature
        cdef int at

        if not read_claim(payload[0], owner, &claim):
            return False
        if size_of(&claim.authorities):
            row.authorities = self.find_authorities(&claim.authorities)
            if row.authorities < 0:
                row.status |= NEW_AUTHORITIES
                row.unknown = <int>(claim.authorities.at - payload.at)
                row.unknown_size = <int>size_of(&claim.authorities)
                return False
        for at in range(document.count):
            header = &self.known.header[numbers[at]]
            # Nobody signs for himself: that a URI merely contains the Ticket's is decided elsewhere.
            if header.owner != owner or memmem(
                header.uris.at, size_of(&header.uris), claim.uri.at, size_of(&claim.uri)
            ) != NULL:
                return False
            if not decode_base64url(&document.signature[at], self.free, &signature):
                return False
            self.free += size_of(&signature)
            if not self.ask(header.state, &document.payload, &signature, header.key, row, False):
                return False
            if best == NULL or header.not_after > best.not_after:
                best = header
                row.signer = numbers[at]
        row.uri = <int>(claim.uri.at - payload.at)
        row.uri_size = <int>size_of(&claim.uri)
        row.status |= READ
        if owner == OF_COMPOSITE:
            row.status |= COMPOSITE
        return True

    cdef void read_identity(self, Worker worker, Row *row, Span der) noexcept nogil:
        """Read the certificate of the Device that the Ticket of ``row`` describes."""
        cdef Bytes uri = self.arena + row.payload + row.uri
        cdef const Issuer *issuer
        cdef Facts facts
        cdef Device device

        if not read_certificate(der, &facts) or not read_device(der, &device):
            return
        if facts.uris != 1 or not is_exactly(&facts.uri[0], <const char *>uri, row.uri_size):
            return
        # The present has a fraction of a second more than ``now``.
        if not device.not_before <= self.known.now < device.not_after:
            return
        if not is_sound_key(worker, &device.key):
            return
        row.issuer = self.find_issuer(row.authorities, &device)
        if row.issuer < 0:
            row.status |= NEW_ISSUER
            row.unknown = <int>(device.issuer.at - der.at)
            row.unknown_size = <int>size_of(&device.issuer)
            return
        issuer = &self.known.issuer[row.issuer]
        if device.has_rsa_signature != issuer.is_rsa or is_revoked(issuer, device.serial):
            return
        if self.ask(
            self.known.empty[device.digest], &device.tbs, &device.signature,
            issuer.keys + device.digest, row, True
        ):
            row.status |= READ_DEVICE

    cdef bint ask(
        self, const EVP_MD_CTX *state, const Span *message, const Span *signature, int key,
        const Row *row, bint is_device
    ) noexcept nogil:
        """Put one signature on the list of those to be checked."""
        cdef void *more
        if self.job_count == self.job_room:
            more = realloc(self.job, (2 * self.job_room + 1024) * sizeof(Job))
            if more == NULL:
                return False
            self.job = <Job *>more
            self.job_room = 2 * self.job_room + 1024
        self.job[self.job_count] = Job(
            state=state, message=message[0], signature=signature[0], key=key,
            row=<int>(row - self.row), is_device=is_device)
        self.job_count += 1
        return True


cdef bint is_revoked(const Issuer *issuer, const unsigned char *serial) noexcept nogil:
    cdef Py_ssize_t low = 0
    cdef Py_ssize_t high = size_of(&issuer.revoked) // SERIAL
    cdef Py_ssize_t middle
    cdef int order

    while low < high:
        middle = (low + high) // 2
        order = memcmp(issuer.revoked.at + middle * SERIAL, serial, SERIAL)
        if order == 0:
            return True
        if order < 0:
            low = middle + 1
        else:
            high = middle
    return False
