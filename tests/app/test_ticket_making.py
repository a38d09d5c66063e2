"""Makers and CompositeBuilders: what they sign, and what they never sign."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from registrar.app import ticket_making, tickets, trust
from registrar.app.settings import Settings
from registrar.core.ticket import CompositeIdentityTicket
from registrar.core.trust import TrustListName
from registrar.errors import FileInvalid, Misuse, Reason
from registrar.simulate.tickets import forge
from registrar.store import tickets as stored
from registrar.store.store import Store
from tests.app.delivery import uri_of
from tests.app.signers import SignerFiles, write_signer

STRICT = Settings()
CELL = "urn:example.com:cell:1"


def believe(store: Store, signer: SignerFiles, folder: Path) -> SignerFiles:
    """Put the signer's root on the list of Ticket authorities."""
    files = signer.maker.write_authorities(folder)
    list(trust.add(store, TrustListName.TICKET_AUTHORITIES, files))
    return signer


@pytest.fixture
def maker(store: Store, tmp_path: Path) -> SignerFiles:
    """A maker the site trusts."""
    return believe(store, write_signer(tmp_path / "keys", "Maker"), tmp_path / "maker")


@pytest.fixture
def builder(store: Store, tmp_path: Path) -> SignerFiles:
    """A CompositeBuilder the site trusts."""
    return believe(store, write_signer(tmp_path / "keys", "Builder"), tmp_path / "builder")


def table(folder: Path, text: str) -> Path:
    path = folder / "devices.csv"
    path.write_text(text)
    return path


def kept(folder: Path, *documents: str) -> Path:
    path = folder / "made.jsonl"
    path.write_text("".join(f"{one}\n" for one in documents))
    return path


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "P-521", "RSA"],
)
def test_what_a_maker_creates_is_believed(
    store: Store, tmp_path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> None:
    signer = believe(store, write_signer(tmp_path / "keys", "Key", key), tmp_path / "ca")
    rows = table(
        tmp_path,
        "product_instance_uri;Model Name;SerialNumber;ManufactureDate\n"
        f"{uri_of(1)};Pumpe für Öl;0001;2026-05-04\n",
    )

    made = list(ticket_making.create(rows, signer.load(), [signer.certificate]))
    (received,) = tickets.import_files(store, STRICT, [kept(tmp_path, *made)])

    assert received.reason is None, received.detail
    (known,) = stored.tickets_for(store.reader, [uri_of(1)])
    assert (known.ticket.model_name, known.ticket.serial_number) == ("Pumpe für Öl", "0001")
    assert f"{known.ticket.manufacture_date:%Y-%m-%d}" == "2026-05-04"
    assert len(known.ticket.authorities) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no column of"),
        ("Colour\nred\n", "has no column of"),
        ("SerialNumber\n1\n", "line 2: give either"),
        ("ProductInstanceUri,Devices\nurn:a:1,urn:a:2\n", "line 2: a Device has no members"),
        ("ProductInstanceUri\nurn:a:1\nno uri\n", "line 3: .* is not a URI"),
        ("ProductInstanceUri,ManufactureDate\nurn:a:1,4.5.2026\n", "line 2: Invalid isoformat"),
        ("ProductInstanceUri,ManufactureDate\nurn:a:1,0001-01-01T00:00+14:00\n", "line 2: "),
        ("ProductInstanceUri\nurn:a:1,more\n", "line 2 has 2 cells, not 1"),
    ],
)
def test_a_bad_table_names_the_line(
    maker: SignerFiles, tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(FileInvalid, match=says):
        list(ticket_making.create(table(tmp_path, text), maker.load(), []))


def test_a_key_of_somebody_else_signs_nothing(
    maker: SignerFiles, builder: SignerFiles, tmp_path: Path
) -> None:
    with pytest.raises(FileInvalid, match="not that of the certificate"):
        SignerFiles(maker=maker.maker, certificate=maker.certificate, key=builder.key).load()


@pytest.mark.clause("R67")
def test_a_builder_names_its_composite_in_the_tickets_of_its_devices(
    store: Store, maker: SignerFiles, builder: SignerFiles, tmp_path: Path
) -> None:
    composite = table(tmp_path, f"CompositeInstanceUri,Devices\n{CELL},{uri_of(1)} {uri_of(2)}\n")
    made = list(ticket_making.create(composite, builder.load(), []))
    list(tickets.import_files(store, STRICT, [kept(tmp_path, *made)]))
    device = tmp_path / "device.json"
    device.write_text(maker.maker.ticket(1))

    (signed,) = ticket_making.sign(store, STRICT, [device], builder.load())
    (received,) = tickets.import_files(store, STRICT, [kept(tmp_path, signed.document)])

    assert received.reason is None, received.detail
    found = {one.uri: one for one in stored.tickets_for(store.reader, [uri_of(1)])}
    assert found[uri_of(1)].composite_uris == (CELL,)
    assert len(found[uri_of(1)].outcomes) == 2
    inner = found[CELL].ticket
    assert isinstance(inner, CompositeIdentityTicket)
    assert inner.devices == (uri_of(1), uri_of(2))


def test_only_the_builder_of_a_composite_names_it_and_only_in_what_it_holds(
    store: Store, maker: SignerFiles, builder: SignerFiles, tmp_path: Path
) -> None:
    composite = table(tmp_path, f"CompositeInstanceUri,Devices\n{CELL},{uri_of(1)}\n")
    (made,) = ticket_making.create(composite, builder.load(), [])
    path = kept(tmp_path, made, maker.maker.ticket(1))
    list(tickets.import_files(store, STRICT, [path]))

    other = believe(store, write_signer(tmp_path / "keys", "Other"), tmp_path / "other")
    by_other = [one.document for one in ticket_making.sign(store, STRICT, [path], other.load())]
    by_builder = [one.document for one in ticket_making.sign(store, STRICT, [path], builder.load())]

    assert ["opc-uri" in last_header(one) for one in by_other] == [False, False]
    assert by_builder[0] == made
    assert last_header(by_builder[1])["opc-uri"] == CELL


def last_header(document: str) -> dict[str, object]:
    """Return the protected header of the last signature."""
    text = json.loads(document)["signatures"][-1]["protected"]
    header: dict[str, object] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return header


def test_signing_keeps_what_is_there_and_happens_once(
    store: Store, maker: SignerFiles, builder: SignerFiles, tmp_path: Path
) -> None:
    first = maker.maker.ticket(1)
    path = kept(tmp_path, first)

    (once,) = ticket_making.sign(store, STRICT, [path], builder.load(), composite_uri=CELL)
    path = kept(tmp_path, once.document)
    (twice,) = ticket_making.sign(store, STRICT, [path], builder.load(), composite_uri=CELL)

    assert twice.document == once.document
    before, after = json.loads(first), json.loads(once.document)
    assert after["payload"] == before["payload"]
    assert after["signatures"][:-1] == before["signatures"]


@pytest.mark.clause("R65")
@pytest.mark.parametrize("change", ["forged", "stranger", "garbage"])
def test_nothing_is_signed_that_does_not_validate(
    store: Store, maker: SignerFiles, builder: SignerFiles, tmp_path: Path, change: str
) -> None:
    stranger = write_signer(tmp_path / "keys", "Stranger")
    text = {
        "forged": forge(maker.maker.ticket(1), SerialNumber="x"),
        "stranger": stranger.maker.ticket(1),
        "garbage": "{",
    }[change]
    path = tmp_path / "ticket.json"
    path.write_text(text)

    (signed,) = ticket_making.sign(store, STRICT, [path], builder.load())

    assert signed.document == ""
    assert signed.received.reason in {
        Reason.TICKET_SIGNATURE_INVALID,
        Reason.TICKET_SIGNER_UNTRUSTED,
        Reason.TICKET_MALFORMED,
    }


def test_a_ticket_with_all_its_signatures_takes_no_more(
    store: Store, maker: SignerFiles, tmp_path: Path
) -> None:
    document = maker.maker.ticket(1)
    for number in range(stored.MAX_SIGNATURES):
        (signed,) = ticket_making.sign(
            store, STRICT, [kept(tmp_path, document)], maker.load(), composite_uri=f"{CELL}{number}"
        )
        document = signed.document or document

    assert signed.received.reason is Reason.TICKET_TOO_LARGE
    assert len(json.loads(document)["signatures"]) == stored.MAX_SIGNATURES


def test_a_composite_that_is_no_uri_signs_nothing(
    store: Store, maker: SignerFiles, tmp_path: Path
) -> None:
    path = kept(tmp_path, maker.maker.ticket(1))

    with pytest.raises(Misuse, match="'no uri' is not a URI"):
        list(ticket_making.sign(store, STRICT, [path], maker.load(), composite_uri="no uri"))
