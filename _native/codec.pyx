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
from cpython.datetime cimport (
    PyDelta_Check, import_datetime, timedelta_days, timedelta_microseconds, timedelta_new,
    timedelta_seconds)
from cpython.number cimport PyNumber_Index
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.math cimport isinf

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


include "buffer.pxi"
include "shape.pxi"
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

    def decode(self, type cls not None, bytes data not None, Py_ssize_t at, limits):
        cdef Reader reader = Reader.__new__(Reader)
        cdef object value
        reader.data = data
        reader.start = reader.at = <const uint8_t *> PyBytes_AS_STRING(data)
        reader.end = reader.start + PyBytes_GET_SIZE(data)
        reader.depth = limits.max_depth
        reader.elements = limits.max_elements
        if at < 0:
            raise Misuse(f"offset {at}")
        reader.take(at)
        try:
            if cls is VARIANTS.cls:
                value = decode_variant(self, reader)
            else:
                value = decode_structure(self, reader, self.plan_of(cls))
        except (ValueError, OverflowError) as error:
            raise DecodingError(f"malformed bytes: {error}") from error
        if reader.at != reader.end:
            raise DecodingError(f"{reader.end - reader.at} bytes behind the end of the message")
        return value

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


def make_coder(analysis):
    return Coder(analysis)


cdef class MessageCoder:
    """See ``registrar.ua.codec.MessageCoder``."""

    cdef object encode_value, decode_value, type_of, limits
    cdef dict prefixes, by_prefix

    def __init__(self, coder, *, prefixes, by_prefix, type_of, limits):
        self.encode_value = coder.encode
        self.decode_value = coder.decode
        self.prefixes = dict(prefixes)
        self.by_prefix = dict(by_prefix)
        self.type_of = type_of
        self.limits = limits

    def encode(self, message):
        cdef object cls = type(message)
        cdef object prefix = self.prefixes.get(cls)
        if prefix is None:
            raise Misuse(f"{cls.__name__} is not a message we send")
        return self.encode_value(cls, message, prefix)

    def decode(self, body, limits=None):
        cdef bytes data = body if type(body) is bytes else bytes(body)
        cdef object cls = self.by_prefix.get(data[:PREFIX_SIZE])
        cdef object at = PREFIX_SIZE
        if limits is None:
            limits = self.limits
        if cls is None:
            cls, at = self.type_of(data, limits)
        return self.decode_value(cls, data, at, limits)
