# The classes of asyncua, their fields by number, and the constants of OPC 10000-6 §5.2.2.

from asyncua import ua

cdef enum:
    MAX_DIAGNOSTIC_LEVELS = 10
    MAX_DIMENSIONS = 16
    MAX_ENCODED_LEVELS = 1000   # some 200 KB of C stack; our own values need a dozen

    HAS_ARRAY = 0x80
    HAS_DIMENSIONS = 0x40
    TYPE_MASK = 0x3F

    BOOLEAN = 1
    SBYTE = 2
    BYTE = 3
    INT16 = 4
    UINT16 = 5
    INT32 = 6
    UINT32 = 7
    INT64 = 8
    UINT64 = 9
    FLOAT = 10
    DOUBLE = 11
    STRING = 12
    DATE_TIME = 13
    GUID = 14
    BYTE_STRING = 15
    XML_ELEMENT = 16
    NODE_ID = 17
    EXPANDED_NODE_ID = 18
    STATUS_CODE = 19
    QUALIFIED_NAME = 20
    LOCALIZED_TEXT = 21
    EXTENSION_OBJECT = 22
    DATA_VALUE = 23
    VARIANT = 24
    DIAGNOSTIC_INFO = 25
    BUILT_IN_TYPES = 32         # 26 to 31 are reserved and sent as ByteStrings

# Fewest bytes of each built-in type; an element of no bytes could be announced without end.
cdef int *MINIMA = [
    0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 4, 8, 16, 4, 4, 2, 2, 4, 6, 1, 3, 1, 1, 1, 4, 4, 4, 4, 4, 4]

cdef enum:
    IDENTIFIER = 0
    NAMESPACE = 1
    ID_TYPE = 2
    NAMESPACE_URI = 3
    SERVER_INDEX = 4

cdef:
    Shape NODE_IDS = Shape(ua.NodeId, "Identifier", "NamespaceIndex", "NodeIdType")
    Shape EXPANDED_NODE_IDS = Shape(
        ua.ExpandedNodeId,
        "Identifier", "NamespaceIndex", "NodeIdType", "NamespaceUri", "ServerIndex")
    Shape STATUS_CODES = Shape(ua.StatusCode, "value")
    Shape XML_ELEMENTS = Shape(ua.XmlElement, "Value")
    Shape QUALIFIED_NAMES = Shape(ua.QualifiedName, "NamespaceIndex", "Name")
    Shape LOCALIZED_TEXTS = Shape(ua.LocalizedText, "Locale", "Text", "Encoding")
    Shape VARIANTS = Shape(ua.Variant, "Value", "VariantType", "Dimensions", "is_array")
    Shape DATA_VALUES = Shape(
        ua.DataValue,
        "Value", "StatusCode", "SourceTimestamp", "SourcePicoseconds",
        "ServerTimestamp", "ServerPicoseconds", "Encoding")
    Shape DIAGNOSTIC_INFOS = Shape(
        ua.DiagnosticInfo,
        "SymbolicId", "NamespaceURI", "Locale", "LocalizedText",
        "AdditionalInfo", "InnerStatusCode", "InnerDiagnosticInfo", "Encoding")

    object NO_OBJECT = ua.ExtensionObject()
    object EXTENSION_OBJECTS = ua.ExtensionObject
    object CALL_REQUESTS = ua.CallRequest
    object CALL_RESPONSES = ua.CallResponse
    object USUAL_VARIANT_TYPES = ua.VariantType
    tuple NODE_ID_TYPES = tuple(ua.NodeIdType)
    tuple VARIANT_TYPES = (
        *ua.VariantType, *(ua.VariantTypeCustom(number) for number in range(26, BUILT_IN_TYPES)))

# Bits of the first four fields of a DiagnosticInfo, which are in this order on the wire.
cdef uint8_t *INDEX_BITS = [0x01, 0x02, 0x08, 0x04]
