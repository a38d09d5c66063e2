"""Payloads: OPC UA JSON to Tickets, and lists of Tickets."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.core.certificate import MAX_CERTIFICATE_BYTES, MAX_CHAIN_LENGTH
from registrar.core.jws import TicketType
from registrar.core.ticket import (
    MAX_AUTHORITIES,
    MAX_AUTHORITY_ISSUERS,
    MAX_MEMBERS,
    MAX_TEXT,
    MAX_URI,
    CertificateAuthority,
    CompositeIdentityTicket,
    DeviceIdentityTicket,
    Ticket,
    is_uri,
)
from registrar.core.ticket_json import (
    MAX_LIST,
    MAX_LIST_BYTES,
    TicketList,
    claimed_uri,
    decode_ticket,
    decode_ticket_list,
    encode_ticket,
    encode_ticket_list,
)
from registrar.errors import Reason, TicketInvalid
from tests.core.building import COMPOSITE_URI, DEVICE_URI, composite_payload, device_payload, root

DEVICE = TicketType.DEVICE_IDENTITY
COMPOSITE = TicketType.COMPOSITE_IDENTITY


def device(**members: Any) -> DeviceIdentityTicket:
    content = json.dumps({"ProductInstanceUri": DEVICE_URI, **members}).encode()
    ticket = decode_ticket(content, DEVICE)
    assert isinstance(ticket, DeviceIdentityTicket)
    return ticket


@pytest.mark.clause("R74")
def test_a_device_ticket_is_read() -> None:
    ca = root().issue("issuing", is_ca=True)

    ticket = decode_ticket(device_payload(DEVICE_URI, ca), DEVICE)

    assert ticket == DeviceIdentityTicket(
        product_instance_uri=DEVICE_URI,
        manufacturer_name="Example",
        model_name="model-x",
        serial_number="1",
        manufacture_date=datetime(2025, 3, 1, tzinfo=UTC),
        authorities=(
            CertificateAuthority(
                authority_certificate=ca.der,
                issuer_certificates=tuple(one.der for one in ca.above),
            ),
        ),
    )
    assert ticket.type is DEVICE
    assert ticket.uri == DEVICE_URI


@pytest.mark.clause("R74")
def test_a_composite_ticket_is_read() -> None:
    payload = composite_payload(devices=["urn:a", "urn:b"], composites=["urn:c"])

    ticket = decode_ticket(payload, COMPOSITE)

    assert ticket == CompositeIdentityTicket(
        composite_instance_uri=COMPOSITE_URI, devices=("urn:a", "urn:b"), composites=("urn:c",)
    )
    assert ticket.type is COMPOSITE
    assert ticket.uri == COMPOSITE_URI


@pytest.mark.clause("R74")
def test_reversible_and_compact_encoding_give_the_same() -> None:
    full = device(
        ManufacturerName=None,
        ModelName="",
        ManufactureDate="0001-01-01T00:00:00Z",
        Authorities=[],
    )

    assert full == device() == device(Authorities=None, Vendor={"x": 1})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-03-01T10:00:00Z", datetime(2025, 3, 1, 10, tzinfo=UTC)),
        ("2025-03-01T10:00:00.5Z", datetime(2025, 3, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2025-03-01T10:00:00.1234567Z", datetime(2025, 3, 1, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("2025-03-01T10:00:00+02:00", datetime(2025, 3, 1, 8, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_dates_are_read(text: str, expected: datetime) -> None:
    found = device(ManufactureDate=text).manufacture_date

    assert found == expected
    assert found.tzinfo is UTC


def test_dates_do_not_depend_on_where_the_registrar_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        ticket = device(ManufactureDate="2025-03-01T10:00:00+02:00")
        assert str(ticket.manufacture_date) == "2025-03-01 08:00:00+00:00"
        assert b'"2025-03-01T08:00:00Z"' in encode_ticket(ticket)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"ManufactureDate": "2025-03-01"}, "^ManufactureDate: not a date of ISO 8601 with its o"),
        ({"ManufactureDate": "2025-13-01T00:00:00Z"}, "^ManufactureDate: not a date$"),
        ({"ManufactureDate": "2025-03-01T00:00:00"}, "^ManufactureDate: not a date of ISO 8601"),
        ({"ManufactureDate": "0001-01-01T00:00:00+02:00"}, "^ManufactureDate: not a date$"),
        ({"ManufactureDate": 7}, "^ManufactureDate: not a string$"),
        ({"ManufacturerName": 7}, "^ManufacturerName: not a string$"),
        ({"ManufacturerName": ["x"]}, "^ManufacturerName: not a string$"),
        ({"Authorities": {}}, "^Authorities: not an array$"),
        ({"Authorities": [7]}, "^Authorities: not an object$"),
        ({"Authorities": [{}]}, "^an authority without AuthorityCertificate$"),
        (
            {"Authorities": [{"AuthorityCertificate": "YQ"}]},
            "^Authorities: AuthorityCertificate: not Base64: ",
        ),
        (
            {"Authorities": [{"AuthorityCertificate": "YQ==", "IssuerCertificates": "YQ=="}]},
            "^Authorities: IssuerCertificates: not an array$",
        ),
        (
            {"Authorities": [{"AuthorityCertificate": "YQ==", "IssuerCertificates": ["!"]}]},
            "^Authorities: IssuerCertificates: not Base64: ",
        ),
        ({"ProductInstanceUri": ""}, "^ProductInstanceUri '' is not a URI$"),
        ({"ProductInstanceUri": None}, "^ProductInstanceUri '' is not a URI$"),
        ({"ProductInstanceUri": 7}, "^ProductInstanceUri: not a string$"),
        ({"ProductInstanceUri": "no uri"}, "^ProductInstanceUri 'no uri' is not a URI$"),
        ({"productInstanceUri": DEVICE_URI}, "^ProductInstanceUri stands twice$"),
    ],
)
def test_a_member_of_another_form_is_malformed(members: dict[str, Any], why: str) -> None:
    with pytest.raises(TicketInvalid, match=why) as caught:
        device(**members)
    assert caught.value.reason is Reason.TICKET_MALFORMED


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"\xff", b'{"a":1,"a":1}', b"null"])
@pytest.mark.parametrize("kind", TicketType)
def test_what_is_no_ticket_is_malformed(payload: bytes, kind: TicketType) -> None:
    with pytest.raises(TicketInvalid):
        decode_ticket(payload, kind)


def test_names_in_lower_camel_case_are_read() -> None:
    payload = json.dumps({"productInstanceUri": DEVICE_URI, "manufacturerName": "Example"}).encode()

    ticket = decode_ticket(payload, DEVICE)

    assert ticket.uri == DEVICE_URI
    assert ticket.manufacturer_name == "Example"


_ONB = "http://opcfoundation.org/UA/Onboarding/"


@pytest.mark.parametrize(
    "members",
    [
        {"UaTypeId": f"nsu={_ONB};i=1166", "ProductInstanceUri": DEVICE_URI},
        {
            "TypeId": {"Id": 1489, "Namespace": _ONB},
            "Body": {"ProductInstanceUri": DEVICE_URI},
        },
        {"TypeId": 7, "ProductInstanceUri": DEVICE_URI},
        {"Body": 7, "ProductInstanceUri": DEVICE_URI},
    ],
)
def test_an_extension_object_around_a_ticket_is_taken_off(members: dict[str, Any]) -> None:
    assert decode_ticket(json.dumps(members).encode(), DEVICE).uri == DEVICE_URI


SPACE = "^TypeId is not in the namespace of Onboarding$"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"UaTypeId": f"nsu={_ONB};i=1167"}, f"^UaTypeId 'nsu={_ONB};i=1167' is not {DEVICE}$"),
        ({"UaTypeId": "i=1166"}, f"^UaTypeId 'i=1166' is not {DEVICE}$"),
        ({"UaTypeId": "i" * 99}, f"^UaTypeId '{'i' * 80}' is not {DEVICE}$"),
        ({"UaTypeId": 1166}, f"^UaTypeId '1166' is not {DEVICE}$"),
        ({"UaTypeId": []}, rf"^UaTypeId '\[\]' is not {DEVICE}$"),
        ({"TypeId": {"Id": 1490, "Namespace": _ONB}, "Body": {}}, f"^TypeId is not {DEVICE}$"),
        ({"TypeId": {"Id": [], "Namespace": _ONB}, "Body": {}}, f"^TypeId is not {DEVICE}$"),
        ({"TypeId": {"Id": 1489, "Namespace": 2}, "Body": {}}, SPACE),
        ({"TypeId": 7, "Body": {}}, SPACE),
        ({"TypeId": {"Id": 1489, "Namespace": _ONB}, "Body": ""}, "^Body is not an object$"),
    ],
)
def test_an_extension_object_has_to_name_the_type(members: dict[str, Any], why: str) -> None:
    payload = json.dumps({"ProductInstanceUri": DEVICE_URI, **members}).encode()

    with pytest.raises(TicketInvalid, match=why):
        decode_ticket(payload, DEVICE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("urn:some-company.com:5ff40f78-9210-494f-8206-c2c082f0609c", True),
        ("https://example.com/model?serial=1&x=%20#a", True),
        ("urn:", False),
        ("no-scheme", False),
        (":x", False),
        ("1urn:x", False),
        ("urn:a b", False),
        ("urn:ä", False),
        ("urn:a\n", False),
        ("urn:%2", False),
        ("urn:<x>", False),
    ],
)
def test_uris_are_those_of_rfc_3986(text: str, expected: bool) -> None:
    assert is_uri(text) is expected


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_every_size_of_a_ticket_is_limited(excess: int) -> None:
    authority = CertificateAuthority(authority_certificate=b"x")
    crowded = CertificateAuthority(
        authority_certificate=b"x",
        issuer_certificates=(b"y",) * (MAX_AUTHORITY_ISSUERS + excess),
    )
    members = ("urn:a",) * (MAX_MEMBERS + excess)
    long_uri = "urn:" + "a" * (MAX_URI - 4 + excess)

    def make(index: int) -> Ticket:
        return (
            lambda: DeviceIdentityTicket(product_instance_uri=long_uri),
            lambda: DeviceIdentityTicket(
                product_instance_uri="urn:a", model_name="x" * (MAX_TEXT + excess)
            ),
            lambda: DeviceIdentityTicket(
                product_instance_uri="urn:a", authorities=(authority,) * (MAX_AUTHORITIES + excess)
            ),
            lambda: DeviceIdentityTicket(product_instance_uri="urn:a", authorities=(crowded,)),
            lambda: CompositeIdentityTicket(composite_instance_uri="urn:a", devices=members),
            lambda: CompositeIdentityTicket(composite_instance_uri="urn:a", composites=members),
        )[index]()

    whys = (
        f"^ProductInstanceUri {long_uri[:80]!r} is not a URI$",
        f"^a text of {MAX_TEXT + 1} characters exceeds {MAX_TEXT}$",
        f"^{MAX_AUTHORITIES + 1} authorities exceed {MAX_AUTHORITIES}$",
        f"^an authority with more than {MAX_AUTHORITY_ISSUERS} issuers$",
        f"^{MAX_MEMBERS + 1} members exceed {MAX_MEMBERS}$",
        f"^{MAX_MEMBERS + 1} members exceed {MAX_MEMBERS}$",
    )
    for index in range(6):
        if excess > 0:
            with pytest.raises(TicketInvalid, match=whys[index]):
                make(index)
        else:
            make(index)


@pytest.mark.parametrize("excess", [0, 1])
def test_the_size_of_an_authority_is_limited(excess: int) -> None:
    size = MAX_CERTIFICATE_BYTES * MAX_CHAIN_LENGTH + excess
    authority = {"AuthorityCertificate": base64.b64encode(bytes(size)).decode()}

    if excess:
        with pytest.raises(TicketInvalid, match=f"Base64 of {size} bytes exceeds"):
            device(Authorities=[authority])
    else:
        (read,) = device(Authorities=[authority]).authorities
        assert read.authority_certificate == bytes(size)


def test_members_of_a_composite_are_uris() -> None:
    with pytest.raises(TicketInvalid, match=r"^a member's URI .*'no uri'"):
        CompositeIdentityTicket(composite_instance_uri="urn:a", devices=("no uri",))
    with pytest.raises(TicketInvalid, match=r"^a member's URI .*'no uri'"):
        CompositeIdentityTicket(composite_instance_uri="urn:a", composites=("no uri",))
    with pytest.raises(TicketInvalid, match=r"^CompositeInstanceUri .*'no uri'") as caught:
        CompositeIdentityTicket(composite_instance_uri="no uri")
    assert caught.value.subject == "no uri"
    with pytest.raises(TicketInvalid, match=r"^CompositeInstanceUri '' is not a URI$"):
        decode_ticket(b"{}", COMPOSITE)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (device_payload(), DEVICE_URI),
        (composite_payload(), COMPOSITE_URI),
        (b'{"productInstanceUri":"urn:a"}', "urn:a"),
        (b'{"ProductInstanceUri":7}', ""),
        (b'{"ProductInstanceUri":"x"}', "x"),
        (b'{"ProductInstanceUri":"","CompositeInstanceUri":"urn:b"}', "urn:b"),
        (b'{"ProductInstanceUri":"' + b"x" * MAX_URI + b'"}', "x" * MAX_URI),
        (b'{"ProductInstanceUri":"' + b"x" * (MAX_URI + 1) + b'"}', ""),
        (b"\xff", ""),
        (b"{}", ""),
    ],
)
def test_the_claimed_uri_is_read_where_it_can_be(payload: bytes, expected: str) -> None:
    assert claimed_uri(payload) == expected


@pytest.mark.clause("R78")
def test_a_ticket_list_is_read() -> None:
    both = TicketList(devices=("a", "b"), composites=("c",))

    assert encode_ticket_list(both) == (
        '{\n "Devices": [\n  "a",\n  "b"\n ],\n "Composites": [\n  "c"\n ]\n}'
    )
    assert decode_ticket_list(encode_ticket_list(both)) == both
    assert decode_ticket_list(b'{"Devices":["a"]}') == TicketList(devices=("a",))
    assert decode_ticket_list('{"devices":["a"]}') == TicketList(devices=("a",))
    assert decode_ticket_list('{"Composites":["a"]}') == TicketList(composites=("a",))
    assert decode_ticket_list('{"composites":["a"]}') == TicketList(composites=("a",))


@pytest.mark.clause("R78")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "^not JSON: Expecting value"),
        ("[]", "^not a JSON object$"),
        ("{}", "^neither Devices nor Composites$"),
        ('{"Devices":"a"}', f"^Devices: not an array of at most {MAX_LIST} strings$"),
        ('{"Devices":[7]}', "^Devices: not a string$"),
        ('{"payload":"x"}', "^neither Devices nor Composites$"),
    ],
)
def test_what_is_no_ticket_list_is_refused(text: str, why: str) -> None:
    with pytest.raises(TicketInvalid, match=why):
        decode_ticket_list(text)


@pytest.mark.parametrize("excess", [0, 1])
def test_the_number_of_tickets_in_a_list_is_limited(excess: int) -> None:
    text = json.dumps({"Devices": [""] * (MAX_LIST + excess)})

    if excess:
        with pytest.raises(TicketInvalid, match="at most"):
            decode_ticket_list(text)
    else:
        assert len(decode_ticket_list(text).devices) == MAX_LIST


_text = st.text(max_size=20).map(lambda text: text.encode("utf-8", "ignore").decode())
_uri = st.from_regex(r"urn:[a-z0-9:.-]{1,20}", fullmatch=True)
_base = st.fixed_dictionaries(
    {
        "manufacturer_name": _text,
        "model_name": _text,
        "serial_number": _text,
        "manufacture_date": st.none()
        | st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(UTC)),
        "authorities": st.lists(
            st.builds(
                CertificateAuthority,
                authority_certificate=st.binary(min_size=1, max_size=20),
                issuer_certificates=st.lists(st.binary(min_size=1, max_size=9), max_size=3).map(
                    tuple
                ),
            ),
            max_size=3,
        ).map(tuple),
    }
)


@given(base=_base, uri=_uri, members=st.lists(_uri, max_size=3).map(tuple))
def test_encoding_and_decoding_are_inverse(
    base: dict[str, Any], uri: str, members: tuple[str, ...]
) -> None:
    one = DeviceIdentityTicket(product_instance_uri=uri, **base)
    two = CompositeIdentityTicket(composite_instance_uri=uri, devices=members, **base)

    assert decode_ticket(encode_ticket(one), DEVICE) == one
    assert decode_ticket(encode_ticket(two), COMPOSITE) == two


def test_defaults_are_left_out_and_what_is_written_is_compact() -> None:
    ticket = DeviceIdentityTicket(
        product_instance_uri="urn:a",
        manufacturer_name="Müller",
        manufacture_date=datetime(2025, 3, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        authorities=(CertificateAuthority(authority_certificate=b"\xff"),),
    )

    assert encode_ticket(ticket).decode() == (
        '{"ManufacturerName":"Müller","ManufactureDate":"2025-03-01T00:00:00Z",'
        '"Authorities":[{"AuthorityCertificate":"/w==","IssuerCertificates":[]}],'
        '"ProductInstanceUri":"urn:a"}'
    )


@given(payload=st.binary(max_size=200), kind=st.sampled_from(TicketType))
def test_arbitrary_payloads_raise_only_ticket_invalid(payload: bytes, kind: TicketType) -> None:
    with suppress(TicketInvalid):
        decode_ticket(payload, kind)
    with suppress(TicketInvalid):
        decode_ticket_list(payload)
    claimed_uri(payload)


def test_the_size_of_a_list_is_limited() -> None:
    with pytest.raises(TicketInvalid, match=f"a list of {MAX_LIST_BYTES + 1} bytes") as caught:
        decode_ticket_list(bytes(MAX_LIST_BYTES + 1))

    assert caught.value.reason is Reason.TICKET_TOO_LARGE
