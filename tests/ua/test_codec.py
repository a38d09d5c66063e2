"""Our bytes are asyncua's bytes, and each decodes the other's."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from enum import IntFlag
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary

from registrar.errors import DecodingError, Misuse
from registrar.status import StatusCode
from registrar.ua.codec import MESSAGES, Codec, read_request_handle
from registrar.ua.fields import UnsupportedStructure
from registrar.ua.structure import decoder_of
from tests.ua.samples import Sampler

STRUCTURES = sorted(
    {cls for cls in ua.extension_objects_by_typeid.values() if not hasattr(cls, "TypeId")},
    key=lambda cls: cls.__name__,
)
UNSUPPORTED = {
    "AliasCategoryUpdateDataType",
    "AliasUpdateDataType",
    "LogRecord",
    "LogRecordsDataType",
}
"""Structures with optional fields or with fields of a type asyncua has not; they stay opaque."""


@pytest.mark.clause("OPC 10000-6 §5.2")
@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_messages_are_the_bytes_of_asyncua(codec: Codec, cls: type) -> None:
    for seed in range(20):
        message = Sampler(seed).instance(cls)

        data = codec.encode_message(message)

        assert data == ua_binary.struct_to_binary(message)
        assert codec.decode_message(data) == message
        foreign: Any = ua_binary.struct_from_binary(cls, Buffer(data))
        assert codec.encode_message(foreign) == data
        assert codec.encode_message(codec.decode_message(data)) == data


@pytest.mark.clause("OPC 10000-6 §5.2.6")
@pytest.mark.parametrize("cls", STRUCTURES, ids=lambda cls: cls.__name__)
def test_structures_are_the_bytes_of_asyncua(codec: Codec, cls: type) -> None:
    if cls.__name__ in UNSUPPORTED:
        with pytest.raises(UnsupportedStructure):
            decoder_of(cls)
        return
    value = Sampler(len(cls.__name__)).instance(cls)

    data = codec.encode_structure(value)

    assert data == ua_binary.struct_to_binary(value)
    assert codec.encode_structure(codec.decode_structure(cls, data)) == data


@pytest.mark.clause("OPC 10000-6 §5.2.2.16")
@pytest.mark.parametrize("seed", range(200))
def test_variants_are_the_bytes_of_asyncua(codec: Codec, seed: int) -> None:
    value = Sampler(seed).variant()

    data = codec.encode_value(value)

    assert data == ua_binary.variant_to_binary(value)
    assert codec.decode_value(data) == value
    assert codec.encode_value(codec.decode_value(data)) == data


@pytest.mark.clause("OPC 10000-6 §5.2.2.17")
def test_picoseconds_follow_their_timestamps(codec: Codec) -> None:
    """asyncua writes both at the end; the standard does not."""
    value: Any = ua.DataValue(ua.Variant(True))
    value.SourceTimestamp = value.ServerTimestamp = datetime(1601, 1, 1, 0, 0, 1, tzinfo=UTC)
    value.SourcePicoseconds, value.ServerPicoseconds = 1, 2
    second = (10_000_000).to_bytes(8, "little")

    data = codec.encode_value(ua.Variant(value, ua.VariantType.DataValue))

    assert data == b"\x17\x3f\x01\x01" + bytes(4) + second + b"\1\0" + second + b"\2\0"
    assert codec.decode_value(data).Value == value


@pytest.mark.clause("OPC 10000-6 §5.2.2.12")
def test_diagnostic_info_has_the_mask_of_the_standard(codec: Codec) -> None:
    """asyncua exchanges Locale and LocalizedText in the mask."""
    info: Any = ua.DiagnosticInfo(Locale=ua.Int32(3))
    info.InnerDiagnosticInfo = ua.DiagnosticInfo(LocalizedText=ua.Int32(4))

    data = codec.encode_value(ua.Variant(info, ua.VariantType.DiagnosticInfo))

    assert data == b"\x19\x48\3\0\0\0\x04\4\0\0\0"
    assert codec.decode_value(data).Value == info


def test_a_request_with_our_status_codes_can_be_encoded(codec: Codec) -> None:
    response = ua.CallResponse()
    response.ResponseHeader.ServiceResult = StatusCode.BadTimeout

    decoded = codec.decode_message(codec.encode_message(response))

    assert decoded.ResponseHeader.ServiceResult.value == StatusCode.BadTimeout


@pytest.mark.parametrize("uri", [None, "", "urn:x"])
def test_an_empty_namespace_uri_is_not_a_null_one(codec: Codec, uri: str | None) -> None:
    node_id: Any = ua.ExpandedNodeId(7, NamespaceUri=uri)  # type: ignore[arg-type]
    message = ua.BrowseResponse(
        Results=[ua.BrowseResult(References=[ua.ReferenceDescription(NodeId=node_id)])]
    )

    data = codec.encode_message(message)
    read = codec.decode_message(data)

    assert read.Results[0].References[0].NodeId.NamespaceUri == uri
    assert codec.encode_message(read) == data


def test_enumerations_nobody_knows_stay_numbers(codec: Codec) -> None:
    description = ua.EndpointDescription()
    description.SecurityMode = 77

    decoded = codec.decode_structure(ua.EndpointDescription, codec.encode_structure(description))

    assert decoded.SecurityMode == 77


def test_known_enumerations_are_members(codec: Codec) -> None:
    description = ua.EndpointDescription(SecurityMode=ua.MessageSecurityMode.Sign)

    decoded = codec.decode_structure(ua.EndpointDescription, codec.encode_structure(description))

    assert decoded.SecurityMode is ua.MessageSecurityMode.Sign


def test_absent_arrays_become_empty(codec: Codec) -> None:
    response = ua.GetEndpointsResponse()
    response.Endpoints = None  # type: ignore[assignment]

    data = codec.encode_message(response)

    assert data.endswith(b"\xff\xff\xff\xff")
    assert codec.decode_message(data).Endpoints == []


def test_extension_objects_of_peers_stay_opaque(codec: Codec) -> None:
    value = ua.ExtensionObject(TypeId=ua.NodeId(1441, 3), Body=b"\1\2")  # type: ignore[arg-type]

    decoded = codec.decode_value(codec.encode_value(ua.Variant(value))).Value

    assert decoded == value


def test_a_body_in_xml_is_not_sent_on_as_a_binary_one(codec: Codec) -> None:
    argument = ua.Argument(Name="x")
    variant = codec.encode_value(ua.Variant(argument, ua.VariantType.ExtensionObject))
    in_xml = variant[:5] + b"\2" + variant[6:]
    assert variant[5] == 1

    decoded = codec.decode_value(in_xml)

    assert codec.decode_value(variant).Value == argument
    assert decoded.Value == ua.ExtensionObject(TypeId=ua.NodeId(ua.Int32(298)), Body=None)
    assert codec.decode_value(codec.encode_value(decoded)) == decoded


def test_types_registered_later_are_not_decoded(codec: Codec) -> None:
    """What a peer makes asyncua learn (load_data_type_definitions) changes nothing here."""

    @dataclasses.dataclass
    class Late:
        Value: ua.UInt32 = 0  # type: ignore[assignment]

    type_id = ua.NodeId(ua.Int32(987_654), ua.Int16(0))
    data = b"\x16\x02\x00\x00" + (987_654).to_bytes(4, "little") + b"\1\4\0\0\0\1\0\0\0"
    codec.decode_value(data)
    ua.extension_objects_by_typeid[type_id] = Late
    try:
        decoded = codec.decode_value(data).Value
    finally:
        del ua.extension_objects_by_typeid[type_id]

    assert isinstance(decoded, ua.ExtensionObject)


def test_option_sets_have_their_own_width() -> None:
    flags = [cls for cls in vars(ua).values() if isinstance(cls, type) and issubclass(cls, IntFlag)]

    assert {cls.datatype() for cls in flags if hasattr(cls, "datatype")} >= {"UInt16", "UInt32"}


def test_messages_of_other_services_are_unsupported(codec: Codec) -> None:
    with pytest.raises(DecodingError) as caught:
        codec.decode_message(ua_binary.struct_to_binary(ua.PublishRequest()))

    assert caught.value.status is StatusCode.BadServiceUnsupported


def test_the_request_handle_can_be_read_from_what_does_not_decode(codec: Codec) -> None:
    request: Any = ua.ReadRequest()
    request.RequestHeader.RequestHandle = 4711
    request.RequestHeader.AuthenticationToken = ua.NodeId(b"secret", 0)  # type: ignore[arg-type]
    data = codec.encode_message(request)

    assert read_request_handle(data[:-3]) == 4711
    assert read_request_handle(b"") == 0
    assert read_request_handle(b"\xff" * 20) == 0


@pytest.mark.parametrize(
    "message",
    [
        ua.PublishRequest(),
        object(),
        ua.CallRequest(Parameters=None),
        ua.GetEndpointsResponse(Endpoints=[ua.Variant()]),
        ua.ServiceFault(ResponseHeader=ua.ResponseHeader(RequestHandle=2**40)),
        ua.ServiceFault(ResponseHeader=ua.ResponseHeader(StringTable=[5])),
    ],
)
def test_what_cannot_be_encoded_is_misuse(codec: Codec, message: object) -> None:
    with pytest.raises(Misuse):
        codec.encode_message(message)


def test_times_beyond_the_range_are_clamped(codec: Codec) -> None:
    for ticks, year in ((-5, 1601), (2**63 - 1, 9999), (2_650_467_743_990_000_000, 9999)):
        data = b"\x0d" + ticks.to_bytes(8, "little", signed=True)
        assert codec.decode_value(data).Value.year == year
    assert codec.encode_value(ua.Variant(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))) == (
        b"\x0d" + b"\xff" * 7 + b"\x7f"
    )
    assert codec.encode_value(ua.Variant(datetime(1500, 1, 1))) == b"\x0d" + bytes(8)
