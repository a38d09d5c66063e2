"""A site's folder: what `init` makes, what `open` insists on, and CRLs that are never late."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from registrar.app import config
from registrar.app import site as site_module
from registrar.app.causes import by_operator, now
from registrar.app.settings import CertificateSettings, Settings
from registrar.app.site import Site
from registrar.ca.keys import KeyType, generate_key, save_key
from registrar.core.certificate import Certificate, decode_chain
from registrar.core.path import validate_path
from registrar.core.trust import TrustList
from registrar.core.validation import ValidationOptions
from registrar.errors import ConfigurationInvalid, FileInvalid, IssuerUnavailable
from registrar.store import audit, issuances
from registrar.store import trust as stored_trust
from registrar.store.invariants import check

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site nobody changes."""
    return Site.create(tmp_path_factory.mktemp("sites") / "plant")


def test_what_was_made_can_be_opened(made: Site) -> None:
    opened = Site.open(made.directory)

    assert opened.settings == made.settings
    assert opened.identity().certificate == made.identity().certificate
    assert all(path.is_file() for _, path in opened.files())


def test_keys_are_readable_by_their_owner_only(made: Site) -> None:
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in made.directory.rglob("*")
        if "key" in path.name or path.suffix == ".db"
    }

    assert set(modes.values()) == {0o600}
    assert len(modes) == 5


def test_every_certificate_is_in_the_ledger_and_the_store_keeps_its_invariants(made: Site) -> None:
    with made.store() as store:
        known = set(issuances.certificates(store.reader))

    authorities = made.authorities
    assert authorities.root is not None
    made_here = {authorities.root.certificate.der, made.identity().certificate}
    assert made_here | set(made.authority_certificates()) <= known
    assert check(made.directory / site_module.DATABASE) == []


def test_the_own_certificate_is_valid_for_this_site(made: Site) -> None:
    with made.store() as store:
        trusted = stored_trust.site_authorities(store.reader)

    path = validate_path(
        made.authorities.own.certificate,
        intermediates=(),
        trust=trusted,
        now=now(),
        options=ValidationOptions(application_uri=made.settings.registrar.application_uri),
    )

    assert path.suppressed == ()


def test_two_sites_have_names_of_their_own(made: Site, tmp_path: Path) -> None:
    other = Site.create(tmp_path / "other")

    assert other.settings.registrar.application_uri != made.settings.registrar.application_uri
    assert other.settings.registrar.organization == "other"


def test_a_configuration_that_lies_there_already_is_used(tmp_path: Path) -> None:
    directory = tmp_path / "plant"
    directory.mkdir()
    wanted = Settings(certificates=CertificateSettings(ca_key="RSA-2048"))
    config.save(directory, wanted)

    made = Site.create(directory)

    assert made.settings.certificates == wanted.certificates
    assert "RSA" in type(made.authorities.dca.certificate.public_key).__name__.upper()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(FileInvalid, match="holds files already"):
        Site.create(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_is_no_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid) as refusal:
        Site.open(tmp_path)

    assert "registrar init" in refusal.value.next_action


def test_keys_can_be_encrypted(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")

    made = Site.create(tmp_path / "plant", passphrase_file=passphrase)

    for path in made.directory.rglob("*key.pem"):
        with pytest.raises(TypeError):
            load_pem_private_key(path.read_bytes(), None)
    assert Site.open(made.directory).identity().certificate == made.identity().certificate
    passphrase.write_text("wrong")
    with pytest.raises(FileInvalid):
        Site.open(made.directory).identity()


def given_ca(made: Site, folder: Path) -> tuple[Path, Path]:
    """Return the files of a CA below a root, as another site would hand them over."""
    certificate, key = folder / "ca.pem", folder / "ca.key"
    ca = made.directory / "ca"
    parts = [ca / "applications.pem", ca / "root-crl.pem", ca / "applications-crl.pem"]
    certificate.write_bytes(b"".join(part.read_bytes() for part in parts))
    key.write_bytes((ca / "applications-key.pem").read_bytes())
    return certificate, key


def test_a_ca_the_site_has_issues_to_applications_and_never_to_dcas(
    made: Site, tmp_path: Path
) -> None:
    chain = made.authorities.applications.chain
    certificate, key = given_ca(made, tmp_path)

    other = Site.create(tmp_path / "other", issuing_ca=certificate, issuing_key=key)

    assert other.authorities.applications.certificate == chain[0]
    assert other.authorities.own.issuers == chain
    assert chain[-1] not in other.authorities.dca.chain


@pytest.mark.parametrize("wrong", ["certificate", "key", "missing"])
def test_a_wrong_ca_makes_no_site(made: Site, tmp_path: Path, wrong: str) -> None:
    certificate, key = given_ca(made, tmp_path)
    if wrong == "certificate":
        certificate.write_text("nothing")
    elif wrong == "key":
        save_key(key, generate_key(KeyType.EC_P256))
    else:
        key.unlink()

    with pytest.raises((FileInvalid, IssuerUnavailable)):
        Site.create(tmp_path / "other", issuing_ca=certificate, issuing_key=key)

    assert not (tmp_path / "other").exists()


def test_an_application_of_the_site_gets_a_certificate_that_is_trusted(
    made: Site, tmp_path: Path
) -> None:
    uri = "urn:example.com:manager"

    files = made.issue_application(tmp_path, name="manager", application_uri=uri)

    pem = files.certificate.read_bytes()
    assert pem.count(b"BEGIN CERTIFICATE") == 3
    assert stat.S_IMODE(files.private_key.stat().st_mode) == 0o600
    with made.store() as store:
        (issued,) = [
            Certificate.from_der(der)
            for der in issuances.certificates(store.reader)
            if uri in Certificate.from_der(der).san_uris
        ]
    assert issued.san_uris == (uri,)
    assert decode_chain(issued.der) == (issued,)
    trust = TrustList(
        trusted_certificates=(made.authorities.applications.certificate,),
        issuer_certificates=made.authorities.applications.issuers,
        trusted_crls=made.authorities.all_crls(),
    )
    validate_path(
        issued,
        intermediates=(),
        trust=trust,
        now=now(),
        options=ValidationOptions(application_uri=uri),
    )


def test_a_revoked_certificate_stands_on_the_next_crl(tmp_path: Path) -> None:
    made = Site.create(tmp_path / "plant")
    before = made.authorities.crls["applications"]
    with made.store() as store:
        made.refresh_crls(store)
        assert made.authorities.crls["applications"] == before
        (own,) = [
            row
            for row in issuances.active(store.reader, enrolment_id=None)
            if row.certificate == made.identity().certificate
        ]
        cause = by_operator()
        store.write_sync(lambda tx: issuances.revoke(tx, own.id, lease=None, cause=cause))

        made.refresh_crls(store)

        crl = made.authorities.crls["applications"]
        assert crl.revoked(own.serial)
        assert (crl.number or 0) > (before.number or 0)
        assert stored_trust.site_authorities(store.reader).crls_of(crl.issuer_name) == (crl,)
        assert audit.of_subject(store.reader, audit.Kind.CRL, "applications")
    assert Site.open(made.directory).authorities.crls["applications"] == crl


def test_a_crl_is_published_again_at_half_of_its_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Site.create(tmp_path / "plant")
    before = made.authorities.crls["dca"]
    later = now() + timedelta(days=16)
    monkeypatch.setattr(site_module, "now", lambda: later)

    with made.store() as store:
        made.refresh_crls(store)

    assert made.authorities.crls["dca"].next_update == (later + timedelta(days=30)).replace(
        microsecond=0
    )
    assert (made.authorities.crls["dca"].number or 0) == (before.number or 0) + 1
