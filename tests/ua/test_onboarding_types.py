"""The structures of the Onboarding model travel as ExtensionObjects."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asyncua import ua

from registrar.errors import DecodingError, Misuse
from registrar.ua.codec import Codec, decode_value, encode_structure, encode_value
from registrar.ua.onboarding_types import (
    ENCODING_IDS,
    BaseTicketType,
    CertificateAuthorityType,
    CompositeIdentityTicketType,
    DeviceIdentityTicketType,
    ManagerDescription,
    OnboardingType,
    TicketListType,
    from_extension_object,
    to_extension_object,
)

AUTHORITY = CertificateAuthorityType(AuthorityCertificate=b"ca", IssuerCertificates=(b"a", b"b"))
VALUES: list[OnboardingType] = [
    AUTHORITY,
    DeviceIdentityTicketType(
        ManufacturerName="Maker",
        SerialNumber="1",
        ManufactureDate=datetime(2026, 1, 1, tzinfo=UTC),
        Authorities=(AUTHORITY,),
        ProductInstanceUri="urn:maker:1",
    ),
    CompositeIdentityTicketType(
        ManufactureDate=datetime(2026, 1, 1, tzinfo=UTC),
        CompositeInstanceUri="urn:cell:1",
        Devices=("urn:maker:1", "urn:maker:2"),
        Composites=("urn:cell:2",),
    ),
    TicketListType(Devices=("{}",)),
    ManagerDescription(
        Name=ua.LocalizedText("updates", "en"),
        IsRequired=True,
        PurposeUri="urn:purpose",
        EndpointUrls=("opc.tcp://x", "opc.tcp://y"),
    ),
]


@pytest.mark.clause("OPC 10000-21 §8.2")
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_return_unchanged(value: OnboardingType) -> None:
    wrapped = to_extension_object(value, 4)

    received = decode_value(encode_value(ua.Variant(wrapped))).Value

    assert from_extension_object(received, 4) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_either_coder_returns_values_unchanged(codec: Codec, value: OnboardingType) -> None:
    data = codec.encode_structure(value)

    assert data == encode_structure(value)
    assert codec.decode_structure(type(value), data) == value


@pytest.mark.clause("OPC 10000-21 §8.2.2")
def test_inherited_fields_come_first() -> None:
    data = encode_structure(VALUES[1])

    assert data.startswith(b"\5\0\0\0Maker")
    assert data.endswith(b"\x0b\0\0\0urn:maker:1")


@pytest.mark.parametrize(
    "value",
    [
        ua.ExtensionObject(),
        ua.ExtensionObject(TypeId=ua.NodeId(1441, 5), Body=b""),  # type: ignore[arg-type]
        ua.ExtensionObject(TypeId=ua.NodeId(9, 4), Body=b""),  # type: ignore[arg-type]
        ua.ExtensionObject(TypeId=ua.NodeId(1441, 4)),  # type: ignore[arg-type]
        ua.ExtensionObject(TypeId=ua.NodeId(1441, 4), Body=b"\1"),  # type: ignore[arg-type]
    ],
)
def test_anything_else_is_refused(value: ua.ExtensionObject) -> None:
    with pytest.raises(DecodingError):
        from_extension_object(value, 4)


def test_only_onboarding_types_are_wrapped() -> None:
    with pytest.raises(Misuse):
        to_extension_object(ua.Argument(), 4)  # type: ignore[arg-type]
    assert BaseTicketType in ENCODING_IDS
