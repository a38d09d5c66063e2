# The compiled twin of ``registrar.wire.client_connection``.


cdef class ClientConnection:
    """See ``registrar.wire.client_connection.ClientConnection``."""

    cdef:
        object loop
        ClientChannel channel
        Py_ssize_t key_bits
        object limits
        KeyQueue keys
        object unfinished
        Py_ssize_t kept         # bytes of answers not yet complete
        object transport        # of asyncio, or None
        Exchanges requests
        object error
        double ends_at
        object tick             # the timer
        bint is_renewing
        bint holds              # reading, until a renewal is settled
        Py_ssize_t crumbs
        str address, url
        object received         # the OPN that is to be processed
        object connecting       # the task that waits for TCP, or None
        object late_error       # why it was cancelled, or None
        readonly object opened, closed

    def __cinit__(
        self, ClientChannel channel not None, *, str address not None, Py_ssize_t key_bits, limits,
        KeyQueue keys not None, unfinished
    ):
        self.loop = get_running_loop()
        self.channel = channel
        self.key_bits = key_bits
        self.limits = limits
        self.keys = keys
        self.unfinished = unfinished
        self.requests = Exchanges(
            channel, self.loop, patience_s=limits.request_s, most=limits.total_requests,
            most_bytes=limits.total_size, decoder=limits.decoder, failure=failure_of,
            wake=self.arm_at)
        self.ends_at = <double>self.loop.time() + <double>limits.total_s
        self.address = address
        self.opened = self.loop.create_future()
        self.closed = self.loop.create_future()

    # asyncio calls these

    def connection_made(self, made):
        self.transport = made
        self.requests.write = made.write
        self.write(self.channel.hello())

    def data_received(self, bytes data not None):
        try:
            if not self.requests.take(data):
                self.receive(data)
        except RegistrarError as error:
            self.fail(error)
        if PyBytes_GET_SIZE(data) < CRUMB_SIZE:
            self.crumbs += 1
            if self.crumbs == MAX_CRUMBS:
                self.pause(True)
                self.loop.call_later(REST_S, self.read_on)

    def eof_received(self):
        """Close our side as well."""

    def pause_writing(self):
        """Nothing: a request waits no longer than its answer may."""

    def resume_writing(self):
        """Nothing, as above."""

    def connection_lost(self, exc):
        if self.error is None:
            self.break_off(Unavailable(
                f"the peer closed the connection{f': {exc}' if exc else ''}",
                status=CONNECTION_CLOSED))
        if not self.closed.done():
            self.closed.set_result(None)
        if self.kept:
            self.unfinished.keep(self.fail, 0)
        # Nothing of it waits for the collector of cycles.
        self.transport = None
        self.requests.let_go()

    # Clients call these

    @property
    def token(self):
        return self.requests.token

    @token.setter
    def token(self, token):
        self.requests.token = token

    @property
    def exchanges(self):
        return self.requests.count

    @property
    def bytes_sent(self):
        return self.requests.bytes_sent

    @property
    def bytes_received(self):
        return self.requests.bytes_received

    def exchange(self, request, expected, patience_s=None, again=None):
        if self.error is not None:
            raise self.error
        return self.requests.ask(request, expected, patience_s, again)

    def call(self, object_id, method_id, arguments):
        try:
            if self.error is not None:
                raise self.error
            return self.requests.call(object_id, method_id, arguments)
        except RegistrarError as error:  # told when it is awaited, as all others are
            failed = self.loop.create_future()
            failed.set_exception(error)
            return failed

    def hurry(self, task, str url not None):
        self.connecting = task
        self.url = url
        self.arm(<double>self.loop.time() + <double>self.limits.connect_s)

    def late(self):
        task, self.connecting = self.connecting, None
        if self.late_error is None or task is None or task.uncancel():
            return None
        return self.late_error

    def work(self, job):
        return self.keys.submit(self.address, self.key_bits, job)

    async def close(self):
        made = self.transport
        if made is None:
            return
        if self.error is None and self.opened.done() and not made.is_closing():
            self.write(
                self.channel.close_message(now=self.loop.time(), timestamp=now_of(UTC)))
        self.break_off(ConnectionClosed)
        made.close()
        if not self.closed.done():
            patience = self.loop.call_later(self.limits.close_s, made.abort)
            await self.closed
            patience.cancel()

    def fail(self, error):
        self.break_off(error)
        if self.transport is not None:
            self.transport.abort()

    # Events

    cdef int receive(self, bytes data) except -1:
        cdef Py_ssize_t size

        try:
            for event in self.channel.receive(data, self.loop.time()):
                if self.error is not None:  # the event before ended the connection
                    return 0
                self.handle(event)
            size = self.channel.buffered() + self.channel.parts_size
            if size != self.kept:
                self.kept = size
                self.unfinished.keep(self.fail, size)
        except RegistrarError as error:
            self.fail(error)
        return 0

    cdef int handle(self, object event) except -1:
        cdef object kind = type(event)

        if kind is MessageReceived:
            self.requests.settle(event.request_id, event.body)
        elif kind is OpenReceived:
            self.on_open(event)
        elif kind is Acknowledged:
            self.open()
        elif kind is MessageAborted:
            asked = self.requests.waiting.pop(event.request_id)
            if not asked[0].done():
                asked[0].set_exception(failure_of(event.status, service_of(asked[1])))
        elif kind is ErrorReceived:
            self.fail(failure_of(event.status, "the connection"))
        return 0

    cdef int open(self) except -1:
        """Ask for a channel, or for a new token of it."""
        cdef Py_ssize_t key_bits = self.bits()

        try:
            if key_bits:
                self.keys.give(
                    self.loop, self.address, key_bits, self.make_request, self.request_made)
            else:
                self.write(self.make_request())
        except RegistrarError as error:
            self.fail(error)
        return 0

    def make_request(self):
        """Return the OPN to send; private-key work."""
        return self.channel.open_request(
            nonce=urandom(self.channel.policy_.nonce_size),
            requested_lifetime_s=self.limits.token_lifetime_s, now=self.loop.time(),
            timestamp=now_of(UTC))

    def request_made(self, data, error):
        """Send what ``make_request`` returned."""
        if self.error is not None:
            return
        try:
            if error is not None:
                raise error
            self.write(data)
        except Exception as failure:  # a job ends here
            self.fail_opening(failure)

    cdef int on_open(self, object event) except -1:
        if self.is_renewing:    # what comes before the first OPN is settled was not asked for
            self.holds = True
            self.pause(True)
        self.received = event
        try:
            if self.key_bits:
                self.keys.give(
                    self.loop, self.address, self.bits(), self.process_open, self.processed)
            else:
                self.process_open()
                self.on_opened()
        except RegistrarError as error:
            self.fail(error)
        return 0

    def process_open(self):
        """Take the OPN that came; private-key work."""
        event, self.received = self.received, None
        return self.channel.process_open(event)

    def processed(self, _, error):
        """Go on after ``process_open``."""
        if self.error is not None:
            return
        try:
            if error is not None:
                raise error
            self.on_opened()
        except Exception as failure:  # a job ends here
            self.fail_opening(failure)

    cdef int fail_opening(self, object error) except -1:
        if isinstance(error, RegistrarError):
            self.fail(error)
        else:
            self.fail(Unavailable(f"opening failed: {type(error).__name__}"))
        return 0

    cdef int on_opened(self) except -1:
        cdef double at, renew_at

        if self.is_renewing:
            self.is_renewing = self.holds = False
            self.pause(False)
        if not self.opened.done():
            self.opened.set_result(None)
            self.connecting = None
        # No later than the first request can end, so that a request does not move the timer; and a
        # timer that ends earlier than need be is cheaper than another.
        renew_at = self.ends_at if self.channel.renew_at is None else self.channel.renew_at
        at = <double>self.loop.time() + <double>self.limits.request_s
        at = min(self.ends_at, renew_at, at)
        if self.tick is None or at < self.requests.wakes_at:
            self.arm(at)
        if self.channel.came:
            self.receive(b"")
        return 0

    # Parts

    cdef Py_ssize_t bits(self) noexcept:
        """Return the length of our key, or one that is worked on on the loop for a renewal."""
        # A request would overtake an OPN that a thread signs, and its number, or be told that a
        # channel is closed instead of why a thread closed it.
        return min(self.key_bits, MAX_INLINE_BITS) if self.is_renewing else self.key_bits

    cdef int pause(self, bint pause) except -1:
        made = self.transport
        if made is None or made.is_closing():
            return 0
        if pause:
            made.pause_reading()
        else:
            made.resume_reading()
        return 0

    def read_on(self):
        """Read again after the rest."""
        self.crumbs = 0
        if not self.holds:
            self.pause(False)

    cdef int write(self, bytes data) except -1:
        self.requests.bytes_sent += PyBytes_GET_SIZE(data)
        self.requests.write(data)
        return 0

    cdef int break_off(self, object error) except -1:
        """Let everything that waits, and every later request, raise ``error``."""
        if self.error is None:
            self.error = error
        if self.tick is not None:
            self.tick.cancel()
            self.tick = None
        for asked in self.requests.waiting.values():
            if not asked[0].done():
                asked[0].set_exception(self.error)
        self.requests.waiting.clear()
        if not self.opened.done():
            self.opened.set_exception(self.error)
            # Whoever was to wait for it may have been cancelled; asyncio would complain.
            self.opened.exception()
        return 0

    # Time

    def arm_at(self, double at):
        """Look at the clock at ``at`` instead of later."""
        self.arm(at)

    cdef int arm(self, double at) except -1:
        if self.tick is not None:
            self.tick.cancel()
        self.requests.wakes_at = at
        self.tick = self.loop.call_at(at, self.look)
        return 0

    def look(self):
        """Fail what is late, and renew the token where it is time."""
        cdef double now = self.loop.time()
        cdef double following = self.ends_at
        cdef object expires_at = self.channel.expires_at

        self.tick = None
        if not self.opened.done():
            self.give_up()
            return
        if now >= self.ends_at:
            self.fail(TimedOut(f"the connection lasted longer than {self.limits.total_s} s"))
            return
        if expires_at is not None and now >= <double>expires_at:
            self.fail(TimedOut("the token of the channel was not renewed in time"))
            return
        for future, expected, deadline, _, _, _ in self.requests.waiting.values():
            if future.done():
                continue
            if <double>deadline > now:
                following = min(following, <double>deadline)
            else:
                future.set_exception(TimedOut(f"no answer to {service_of(expected)} in time"))
        following = min(following, self.renew(now))
        if self.error is None:
            self.arm(following)

    cdef int give_up(self) except -1:
        late = TimedOut(f"no channel within {self.limits.connect_s} s", subject=self.url)
        if self.transport is None and self.connecting is not None:
            self.late_error = late
            self.connecting.cancel()
        self.fail(late)
        return 0

    cdef double renew(self, double now) except? -1:
        """Renew the token where it is time; return when to look again."""
        cdef object renew_at = self.channel.renew_at
        cdef object expires_at = self.channel.expires_at

        if renew_at is None or expires_at is None:
            return self.ends_at
        if now < <double>renew_at:
            return renew_at
        if not self.is_renewing:
            self.is_renewing = True
            self.open()
        return expires_at
