# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled twin of ``registrar.onboarding.matching``: from bytes to the Ticket, no GIL.

    slots    tag, entry         open addressing at two thirds full, by a keyed hash
    entries  arena offset, size, row, flags, first link       one for each URI
    links    entry of a Composite, next link                  one for each membership
    arena    the bytes of the URIs

It answers only for the shapes it knows in full. To all else its answer is ``ASK``, and the
reference decides: circles, unrelated Composites, deep nesting, a tie between two certificates.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

include "der.pxi"
include "certificate.pxi"
include "answer.pxi"
include "siphash.pxi"

cdef enum:
    NO_TICKET = 0               # as registrar.onboarding.matching.Status
    MATCHED = 1
    PARTIAL = 2
    ASK = 3

cdef enum:
    LEAVES = 8                  # distinct certificates of one answer; with more the twin is asked
    AROUND = 32                 # Composites around one Device; with more the twin is asked
    NESTING = 7                 # levels of them, below MAX_NESTING of registrar.core.match
    WALKED = 64                 # links looked at for one URI
    CROWD = 64                  # Tickets of one URI; with more the twin is asked
    PROBES = 256                # slots looked at for one URI; a table that needs more grows
    MAX_URI = 0xFFFF
    MAX_ROW = 0xFFFFFFFF

cdef enum:
    HAS_DEVICE = 1              # a Device Ticket names the URI
    OUT_OF_BAND = 2             # it came out of band
    ONE_TICKET = 4              # the flags above this bit count Tickets

cdef uint32_t NOTHING = 0xFFFFFFFF
cdef uint32_t OF_COMPOSITE = 0x80000000   # in a link: its owner is meant as a Composite


cdef struct Entry:
    uint32_t offset
    uint32_t row
    uint32_t link
    uint16_t size
    uint16_t flags


cdef struct Link:
    uint32_t parent
    uint32_t next


cdef struct Verdict:
    uint8_t status
    uint32_t row
    Py_ssize_t start
    Py_ssize_t stop


cdef struct Leaf:
    Span der
    Span chain                  # as the endpoint has it
    Facts facts
    uint32_t entry[SAN_URIS]


cdef struct Choice:
    Leaf *leaf                  # NULL: none yet
    uint32_t row
    uint64_t order              # what is preferred, as one number
    bint is_tied


def new_index(bytes key):
    """Return an empty index; see ``registrar.onboarding.matching.new_index``."""
    if len(key) != 16:
        raise ValueError(f"a key of {len(key)} bytes, not 16")
    index = TicketIndex.__new__(TicketIndex)
    memcpy((<TicketIndex>index).key, <const char *>key, 16)
    return index


cdef class TicketIndex:
    """One generation of the index; immutable once ``extended`` has returned it."""

    cdef:
        uint64_t key[2]
        unsigned char *arena
        uint64_t arena_size
        uint64_t arena_room
        Entry *entries
        uint32_t count
        uint32_t room
        Link *links
        uint32_t link_count
        uint32_t link_room
        uint64_t *slots
        uint64_t slot_count
        Py_ssize_t tickets

    def __dealloc__(self):
        free(self.arena)
        free(self.entries)
        free(self.links)
        free(self.slots)

    def __len__(self):
        return self.tickets

    @property
    def size_bytes(self):
        """Bytes the index takes, those of the URIs included."""
        return (
            self.arena_size + self.count * sizeof(Entry)
            + self.link_count * sizeof(Link) + self.slot_count * sizeof(uint64_t)
        )

    @property
    def uri_bytes(self):
        """Bytes of the URIs alone, each once."""
        return self.arena_size

    def extended(self, news):
        """Return the next generation; this one stays as it is."""
        cdef TicketIndex index = TicketIndex.__new__(TicketIndex)
        cdef Py_ssize_t expected = len(news)

        index.key[0], index.key[1] = self.key[0], self.key[1]
        index.tickets = self.tickets
        with nogil:
            index.copy(self, expected)
        for listed in news:
            index.add(listed)
        with nogil:
            index.settle()
        return index

    def match(self, bytes answer not None):
        """Return status, row, and where the certificate stands in ``answer``."""
        cdef Verdict verdict
        cdef Span body
        body.at = <Bytes><const char *>answer
        body.end = body.at + len(answer)
        match_answer(self, body, &verdict)
        return verdict.status, <int64_t>verdict.row, verdict.start, verdict.stop

    def match_all(self, answers):
        """Return an array of each of the four for many answers; the GIL is not held."""
        from numpy import empty
        # A tuple of our own holds every answer alive and in place while the GIL is away.
        cdef tuple held = tuple(answers)
        cdef Py_ssize_t count = len(held)
        cdef Py_ssize_t at
        cdef Span *bodies
        cdef Verdict verdict
        columns = empty(count, "uint8"), *(empty(count, "int64") for _ in range(3))
        cdef uint8_t[::1] status = columns[0]
        cdef int64_t[::1] row = columns[1]
        cdef int64_t[::1] start = columns[2]
        cdef int64_t[::1] stop = columns[3]

        bodies = <Span *>malloc((count + 1) * sizeof(Span))
        if bodies == NULL:
            raise MemoryError()
        try:
            for at in range(count):
                answer = <bytes?>held[at]
                bodies[at].at = <Bytes><const char *><bytes>answer
                bodies[at].end = bodies[at].at + len(<bytes>answer)
            with nogil:
                for at in range(count):
                    match_answer(self, bodies[at], &verdict)
                    status[at] = verdict.status
                    row[at] = verdict.row
                    start[at] = verdict.start
                    stop[at] = verdict.stop
        finally:
            free(bodies)
        return columns

    # --- building

    cdef int copy(self, TicketIndex other, Py_ssize_t news) except -1 nogil:
        """Begin with what ``other`` holds, and room for ``news`` more."""
        self.arena = <unsigned char *>resized(NULL, other.arena_size + 64 * news + 1, 1)
        self.arena_room = other.arena_size + 64 * news + 1
        if other.arena_size:
            memcpy(self.arena, other.arena, other.arena_size)
        self.arena_size = other.arena_size
        if other.count + news + 1 >= OF_COMPOSITE:
            with gil:
                raise OverflowError(f"more than {OF_COMPOSITE} URIs")
        self.room = <uint32_t>(other.count + news + 1)
        self.entries = <Entry *>resized(NULL, self.room, sizeof(Entry))
        if other.count:
            memcpy(self.entries, other.entries, other.count * sizeof(Entry))
        self.count = other.count
        self.link_room = other.link_count + 1
        self.links = <Link *>resized(NULL, self.link_room, sizeof(Link))
        if other.link_count:
            memcpy(self.links, other.links, other.link_count * sizeof(Link))
        self.link_count = other.link_count
        return self.spread((<uint64_t>self.room * 3) // 2 + 1)

    cdef int add(self, listed) except -1:
        cdef uint32_t own = self.entry_of(listed.uri)
        cdef Entry *entry = &self.entries[own]
        cdef bint is_composite = listed.is_composite
        cdef bint is_out_of_band = listed.is_out_of_band
        cdef int64_t row = listed.row

        if not 0 <= row < <int64_t>MAX_ROW:
            raise OverflowError(f"row {row} of a Ticket")
        if entry.flags < CROWD * ONE_TICKET:
            entry.flags += ONE_TICKET
        if not is_composite and is_better(entry, is_out_of_band, <uint32_t>row):
            entry.row = <uint32_t>row
            entry.flags |= HAS_DEVICE | (OUT_OF_BAND if is_out_of_band else 0)
        for uri in listed.composite_uris:
            self.put(own, self.entry_of(uri), is_composite)
        if is_composite:
            for uri in listed.devices:
                self.put(self.entry_of(uri), own, False)
            for uri in listed.composites:
                self.put(self.entry_of(uri), own, True)
        self.tickets += 1
        return 0

    cdef int put(self, uint32_t member, uint32_t parent, bint is_composite) except -1:
        """Remember, once, that ``member`` is part of ``parent``; no Composite is of itself."""
        cdef uint32_t wanted = parent | (OF_COMPOSITE if is_composite else 0)
        cdef uint32_t known = self.entries[member].link
        cdef int walked = 0

        if is_composite and member == parent:
            return 0
        while known != NOTHING and walked < WALKED:
            if self.links[known].parent == wanted:
                return 0
            known = self.links[known].next
            walked += 1
        if self.link_count == self.link_room:
            self.link_room = 2 * self.link_room + 8
            self.links = <Link *>resized(self.links, self.link_room, sizeof(Link))
        self.links[self.link_count].parent = wanted
        self.links[self.link_count].next = self.entries[member].link
        self.entries[member].link = self.link_count
        self.link_count += 1
        return 0

    cdef uint32_t entry_of(self, str uri) except? 0xFFFFFFFF:
        """Return the entry of ``uri``; make it if there is none."""
        cdef bytes text = uri.encode()
        cdef Span span
        cdef uint32_t found
        cdef Entry *entry

        span.at = <Bytes><const char *>text
        span.end = span.at + len(text)
        found = look_up(self, &span)
        if found != NOTHING:
            return found
        if len(text) > MAX_URI:
            raise OverflowError(f"a URI of {len(text)} bytes")
        if self.count == self.room:
            if self.room >= OF_COMPOSITE // 2:
                raise OverflowError(f"more than {self.room} URIs")
            self.room = 2 * self.room
            self.entries = <Entry *>resized(self.entries, self.room, sizeof(Entry))
            self.spread(<uint64_t>self.room * 3 // 2 + 1)
        while self.arena_size + len(text) > self.arena_room:
            self.arena_room *= 2
            self.arena = <unsigned char *>resized(self.arena, self.arena_room, 1)
        if self.arena_size + len(text) > 0xFFFFFFFF:
            raise OverflowError("more than 4 GiB of URIs")
        memcpy(self.arena + self.arena_size, span.at, len(text))
        entry = &self.entries[self.count]
        entry.offset = <uint32_t>self.arena_size
        entry.size = <uint16_t>len(text)
        entry.row = 0
        entry.flags = 0
        entry.link = NOTHING
        self.arena_size += len(text)
        self.count += 1
        if not self.place(self.count - 1):
            self.spread(self.slot_count * 3 // 2)
        return self.count - 1

    cdef int spread(self, uint64_t slot_count) except -1 nogil:
        """Make the table anew with so many slots, or more where that needs too many probes."""
        cdef uint32_t at = 0
        while True:
            if slot_count > <uint64_t>0xFFFFFFFF:
                with gil:
                    raise OverflowError(f"a table of {slot_count} slots")
            free(self.slots)
            self.slots = NULL
            self.slots = <uint64_t *>resized(NULL, slot_count, sizeof(uint64_t))
            memset(self.slots, 0, slot_count * sizeof(uint64_t))
            self.slot_count = slot_count
            at = 0
            while at < self.count and self.place(at):
                at += 1
            if at == self.count:
                return 0
            slot_count = slot_count * 3 // 2

    cdef bint place(self, uint32_t number) noexcept nogil:
        """Put an entry into the table; false where no slot near enough is free."""
        cdef Entry *entry = &self.entries[number]
        cdef uint64_t hash = siphash(self.key, self.arena + entry.offset, entry.size)
        cdef uint64_t slot = first_slot(hash, self.slot_count)
        cdef int probe = 0
        while probe < PROBES:
            if self.slots[slot] == 0:
                self.slots[slot] = (hash << 32) | (number + 1)
                return True
            slot = slot + 1 if slot + 1 < self.slot_count else 0
            probe += 1
        return False

    cdef int settle(self) except -1 nogil:
        """Give back what is not needed."""
        self.arena = <unsigned char *>resized(self.arena, self.arena_size + 1, 1)
        self.arena_room = self.arena_size + 1
        self.room = self.count + 1
        self.entries = <Entry *>resized(self.entries, self.room, sizeof(Entry))
        self.link_room = self.link_count + 1
        self.links = <Link *>resized(self.links, self.link_room, sizeof(Link))
        if self.slot_count > <uint64_t>self.room * 2:
            self.spread(<uint64_t>self.room * 3 // 2 + 1)
        return 0


cdef void *resized(void *memory, uint64_t count, size_t size) except NULL nogil:
    cdef void *bigger = realloc(memory, count * size)
    if bigger == NULL:
        with gil:
            raise MemoryError()
    return bigger


cdef inline bint is_better(const Entry *entry, bint is_out_of_band, uint32_t row) noexcept nogil:
    """Tell whether a Device Ticket goes before the one known: out of band first, then older."""
    if not entry.flags & HAS_DEVICE:
        return True
    if is_out_of_band != ((entry.flags & OUT_OF_BAND) != 0):
        return is_out_of_band
    return row < entry.row


# --- looking up

cdef inline uint64_t first_slot(uint64_t hash, uint64_t slot_count) noexcept nogil:
    return ((hash >> 32) * slot_count) >> 32


cdef uint32_t look_up(TicketIndex index, const Span *uri) noexcept nogil:
    """Return the entry of ``uri``, or ``NOTHING``; looks at ``PROBES`` slots at most."""
    cdef Py_ssize_t size = size_of(uri)
    cdef uint64_t hash, slot, content
    cdef const Entry *entry
    cdef int probe = 0

    if index.count == 0:
        return NOTHING
    hash = siphash(index.key, uri.at, size)
    slot = first_slot(hash, index.slot_count)
    while probe < PROBES:
        content = index.slots[slot]
        if content == 0:
            return NOTHING
        if <uint32_t>(content >> 32) == <uint32_t>hash:
            entry = &index.entries[<uint32_t>content - 1]
            if entry.size == size and memcmp(index.arena + entry.offset, uri.at, size) == 0:
                return <uint32_t>content - 1
        slot = slot + 1 if slot + 1 < index.slot_count else 0
        probe += 1
    return NOTHING


# --- matching

cdef void match_answer(TicketIndex index, Span body, Verdict *verdict) noexcept nogil:
    """Fill in ``verdict`` for one answer."""
    cdef Leaf leaves[LEAVES]
    cdef Choice choice
    cdef Bytes start = body.at
    cdef int count, at
    cdef bint is_partial = False

    verdict.status = ASK
    verdict.row = 0
    verdict.start = verdict.stop = 0
    count = read_leaves(index, &body, leaves)
    if count < 1:
        return
    choice.leaf = NULL
    choice.is_tied = False
    for at in range(count):
        if not weigh(index, &leaves[at], &choice, &is_partial):
            return
    if choice.is_tied:
        return
    if choice.leaf == NULL:
        verdict.status = PARTIAL if is_partial else NO_TICKET
        return
    verdict.status = MATCHED
    verdict.row = choice.row
    verdict.start = choice.leaf.der.at - start
    verdict.stop = choice.leaf.der.end - start


cdef int read_leaves(TicketIndex index, Span *body, Leaf *leaves) noexcept nogil:
    """Collect the distinct leaves of all secured endpoints; -1: the twin is to be asked."""
    cdef Span certificate
    cdef int32_t endpoints, mode
    cdef int count = 0
    cdef int at

    if not begin_answer(body, &endpoints):
        return -1
    while endpoints:
        endpoints -= 1
        if not next_endpoint(body, &certificate, &mode):
            return -1
        if not size_of(&certificate) or mode not in (SIGN, SIGN_AND_ENCRYPT):
            continue
        at = 0
        while at < count and not is_same(&leaves[at].chain, &certificate):
            at += 1
        if at < count:
            continue
        if count == LEAVES or not read_chain(certificate, &leaves[count]):
            return -1
        at = 0
        while at < count and not is_same(&leaves[at].der, &leaves[count].der):
            at += 1
        if at == count:
            look_up_all(index, leaves, count)
            count += 1
    return count if size_of(body) == 0 else -1


cdef bint read_chain(Span chain, Leaf *leaf) noexcept nogil:
    """Read a leaf and the issuers behind it; each of them has to be of a recognised shape."""
    cdef Span part, content
    cdef Facts above
    cdef int length = 0

    leaf.chain = chain
    while size_of(&chain):
        part.at = chain.at
        if length == 10 or not take(&chain, 0x30, &content):    # MAX_CHAIN_LENGTH
            return False
        part.end = chain.at
        if not read_certificate(part, &above if length else &leaf.facts):
            return False
        if not length:
            leaf.der = part
        length += 1
    return True


cdef void look_up_all(TicketIndex index, Leaf *leaves, int last) noexcept nogil:
    """Look the URIs of the last leaf up; those of the first one are at hand already."""
    cdef Leaf *leaf = &leaves[last]
    cdef Leaf *first = &leaves[0]
    cdef int at, other

    for at in range(leaf.facts.uris):
        other = 0 if last else first.facts.uris
        while other < first.facts.uris:
            if is_same(&leaf.facts.uri[at], &first.facts.uri[other]):
                break
            other += 1
        if other < first.facts.uris:
            leaf.entry[at] = first.entry[other]
        else:
            leaf.entry[at] = look_up(index, &leaf.facts.uri[at])


cdef bint weigh(TicketIndex index, Leaf *leaf, Choice *choice, bint *is_partial) noexcept nogil:
    """Compare what ``leaf`` offers with the best so far; false: the twin is to be asked."""
    cdef const Entry *entry
    cdef uint32_t outermost
    cdef uint64_t order
    cdef int at

    for at in range(leaf.facts.uris):
        if leaf.entry[at] == NOTHING:
            continue
        entry = &index.entries[leaf.entry[at]]
        if entry.flags >= CROWD * ONE_TICKET:
            return False
        if not entry.flags & HAS_DEVICE:
            continue
        outermost = NOTHING
        if entry.link != NOTHING and not find_outermost(index, entry.link, &outermost):
            return False
        if outermost != NOTHING and not carries(leaf, outermost):
            is_partial[0] = True
            continue
        order = order_of(&leaf.facts, (entry.flags & OUT_OF_BAND) != 0, outermost != NOTHING)
        if choice.leaf == NULL or order > choice.order:
            choice.leaf, choice.row, choice.order = leaf, entry.row, order
            choice.is_tied = False
        elif order == choice.order and choice.leaf != leaf:
            choice.is_tied = True
    return True


cdef inline uint64_t order_of(
    const Facts *facts, bint is_out_of_band, bint is_composite
) noexcept nogil:
    """Write the preference of ``registrar.core.match`` as one number."""
    # A time takes 47 bits.
    return (
        <uint64_t>is_out_of_band << 51 | <uint64_t>is_composite << 50
        | <uint64_t>facts.ends << 49 | <uint64_t>facts.has_rsa_key << 48 | facts.not_before
    )


cdef inline bint carries(const Leaf *leaf, uint32_t entry) noexcept nogil:
    cdef int at
    for at in range(leaf.facts.uris):
        if leaf.entry[at] == entry:
            return True
    return False


cdef bint find_outermost(TicketIndex index, uint32_t link, uint32_t *outermost) noexcept nogil:
    """Climb from the links of a Device to the one Composite around all others.

    ``outermost`` stays as it is where no Composite claims the Device. False: there are several,
    or none because of a circle, or too many to look at.
    """
    cdef uint32_t around[AROUND]
    cdef int level[AROUND]
    cdef int count = 0
    cdef int at = 0
    cdef int before

    if not gather(index, link, False, 0, around, level, &count):
        return False
    while at < count:
        before = at
        link = index.entries[around[at]].link
        if index.entries[around[at]].flags >= CROWD * ONE_TICKET:
            return False
        if not has_parent(index, link):
            if outermost[0] != NOTHING:
                return False
            outermost[0] = around[at]
        elif not gather(index, link, True, level[before] + 1, around, level, &count):
            return False
        at += 1
    return count == 0 or outermost[0] != NOTHING


cdef bint has_parent(TicketIndex index, uint32_t link) noexcept nogil:
    """Tell whether the entry with these links is part of another Composite."""
    while link != NOTHING:
        if index.links[link].parent & OF_COMPOSITE:
            return True
        link = index.links[link].next
    return False


cdef bint gather(
    TicketIndex index, uint32_t link, bint is_composite, int depth,
    uint32_t *around, int *level, int *count
) noexcept nogil:
    """Add the Composites right above to ``around``, each once; false: they are too many."""
    cdef uint32_t parent
    cdef int walked = 0
    cdef int at

    while link != NOTHING:
        if walked == WALKED:
            return False
        walked += 1
        parent = index.links[link].parent
        link = index.links[link].next
        if ((parent & OF_COMPOSITE) != 0) != is_composite:
            continue
        parent &= ~OF_COMPOSITE
        at = 0
        while at < count[0] and around[at] != parent:
            at += 1
        if at < count[0]:
            continue
        if count[0] == AROUND or depth > NESTING:
            return False
        around[count[0]] = parent
        level[count[0]] = depth
        count[0] += 1
    return True
