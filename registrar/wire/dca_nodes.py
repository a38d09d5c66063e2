"""The well-known NodeIds of a DCA, and of the types its own nodes have (OPC 10000-12, -18, -21).

Calls may use a type's MethodId on an instance (OPC 10000-4 §5.12.2.2), so one list serves
ServerConfiguration and every ApplicationConfigurationType object.
"""

from __future__ import annotations

from typing import Final

from asyncua import ua


def _node(number: int) -> ua.NodeId:
    return ua.NodeId(ua.Int32(number))


PROVISIONABLE_DEVICE: Final = _node(29878)
IS_SINGLETON: Final = _node(29879)
REQUEST_TICKETS: Final = _node(29880)
MANAGED_APPLICATIONS: Final = _node(16706)
APPLICATION_CONFIGURATION_TYPE: Final = _node(25731)

SERVER_CONFIGURATION: Final = _node(12637)
SERVER_MAX_BYTE_STRING_LENGTH: Final = _node(12911)
MAX_TRUST_LIST_SIZE: Final = _node(12640)
DIAGNOSTICS_RESULT: Final = _node(32339)
DIAGNOSTICS_ERRORS: Final = _node(32342)

DEFAULT_GROUP: Final = _node(14156)
DEFAULT_GROUP_TRUST_LIST: Final = _node(12642)
DEFAULT_GROUP_CERTIFICATE_TYPES: Final = _node(14161)

# Methods of ServerConfigurationType, by their type's ids
UPDATE_CERTIFICATE: Final = _node(12616)
CREATE_SIGNING_REQUEST: Final = _node(12731)
APPLY_CHANGES: Final = _node(12734)
CANCEL_CHANGES: Final = _node(25698)
GET_CERTIFICATES: Final = _node(32296)

# Methods of TrustListType and FileType, by their type's ids
FILE_OPEN: Final = _node(11580)
FILE_CLOSE: Final = _node(11583)
FILE_READ: Final = _node(11585)
FILE_WRITE: Final = _node(11588)
CLOSE_AND_UPDATE: Final = _node(12546)

INSTANCE_METHODS: Final = {
    (SERVER_CONFIGURATION, UPDATE_CERTIFICATE): _node(13737),
    (SERVER_CONFIGURATION, CREATE_SIGNING_REQUEST): _node(12737),
    (SERVER_CONFIGURATION, APPLY_CHANGES): _node(12740),
    (SERVER_CONFIGURATION, CANCEL_CHANGES): _node(25708),
    (DEFAULT_GROUP_TRUST_LIST, FILE_OPEN): _node(12647),
    (DEFAULT_GROUP_TRUST_LIST, FILE_CLOSE): _node(12650),
    (DEFAULT_GROUP_TRUST_LIST, FILE_READ): _node(12652),
    (DEFAULT_GROUP_TRUST_LIST, FILE_WRITE): _node(12655),
    (DEFAULT_GROUP_TRUST_LIST, CLOSE_AND_UPDATE): _node(12666),
}
"""Where the standard gives the instance's method a NodeId, some Servers know only that one."""

METHOD_NAMES: Final = {
    UPDATE_CERTIFICATE: "UpdateCertificate",
    CREATE_SIGNING_REQUEST: "CreateSigningRequest",
    APPLY_CHANGES: "ApplyChanges",
    CANCEL_CHANGES: "CancelChanges",
    GET_CERTIFICATES: "GetCertificates",
    FILE_OPEN: "Open",
    FILE_CLOSE: "Close",
    FILE_READ: "Read",
    FILE_WRITE: "Write",
    CLOSE_AND_UPDATE: "CloseAndUpdate",
}

SECURITY_ADMIN: Final = _node(15704)
SECURITY_ADMIN_IDENTITIES: Final = _node(16258)
SECURITY_ADMIN_APPLICATIONS_EXCLUDE: Final = _node(15430)
SECURITY_ADMIN_ADD_IDENTITY: Final = _node(15708)
SECURITY_ADMIN_ADD_APPLICATION: Final = _node(16261)

APPLICATION_CERTIFICATE: Final = _node(12557)
RSA_MIN: Final = _node(12559)
RSA_SHA256: Final = _node(12560)
ECC_NIST_P256: Final = _node(23538)
ECC_NIST_P384: Final = _node(23539)

APPLICATION_PURPOSE: Final = APPLICATION_CERTIFICATE
DEFAULT_APPLICATION_GROUP_NAME: Final = "DefaultApplicationGroup"

HIERARCHICAL_REFERENCES: Final = _node(33)
AGGREGATES: Final = _node(44)
