# Built-in types and structures from bytes. A failed decode leaves its Reader to be discarded.

cdef Py_ssize_t decode_count(Reader reader, Py_ssize_t minimum) except? -1:
    """Return the length of an array, -1 for a null one; nothing has been reserved for it yet."""
    cdef Py_ssize_t count = get_int32(reader)
    if count <= 0:
        if count < -1:
            raise DecodingError(f"array of length {count}")
        return count
    if not minimum:
        raise DecodingError(f"array of {count} elements that need no bytes")
    if count * minimum > reader.end - reader.at:
        raise DecodingError(f"array of {count} elements leaves the body")
    reader.charge(count)
    return count


cdef Py_ssize_t decode_length(Reader reader) except? -1:
    """Return the length of a String that is there in full, -1 for a null one."""
    cdef Py_ssize_t length = get_int32(reader)
    if length < -1:
        raise DecodingError(f"String of length {length}")
    if length > reader.end - reader.at:
        raise DecodingError(f"String of {length} bytes leaves the body")
    return length


cdef object decode_byte_string(Reader reader):
    cdef Py_ssize_t length = decode_length(reader)
    if length < 0:
        return None
    return PyBytes_FromStringAndSize(<const char *> reader.take(length), length)


cdef object decode_string(Reader reader):
    cdef Py_ssize_t length = decode_length(reader)
    if length < 0:
        return None
    return PyUnicode_DecodeUTF8(<const char *> reader.take(length), length, NULL)


cdef object decode_datetime(Reader reader):
    cdef int64_t ticks = get_int64(reader)
    cdef int64_t seconds
    if ticks >= MAX_TICKS:
        return END_OF_TIME
    if ticks <= 0:
        return EPOCH
    seconds = ticks // 10_000_000
    return EPOCH + timedelta_new(
        <int> (seconds // 86_400), <int> (seconds % 86_400), <int> (ticks % 10_000_000 // 10))


cdef object decode_guid(Reader reader):
    return UUID(bytes_le=PyBytes_FromStringAndSize(<const char *> reader.take(16), 16))


cdef object decode_xml_element(Reader reader):
    cdef object element = XML_ELEMENTS.new()
    XML_ELEMENTS.set(element, 0, decode_string(reader))
    return element


cdef object decode_status(Reader reader):
    cdef object status = STATUS_CODES.new()
    STATUS_CODES.set(status, 0, get_uint32(reader))
    return status


cdef object decode_qualified_name(Reader reader):
    cdef object name = QUALIFIED_NAMES.new()
    QUALIFIED_NAMES.set(name, 0, get_uint16(reader))
    QUALIFIED_NAMES.set(name, 1, decode_string(reader))
    return name


cdef object decode_localized_text(Reader reader):
    cdef object text = LOCALIZED_TEXTS.new()
    cdef int mask = get_byte(reader)
    if mask > 3:
        raise DecodingError(f"LocalizedText with mask {mask:#x}")
    LOCALIZED_TEXTS.set(text, 0, decode_string(reader) if mask & 1 else None)
    LOCALIZED_TEXTS.set(text, 1, decode_string(reader) if mask & 2 else None)
    LOCALIZED_TEXTS.set(text, 2, 0)
    return text


cdef object decode_node_id(Reader reader):
    cdef object node_id = NODE_IDS.new()
    fill_node_id(reader, NODE_IDS, node_id, get_byte(reader))
    return node_id


cdef object decode_expanded_node_id(Reader reader):
    cdef object node_id = EXPANDED_NODE_IDS.new()
    cdef int encoding = get_byte(reader)
    fill_node_id(reader, EXPANDED_NODE_IDS, node_id, encoding & 0x3F)
    EXPANDED_NODE_IDS.set(
        node_id, NAMESPACE_URI, decode_string(reader) if encoding & 0x80 else None)
    EXPANDED_NODE_IDS.set(node_id, SERVER_INDEX, get_uint32(reader) if encoding & 0x40 else 0)
    return node_id


cdef int fill_node_id(Reader reader, Shape shape, object node_id, int encoding) except -1:
    cdef object identifier
    cdef int namespace = 0
    if encoding == 0:
        identifier = get_byte(reader)
    elif encoding == 1:
        namespace = get_byte(reader)
        identifier = get_uint16(reader)
    elif encoding > 5:
        raise DecodingError(f"NodeId with encoding {encoding:#x}")
    else:
        namespace = get_uint16(reader)
        if encoding == 2:
            identifier = get_uint32(reader)
        elif encoding == 3:
            identifier = decode_string(reader) or ""
        elif encoding == 4:
            identifier = decode_guid(reader)
        else:
            identifier = decode_byte_string(reader) or b""
    shape.set(node_id, IDENTIFIER, identifier)
    shape.set(node_id, NAMESPACE, namespace)
    shape.set(node_id, ID_TYPE, NODE_ID_TYPES[encoding])
    return 0


cdef object decode_diagnostic_info(Reader reader, int levels):
    cdef object info
    cdef int i, mask
    if not levels:
        raise DecodingError(f"DiagnosticInfo of more than {MAX_DIAGNOSTIC_LEVELS} levels")
    mask = get_byte(reader)
    if mask > 0x7F:
        raise DecodingError(f"DiagnosticInfo with mask {mask:#x}")
    info = DIAGNOSTIC_INFOS.new()
    for i in range(4):
        DIAGNOSTIC_INFOS.set(info, i, get_int32(reader) if mask & INDEX_BITS[i] else None)
    DIAGNOSTIC_INFOS.set(info, 4, decode_string(reader) if mask & 0x10 else None)
    DIAGNOSTIC_INFOS.set(info, 5, decode_status(reader) if mask & 0x20 else None)
    if mask & 0x40:
        reader.charge(1)
    DIAGNOSTIC_INFOS.set(
        info, 6, decode_diagnostic_info(reader, levels - 1) if mask & 0x40 else None)
    DIAGNOSTIC_INFOS.set(info, 7, 0)
    return info


cdef object decode_extension_object(Coder coder, Reader reader):
    cdef:
        object type_id, value
        object body = None
        Plan plan
        int encoding
        Py_ssize_t length
        const uint8_t *end
    if reader.skip_zeros(3):
        return NO_OBJECT
    type_id = decode_node_id(reader)
    encoding = get_byte(reader)
    if encoding > 2:
        raise DecodingError(f"ExtensionObject with encoding {encoding}")
    length = decode_length(reader) if encoding else -1
    if length >= 0:
        plan = coder.plan_of_encoding(type_id) if encoding == 1 else None
        if encoding == 2:
            reader.take(length)
        elif plan is not None:
            end = reader.end
            reader.end = reader.at + length
            reader.descend()
            value = decode_structure(coder, reader, plan)
            if reader.at != reader.end:
                raise DecodingError(f"{reader.end - reader.at} bytes behind an ExtensionObject")
            reader.depth += 1
            reader.end = end
            return value
        else:
            body = PyBytes_FromStringAndSize(<const char *> reader.take(length), length)
    if type_id.is_null():
        return NO_OBJECT
    return ua.ExtensionObject(TypeId=type_id, Body=body)


cdef object decode_variant(Coder coder, Reader reader):
    cdef:
        object value
        object dimensions = None
        object variant = VARIANTS.new()
        int encoding = get_byte(reader)
        int kind = encoding & TYPE_MASK
    if kind >= BUILT_IN_TYPES:
        raise DecodingError(f"a Variant holds built-in type {kind}")
    if encoding & HAS_ARRAY:
        reader.descend()
        value = decode_array(coder, reader, kind)
        reader.depth += 1
        if encoding & HAS_DIMENSIONS:
            dimensions = decode_dimensions(reader, value)
            if dimensions is not None:
                value = folded(value, dimensions)
    elif encoding & HAS_DIMENSIONS:
        raise DecodingError("a Variant has Dimensions and no array")
    elif kind == VARIANT:
        raise DecodingError("a Variant holds a Variant that is not an array")
    elif kind == EXTENSION_OBJECT or kind == DATA_VALUE or kind == DIAGNOSTIC_INFO:
        reader.descend()
        value = decode_built_in(coder, reader, kind)
        reader.depth += 1
    else:
        value = decode_built_in(coder, reader, kind)
    VARIANTS.set(variant, 0, value)
    VARIANTS.set(variant, 1, VARIANT_TYPES[kind])
    VARIANTS.set(variant, 2, dimensions)
    VARIANTS.set(variant, 3, (encoding & HAS_ARRAY) != 0)
    return variant


cdef object decode_array(Coder coder, Reader reader, int kind):
    cdef Py_ssize_t i, count = decode_count(reader, MINIMA[kind])
    cdef list values
    if count < 0:
        return None
    values = []
    for i in range(count):
        values.append(decode_built_in(coder, reader, kind))
    return values


cdef object decode_dimensions(Reader reader, object values):
    cdef Py_ssize_t i, count = decode_count(reader, 4)
    cdef list dimensions = []
    cdef Py_ssize_t length = len(values or ())
    cdef object product = 1
    if count <= 0:
        return None
    if count > MAX_DIMENSIONS:
        raise DecodingError(
            f"array of {count} dimensions, at most {MAX_DIMENSIONS} are allowed")
    for i in range(count):
        dimensions.append(get_int32(reader))
        product *= dimensions[i]
    if min(dimensions) < 0 or product != length:
        raise DecodingError(f"Dimensions {dimensions} of {length} elements")
    return dimensions


cdef object folded(object flat, list dimensions):
    if flat:
        for size in reversed(dimensions[1:]):
            flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return flat


cdef object decode_data_value(Coder coder, Reader reader):
    cdef object value = DATA_VALUES.new()
    cdef int mask = get_byte(reader)
    if mask > 0x3F:
        raise DecodingError(f"DataValue with mask {mask:#x}")
    DATA_VALUES.set(value, 0, decode_variant(coder, reader) if mask & 0x01 else no_value())
    DATA_VALUES.set(value, 1, decode_status(reader) if mask & 0x02 else good())
    DATA_VALUES.set(value, 2, decode_datetime(reader) if mask & 0x04 else None)
    DATA_VALUES.set(value, 3, get_uint16(reader) if mask & 0x10 else None)
    DATA_VALUES.set(value, 4, decode_datetime(reader) if mask & 0x08 else None)
    DATA_VALUES.set(value, 5, get_uint16(reader) if mask & 0x20 else None)
    DATA_VALUES.set(value, 6, 0)
    return value


cdef object no_value():
    cdef object variant = VARIANTS.new()
    VARIANTS.set(variant, 0, None)
    VARIANTS.set(variant, 1, VARIANT_TYPES[0])
    VARIANTS.set(variant, 2, None)
    VARIANTS.set(variant, 3, False)
    return variant


cdef object good():
    cdef object status = STATUS_CODES.new()
    STATUS_CODES.set(status, 0, 0)
    return status


cdef object decode_number(Reader reader, int kind):
    cdef:
        uint64_t uint64
        float float32
        double float64
    if kind == BOOLEAN:
        return get_byte(reader) != 0
    if kind == SBYTE:
        return <int8_t> get_byte(reader)
    if kind == BYTE:
        return get_byte(reader)
    if kind == INT16:
        return <int16_t> get_uint16(reader)
    if kind == UINT16:
        return get_uint16(reader)
    if kind == INT32:
        return get_int32(reader)
    if kind == UINT32:
        return get_uint32(reader)
    if kind == INT64:
        return get_int64(reader)
    if kind == UINT64:
        memcpy(&uint64, reader.take(8), 8)
        return uint64
    if kind == FLOAT:
        memcpy(&float32, reader.take(4), 4)
        return float32
    memcpy(&float64, reader.take(8), 8)
    return float64


cdef object decode_built_in(Coder coder, Reader reader, int kind):
    if kind == 0:
        return None
    if kind <= DOUBLE:
        return decode_number(reader, kind)
    if kind == STRING:
        return decode_string(reader)
    if kind == DATE_TIME:
        return decode_datetime(reader)
    if kind == GUID:
        return decode_guid(reader)
    if kind == XML_ELEMENT:
        return decode_xml_element(reader)
    if kind == NODE_ID:
        return decode_node_id(reader)
    if kind == EXPANDED_NODE_ID:
        return decode_expanded_node_id(reader)
    if kind == STATUS_CODE:
        return decode_status(reader)
    if kind == QUALIFIED_NAME:
        return decode_qualified_name(reader)
    if kind == LOCALIZED_TEXT:
        return decode_localized_text(reader)
    if kind == EXTENSION_OBJECT:
        return decode_extension_object(coder, reader)
    if kind == DATA_VALUE:
        return decode_data_value(coder, reader)
    if kind == VARIANT:
        return decode_variant(coder, reader)
    if kind == DIAGNOSTIC_INFO:
        return decode_diagnostic_info(reader, MAX_DIAGNOSTIC_LEVELS)
    return decode_byte_string(reader)


cdef object decode_structure(Coder coder, Reader reader, Plan plan):
    cdef:
        Py_ssize_t i
        Py_ssize_t count = len(plan.steps)
        object value
    if plan.frozen:
        return plan.shape.cls(
            **{(<Step> step).name: decode_step(coder, reader, <Step> step) for step in plan.steps})
    value = plan.shape.new()
    for i in range(count):
        plan.shape.set(value, i, decode_step(coder, reader, <Step> plan.steps[i]))
    if plan.type_id is not None:
        plan.shape.set(value, count, plan.type_id)
    return value


cdef object decode_step(Coder coder, Reader reader, Step step):
    cdef Py_ssize_t i
    cdef list values
    if not step.is_list and not step.is_tuple:
        return decode_one(coder, reader, step)
    if step.is_list and came_again(reader, step):
        return reader.again
    values = []
    for i in range(decode_count(reader, step.minimum)):
        values.append(decode_one(coder, reader, step))
    return tuple(values) if step.is_tuple else values


cdef object decode_one(Coder coder, Reader reader, Step step):
    cdef object value
    if step.plan is None:
        value = decode_built_in(coder, reader, step.built_in)
        return value if step.members is None else step.members.get(value, value)
    if not step.recursive:
        return decode_structure(coder, reader, step.plan)
    reader.descend()
    value = decode_structure(coder, reader, step.plan)
    reader.depth += 1
    return value


cdef bint is_usual_header(const uint8_t *header) noexcept:
    """Tell whether it has neither diagnostics nor StringTable nor AdditionalHeader."""
    cdef int32_t count

    memcpy(&count, header + 17, 4)
    return (
        not header[16] and not header[21] and not header[22] and not header[23]
        and -1 <= count <= 0)


cdef bint is_usual_call(const uint8_t *head) noexcept:
    """Tell whether a response has a usual header, and one result that says nothing of its inputs."""
    cdef int32_t counts[3]

    memcpy(&counts[0], head + PREFIX_SIZE + USUAL_HEADER, 4)
    memcpy(&counts[1], head + 36, 8)
    return (
        is_usual_header(head + PREFIX_SIZE) and counts[0] == 1
        and -1 <= counts[1] <= 0 and -1 <= counts[2] <= 0)
