# How instances are made and filled without their constructors, and read without their descriptors.

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

cdef extern from "Python.h":
    object PyType_GenericNew(PyTypeObject *cls, PyObject *args, PyObject *kwargs)
    bint PyObject_TypeCheck(object value, PyTypeObject *cls)

cdef extern from "structmember.h":
    int T_OBJECT_EX
    ctypedef struct PyMemberDef:
        int type
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef *d_member
    PyTypeObject PyMemberDescr_Type


@cython.final
cdef class Shape:
    """A class, and where its instances keep their fields."""

    cdef:
        type cls
        tuple names
        bint slotted            # nothing but slots, and no ``__new__`` of its own
        Py_ssize_t *offsets     # of slots in an instance, 0 where a field is none

    def __cinit__(self, type cls not None, *names):
        cdef Py_ssize_t i
        self.cls = cls
        self.names = names
        self.slotted = not cls.__dictoffset__ and cls.__new__ is object.__new__
        self.offsets = <Py_ssize_t *> PyMem_Malloc((len(names) + 1) * sizeof(Py_ssize_t))
        if self.offsets is NULL:
            raise MemoryError
        for i in range(len(names)):
            self.offsets[i] = slot_of(cls, names[i])
            self.slotted = self.slotted and self.offsets[i] != 0

    def __dealloc__(self):
        PyMem_Free(self.offsets)

    cdef object new(self):
        """Return an instance without any field."""
        if self.slotted:
            return PyType_GenericNew(<PyTypeObject *> self.cls, NULL, NULL)
        return self.cls.__new__(self.cls)

    cdef int set(self, object instance, Py_ssize_t i, object value) except -1:
        """Fill field ``i`` of what ``new`` returned."""
        cdef PyObject **slot
        cdef PyObject *before
        if not self.offsets[i]:
            setattr(instance, self.names[i], value)
            return 0
        slot = <PyObject **> (<char *> <PyObject *> instance + self.offsets[i])
        before = slot[0]
        Py_INCREF(value)
        slot[0] = <PyObject *> value
        Py_XDECREF(before)
        return 0

    cdef object get(self, object instance, Py_ssize_t i):
        """Return field ``i`` of an instance, or the attribute of that name of anything else."""
        cdef PyObject *value
        if self.offsets[i] and PyObject_TypeCheck(instance, <PyTypeObject *> self.cls):
            value = (<PyObject **> (<char *> <PyObject *> instance + self.offsets[i]))[0]
            if value is not NULL:
                return <object> value
        return getattr(instance, self.names[i])


cdef object made(Shape shape, tuple values):
    """Return an instance with all its fields, in their order, and without any check."""
    cdef object instance = shape.new()
    cdef Py_ssize_t i

    for i in range(len(values)):
        shape.set(instance, i, values[i])
    return instance


cdef Py_ssize_t slot_of(type cls, str name):
    cdef object member = getattr(cls, name, None)
    cdef PyMemberDef *definition
    if not PyObject_TypeCheck(member, &PyMemberDescr_Type):
        return 0
    if not issubclass(cls, member.__objclass__):
        return 0
    definition = (<PyMemberDescrObject *> member).d_member
    return definition.offset if definition.type == T_OBJECT_EX else 0
