# The compiled twin of ``registrar.wire.key_queue``.


@cython.final
cdef class Job:
    """Work, and who is told what it gave: a future, or ``done``."""

    cdef object work, address, future, done
    cdef bint is_known

    cdef bint is_given_up(self) except -1:
        return self.future is not None and self.future.cancelled()


@cython.final
cdef class Row:
    """The jobs of one address."""

    cdef object address, jobs


@cython.final
cdef class Rows:
    """Jobs of many addresses; ``take`` gives them in turn, every other one of a known address."""

    cdef dict strange, known    # rows by address
    cdef object strange_turns, known_turns
    cdef bint is_known_next

    def __cinit__(self):
        self.strange = {}
        self.known = {}
        self.strange_turns = deque()
        self.known_turns = deque()
        self.is_known_next = True

    cdef bint is_empty(self):
        return not self.strange and not self.known

    cdef int add(self, Job job) except -1:
        cdef dict rows = self.known if job.is_known else self.strange
        cdef Row row = <Row>rows.get(job.address)

        if row is None:
            row = rows[job.address] = Row.__new__(Row)
            row.address = job.address
            row.jobs = deque()
            (self.known_turns if job.is_known else self.strange_turns).append(row)
        row.jobs.append(job)
        return 0

    cdef Job take(self):
        """Return the next job; there must be one."""
        cdef bint is_known = self.is_known_next
        cdef object turns
        cdef Row row
        cdef Job job

        if not (self.known if is_known else self.strange):
            is_known = not is_known
        self.is_known_next = not is_known
        turns = self.known_turns if is_known else self.strange_turns
        row = turns.popleft()
        job = row.jobs.popleft()
        if row.jobs:
            turns.append(row)
        else:
            del (self.known if is_known else self.strange)[row.address]
        return job


cdef class KeyQueue:
    """See ``registrar.wire.key_queue.KeyQueue``."""

    cdef:
        Py_ssize_t per_address, total, threads, busy_threads
        Py_ssize_t waiting_known, waiting_strange
        bint has_arrivals
        double turn_s
        Rows short, long
        object known            # addresses let in before, the one longest not heard of first
        dict counts
        object pool, drain_handle, drain_turn, rest_turn

    def __cinit__(
        self, *, Py_ssize_t per_address=16, Py_ssize_t total=1_024, double turn_s=0.0005,
        Py_ssize_t threads=2
    ):
        load_connection()
        if not 0 < per_address <= MAX_PER_ADDRESS or not 0 < total <= MAX_TOTAL:
            raise Misuse(f"limits of {per_address} and {total} jobs")
        if not 0 < threads <= MAX_THREADS:
            raise Misuse(f"{threads} threads; at most {MAX_THREADS}")
        self.per_address = per_address
        self.total = total
        self.turn_s = turn_s
        self.threads = threads
        self.short = Rows()
        self.long = Rows()
        self.known = OrderedDict()
        self.counts = {}
        self.drain_turn = self.drain
        self.rest_turn = self.rest

    def remember(self, address):
        self.known[address] = None
        self.known.move_to_end(address)
        if len(self.known) > MAX_KNOWN:
            self.known.popitem(last=False)

    def make_way(self):
        self.has_arrivals = True

    def submit(self, address, Py_ssize_t key_bits, work):
        cdef object loop = get_running_loop()
        cdef Job job = self.admit(address, work)

        job.future = loop.create_future()
        self.add(loop, job, key_bits)
        return job.future

    def hand_over(self, address, Py_ssize_t key_bits, work, done):
        self.give(get_running_loop(), address, key_bits, work, done)

    def close(self):
        if self.pool is not None:
            self.pool.shutdown(wait=False)
            self.pool = None

    cdef int give(
        self, object loop, object address, Py_ssize_t key_bits, object work, object done
    ) except -1:
        cdef Job job = self.admit(address, work)

        job.done = done
        return self.add(loop, job, key_bits)

    cdef Job admit(self, object address, object work):
        cdef bint is_known = address in self.known
        cdef Py_ssize_t count = self.counts.get(address, 0)
        cdef Py_ssize_t waiting = self.waiting_known if is_known else self.waiting_strange
        cdef Job job

        if count >= self.per_address or waiting >= self.total:
            raise Unavailable(
                f"{count} of {self.per_address} jobs of one address wait,"
                f" {waiting} of {self.total} in all",
                reason=Reason.BUSY, status=StatusCode.BadTcpServerTooBusy)
        self.counts[address] = count + 1
        if is_known:
            self.waiting_known += 1
        else:
            self.waiting_strange += 1
        job = Job.__new__(Job)
        job.work = work
        job.address = address
        job.is_known = is_known
        return job

    cdef int add(self, object loop, Job job, Py_ssize_t key_bits) except -1:
        if key_bits > MAX_INLINE_BITS:
            self.long.add(job)
            return self.feed_threads(loop)
        self.short.add(job)
        if self.drain_handle is None:
            self.drain_handle = loop.call_soon(self.drain_turn, loop)
        return 0

    def drain(self, loop):
        """Work for a turn; what comes meanwhile asks for none, since the handle still stands."""
        cdef double end = monotonic_s() + self.turn_s
        cdef Job job

        try:
            while not self.short.is_empty():
                job = self.short.take()
                if job.is_given_up():
                    self.count_down(job)
                    continue
                try:
                    result = job.work()
                except Exception as error:  # the job ends here; who gave it is told the error
                    self.end(loop, job, None, error)
                else:
                    self.end(loop, job, result, None)
                if monotonic_s() >= end:
                    break
        finally:
            self.drain_handle = None
            if not self.short.is_empty():
                self.drain_handle = loop.call_soon(self.rest_turn, loop, REST)

    def rest(self, loop, int turns):
        """Let the loop accept connections as long as some come, for a few turns, then go on."""
        if turns and self.has_arrivals:
            self.has_arrivals = False
            self.drain_handle = loop.call_soon(self.rest_turn, loop, turns - 1)
        else:
            self.drain(loop)

    cdef int feed_threads(self, object loop) except -1:
        cdef Job job

        while not self.long.is_empty() and self.busy_threads < self.threads:
            job = self.long.take()
            if job.is_given_up():
                self.count_down(job)
                continue
            self.busy_threads += 1
            if self.pool is None:
                self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="keys")
            try:
                running = loop.run_in_executor(self.pool, job.work)
            except Exception as error:  # no thread can be had
                self.busy_threads -= 1
                self.end(loop, job, None, error)
            else:
                running.add_done_callback(partial(self.fed, loop, job))
        return 0

    def fed(self, loop, Job job not None, running):
        """Take what a thread has done, and give it the next."""
        self.busy_threads -= 1
        error = running.exception()
        if job.is_given_up():
            self.count_down(job)
        else:
            if error is not None and not isinstance(error, Exception):
                error = Misuse(str(error))
            self.end(loop, job, None if error is not None else running.result(), error)
        self.feed_threads(loop)

    cdef int end(self, object loop, Job job, object result, object error) except -1:
        self.count_down(job)
        if job.done is not None:
            try:
                job.done(result, error)
            except Exception as failure:  # of whoever gave the job; others go on
                loop.call_exception_handler({"message": "a job's end failed", "exception": failure})
        elif error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)
        return 0

    cdef int count_down(self, Job job) except -1:
        cdef Py_ssize_t left = <Py_ssize_t>self.counts[job.address] - 1

        if job.is_known:
            self.waiting_known -= 1
        else:
            self.waiting_strange -= 1
        if left:
            self.counts[job.address] = left
        else:
            del self.counts[job.address]
        return 0


cdef double monotonic_s() noexcept:
    cdef timespec moment

    clock_gettime(CLOCK_MONOTONIC, &moment)
    return moment.tv_sec + moment.tv_nsec / 1e9
