"""One command stops an authority, and says whom that concerns (T7)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from registrar.app import stopping, tickets, trust
from registrar.app.settings import Settings
from registrar.core.certificate import Certificate
from registrar.core.enrolment import State
from registrar.core.scope import Scope
from registrar.core.trust import TrustListName
from registrar.errors import FileInvalid, Reason
from registrar.store import enrolments
from registrar.store import tickets as stored
from registrar.store.store import Store
from registrar.store.transaction import Cause
from tests.app.delivery import Maker, make_maker, uri_of

LIST = TrustListName.TICKET_AUTHORITIES
STRICT = Settings()


def import_tickets(store: Store, maker: Maker, folder: Path, count: int) -> list[tickets.Received]:
    for number in range(1, count + 1):
        (folder / f"{number}.json").write_text(maker.ticket(number))
    paths = [folder / f"{number}.json" for number in range(1, count + 1)]
    return list(tickets.import_files(store, STRICT, paths))


def authority(store: Store) -> Certificate:
    listed = next(one for one in trust.entries(store) if one.kind == "certificate")
    return trust.find_certificate(store, listed.thumbprint[:8])


@pytest.fixture
def maker(store: Store, tmp_path: Path) -> Maker:
    """A trusted manufacturer whose two Tickets were imported, the first one's device accepted."""
    made = make_maker()
    list(trust.add(store, LIST, made.write_authorities(tmp_path / "authorities")))
    import_tickets(store, made, tmp_path, 2)
    first = next(one for one in stored.all_of(store.reader) if one.uri == uri_of(1))
    cause = Cause(actor="test", now=datetime.now(UTC))
    store.write_sync(lambda tx: enrolments.discover(tx, ["opc.tcp://127.0.0.1:4840"], cause=cause))
    store.write_sync(
        lambda tx: tx.change(
            "UPDATE enrolments SET state = ?, ticket_digests = ?",
            (State.ONBOARDED, first.payload_digest),
        )
    )
    return made


@pytest.mark.clause("T7")
@pytest.mark.clause("R86")
def test_a_stop_withdraws_tickets_and_leaves_accepted_devices_alone(
    store: Store, maker: Maker
) -> None:
    found = stopping.stop(store, STRICT, authority(store))

    assert {(one.uri, one.url, one.state) for one in found} == {
        (uri_of(1), "opc.tcp://127.0.0.1:4840", "onboarded"),
        (uri_of(2), "", ""),
    }
    assert stored.count(store.reader) == 0
    assert [one.reason for one in stored.rejected_for(store.reader, [uri_of(2)])] == [
        Reason.AUTHORITY_STOPPED
    ]
    (enrolment,) = enrolments.find(store.reader, "opc.tcp://127.0.0.1:4840")
    assert enrolment.state is State.ONBOARDED


@pytest.mark.clause("T7")
@pytest.mark.parametrize("which", [0, 1], ids=["CA", "its issuer"])
def test_a_stop_names_those_whose_certificates_the_authority_issues(
    store: Store, maker: Maker, tmp_path: Path, which: int
) -> None:
    cas = tuple(make_maker(name).root.der for name in ("Devices", "Above"))
    path = tmp_path / "named.json"
    path.write_text(maker.ticket(3, cas=cas))
    assert all(one.is_valid for one in tickets.import_files(store, STRICT, [path]))

    found = stopping.stop(store, STRICT, Certificate.from_der(cas[which]))

    assert [(one.uri, one.basis) for one in found] == [(uri_of(3), "certificate")]
    assert stored.count(store.reader) == 3


@pytest.mark.clause("T7")
def test_a_stop_leaves_the_tickets_of_others_alone(
    store: Store, maker: Maker, tmp_path: Path
) -> None:
    stopped = authority(store)
    other = make_maker("Other")
    list(trust.add(store, LIST, other.write_authorities(tmp_path / "other")))
    path = tmp_path / "other.json"
    path.write_text(other.ticket(3))
    assert all(one.is_valid for one in tickets.import_files(store, STRICT, [path]))

    found = stopping.stop(store, STRICT, stopped)

    assert {one.uri for one in found} == {uri_of(1), uri_of(2)}
    assert [one.uri for one in stored.all_of(store.reader)] == [uri_of(3)]


def test_a_stopped_authority_stays_stopped_when_it_is_added_again(
    store: Store, maker: Maker, tmp_path: Path
) -> None:
    stopping.stop(store, STRICT, authority(store))
    for entry in list(trust.entries(store)):
        trust.remove(store, entry)
    list(trust.add(store, LIST, [tmp_path / "authorities" / "root.pem"]))

    assert [one.reason for one in import_tickets(store, maker, tmp_path, 2)] == [
        Reason.AUTHORITY_STOPPED
    ] * 2
    assert [one.scope[:7] for one in trust.entries(store)] == ["stopped"]


def test_a_stop_can_be_lifted(store: Store, maker: Maker) -> None:
    certificate = authority(store)
    stopping.stop(store, STRICT, certificate)

    found = stopping.lift(store, STRICT, certificate)

    assert {one.uri for one in found} == {uri_of(1), uri_of(2)}
    assert stored.count(store.reader) == 2


def test_a_thumbprint_that_nothing_has_stops_nothing(store: Store, maker: Maker) -> None:
    with pytest.raises(FileInvalid, match="names 0 certificates of all lists, not one"):
        trust.find_certificate(store, "0000000000")


@pytest.mark.parametrize("digits", [0, 1, 7])
def test_a_few_digits_stop_nothing(store: Store, maker: Maker, digits: int) -> None:
    thumbprint = authority(store).thumbprint[:digits]

    with pytest.raises(FileInvalid, match=f"{digits} digits are fewer than 8"):
        trust.find_certificate(store, thumbprint)


@pytest.mark.clause("T7")
@pytest.mark.bad_input(
    "B44", "a Ticket more than may rest on its authority", "authority_out_of_scope"
)
def test_no_more_tickets_rest_on_an_authority_than_may(store: Store, tmp_path: Path) -> None:
    made = make_maker()
    files = made.write_authorities(tmp_path / "authorities")
    list(trust.add(store, LIST, files, scope=Scope(count=2)))

    reasons = [one.reason for one in import_tickets(store, made, tmp_path, 3)]
    again = [one.reason for one in import_tickets(store, made, tmp_path, 3)]

    assert reasons == again == [None, None, Reason.AUTHORITY_OUT_OF_SCOPE]
    assert stored.count(store.reader) == 2
    assert [one.scope for one in trust.entries(store)] == ["at most 2 Tickets", ""]


def test_a_new_scope_takes_the_place_of_the_old_and_none_leaves_it(
    store: Store, tmp_path: Path
) -> None:
    certificate, _ = make_maker().write_authorities(tmp_path / "authorities")
    shown = []
    for scope in (Scope(manufacturer="A", count=0), None, Scope(uri_prefix="urn:b:"), Scope()):
        list(trust.add(store, LIST, [certificate], scope=scope))
        shown += [one.scope for one in trust.entries(store)]

    assert shown == ["manufacturer A, at most 0 Tickets"] * 2 + ["URIs urn:b:…", ""]
