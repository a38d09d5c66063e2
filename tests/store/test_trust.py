"""Five lists that never mix, and revocation lists that never go back."""

from __future__ import annotations

import pytest
from cryptography import x509

from registrar.core.crl import Crl
from registrar.core.scope import Scope
from registrar.core.trust import TrustListName
from registrar.errors import CertificateRejected, FileInvalid
from registrar.store import Store, audit, authorities, trust
from registrar.store.audit import Kind
from registrar.store.trust import Role
from tests.core.building import NOW, root
from tests.store.building import CAUSE

LOADERS = {
    TrustListName.TICKET_AUTHORITIES: trust.ticket_authorities,
    TrustListName.DEVICE_IDENTITY_AUTHORITIES: trust.device_identity_authorities,
    TrustListName.ADMINISTRATORS: trust.administrators,
    TrustListName.APPLICATIONS: trust.applications,
    TrustListName.SITE_AUTHORITIES: trust.site_authorities,
}
TICKETS = TrustListName.TICKET_AUTHORITIES


def add(store: Store, name: TrustListName, der: bytes, role: Role = Role.TRUSTED) -> bool:
    return store.write_sync(lambda tx: trust.add_certificate(tx, name, der, role=role, cause=CAUSE))


def add_crl(store: Store, crl: Crl, role: Role = Role.TRUSTED) -> bool:
    return store.write_sync(lambda tx: trust.add_crl(tx, TICKETS, crl.der, role=role, cause=CAUSE))


@pytest.mark.clause("T8")
@pytest.mark.parametrize("name", sorted(TrustListName))
def test_an_entry_of_one_list_is_in_no_other(store: Store, name: TrustListName) -> None:
    ca = root()

    add(store, name, ca.der)

    for other, load in LOADERS.items():
        expected = (ca.certificate,) if other is name else ()
        assert load(store.reader).trusted_certificates == expected
        assert trust.trusted_certificates(store.reader, other) == [*expected]


def test_roles_and_kinds_come_back_as_they_were_put(store: Store) -> None:
    anchor, helper = root("anchor"), root("helper")
    add(store, TICKETS, anchor.der)
    add(store, TICKETS, helper.der, Role.ISSUER)
    add_crl(store, anchor.crl())
    add_crl(store, helper.crl(), Role.ISSUER)

    loaded = trust.ticket_authorities(store.reader)

    assert loaded.trusted_certificates == (anchor.certificate,)
    assert trust.trusted_certificates(store.reader, TICKETS) == [anchor.certificate]
    assert loaded.issuer_certificates == (helper.certificate,)
    assert [crl.issuer_bytes for crl in loaded.trusted_crls] == [anchor.certificate.subject_bytes]
    assert [crl.issuer_bytes for crl in loaded.issuer_crls] == [helper.certificate.subject_bytes]


def test_adding_twice_changes_nothing(store: Store) -> None:
    ca = root()

    assert add(store, TICKETS, ca.der)
    assert not add(store, TICKETS, ca.der)

    assert len(trust.entries(store.reader, TICKETS)) == 1
    assert len(audit.entries(store.reader, kind=Kind.TRUST)) == 1


def test_an_entry_can_be_taken_off(store: Store) -> None:
    ca = root()
    add(store, TICKETS, ca.der)
    (entry,) = trust.entries(store.reader, TICKETS)

    gone = [store.write_sync(lambda tx: trust.remove(tx, entry, cause=CAUSE)) for _ in range(2)]

    assert gone == [True, False]
    assert trust.entries(store.reader, TICKETS) == []
    events = [one.event for one in audit.entries(store.reader, kind=Kind.TRUST)]
    assert events == ["trusted_certificate_added", "trusted_certificate_removed"]


def test_every_change_gives_a_new_version_though_the_clock_stands_still(store: Store) -> None:
    versions = [trust.version(store.reader)]
    for change in (root("1"), root("2")):
        add(store, TICKETS, change.der)
        versions.append(trust.version(store.reader))
    (first, _) = trust.entries(store.reader, TICKETS)

    store.write_sync(lambda tx: trust.remove(tx, first, cause=CAUSE))
    versions.append(trust.version(store.reader))
    add(store, TICKETS, root("3").der)
    versions.append(trust.version(store.reader))

    assert sorted(set(versions)) == versions


@pytest.mark.clause("T22")
def test_a_newer_crl_takes_the_place_of_the_older(store: Store) -> None:
    ca, other = root("ca"), root("other")
    newest = ca.crl(number=8)
    add(store, TICKETS, ca.der)
    add(store, TICKETS, other.der)
    add_crl(store, other.crl(number=3))
    add_crl(store, ca.crl(number=7))

    add_crl(store, newest)

    crls = trust.ticket_authorities(store.reader).trusted_crls
    assert [(crl.issuer_bytes, crl.number) for crl in crls] == [
        (other.certificate.subject_bytes, 3),
        (ca.certificate.subject_bytes, 8),
    ]


@pytest.mark.bad_input("B66", "a CRL older than the one on the list", "file_invalid")
@pytest.mark.clause("T22")
def test_an_older_crl_is_refused(store: Store) -> None:
    ca = root()
    newest = ca.crl(number=8)
    add(store, TICKETS, ca.der)
    add_crl(store, newest)

    with pytest.raises(FileInvalid, match="older"):
        add_crl(store, ca.crl(number=7))

    assert trust.ticket_authorities(store.reader).trusted_crls == (newest,)


@pytest.mark.clause("T22")
@pytest.mark.bad_input("B66", "an older CRL than one that came before its CA", "file_invalid")
def test_a_crl_that_came_before_its_ca_counts_as_seen(store: Store) -> None:
    ca = root()
    newest = ca.crl(number=8)
    add_crl(store, newest)
    add(store, TICKETS, ca.der)

    with pytest.raises(FileInvalid, match="older than 8"):
        add_crl(store, ca.crl(number=7))

    add_crl(store, ca.crl(number=9))
    (crl,) = trust.ticket_authorities(store.reader).trusted_crls
    assert crl.number == 9


@pytest.mark.clause("T22")
@pytest.mark.parametrize("role", Role)
def test_a_crl_that_no_certificate_of_the_list_signed_takes_nobodys_place(
    store: Store, role: Role
) -> None:
    ca, forger = root("ca"), root("ca")
    genuine, forged = ca.crl(number=7), forger.crl(number=1 << 159)
    add(store, TICKETS, ca.der)
    add_crl(store, genuine)

    add_crl(store, forged, role)

    assert set(trust.ticket_authorities(store.reader).crls_of(genuine.issuer_name)) == {
        genuine,
        forged,
    }
    assert add_crl(store, ca.crl(number=8))


@pytest.mark.clause("T22")
def test_a_crl_of_another_ca_takes_nobodys_place_whatever_key_it_names(store: Store) -> None:
    ca, other = root("ca"), root("ca")
    identifier = x509.AuthorityKeyIdentifier(ca.certificate.ski, None, None)
    add(store, TICKETS, ca.der)
    add(store, TICKETS, other.der)
    add_crl(store, ca.crl(number=7))

    add_crl(store, other.crl(number=9, extensions=[(identifier, False)]))

    assert add_crl(store, ca.crl(number=8))
    crls = trust.ticket_authorities(store.reader).trusted_crls
    assert [crl.number for crl in crls] == [9, 8]


@pytest.mark.clause("T22")
def test_a_crl_number_may_have_twenty_bytes(store: Store) -> None:
    ca = root()
    add(store, TICKETS, ca.der)

    for number in (255, 256, (1 << 64) + 1, (1 << 160) - 1):
        assert add_crl(store, ca.crl(number=number))

    (crl,) = trust.ticket_authorities(store.reader).trusted_crls
    assert crl.number == (1 << 160) - 1


@pytest.mark.parametrize("der", [b"", b"nonsense", b"\x30\x84\xff\xff\xff\xff"])
def test_what_is_neither_certificate_nor_crl_is_refused(store: Store, der: bytes) -> None:
    with pytest.raises(CertificateRejected):
        add(store, TICKETS, der)
    with pytest.raises(CertificateRejected):
        store.write_sync(lambda tx: trust.add_crl(tx, TICKETS, der, cause=CAUSE))


def test_a_list_has_a_largest_size(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "MAX_ENTRIES", 2)
    add(store, TICKETS, root("1").der)
    add(store, TICKETS, root("2").der)

    with pytest.raises(FileInvalid):
        add(store, TICKETS, root("3").der)
    add(store, TrustListName.APPLICATIONS, root("4").der)


@pytest.mark.clause("T22")
@pytest.mark.bad_input("B66", "an older CRL after the newer one was taken off", "file_invalid")
def test_a_crl_number_never_goes_back_even_where_the_list_is_empty(store: Store) -> None:
    ca = root()
    add(store, TICKETS, ca.der)
    add_crl(store, ca.crl(number=8))
    (_, entry) = trust.entries(store.reader, TICKETS)
    store.write_sync(lambda tx: trust.remove(tx, entry, cause=CAUSE))

    with pytest.raises(FileInvalid, match="has seen"):
        add_crl(store, ca.crl(number=7))

    assert trust.ticket_authorities(store.reader).trusted_crls == ()
    assert add_crl(store, ca.crl(number=8))


def test_crls_of_two_keys_of_one_name_stand_side_by_side(store: Store) -> None:
    old, new = root("ca"), root("ca")
    named = [x509.AuthorityKeyIdentifier(one.certificate.ski, None, None) for one in (old, new)]
    add(store, TICKETS, old.der)
    add(store, TICKETS, new.der)

    add_crl(store, old.crl(number=9, extensions=[(named[0], False)]))
    add_crl(store, new.crl(number=1, extensions=[(named[1], False)]))

    loaded = trust.ticket_authorities(store.reader)
    assert [crl.number for crl in loaded.trusted_crls] == [9, 1]


@pytest.mark.clause("T7")
def test_a_scope_goes_with_its_certificate_and_a_stop_stays(store: Store) -> None:
    ca = root()
    scope = Scope(manufacturer="Example", uri_prefix="urn:e:", until=NOW, count=3)
    digest = ca.certificate.thumbprint
    add(store, TICKETS, ca.der)
    store.write_sync(lambda tx: authorities.set_scope(tx, TICKETS, digest, scope, cause=CAUSE))
    stopped = [
        store.write_sync(lambda tx: authorities.stop(tx, ca.certificate, cause=CAUSE))
        for _ in range(2)
    ]
    loaded = trust.ticket_authorities(store.reader)
    (entry,) = trust.entries(store.reader, TICKETS)
    store.write_sync(lambda tx: trust.remove(tx, entry, cause=CAUSE))
    after = trust.ticket_authorities(store.reader)
    lifted = [
        store.write_sync(lambda tx: authorities.lift(tx, ca.certificate, cause=CAUSE))
        for _ in range(2)
    ]

    assert loaded.scope_of(ca.certificate) == scope
    assert loaded.stopped == after.stopped == {ca.certificate.key_digest}
    assert after.scopes == ()
    assert stopped == lifted == [True, False]
    assert trust.ticket_authorities(store.reader).stopped == frozenset()
