"""From the bytes of an answer to the Ticket: both indexes beside ``core.match``.

The compiled index may say ``ASK`` to what is unusual; whatever else it says, the reference says.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import cache
from random import Random

import pytest
from asyncua import ua
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from registrar.core.certificate import Certificate
from registrar.core.match import MAX_NESTING, gather, match
from registrar.core.valid_ticket import Route, ValidTicket
from registrar.native import is_compiled
from registrar.onboarding.endpoints import MAX_ENDPOINTS
from registrar.onboarding.matching import Listed, Status, TicketIndex, new_index
from registrar.status import StatusCode
from registrar.ua.codec import encode_message
from tests.core.building import (
    FOREVER,
    NOW,
    Issued,
    Maker,
    composite_payload,
    device_payload,
    make,
    rsa_key,
)

KEY = bytes(range(16))
MAKER = Maker.new()
MODE = ua.MessageSecurityMode
DEVICES = [f"urn:d:{number}" for number in range(4)]
CELLS = [f"urn:c:{number}" for number in range(5)]

EMPTY: dict[str, TicketIndex] = {"python": inspect.unwrap(new_index)(KEY), "in use": new_index(KEY)}


@pytest.fixture(params=EMPTY)
def empty(request: pytest.FixtureRequest) -> TicketIndex:
    """Return an empty index; with extensions the second one is compiled."""
    name: str = request.param
    return EMPTY[name]


def device(uri: str, row: int = 1, *, route: Route = Route.OUT_OF_BAND, opc: str = "") -> Listed:
    uris = (opc,) if opc else ()
    return Listed(row=row, uri=uri, is_composite=False, route=route, composite_uris=uris)


def cell(
    uri: str,
    row: int = 100,
    *,
    devices: Sequence[str] = (),
    cells: Sequence[str] = (),
    opc: Sequence[str] = (),
) -> Listed:
    return Listed(
        row=row,
        uri=uri,
        is_composite=True,
        route=Route.OUT_OF_BAND,
        composite_uris=tuple(opc),
        devices=tuple(devices),
        composites=tuple(cells),
    )


def identity(*uris: str, text: str = "d", years: int = 0) -> Issued:
    """Return an IDevID, or an LDevID that began ``years`` ago."""
    if years:
        return make(text, uris=uris, not_before=NOW - years * timedelta(days=365))
    return make(text, uris=uris, not_after=FOREVER)


def answer(*certificates: bytes | Issued, mode: MODE = MODE.SignAndEncrypt) -> bytes:
    """Return the answer of a Device with these ServerCertificates."""
    server = ua.ApplicationDescription(
        ApplicationUri="urn:x", ApplicationName=ua.LocalizedText("x"), DiscoveryUrls=["opc.tcp://x"]
    )
    response = ua.GetEndpointsResponse()
    response.Endpoints = [
        ua.EndpointDescription(
            EndpointUrl="opc.tcp://x",
            Server=server,
            ServerCertificate=one.der if isinstance(one, Issued) else one,
            SecurityMode=mode,
            UserIdentityTokens=[ua.UserTokenPolicy(PolicyId="anonymous")],
        )
        for one in certificates
    ]
    return encode_message(response)


def found(index: TicketIndex, received: bytes) -> tuple[Status, int, bytes]:
    """Return status, row and the certificate chosen."""
    status, row, start, stop = index.match(received)
    return Status(status), row, received[start:stop]


NOTHING = Status.NO_TICKET, 0, b""
PARTIAL = Status.PARTIAL, 0, b""
ASK = Status.ASK, 0, b""


@pytest.mark.clause("R41")
def test_a_device_is_found_by_any_uri_of_any_certificate(empty: TicketIndex) -> None:
    other, ours = identity("urn:other"), identity("urn:manual", DEVICES[0])
    index = empty.extended([device(DEVICES[0], 7), device(DEVICES[1], 8)])

    assert found(index, answer(other, ours, other)) == (Status.MATCHED, 7, ours.der)
    assert found(index, answer(other)) == NOTHING
    assert found(empty, answer(ours)) == NOTHING
    assert (len(empty), len(index)) == (0, 2)


def test_a_certificate_is_looked_at_only_where_an_endpoint_is_secured(empty: TicketIndex) -> None:
    index = empty.extended([device(DEVICES[0])])
    ours = identity(DEVICES[0])

    assert found(index, answer(ours, mode=MODE.Sign))[0] is Status.MATCHED
    assert found(index, answer(ours, mode=MODE.None_)) == ASK


@pytest.mark.parametrize("size", [MAX_ENDPOINTS, MAX_ENDPOINTS + 1])
def test_endpoints_are_limited(empty: TicketIndex, size: int) -> None:
    index = empty.extended([device(DEVICES[0])])
    status, _, _ = found(index, answer(*[identity(DEVICES[0])] * size))

    assert status is (Status.MATCHED if size == MAX_ENDPOINTS else Status.ASK)


@pytest.mark.clause("R43")
@pytest.mark.clause("R44")
def test_a_member_of_a_composite_needs_the_outermost_uri(empty: TicketIndex) -> None:
    inner, outer = CELLS[:2]
    index = empty.extended(
        [device(DEVICES[0], 7), cell(inner, devices=[DEVICES[0]]), cell(outer, 101, cells=[inner])]
    )
    whole = identity(DEVICES[0], outer)

    assert found(index, answer(identity(DEVICES[0]), identity(DEVICES[0], inner))) == PARTIAL
    assert found(index, answer(identity(DEVICES[0]), whole)) == (Status.MATCHED, 7, whole.der)


@pytest.mark.clause("R43")
def test_a_counter_signature_claims_as_a_composite_ticket_does(empty: TicketIndex) -> None:
    index = empty.extended([device(DEVICES[0], opc=CELLS[0]), cell(CELLS[0], opc=[CELLS[1]])])

    assert found(index, answer(identity(DEVICES[0], CELLS[0]))) == PARTIAL
    assert found(index, answer(identity(DEVICES[0], CELLS[1])))[0] is Status.MATCHED


@pytest.mark.clause("R46")
def test_the_preferred_candidate_is_found(empty: TicketIndex) -> None:
    index = empty.extended(
        [device(DEVICES[0], 1), device(DEVICES[1], 2), cell(CELLS[0], devices=[DEVICES[1]])]
    )
    ordered = [
        identity(DEVICES[1], CELLS[0]),
        make("rsa", uris=[DEVICES[0]], key=rsa_key()),
        identity(DEVICES[0], years=1),
        identity(DEVICES[0], years=2),
        identity(DEVICES[0]),
    ]
    while ordered:
        row = 2 if len(ordered) == 5 else 1
        expected = Status.MATCHED, row, ordered[0].der
        assert found(index, answer(*ordered)) == expected
        assert found(index, answer(*reversed(ordered))) == expected
        del ordered[0]


@pytest.mark.clause("R42")
def test_of_several_tickets_one_out_of_band_is_taken_then_the_oldest(empty: TicketIndex) -> None:
    brought = device(DEVICES[0], 1, route=Route.WITH_DEVICE)
    late, early = device(DEVICES[0], 9), device(DEVICES[0], 5)
    received = answer(identity(DEVICES[0]))

    for known, row in (([brought], 1), ([late, brought], 9), ([late, brought, early], 5)):
        assert found(empty.extended(known), received)[1] == row
        assert found(empty.extended(known[::-1]), received)[1] == row


def test_a_generation_never_changes(empty: TicketIndex) -> None:
    first = empty.extended([device(DEVICES[0], 1)])
    second = first.extended([device(DEVICES[1], 2), cell(CELLS[0], 3, devices=[DEVICES[0]])])
    plain, other = answer(identity(DEVICES[0])), answer(identity(DEVICES[1]))

    assert [found(first, one)[0] for one in (plain, other)] == [Status.MATCHED, Status.NO_TICKET]
    assert [found(second, one)[0] for one in (plain, other)] == [Status.PARTIAL, Status.MATCHED]


def test_many_are_found_as_one_by_one(empty: TicketIndex) -> None:
    uris = [f"urn:many:{number}" for number in range(3_000)]
    index = empty.extended([device(uri, row) for row, uri in enumerate(uris)])
    received = [answer(identity(uri)) for uri in (uris[0], "urn:none", uris[2_999])] + [b""]

    columns = index.match_all(received)

    assert [*zip(*(column.tolist() for column in columns), strict=True)] == [
        index.match(one) for one in received
    ]
    assert [column.dtype.name for column in columns] == ["uint8", *["int64"] * 3]
    assert [column.tolist() for column in index.match_all([])] == [[]] * 4
    assert index.size_bytes > 0


def test_what_is_listed_of_a_ticket_is_what_it_says() -> None:
    payload = composite_payload(CELLS[0], devices=DEVICES, composites=CELLS[1:])
    kind = "CompositeIdentityTicketType"
    ticket = MAKER.believed(payload, route=Route.WITH_DEVICE, kind=kind, opc_uri=CELLS[4])

    assert Listed.of(7, ticket) == Listed(
        row=7,
        uri=CELLS[0],
        is_composite=True,
        route=Route.WITH_DEVICE,
        composite_uris=(CELLS[4],),
        devices=tuple(DEVICES),
        composites=tuple(CELLS[1:]),
    )


def test_every_uri_is_found_again_however_often_the_table_grew(empty: TicketIndex) -> None:
    template = identity("urn:many:0000")
    index = empty
    for start in range(0, 2_000, 250):
        index = index.extended(
            [device(f"urn:many:{number:04}", number) for number in range(start, start + 250)]
        )

    for number in range(2_000):
        der = template.der.replace(b"urn:many:0000", b"urn:many:%04d" % number)
        assert found(index, answer(der)) == (Status.MATCHED, number, der)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda body: body[:-1],
        lambda body: body + b"\0",
        lambda body: b"",
        lambda body: body.replace(b"urn:x", b"urn:\xff"),
        lambda body: body[:16] + StatusCode.BadTooManyOperations.to_bytes(4, "little") + body[20:],
        lambda body: b"\x01\x00\xb0\x01" + body[4:],
        lambda body: encode_message(ua.ServiceFault()),
    ],
)
def test_what_is_no_good_answer_is_left_to_the_reference(
    empty: TicketIndex, spoilt: Callable[[bytes], bytes]
) -> None:
    index = empty.extended([device(DEVICES[0])])

    assert found(index, spoilt(answer(identity(DEVICES[0])))) == ASK


@pytest.mark.parametrize("key", [b"", bytes(15), bytes(17)])
def test_the_key_of_the_hash_has_sixteen_bytes(key: bytes) -> None:
    if not is_compiled():
        pytest.skip("Python's own dictionaries have their own key")
    with pytest.raises(ValueError, match="16"):
        new_index(key)


def test_rows_and_uris_beyond_the_compact_form_are_refused() -> None:
    if not is_compiled():
        pytest.skip("the Python index has no compact form")
    for listed in (device(DEVICES[0], 1 << 32), device(DEVICES[0], -1), device("u" * 65_536)):
        with pytest.raises(OverflowError):
            new_index(KEY).extended([listed])


# --- both beside each other

uris_of = st.lists(st.sampled_from([*DEVICES, *CELLS]), max_size=3)
listings = st.builds(
    Listed,
    row=st.just(0),
    uri=st.sampled_from([*DEVICES, *CELLS]),
    is_composite=st.just(True),
    route=st.sampled_from(Route),
    composite_uris=st.lists(st.sampled_from(CELLS), max_size=1).map(tuple),
    devices=st.lists(st.sampled_from(DEVICES), max_size=2).map(tuple),
    composites=st.lists(st.sampled_from(CELLS), max_size=2).map(tuple),
) | st.builds(
    Listed,
    row=st.just(0),
    uri=st.sampled_from(DEVICES),
    is_composite=st.just(False),
    route=st.sampled_from(Route),
    composite_uris=st.lists(st.sampled_from(CELLS), max_size=1).map(tuple),
)
plants = st.lists(listings, max_size=8).map(
    lambda plant: [
        Listed(**{name: getattr(one, name) for name in Listed.__slots__} | {"row": row})
        for row, one in enumerate(plant)
    ]
)
KEYS = [rsa_key(), None]
certificates = st.builds(
    lambda uris, years, key: (
        make("p", uris=uris, key=key, not_before=NOW - timedelta(days=years)).der
    ),
    uris_of,
    st.integers(1, 3),
    st.sampled_from(KEYS),
)


@pytest.mark.slow
@given(plant=plants, shown=st.lists(certificates, max_size=4), cut=st.integers(0, 8))
def test_the_index_in_use_says_what_the_reference_says_or_nothing(
    plant: list[Listed], shown: list[bytes], cut: int
) -> None:
    received = answer(*shown)
    reference = found(EMPTY["python"].extended(plant), received)
    index = EMPTY["in use"].extended(plant[:cut]).extended(plant[cut:])

    assert found(index, received) in (reference, ASK)


@cache
def believed(listed: Listed) -> ValidTicket:
    """Return a Ticket that was verified and says what ``listed`` says."""
    (opc_uri,) = listed.composite_uris or ("",)
    payload = device_payload(listed.uri)
    kind = "DeviceIdentityTicketType"
    if listed.is_composite:
        payload = composite_payload(
            listed.uri, devices=listed.devices, composites=listed.composites
        )
        kind = "CompositeIdentityTicketType"
    # Its own serial number, so that no two are the same Ticket under other signatures.
    unique = json.dumps({**json.loads(payload), "SerialNumber": str(listed.row)}).encode()
    return MAKER.believed(unique, route=listed.route, kind=kind, opc_uri=opc_uri)


@pytest.mark.slow
@given(plant=plants, shown=st.lists(certificates, min_size=1, max_size=3, unique=True))
def test_the_python_index_says_what_gather_and_match_say(
    plant: list[Listed], shown: list[bytes]
) -> None:
    tickets = [believed(listed) for listed in plant]
    identities = [Certificate.from_der(der) for der in shown]

    def find(uris: Collection[str]) -> list[ValidTicket]:
        return [one for one in tickets if not set(one.mentions).isdisjoint(uris)]

    gathered = sorted(gather(identities, find), key=tickets.index)
    expected = match(identities, gathered)
    index = EMPTY["python"].extended([Listed.of(*numbered) for numbered in enumerate(tickets)])
    status, row, der = found(index, answer(*shown))

    if not expected.candidates:
        assert status is (Status.PARTIAL if expected.partial else Status.NO_TICKET)
    else:
        best = expected.candidates[0]
        assert (tickets[row], der) == (best.ticket, best.certificate.der)


@pytest.mark.parametrize("levels", range(1, MAX_NESTING + 3))
def test_however_deep_composites_are_nested_no_other_answer_is_given(levels: int) -> None:
    plant = [device(DEVICES[0]), cell("urn:l:0", devices=[DEVICES[0]])]
    plant += [cell(f"urn:l:{at}", 100 + at, cells=[f"urn:l:{at - 1}"]) for at in range(1, levels)]
    for carried in range(levels):
        received = answer(identity(DEVICES[0], f"urn:l:{carried}"))
        reference = found(EMPTY["python"].extended(plant), received)

        allowed = (reference, ASK) if levels >= MAX_NESTING else (reference,)
        assert found(EMPTY["in use"].extended(plant), received) in allowed


def changed(random: Random, received: bytes) -> bytes:
    """Return ``received`` with some bytes changed, lost or doubled."""
    body = bytearray(received)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(body))
        match random.randrange(6):
            case 0:
                body[at] = random.randrange(256)
            case 1:
                body[at] ^= 1 << random.randrange(8)
            case 2:
                del body[at]
            case 3:
                body.insert(at, body[at])
            case 4:
                body[at] = random.choice([0, 0x7F, 0x80, 0x81, 0x82, 0xFF])
            case _:
                body[at] = (body[at] + random.choice([-1, 1])) % 256
    return bytes(body)


CHANGED = 20_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_of_an_answer_changed_at_random_nothing_else_is_said() -> None:
    """Answers with everything a Device certificate may hold; every byte is hit several times."""
    random = Random(21)
    maker = make("root", is_ca=True).issue("maker", is_ca=True)
    rich = maker.issue(
        "device",
        uris=[DEVICES[0], CELLS[0]],
        pointer=True,
        extended=[ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
    )
    plain = make("rsa", uris=[DEVICES[1]], key=rsa_key(), not_after=FOREVER)
    received = answer(rich, b"".join(one.der for one in rich.chain), plain)
    plant = [device(DEVICES[0], 1, opc=CELLS[0]), device(DEVICES[1], 2)]
    python, other = (EMPTY[name].extended(plant) for name in ("python", "in use"))
    assert found(other, received) == found(python, received) != ASK
    decided = 0

    for _ in range(CHANGED):
        one = changed(random, received)
        verdict = found(other, one)
        assert verdict in (ASK, found(python, one)), one.hex()
        decided += verdict != ASK

    assert CHANGED // 10 < decided < CHANGED
