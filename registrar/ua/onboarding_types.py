"""The structures of the Onboarding model, by hand (OPC 10000-21 §8.2, §7.5; design decision 11).

asyncua drops inherited fields when it generates them. Their encoding ids stand in the namespace of
the model, whose index differs from Server to Server, so they are turned into ExtensionObjects
and back with that index as an argument; the decoder itself leaves them opaque.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from asyncua import ua

from registrar.errors import DecodingError, Misuse
from registrar.ua.codec import decode_structure, encode_structure

NAMESPACE_URI = "http://opcfoundation.org/UA/Onboarding/"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAuthorityType:
    """A CA that issued DeviceIdentity Certificates."""

    AuthorityCertificate: bytes | None = None
    IssuerCertificates: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseTicketType:
    """What all Tickets say."""

    ManufacturerName: str | None = None
    ModelName: str | None = None
    ModelVersion: str | None = None
    HardwareRevision: str | None = None
    SoftwareRevision: str | None = None
    SerialNumber: str | None = None
    ManufactureDate: datetime | None = None
    Authorities: tuple[CertificateAuthorityType, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentityTicketType(BaseTicketType):
    """The Ticket of a Device."""

    ProductInstanceUri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeIdentityTicketType(BaseTicketType):
    """The Ticket of a Composite."""

    CompositeInstanceUri: str | None = None
    Devices: tuple[str, ...] = ()
    Composites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketListType:
    """The signed Tickets of a shipment."""

    Devices: tuple[str, ...] = ()
    Composites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerDescription:
    """Where a Device finds a manager of some purpose."""

    Name: ua.LocalizedText = field(default_factory=ua.LocalizedText)
    IsRequired: bool = False
    PurposeUri: str | None = None
    ProtocolUri: str | None = None
    EndpointUrls: tuple[str, ...] = ()


OnboardingType = (
    CertificateAuthorityType
    | DeviceIdentityTicketType
    | CompositeIdentityTicketType
    | TicketListType
    | ManagerDescription
)

ENCODING_IDS: Mapping[type, int] = MappingProxyType(
    {
        CertificateAuthorityType: 1439,
        BaseTicketType: 1440,
        DeviceIdentityTicketType: 1441,
        CompositeIdentityTicketType: 1442,
        TicketListType: 1443,
        ManagerDescription: 4206,
    }
)
"""The DefaultBinary encodings."""

_BY_ENCODING_ID: Mapping[object, type] = MappingProxyType(
    {number: cls for cls, number in ENCODING_IDS.items()}
)


def to_extension_object(value: OnboardingType, namespace_index: int) -> ua.ExtensionObject:
    """Wrap ``value`` for a Server that has the model at ``namespace_index``.

    Raises:
        Misuse: not a structure of the model.
    """
    number = ENCODING_IDS.get(type(value))
    if number is None:
        raise Misuse(f"{type(value).__name__} is not of the Onboarding model")
    return ua.ExtensionObject(
        TypeId=ua.NodeId(ua.Int32(number), ua.Int16(namespace_index)),
        Body=ua.ByteString(encode_structure(value)),
    )


def from_extension_object(value: ua.ExtensionObject, namespace_index: int) -> OnboardingType:
    """Decode what a Server with the model at ``namespace_index`` sent.

    Raises:
        DecodingError: another type, or malformed bytes.
    """
    type_id = value.TypeId
    cls = _BY_ENCODING_ID.get(type_id.Identifier)
    if cls is None or type_id.NamespaceIndex != namespace_index or value.Body is None:
        raise DecodingError(f"{type_id.to_string()[:80]} is not of the Onboarding model")
    decoded: OnboardingType = decode_structure(cls, value.Body)
    return decoded
