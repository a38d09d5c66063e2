# Built-in types and structures to bytes. What a field cannot hold raises as Python would.

cdef int encode_byte_string(Writer writer, object value) except -1:
    if value is None:
        return put_int32(writer, -1)
    if not isinstance(value, bytes):
        if not isinstance(value, (bytearray, memoryview)):
            raise TypeError(f"a ByteString cannot be a {type(value).__name__}")
        value = bytes(value)
    put_int32(writer, length_of(len(<bytes> value)))
    return put(writer, <const char *> <bytes> value, len(<bytes> value))


cdef int encode_string(Writer writer, object value) except -1:
    cdef const char *text
    cdef Py_ssize_t length
    if value is None:
        return put_int32(writer, -1)
    if not isinstance(value, str):
        raise TypeError(f"a String cannot be a {type(value).__name__}")
    text = PyUnicode_AsUTF8AndSize(value, &length)
    put_int32(writer, length_of(length))
    return put(writer, text, length)


cdef int encode_datetime(Writer writer, object value) except -1:
    cdef int64_t ticks = 0 if value is None else ticks_of(value)
    return put(writer, &ticks, 8)


cdef int encode_guid(Writer writer, object value) except -1:
    cdef bytes guid = value.bytes_le
    if len(guid) != 16:
        raise ValueError(f"a Guid of {len(guid)} bytes")
    return put(writer, <const char *> guid, 16)


cdef int encode_status(Writer writer, object value) except -1:
    if value is None:
        value = 0
    elif not isinstance(value, int):
        value = STATUS_CODES.get(value, 0)
    return encode_number(writer, UINT32, value)


cdef int encode_xml_element(Writer writer, object value) except -1:
    if isinstance(value, XML_ELEMENTS.cls):
        value = XML_ELEMENTS.get(value, 0)
    return encode_string(writer, value)


cdef int encode_qualified_name(Writer writer, object value) except -1:
    if value is None:
        encode_number(writer, UINT16, 0)
        return put_int32(writer, -1)
    encode_number(writer, UINT16, QUALIFIED_NAMES.get(value, 0))
    return encode_string(writer, QUALIFIED_NAMES.get(value, 1))


cdef int encode_localized_text(Writer writer, object value) except -1:
    cdef object locale, text
    if value is None:
        return put_byte(writer, 0)
    locale = LOCALIZED_TEXTS.get(value, 0)
    text = LOCALIZED_TEXTS.get(value, 1)
    put_byte(writer, (locale is not None) | (text is not None) << 1)
    if locale is not None:
        encode_string(writer, locale)
    if text is not None:
        encode_string(writer, text)
    return 0


cdef int encode_expanded_node_id(Writer writer, object value) except -1:
    cdef object uri, index
    if not isinstance(value, EXPANDED_NODE_IDS.cls):
        return encode_node_id(writer, value, 0)
    uri = EXPANDED_NODE_IDS.get(value, NAMESPACE_URI)
    index = EXPANDED_NODE_IDS.get(value, SERVER_INDEX)
    encode_node_id(writer, value, (0 if uri is None else 0x80) | (0x40 if index else 0))
    if uri is not None:
        encode_string(writer, uri)
    if index:
        encode_number(writer, UINT32, index)
    return 0


cdef int encode_node_id(Writer writer, object value, int flags) except -1:
    cdef object identifier
    cdef long encoding
    if value is None:
        encode_number(writer, UINT16, 0)
        return 0
    encoding = NODE_IDS.get(value, ID_TYPE)
    identifier = NODE_IDS.get(value, IDENTIFIER)
    if encoding < 0 or encoding > 5:
        raise ValueError(f"a NodeId of type {encoding}")
    put_byte(writer, <uint8_t> encoding | flags)
    if encoding == 0:
        return encode_number(writer, BYTE, identifier)
    if encoding == 1:
        encode_number(writer, BYTE, NODE_IDS.get(value, NAMESPACE))
        return encode_number(writer, UINT16, identifier)
    encode_number(writer, UINT16, NODE_IDS.get(value, NAMESPACE))
    if encoding == 2:
        return encode_number(writer, UINT32, identifier)
    if encoding == 3:
        return encode_string(writer, identifier)
    if encoding == 4:
        return encode_guid(writer, identifier)
    return encode_byte_string(writer, identifier)


cdef int encode_diagnostic_info(Writer writer, object value) except -1:
    cdef Py_ssize_t position = writer.size
    cdef object part
    cdef int i, mask = 0
    put_byte(writer, 0)
    if value is None:
        return 0
    for i in range(4):
        part = DIAGNOSTIC_INFOS.get(value, i)
        if part is not None:
            mask |= INDEX_BITS[i]
            encode_number(writer, INT32, part)
    part = DIAGNOSTIC_INFOS.get(value, 4)
    if part is not None:
        mask |= 0x10
        encode_string(writer, part)
    part = DIAGNOSTIC_INFOS.get(value, 5)
    if part is not None:
        mask |= 0x20
        encode_status(writer, part)
    part = DIAGNOSTIC_INFOS.get(value, 6)
    if part is not None:
        mask |= 0x40
        writer.descend()
        encode_diagnostic_info(writer, part)
        writer.depth += 1
    writer.data[position] = mask
    return 0


cdef int encode_extension_object(Coder coder, Writer writer, object value) except -1:
    cdef:
        object body
        bytes prefix
        Py_ssize_t position
        int32_t length
        Plan plan
    if value is None:
        put_byte(writer, 0)
        return encode_number(writer, UINT16, 0)
    if isinstance(value, EXTENSION_OBJECTS):
        body = value.Body
        encode_node_id(writer, value.TypeId, 0)
        put_byte(writer, body is not None)
        return 0 if body is None else encode_byte_string(writer, body)
    prefix = coder.prefix_of(type(value))
    plan = coder.plan_of(type(value))
    put(writer, <const char *> prefix, len(prefix))
    position = writer.size
    put_int32(writer, 0)
    writer.descend()
    encode_structure(coder, writer, plan, value)
    writer.depth += 1
    length = length_of(writer.size - position - 4)
    memcpy(writer.data + position, &length, 4)
    return 0


cdef int encode_variant(Coder coder, Writer writer, object value) except -1:
    cdef object content, dimensions, variant_type
    cdef int kind
    if value is None:
        return put_byte(writer, 0)
    content = VARIANTS.get(value, 0)
    variant_type = VARIANTS.get(value, 1)
    # The ``value`` of a member is a descriptor in Python.
    kind = variant_type._value_ if type(variant_type) is USUAL_VARIANT_TYPES else variant_type.value
    if kind < 0 or kind >= BUILT_IN_TYPES:
        raise ValueError(f"a Variant of built-in type {kind}")
    writer.descend()
    if VARIANTS.get(value, 3) or isinstance(content, (list, tuple)):
        dimensions = VARIANTS.get(value, 2)
        put_byte(writer, kind | HAS_ARRAY | (0 if dimensions is None else HAS_DIMENSIONS))
        encode_array(coder, writer, kind, flat(content))
        if dimensions is not None:
            encode_array(coder, writer, INT32, dimensions)
    else:
        put_byte(writer, kind)
        encode_built_in(coder, writer, kind, content)
    writer.depth += 1
    return 0


cdef object flat(object content):
    while content and isinstance(content[0], (list, tuple)):
        content = list(chain.from_iterable(content))
    return content


cdef int encode_array(Coder coder, Writer writer, int kind, object values) except -1:
    if values is None:
        return put_int32(writer, -1)
    put_int32(writer, length_of(len(values)))
    for value in values:
        encode_built_in(coder, writer, kind, value)
    return 0


cdef int encode_data_value(Coder coder, Writer writer, object value) except -1:
    cdef Py_ssize_t position = writer.size
    cdef object part
    cdef int mask = 0
    put_byte(writer, 0)
    if value is None:
        return 0
    part = DATA_VALUES.get(value, 0)
    if part is not None:
        mask |= 0x01
        encode_variant(coder, writer, part)
    part = DATA_VALUES.get(value, 1)
    if part is not None:
        mask |= 0x02
        encode_status(writer, part)
    part = DATA_VALUES.get(value, 2)
    if part is not None:
        mask |= 0x04
        encode_datetime(writer, part)
    part = DATA_VALUES.get(value, 3)
    if part is not None:
        mask |= 0x10
        encode_number(writer, UINT16, part)
    part = DATA_VALUES.get(value, 4)
    if part is not None:
        mask |= 0x08
        encode_datetime(writer, part)
    part = DATA_VALUES.get(value, 5)
    if part is not None:
        mask |= 0x20
        encode_number(writer, UINT16, part)
    writer.data[position] = mask
    return 0


cdef int encode_number(Writer writer, int kind, object value) except -1:
    cdef:
        int8_t int8
        uint8_t uint8
        int16_t int16
        uint16_t uint16
        int32_t int32
        uint32_t uint32
        int64_t int64
        uint64_t uint64
        float float32
        double float64
    if kind == BOOLEAN:
        return put_byte(writer, bool(value))
    if kind == DOUBLE:
        float64 = value
        return put(writer, &float64, 8)
    if kind == FLOAT:
        float64 = value
        float32 = <float> float64
        if isinf(float32) and not isinf(float64):
            raise OverflowError(f"{float64} is no Float")
        return put(writer, &float32, 4)
    if not isinstance(value, int):
        value = PyNumber_Index(value)
    if kind == UINT32:
        uint32 = value
        return put(writer, &uint32, 4)
    if kind == INT32:
        int32 = value
        return put(writer, &int32, 4)
    if kind == UINT16:
        uint16 = value
        return put(writer, &uint16, 2)
    if kind == BYTE:
        uint8 = value
        return put(writer, &uint8, 1)
    if kind == SBYTE:
        int8 = value
        return put(writer, &int8, 1)
    if kind == INT16:
        int16 = value
        return put(writer, &int16, 2)
    if kind == INT64:
        int64 = value
        return put(writer, &int64, 8)
    uint64 = value
    return put(writer, &uint64, 8)


cdef int encode_built_in(Coder coder, Writer writer, int kind, object value) except -1:
    if kind == 0:
        if value is not None:
            raise Misuse(f"a Variant of type Null holds a {type(value).__name__}")
        return 0
    if kind <= DOUBLE:
        return encode_number(writer, kind, value)
    if kind == STRING:
        return encode_string(writer, value)
    if kind == DATE_TIME:
        return encode_datetime(writer, value)
    if kind == GUID:
        return encode_guid(writer, value)
    if kind == XML_ELEMENT:
        return encode_xml_element(writer, value)
    if kind == NODE_ID:
        return encode_node_id(writer, value, 0)
    if kind == EXPANDED_NODE_ID:
        return encode_expanded_node_id(writer, value)
    if kind == STATUS_CODE:
        return encode_status(writer, value)
    if kind == QUALIFIED_NAME:
        return encode_qualified_name(writer, value)
    if kind == LOCALIZED_TEXT:
        return encode_localized_text(writer, value)
    if kind == EXTENSION_OBJECT:
        return encode_extension_object(coder, writer, value)
    if kind == DATA_VALUE:
        return encode_data_value(coder, writer, value)
    if kind == VARIANT:
        return encode_variant(coder, writer, value)
    if kind == DIAGNOSTIC_INFO:
        return encode_diagnostic_info(writer, value)
    return encode_byte_string(writer, value)


cdef int encode_head(Writer writer, tuple head) except -1:
    """Write a RequestHeader; see ``registrar.ua.codec.RequestHead``."""
    cdef object token, moment_us, handle, hint_ms
    cdef int64_t ticks

    token, moment_us, handle, hint_ms = head
    ticks = <int64_t> moment_us * 10
    encode_node_id(writer, token, 0)
    put(writer, &ticks, 8)
    encode_number(writer, UINT32, handle)
    put_int32(writer, 0)                    # ReturnDiagnostics
    put_int32(writer, -1)                   # AuditEntryId
    encode_number(writer, UINT32, hint_ms)
    return encode_extension_object(None, writer, None)


cdef int encode_response_head(Writer writer, tuple head) except -1:
    """Write a ResponseHeader; see ``registrar.ua.codec.ResponseHead``."""
    cdef object moment_us, handle, status
    cdef int64_t ticks

    moment_us, handle, status = head
    ticks = <int64_t> moment_us * 10
    put(writer, &ticks, 8)
    encode_number(writer, UINT32, handle)
    encode_number(writer, UINT32, status)
    encode_diagnostic_info(writer, None)
    put_int32(writer, 0)                    # StringTable
    return encode_extension_object(None, writer, None)


cdef int encode_structure(Coder coder, Writer writer, Plan plan, object value) except -1:
    cdef Py_ssize_t i
    for i in range(len(plan.steps)):
        encode_step(coder, writer, <Step> plan.steps[i], plan.shape.get(value, i))
    return 0


cdef int encode_step(Coder coder, Writer writer, Step step, object value) except -1:
    if not step.is_list and not step.is_tuple:
        return encode_one(coder, writer, step, value)
    if value is None:
        return put_int32(writer, -1)
    put_int32(writer, length_of(len(value)))
    for element in value:
        encode_one(coder, writer, step, element)
    return 0


cdef int encode_one(Coder coder, Writer writer, Step step, object value) except -1:
    if step.plan is None:
        return encode_built_in(coder, writer, step.built_in, value)
    if not step.recursive:
        return encode_structure(coder, writer, step.plan, value)
    writer.descend()
    encode_structure(coder, writer, step.plan, value)
    writer.depth += 1
    return 0
