"""Tickets by the batch: whatever the batch decides, the reference decides alike."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from inspect import unwrap
from itertools import islice
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from registrar.core.certificate import Certificate
from registrar.core.identity import IdentityPolicy, validate_identity
from registrar.core.match import Candidate
from registrar.core.scope import Scope
from registrar.core.ticket_batch import ROW, Batch, Known, Row, Status
from registrar.core.ticket_snapshot import TicketSnapshot, Verdicts
from registrar.core.trust import DeviceIdentityAuthorities, TicketAuthorities
from registrar.core.validation import Check
from registrar.core.verify import Route, TicketVerifier, ValidTicket
from registrar.errors import CertificateRejected, TicketInvalid
from registrar.native import is_compiled
from tests.core.building import (
    NOW,
    Maker,
    base64url,
    composite_payload,
    device_payload,
    document,
    ec_key,
    entry,
    make,
    root,
    rsa_key,
    trusting,
    usage,
)
from tests.core.mutation import mutants

OUT = Route.OUT_OF_BAND
MAKERS = (
    Maker.new("ec"),
    Maker.new("rsa", key=rsa_key()),
    Maker.new("ec384", key=ec_key(ec.SECP384R1())),
    Maker.new("ec521", key=ec_key(ec.SECP521R1())),
    Maker.new("builder"),
)
ALGORITHMS = ("ES256", "PS384", "ES384", "ES512")
BUILDER = MAKERS[-1]
CAS = tuple(
    root(f"devices of {maker.root.certificate.subject}", key=key)
    for maker, key in zip(
        MAKERS, (None, rsa_key(number=1), ec_key(ec.SECP384R1()), None), strict=False
    )
)
REVOKED = make("revoked", issuer=CAS[0], uris=["urn:example.com:snr-4"])
SIGNERS = TicketAuthorities(
    trusting(*(maker.root for maker in MAKERS), crls=[maker.root.crl() for maker in MAKERS])
)
ISSUERS = DeviceIdentityAuthorities(
    trusting(crls=[CAS[0].crl(REVOKED.certificate), *(ca.crl() for ca in CAS[1:])])
)
VERIFIER = TicketVerifier(SIGNERS)


def snapshot(verifier: TicketVerifier = VERIFIER) -> TicketSnapshot:
    return TicketSnapshot(verifier, route=OUT, now=NOW, authorities=ISSUERS)


def delivered(number: int) -> tuple[str, bytes]:
    """Return a good Ticket and the certificate of its Device, by makers and CAs in turn."""
    which = number % len(CAS)
    uri = f"urn:example.com:snr-{number}"
    payload = device_payload(uri, CAS[which], ManufacturerName="Müller & Söhne")
    payload = json.dumps(json.loads(payload), ensure_ascii=False).encode()
    entries = [entry(payload, MAKERS[which].signer, alg=ALGORITHMS[which])]
    if number % 4 == 0:
        entries.append(entry(payload, BUILDER.signer, opc_uri="urn:builder.com:cell-1"))
    return document(payload, *entries), CAS[which].issue(f"{number}", uris=[uri]).der


GOOD = [delivered(number) for number in range(64)]

OFTEN = 256
"""Signatures of a key on P-256 after which the batch keeps a table for it."""


def reference(text: str | bytes, der: bytes | None) -> tuple[Status, str]:
    """Return what the reference finds, and the URI."""
    try:
        ticket = VERIFIER.verify(text, route=OUT, now=NOW)
    except TicketInvalid:
        return Status(0), ""
    status = Status.BELIEVED | (Status.COMPOSITE if ticket.is_composite else Status(0))
    if der is None or ticket.is_composite:
        return status, ticket.uri
    try:
        validate_identity(
            Candidate(certificate=Certificate.from_der(der), ticket=ticket),
            authorities=ISSUERS,
            now=NOW,
            application_uri=ticket.uri,
        )
    except CertificateRejected:
        return status, ticket.uri
    return status | Status.GENUINE, ticket.uri


def found(verdicts: Verdicts) -> list[tuple[Status, str]]:
    return [
        (Status(int(status)), verdicts.text[begin:end].decode())
        for status, (begin, end) in zip(verdicts.status, verdicts.uri, strict=True)
    ]


def outcome(result: ValidTicket | TicketInvalid) -> ValidTicket | tuple[str, str, str]:
    if isinstance(result, TicketInvalid):
        return result.reason, str(result), result.claimed_uri
    return result


def warm(verifier: TicketVerifier = VERIFIER) -> TicketSnapshot:
    """Return a snapshot that knows the makers."""
    made = snapshot(verifier)
    made.judge(*zip(*GOOD, strict=True))
    made.judge(*zip(*GOOD[:1] * OFTEN, strict=True))
    return made


WARM = warm()


def decided(*items: tuple[str | bytes, bytes | None]) -> list[Status]:
    """Return what a snapshot that knows the makers finds; the reference has to find the same."""
    verdicts = WARM.judge(*zip(*items, strict=True))
    assert found(verdicts) == [reference(*one) for one in items]
    assert [at in verdicts.refused for at in range(len(items))] == [
        not status & Status.BELIEVED or (der is not None and status in (Status.BELIEVED,))
        for (status, _), (_, der) in zip(found(verdicts), items, strict=True)
    ]
    return [status for status, _ in found(verdicts)]


def resigned(payload: bytes, which: int = 0, **more: Any) -> str:
    return document(payload, entry(payload, MAKERS[which].signer, alg=ALGORITHMS[which], **more))


URI = "urn:example.com:snr-0"
DER = GOOD[0][1]
GENUINE = Status.BELIEVED | Status.GENUINE


def test_good_tickets_are_believed_and_their_devices_genuine() -> None:
    assert decided(*GOOD) == [GENUINE] * len(GOOD)


@pytest.mark.skipif(not is_compiled(), reason="the Python body knows nothing")
def test_the_batch_decides_what_it_knows() -> None:
    made = warm()
    bad = (GOOD[0][0][:-1], DER)

    verdicts = made.judge(*zip(*GOOD, bad, strict=True))

    assert (verdicts.signer[:-1] >= 0).all()
    signers = {made.headers[number].signer for number in verdicts.signer[:-1]}
    assert signers <= {maker.signer.certificate for maker in MAKERS}
    issuers = {made.issuers[number] for number in verdicts.issuer[:-1]}
    assert issuers == {ca.certificate for ca in CAS}
    assert (verdicts.signer[-1], verdicts.issuer[-1]) == (-1, -1)
    assert {verdicts.signer.dtype.name, verdicts.issuer.dtype.name} == {"int32"}
    assert not any(header.is_limited for header in made.headers)


@pytest.mark.parametrize("at", range(4))
def test_what_is_learned_is_enough_for_the_next_of_its_kind(at: int) -> None:
    made = snapshot()
    (text, der), (other, other_der) = GOOD[at], GOOD[at + 4 * (at != 0) + 32 * (at == 0)]

    first = made.judge([text], [der])
    second = made.judge([other], [other_der])

    assert [*first.status, *second.status] == [GENUINE, GENUINE]
    assert [*(second.signer >= 0), *(second.issuer >= 0)] == [is_compiled()] * 2
    assert made.verify_all([other])[0] == VERIFIER.verify(other, route=OUT, now=NOW)


@pytest.mark.skipif(not is_compiled(), reason="the Python body knows nothing")
@pytest.mark.parametrize("times", [1, 4])
def test_the_reference_is_asked_about_the_first_of_each_kind_alone(times: int) -> None:
    verdicts = snapshot().judge(*zip(*GOOD * times, strict=True))

    assert (verdicts.signer < 0).sum() == len(CAS)
    assert (verdicts.issuer < 0).sum() == len(CAS)


def test_of_a_ticket_only_good_signatures_teach() -> None:
    payload = device_payload(URI)
    stranger = Maker.new("stranger").signer
    entries = [entry(payload, stranger), entry(payload, MAKERS[0].signer)]
    made = snapshot()

    made.judge([document(payload, *entries)] * 16)

    assert len(made.headers) == is_compiled()
    assert all(one.signer == MAKERS[0].signer.certificate for one in made.headers)


def test_an_issuer_of_whose_revocations_nothing_is_known_is_not_learned() -> None:
    ca = root("without a CRL")
    payload = device_payload(URI, ca)
    der = ca.issue("device", uris=[URI]).der
    made = snapshot()

    verdicts = made.judge([resigned(payload)] * 16, [der] * 16)

    assert set(verdicts.status) == {GENUINE}
    assert len(made.issuers) == 0


@pytest.mark.parametrize("above", [True, False])
def test_an_issuer_is_learned_unless_something_above_the_leaf_was_suppressed(above: bool) -> None:
    top = root("a root")
    issuing = top.issue("issuing", is_ca=True)
    der = issuing.issue("device", uris=[URI]).der
    crls = [issuing.crl(), *([] if above else [top.crl()])]
    made = TicketSnapshot(
        VERIFIER,
        route=OUT,
        now=NOW,
        authorities=DeviceIdentityAuthorities(trusting(issuing, issuers=[top], crls=crls)),
    )

    verdicts = made.judge([resigned(device_payload(URI))], [der])

    assert list(verdicts.status) == [GENUINE]
    assert len(made.issuers) == (not above and is_compiled())


def test_the_policy_for_devices_is_asked() -> None:
    ca = root("without a CRL")
    der = ca.issue("device", uris=[URI], pointer=True).der
    text = resigned(device_payload(URI, ca))
    lenient = IdentityPolicy(suppress=frozenset({Check.REVOCATION_UNKNOWN}))

    for policy, status in ((IdentityPolicy(), Status.BELIEVED), (lenient, GENUINE)):
        made = TicketSnapshot(VERIFIER, route=OUT, now=NOW, authorities=ISSUERS, policy=policy)
        assert list(made.judge([text], [der]).status) == [status]


def test_time_is_the_same_wherever_the_registrar_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    expired = identity(not_after=NOW - timedelta(hours=1))
    monkeypatch.setenv("TZ", "West5")
    time.tzset()
    try:
        made = warm()
        assert list(made.judge([GOOD[0][0]] * 2, [expired, DER]).status) == [
            Status.BELIEVED,
            GENUINE,
        ]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_python_bodies_know_nothing_and_leave_everything_to_the_reference() -> None:
    known = unwrap(Known)(1, 1, 1, 0, 0)
    batch = unwrap(Batch)(known, [GOOD[0][0]])
    batch.read()
    batch.check()

    learned = (
        known.learn_header(
            None, b"", key=b"", algorithm="", is_composite=False, uris=b"", not_after=0
        ),
        known.learn_authorities(b""),
        known.learn_issuer(None, -1, b"", b"", key=b"", revoked=b""),
    )

    assert learned == (-1, -1, -1)
    assert (len(known), known.headers, known.issuers) == (0, [], [])
    assert Row._make(ROW.unpack(batch.rows()))[:4] == (0, -1, -1, -1)
    assert (batch.headers(), batch.payloads()) == (b"", b"")
    with pytest.raises(IndexError, match="7"):
        batch.payload(7)


@pytest.mark.parametrize("at", range(5))
def test_tickets_are_made_as_the_reference_makes_them(at: int) -> None:
    texts = [text for text, _ in GOOD[at::5]]
    texts.append(resigned(b"{}"))

    made = WARM.verify_all([*texts, texts[0].encode()])

    again = VERIFIER.verify_all([*texts, texts[0].encode()], route=OUT, now=NOW)
    assert list(map(outcome, made)) == list(map(outcome, again))


def test_what_differs_from_the_known_is_decided_by_the_reference() -> None:
    text, der = GOOD[0]
    members = json.loads(text)
    reordered = json.dumps(dict(reversed(members.items())), indent=1)
    unprotected = json.loads(text)
    unprotected["signatures"][0]["header"] = {"stamp": "x"}
    escaped = text.replace('"payload"', '"p\\u0061yload"')
    other = json.loads(text)
    other["signatures"][0]["signature"] = json.loads(GOOD[4][0])["signatures"][0]["signature"]
    alone = json.loads(text)
    del other["signatures"][1]
    alone["signatures"][1]["signature"] = alone["signatures"][0]["signature"]

    assert decided(
        (reordered, der),
        (json.dumps(unprotected), der),
        (escaped, der),
        (json.dumps(other), der),
        (json.dumps(alone), der),
        (text[:-1], der),
        (text + " ", der),
        (text + "x", der),
        (b"\xef\xbb\xbf" + text.encode(), der),
    ) == [GENUINE, GENUINE, GENUINE, 0, GENUINE, 0, GENUINE, 0, 0]


@pytest.mark.parametrize(
    ("members", "is_believed"),
    [
        ({"ModelName": "a\u00fc\u20ac\U0001f600"}, True),
        ({"ModelName": "x" * 4096}, True),
        ({"ModelName": "ü" * 4096}, True),
        ({"ModelName": "x" * 4097}, False),
        ({"ModelName": None}, True),
        ({"ModelName": 1}, False),
        ({"modelName": "x"}, False),
        ({"Unknown": [1.5, {"a": True}]}, True),
        ({"ManufactureDate": "0001-01-01T00:00:00Z"}, True),
        ({"ManufactureDate": "0000-01-01T00:00:00Z"}, False),
        ({"ManufactureDate": "2024-02-29T23:59:59.123456789Z"}, True),
        ({"ManufactureDate": "2023-02-29T00:00:00Z"}, False),
        ({"ManufactureDate": "2023-12-31T24:00:00Z"}, False),
        ({"ManufactureDate": "2023-12-31T23:60:00Z"}, False),
        ({"ManufactureDate": "2023-12-31T23:59:00.Z"}, False),
        ({"ManufactureDate": "2023-12-31T23:59:00+01:00"}, True),
        ({"ProductInstanceUri": ""}, False),
        ({"ProductInstanceUri": "1rn:x"}, False),
        ({"ProductInstanceUri": "urn"}, False),
        ({"ProductInstanceUri": "urn:"}, False),
        ({"ProductInstanceUri": "urn:%4"}, False),
        ({"ProductInstanceUri": "urn:%4g"}, False),
        ({"ProductInstanceUri": "urn:%4F"}, True),
        ({"ProductInstanceUri": "urn:x y"}, False),
        ({"ProductInstanceUri": "urn:" + "x" * 1020}, True),
        ({"ProductInstanceUri": "urn:" + "x" * 1021}, False),
        ({"Authorities": []}, True),
        ({"Authorities": [{"AuthorityCertificate": "AA=="}]}, True),
        ({"Authorities": [{"AuthorityCertificate": ""}]}, False),
        ({"Authorities": {}}, False),
    ],
)
def test_payloads_are_read_as_the_reference_reads_them(
    members: dict[str, object], is_believed: bool
) -> None:
    payload = device_payload(**{"uri": URI, **members})  # type: ignore[arg-type]
    plain = json.dumps(json.loads(payload), ensure_ascii=False).encode()

    statuses = decided(*[(resigned(plain), None)] * 8, (resigned(payload), None))

    assert set(statuses) == {Status.BELIEVED if is_believed else Status(0)}


@pytest.mark.parametrize(
    ("devices", "is_believed"),
    [
        ((), True),
        (("urn:x:1", "urn:x:2"), True),
        (("urn:x:1", "none"), False),
        (["urn:x:1"] * 4096, True),
        (["urn:x:1"] * 4097, False),
    ],
)
def test_composites_are_read_as_the_reference_reads_them(
    devices: Sequence[str], is_believed: bool
) -> None:
    payload = composite_payload(devices=devices)
    text = resigned(payload, kind="CompositeIdentityTicketType")

    expected = Status.BELIEVED | Status.COMPOSITE if is_believed else Status(0)
    assert set(decided(*[(text, DER)] * 8)) == {expected}


def test_a_ticket_of_another_type_than_its_header_says_is_refused() -> None:
    texts = [
        resigned(composite_payload()),
        resigned(device_payload(), kind="CompositeIdentityTicketType"),
    ]

    assert decided(*[(text, None) for text in texts * 8]) == [Status(0)] * 16


def test_nobody_signs_his_own_ticket() -> None:
    signer = MAKERS[0].root.issue("itself", uris=[URI, "urn:example.com:snr-1"])
    payloads = [
        device_payload(uri) for uri in (URI, "urn:example.com:snr-12", "urn:example.com:snr")
    ]
    texts = [document(payload, entry(payload, signer)) for payload in payloads * 8]

    assert decided(*[(text, None) for text in texts]) == [0, Status.BELIEVED, Status.BELIEVED] * 8


def identity(**options: Any) -> bytes:
    return make("device", issuer=CAS[0], **{"uris": [URI], **options}).der


@pytest.mark.parametrize(
    ("der", "is_genuine"),
    [
        (identity(), True),
        (identity(key=rsa_key()), True),
        (identity(key=ec_key(ec.SECP521R1())), True),
        (identity(key=ec_key(ec.SECP256K1())), True),
        (identity(key=rsa_key(1024)), False),
        (identity(uris=[]), False),
        (identity(uris=["urn:example.com:snr-00"]), False),
        (identity(uris=["urn:x:1", URI]), True),
        (identity(not_after=NOW - timedelta(seconds=1)), False),
        (identity(not_after=NOW), True),
        (identity(not_before=NOW), True),
        (identity(not_before=NOW + timedelta(seconds=1)), False),
        (identity(is_ca=True), False),
        (identity(key_usage=usage("key_encipherment")), False),
        (identity(key_usage=usage("key_encipherment"), usage_critical=False), True),
        (identity(aki=False), True),
        (identity(digest=hashes.SHA384()), True),
        (identity(signing_key=ec_key()), False),
        (make("device", issuer=CAS[1], uris=[URI]).der, False),
        (make("device", uris=[URI]).der, False),
        (REVOKED.der, False),
        (b"", False),
        (b"\x30\x00", False),
    ],
)
def test_device_certificates_are_judged_as_the_reference_judges_them(
    der: bytes, is_genuine: bool
) -> None:
    text = GOOD[4][0] if der is REVOKED.der else GOOD[0][0]

    assert decided((text, der)) == [GENUINE if is_genuine else Status.BELIEVED]


def test_a_trusted_device_does_not_vouch_for_its_issuer() -> None:
    """What is learned of one certificate must hold for all that its issuer made."""
    ca = root("of one device")
    first, second = (ca.issue(uri, uris=[uri]) for uri in (URI, "urn:example.com:snr-1"))
    trust = DeviceIdentityAuthorities(trusting(first, issuers=[ca], crls=[ca.crl()]))
    made = TicketSnapshot(VERIFIER, route=OUT, now=NOW, authorities=trust)
    tickets = [resigned(device_payload(uri)) for uri in (URI, "urn:example.com:snr-1")]

    verdicts = made.judge(tickets * 8, [first.der, second.der] * 8)

    assert list(verdicts.status) == [GENUINE, Status.BELIEVED] * 8


def test_a_scope_holds_for_every_ticket() -> None:
    signers = replace(
        SIGNERS,
        scopes=((MAKERS[0].root.certificate.thumbprint, Scope(uri_prefix="urn:example.com:a")),),
    )
    made = snapshot(TicketVerifier(TicketAuthorities(signers)))
    texts = [resigned(device_payload(f"urn:example.com:{uri}")) for uri in ("a1", "b1")] * 8

    verdicts = made.judge(texts)

    assert list(verdicts.status) == [Status.BELIEVED, 0] * 8
    assert sorted(verdicts.refused) == list(range(1, 16, 2))


def test_a_scope_of_one_authority_leaves_others_alone() -> None:
    scope = Scope(uri_prefix="urn:example.com:")
    signers = replace(SIGNERS, scopes=((MAKERS[0].root.certificate.thumbprint, scope),))
    made = snapshot(TicketVerifier(TicketAuthorities(signers)))
    uris = [f"urn:example.{end}:{at}" for at in range(8) for end in ("com", "org")]
    texts = [resigned(device_payload(uri), which) for uri in uris for which in (0, 1)]

    verdicts = made.judge(texts)

    assert list(verdicts.status) == [Status.BELIEVED, Status.BELIEVED, 0, Status.BELIEVED] * 8


def test_a_stranger_is_not_learned() -> None:
    stranger = Maker.new("stranger")
    texts = [stranger.ticket(device_payload(f"urn:x:{number}")) for number in range(16)]
    made = snapshot()

    verdicts = made.judge(texts)

    assert not verdicts.status.any()
    assert len(made) == 0


def test_an_altered_ticket_teaches_nothing() -> None:
    members = json.loads(GOOD[0][0])
    members["payload"] = base64url(device_payload("urn:example.com:other", CAS[1]))
    made = snapshot()

    verdicts = made.judge([json.dumps(members)] * 16)

    assert not verdicts.status.any()
    assert len(made) == 0


def test_threads_share_what_is_known() -> None:
    made = snapshot()
    slices = [GOOD[at::8] * 4 for at in range(8)]

    with ThreadPoolExecutor(4) as threads:
        verdicts = list(threads.map(lambda one: made.judge(*zip(*one, strict=True)), slices))

    assert all((one.status == GENUINE).all() for one in verdicts)


# The library warns of serial numbers that mutants have; the reference judges them all the same.
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.slow
def test_mutants_are_decided_as_the_reference_decides() -> None:
    good = [(text.encode(), der) for text, der in GOOD]

    decided(*islice(mutants(good, seed=1), 3000))
