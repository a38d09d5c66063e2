# cython: language_level=3, cdivision=True
"""The compiled twin of ``registrar.ua.codec``: a walk over plans, one call per message.

A class is turned once into a plan, from the analysis its twin is made from. ``Reader.take`` is
the only way to a peer's bytes; it refuses what leaves them. Every cycle through which values can
hold each other is counted, because a compiled recursion overflows the stack instead of raising.
"""

from datetime import UTC, datetime
from itertools import chain
from uuid import UUID

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport timedelta_new
from cpython.number cimport PyNumber_Index
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.math cimport isinf
from libc.string cimport memcmp

from registrar.errors import DecodingError, Misuse

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


@cython.final
cdef class Step:
    """One field of a structure, and how its values are handled."""

    cdef:
        str name
        bint is_list
        bint is_tuple
        bint recursive
        int built_in            # number of the type, where there is no plan
        Py_ssize_t minimum      # bytes of one value
        dict members            # of an enumeration by value, or None
        Plan plan               # of a structure, or None


@cython.final
cdef class Plan:
    """The fields of a structure in the order of the wire."""

    cdef:
        Shape shape
        tuple steps
        bint frozen
        object type_id          # of a message, or None


cdef enum:
    PREFIX_SIZE = 4             # of a type as a NodeId of four bytes
    USUAL_HEADER = 24           # bytes of a ResponseHeader that says nothing unusual
    USUAL_CALL = 44             # of a CallResponse up to the output arguments of its one result


include "buffer.pxi"
include "shape.pxi"
include "time.pxi"
include "codec_types.pxi"
include "codec_decode.pxi"
include "codec_encode.pxi"


@cython.final
cdef class Coder:
    """Encodes and decodes whole values, and keeps the plans of their classes."""

    cdef:
        object analysis
        dict plans              # by class
        dict plans_by_encoding  # by identifier in namespace 0; None where there can be no plan
        dict prefixes           # type and encoding byte of an ExtensionObject, by class

    def __init__(self, analysis):
        self.analysis = analysis
        self.plans = {}
        self.plans_by_encoding = {}
        self.prefixes = {}

    def encode(self, type cls not None, value, bytes prefix not None):
        cdef Writer writer = Writer.__new__(Writer)
        writer.depth = MAX_ENCODED_LEVELS
        put(writer, PyBytes_AS_STRING(prefix), PyBytes_GET_SIZE(prefix))
        try:
            if cls is VARIANTS.cls:
                encode_variant(self, writer, value)
            else:
                encode_structure(self, writer, self.plan_of(cls), value)
        except (TypeError, AttributeError, ValueError, LookupError, OverflowError) as error:
            raise Misuse(f"{type(value).__name__} cannot be encoded: {error}") from error
        return PyBytes_FromStringAndSize(<const char *> writer.data, writer.size)

    def decode(
        self, type cls not None, bytes data not None, Py_ssize_t at, limits, list again=None
    ):
        cdef Reader reader = reader_of(self, data, at, limits, again)
        cdef object value

        try:
            if cls is VARIANTS.cls:
                value = decode_variant(self, reader)
            else:
                value = decode_structure(self, reader, self.plan_of(cls))
        except (ValueError, OverflowError) as error:
            raise DecodingError(f"malformed bytes: {error}") from error
        expect_end(reader)
        return value

    def decode_response(
        self, type cls not None, bytes data not None, Py_ssize_t at, limits, list again=None
    ):
        """Decode a response, whose ResponseHeader is read without an object where it is usual."""
        cdef Reader reader = reader_of(self, data, at, limits, again)
        cdef Plan plan = self.plan_of(cls)
        cdef object response = plan.shape.new()
        cdef object handle, status
        cdef Py_ssize_t i

        try:
            if reader.end - reader.at >= USUAL_HEADER and is_usual_header(reader.at):
                reader.take(8)
                handle = get_uint32(reader)
                status = get_uint32(reader)
                reader.take(USUAL_HEADER - 16)
            else:
                header = decode_step(self, reader, <Step> plan.steps[0])
                handle, status = header.RequestHandle, header.ServiceResult.value
            plan.shape.set(response, 0, None)
            for i in range(1, len(plan.steps)):
                plan.shape.set(response, i, decode_step(self, reader, <Step> plan.steps[i]))
        except (ValueError, OverflowError) as error:
            raise DecodingError(f"malformed bytes: {error}") from error
        plan.shape.set(response, len(plan.steps), plan.type_id)
        expect_end(reader)
        return handle, status, response

    def encode_headed(
        self, type cls not None, message, str header not None, tuple head not None,
        bytes prefix not None
    ):
        """Return ``message`` with ``head`` for its ``header``; else as ``encode``."""
        cdef Writer writer = Writer.__new__(Writer)
        cdef Plan plan = self.plan_of(cls)
        cdef Py_ssize_t i

        if not plan.steps or (<Step> plan.steps[0]).name != header:
            raise Misuse(f"a {cls.__name__} has no {header}")
        writer.depth = MAX_ENCODED_LEVELS
        put(writer, PyBytes_AS_STRING(prefix), PyBytes_GET_SIZE(prefix))
        try:
            if header == "RequestHeader":
                encode_head(writer, head)
            else:
                encode_response_head(writer, head)
            for i in range(1, len(plan.steps)):
                encode_step(self, writer, <Step> plan.steps[i], plan.shape.get(message, i))
        except (TypeError, AttributeError, ValueError, LookupError, OverflowError) as error:
            raise Misuse(f"{type(message).__name__} cannot be encoded: {error}") from error
        return PyBytes_FromStringAndSize(<const char *> writer.data, writer.size)

    def encode_call(
        self, tuple head not None, object_id, method_id, arguments, bytes prefix not None
    ):
        """Return a CallRequest of one Method without an object for it; else as ``encode``."""
        cdef Writer writer = Writer.__new__(Writer)
        writer.depth = MAX_ENCODED_LEVELS
        put(writer, PyBytes_AS_STRING(prefix), PyBytes_GET_SIZE(prefix))
        try:
            encode_head(writer, head)
            put_int32(writer, 1)
            encode_node_id(writer, object_id, 0)
            encode_node_id(writer, method_id, 0)
            put_int32(writer, length_of(len(arguments)))
            for argument in arguments:
                encode_variant(self, writer, argument)
        except (TypeError, AttributeError, ValueError, LookupError, OverflowError) as error:
            raise Misuse(f"a Call cannot be encoded: {error}") from error
        return PyBytes_FromStringAndSize(<const char *> writer.data, writer.size)

    def decode_call(self, bytes data not None, limits):
        """Decode a CallResponse with one result and nothing unusual, else return None.

        Returns:
            RequestHandle, ServiceResult, StatusCode of the Method, output arguments.
        """
        cdef Reader reader
        cdef const uint8_t *head = <const uint8_t *> PyBytes_AS_STRING(data)
        cdef Py_ssize_t count, i
        cdef uint32_t numbers[3]
        cdef list outputs = []

        if PyBytes_GET_SIZE(data) < USUAL_CALL + 8 or not is_usual_call(head):
            return None
        memcpy(&numbers[0], head + 12, 8)
        memcpy(&numbers[2], head + 32, 4)
        reader = Reader.__new__(Reader)
        reader.data = data
        reader.start = head
        reader.at = head + USUAL_CALL
        reader.end = head + PyBytes_GET_SIZE(data)
        reader.depth = limits.max_depth
        reader.elements = limits.max_elements - 1
        try:
            count = decode_count(reader, 1)
            for i in range(count):
                outputs.append(decode_variant(self, reader))
        except (ValueError, OverflowError) as error:
            raise DecodingError(f"malformed bytes: {error}") from error
        if reader.end - reader.at != 4 or not -1 <= get_int32(reader) <= 0:
            return None
        return numbers[0], numbers[1], numbers[2], outputs

    def make(self, type cls not None, *values):
        """Return a structure of all its fields, without its constructor."""
        cdef Plan plan = self.plan_of(cls)
        cdef Py_ssize_t count = len(plan.steps)
        cdef Py_ssize_t i
        cdef object structure

        if len(values) != count:
            raise Misuse(f"{len(values)} values for the {count} fields of a {cls.__name__}")
        structure = plan.shape.new()
        for i in range(count):
            plan.shape.set(structure, i, values[i])
        if plan.type_id is not None:
            plan.shape.set(structure, count, plan.type_id)
        return structure

    def same(self, type cls not None, first, second):
        """Tell whether two lists hold equal instances of ``cls``, field by field."""
        cdef Plan plan = self.plan_of(cls)
        cdef list one = first
        cdef list other = second
        cdef Py_ssize_t i

        if len(one) != len(other):
            return False
        for i in range(len(one)):
            if not same_structures(plan, one[i], other[i], MAX_ENCODED_LEVELS):
                return False
        return True

    cdef Plan plan_of(self, object cls):
        cdef object plan = self.plans.get(cls)
        cdef dict plans
        if plan is None:
            # Kept only once all is well: a class may be refused after others refer to it.
            plans = self.plans.copy()
            plan = self.make_plan(cls, plans)
            self.plans = plans
        return <Plan> plan

    cdef Plan make_plan(self, object cls, dict plans):
        cdef Plan plan = plans.get(cls)
        if plan is not None:
            return plan
        plan = plans[cls] = Plan.__new__(Plan)
        plan.frozen = self.analysis.is_frozen(cls)
        plan.type_id = self.analysis.type_id_of(cls)
        fields = self.analysis.fields_of(cls)
        names = [field.name for field in fields]
        plan.shape = Shape(cls, *names, *(() if plan.type_id is None else ("TypeId",)))
        plan.steps = tuple([self.make_step(cls, field, plans) for field in fields])
        return plan

    cdef Step make_step(self, object owner, object field, dict plans):
        cdef Step step = Step.__new__(Step)
        kind = self.analysis.kind_of(field.cls, owner)
        step.name = field.name
        step.is_list = field.sequence == "list"
        step.is_tuple = field.sequence == "tuple"
        step.recursive = kind.recursive
        step.built_in = kind.built_in
        step.minimum = kind.minimum
        step.members = None if kind.members is None else dict(kind.members)
        if kind.structure is not None:
            step.plan = self.make_plan(kind.structure, plans)
        return step

    cdef Plan plan_of_encoding(self, object type_id):
        """Return the plan of the structure with this encoding id, or None."""
        identifier = NODE_IDS.get(type_id, IDENTIFIER)
        if NODE_IDS.get(type_id, NAMESPACE) != 0:
            return None
        if identifier in self.plans_by_encoding:
            return self.plans_by_encoding[identifier]
        cls = self.analysis.known_encodings().get(identifier)
        if cls is None:
            return None
        try:
            plan = self.plan_of(cls)
        except self.analysis.UnsupportedStructure:
            plan = None
        self.plans_by_encoding[identifier] = plan
        return plan

    cdef bytes prefix_of(self, object cls):
        cdef Writer writer
        cdef object prefix = self.prefixes.get(cls)
        if prefix is None:
            writer = Writer.__new__(Writer)
            encode_node_id(writer, self.analysis.encoding_of(cls), 0)
            put_byte(writer, 1)
            prefix = PyBytes_FromStringAndSize(<const char *> writer.data, writer.size)
            self.prefixes[cls] = prefix
        return prefix


cdef Reader reader_of(Coder coder, bytes data, Py_ssize_t at, object limits, list again):
    """Return what reads ``data`` from offset ``at`` on."""
    cdef Reader reader = Reader.__new__(Reader)

    reader.data = data
    reader.start = reader.at = <const uint8_t *> PyBytes_AS_STRING(data)
    reader.end = reader.start + PyBytes_GET_SIZE(data)
    reader.depth = limits.max_depth
    reader.elements = limits.max_elements
    if again:
        expect_again(coder, reader, again)
    if at < 0:
        raise Misuse(f"offset {at}")
    reader.take(at)
    return reader


cdef int expect_end(Reader reader) except -1:
    if reader.at != reader.end:
        raise DecodingError(f"{reader.end - reader.at} bytes behind the end of the message")
    return 0


cdef int expect_again(Coder coder, Reader reader, list again) except -1:
    """Let ``reader`` know a list of structures by its encoding, where it has one."""
    cdef Writer writer = Writer.__new__(Writer)
    cdef object cls = type(again[0])
    cdef Plan plan = <Plan> coder.plans.get(cls)

    if plan is None:            # nothing was decoded that could come again
        return 0
    writer.depth = MAX_ENCODED_LEVELS
    try:
        put_int32(writer, length_of(len(again)))
        for value in again:
            if type(value) is not cls:
                return 0
            encode_structure(coder, writer, plan, value)
    except (Misuse, TypeError, AttributeError, ValueError, LookupError, OverflowError):
        return 0                # what a peer says need not be what we could say
    reader.again = again
    reader.again_encoded = PyBytes_FromStringAndSize(<const char *> writer.data, writer.size)
    reader.again_elements = len(again)
    for value in again:
        reader.again_elements += elements_in(plan, value)
    return 0


cdef Py_ssize_t elements_in(Plan plan, object value) except -1:
    """Return how many elements the arrays in a structure have together."""
    cdef Py_ssize_t i, count = 0
    cdef Step step
    cdef object held

    for i in range(len(plan.steps)):
        step = <Step> plan.steps[i]
        held = plan.shape.get(value, i)
        if held is None:
            continue
        if step.is_list or step.is_tuple:
            count += len(held)
            if step.plan is not None:
                for element in held:
                    count += elements_in(step.plan, element)
        elif step.plan is not None:
            count += elements_in(step.plan, held)
    return count


cdef bint came_again(Reader reader, Step step) except -1:
    """Step over a list that is, byte by byte, the one that may come again."""
    cdef Py_ssize_t size

    if reader.again is None or step.plan is None or type(reader.again[0]) is not step.plan.shape.cls:
        return False
    size = PyBytes_GET_SIZE(reader.again_encoded)
    if reader.end - reader.at < size:
        return False
    if memcmp(reader.at, PyBytes_AS_STRING(reader.again_encoded), size) != 0:
        return False
    reader.charge(reader.again_elements)
    reader.take(size)
    return True


cdef bint same_structures(Plan plan, object one, object other, int depth) except -1:
    """Tell whether two instances of a plan hold the same; where in doubt, as ``==`` has it."""
    cdef Py_ssize_t i, at
    cdef Step step
    cdef object first, second

    if one is other:
        return True
    if depth == 0 or type(one) is not plan.shape.cls or type(other) is not plan.shape.cls:
        return one == other
    for i in range(len(plan.steps)):
        step = <Step> plan.steps[i]
        first, second = plan.shape.get(one, i), plan.shape.get(other, i)
        if step.plan is None or not first or not second:
            if first != second:
                return False
        elif not step.is_list:
            if not same_structures(step.plan, first, second, depth - 1):
                return False
        elif type(first) is not list or type(second) is not list:
            if first != second:
                return False
        else:
            if len(first) != len(second):
                return False
            for at in range(len(first)):
                if not same_structures(step.plan, first[at], second[at], depth - 1):
                    return False
    return True


def make_coder(analysis):
    return Coder(analysis)


cdef class MessageCoder:
    """See ``registrar.ua.codec.MessageCoder``."""

    cdef object encode_value, decode_value, encode_headed, decode_one_response
    cdef object encode_one_call, decode_one_call, type_of, limits
    cdef dict prefixes, by_prefix

    def __init__(self, coder, *, prefixes, by_prefix, type_of, limits):
        self.encode_value = coder.encode
        self.decode_value = coder.decode
        self.encode_headed = coder.encode_headed
        self.decode_one_response = coder.decode_response
        self.encode_one_call = coder.encode_call
        self.decode_one_call = coder.decode_call
        self.prefixes = dict(prefixes)
        self.by_prefix = dict(by_prefix)
        self.type_of = type_of
        self.limits = limits

    cdef object prefix_of(self, object cls):
        cdef object prefix = self.prefixes.get(cls)
        if prefix is None:
            raise Misuse(f"{cls.__name__} is not a message we send")
        return prefix

    def encode(self, message):
        cdef object cls = type(message)
        return self.encode_value(cls, message, self.prefix_of(cls))

    def encode_request(self, request, head):
        cdef object cls = type(request)
        return self.encode_headed(cls, request, "RequestHeader", head, self.prefix_of(cls))

    def encode_response(self, response, head):
        cdef object cls = type(response)
        return self.encode_headed(cls, response, "ResponseHeader", head, self.prefix_of(cls))

    def decode(self, body, limits=None, again=None):
        cdef bytes data = body if type(body) is bytes else bytes(body)
        cdef object cls = self.by_prefix.get(data[:PREFIX_SIZE])
        cdef object at = PREFIX_SIZE
        if limits is None:
            limits = self.limits
        if cls is None:
            cls, at = self.type_of(data, limits)
        return self.decode_value(cls, data, at, limits, again)

    def decode_response(self, bytes body not None, limits, again=None):
        cdef object cls = self.by_prefix.get(body[:PREFIX_SIZE])
        cdef object at = PREFIX_SIZE
        if cls is None:
            cls, at = self.type_of(body, limits)
        if not hasattr(cls, "ResponseHeader"):
            return None, 0, self.decode_value(cls, body, at, limits, again)
        return self.decode_one_response(cls, body, at, limits, again)

    def encode_call(self, head, object_id, method_id, arguments):
        return self.encode_one_call(
            head, object_id, method_id, arguments, self.prefixes[CALL_REQUESTS])

    def decode_call(self, bytes body not None, limits):
        if self.by_prefix.get(body[:PREFIX_SIZE]) is not CALL_RESPONSES:
            return None
        return self.decode_one_call(body, limits)
