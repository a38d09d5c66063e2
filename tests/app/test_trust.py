"""Whom a site trusts: five lists, changed from files, none of which ends the work."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from registrar.app import trust
from registrar.core.trust import TrustListName
from registrar.errors import FileInvalid
from registrar.store.store import Store
from registrar.store.trust import EntryKind, Role
from tests.app.delivery import make_maker

LIST = TrustListName.TICKET_AUTHORITIES


@pytest.mark.clause("R61")
def test_pem_and_der_in_a_folder_are_added_and_a_bad_file_beside_them_is_named(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "authorities"
    make_maker().write_authorities(folder)
    (folder / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    (folder / "worse.der").write_bytes(b"\x30\x82\xff\xff")
    (folder / "readme.txt").write_text("hello")

    added = list(trust.add(store, LIST, [folder]))

    problems = {Path(one.source).name: one.problem for one in added}
    assert problems["root.pem"] == problems["root.crl"] == ""
    assert all(problems[name] for name in ("bad.pem", "worse.der", "readme.txt"))
    assert sorted(one.kind for one in trust.entries(store)) == ["certificate", "crl"]


@pytest.mark.parametrize("as_issuer", [False, True])
def test_the_role_is_what_was_asked_for(store: Store, tmp_path: Path, as_issuer: bool) -> None:
    paths = make_maker().write_authorities(tmp_path / "authorities")

    list(trust.add(store, LIST, paths, as_issuer=as_issuer))

    expected = Role.ISSUER if as_issuer else Role.TRUSTED
    assert {one.role for one in trust.entries(store)} == {expected}


@pytest.mark.parametrize("name", TrustListName)
def test_an_entry_stands_in_its_list_and_in_no_other(
    store: Store, tmp_path: Path, name: TrustListName
) -> None:
    paths = make_maker().write_authorities(tmp_path / "authorities")

    list(trust.add(store, name, paths))

    assert {one.name for one in trust.entries(store)} == {name}


def test_an_older_crl_is_refused(store: Store, tmp_path: Path) -> None:
    maker = make_maker()
    older, newer = tmp_path / "1.crl", tmp_path / "2.crl"
    older.write_bytes(maker.root.crl(1))
    newer.write_bytes(maker.root.crl(2))

    certificate, _ = maker.write_authorities(tmp_path / "authorities")
    list(trust.add(store, LIST, [certificate]))

    (first,) = trust.add(store, LIST, [newer])
    (second,) = trust.add(store, LIST, [older])

    assert not first.problem
    assert "older" in second.problem


@pytest.mark.clause("T22")
def test_certificates_come_before_crls_whatever_the_order_of_files(
    store: Store, tmp_path: Path
) -> None:
    maker = make_maker()
    certificate, older = maker.write_authorities(tmp_path / "authorities")
    newer = tmp_path / "2.crl"
    newer.write_bytes(maker.root.crl(2))

    found = list(trust.add(store, LIST, [newer, older, certificate]))

    assert [one.kind for one in found if not one.problem] == ["certificate", "crl"]
    assert ["older" in one.problem for one in found] == [False, False, True]


def test_an_entry_is_removed_by_the_begin_of_its_thumbprint(store: Store, tmp_path: Path) -> None:
    paths = make_maker().write_authorities(tmp_path / "authorities")
    certificate, _ = trust.add(store, LIST, paths)

    trust.remove(store, trust.find(store, LIST, certificate.thumbprint[:8].upper()))

    assert [one.kind for one in trust.entries(store)] == [EntryKind.CRL]


@pytest.mark.parametrize("thumbprint", ["", "1234567", "00000000"])
def test_a_thumbprint_that_names_no_entry_is_refused(store: Store, thumbprint: str) -> None:
    with pytest.raises(FileInvalid) as caught:
        trust.find(store, LIST, thumbprint)

    assert caught.value.subject == thumbprint


def test_a_bundle_holds_several_certificates(store: Store, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    makers = [make_maker("One"), make_maker("Two")]
    bundle.write_bytes(b"".join(one.root.certificate.public_bytes(Encoding.PEM) for one in makers))

    added = list(trust.add(store, LIST, [bundle]))

    assert [one.source for one in added] == [f"{bundle}#1", f"{bundle}#2"]
    assert not any(one.problem for one in added)
