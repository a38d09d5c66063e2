"""The CAs of a site: separate by purpose, loadable without the root, each step in the ledger."""

from __future__ import annotations

import stat
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from registrar.ca import (
    Authority,
    CaSettings,
    KeyType,
    Prepared,
    Profile,
    load_given_authority,
    load_site_authorities,
    publish_crl,
)
from registrar.ca.keys import save_key
from registrar.ca.pem import CERTIFICATE, CRL, write_pem
from registrar.core.certificate import Certificate
from registrar.core.crl import Crl
from registrar.core.path import validate_path
from registrar.core.trust import TrustList
from registrar.core.validation import ValidationOptions
from registrar.errors import CertificateRejected, FileInvalid, IssuerUnavailable
from registrar.status import StatusCode
from tests.ca.building import (
    DAY,
    DEVICE_URI,
    NOW,
    OWN,
    MemoryLedger,
    application,
    issue,
    key,
    make_root,
    make_site,
    public_key,
)


@dataclass(frozen=True)
class Entry:
    serial: int
    revoked_at: datetime = NOW
    reason: str = "superseded"


def trusting(
    *authorities: Authority, issuers: tuple[Certificate, ...], crls: tuple[Crl, ...]
) -> TrustList:
    return TrustList(
        trusted_certificates=tuple(authority.certificate for authority in authorities),
        trusted_crls=crls,
        issuer_certificates=issuers,
        issuer_crls=crls,
    )


@pytest.mark.clause("R127")
def test_dca_certificates_come_from_a_ca_that_applications_do_not_trust(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    issuers = (*site.applications.issuers, *site.dca.chain)
    trust = trusting(site.applications, issuers=issuers, crls=site.all_crls())
    options = ValidationOptions(application_uri=DEVICE_URI)
    singleton = Certificate.from_der(issue(site.issuer_for(Profile.APPLICATION), application()))
    dca = Certificate.from_der(
        issue(site.issuer_for(Profile.DCA), application(profile=Profile.DCA))
    )

    validate_path(singleton, trust=trust, now=NOW, options=options)
    with pytest.raises(CertificateRejected) as error:
        validate_path(dca, trust=trust, now=NOW, options=options)

    assert error.value.status is StatusCode.BadCertificateUntrusted


@pytest.mark.clause("R142")
def test_the_owner_runs_the_ca_of_dca_certificates_and_limits_their_life(tmp_path: Path) -> None:
    site = make_site(tmp_path, settings=CaSettings(organization="Owner", dca_lifetime=90 * DAY))

    certificate = Certificate.from_der(
        issue(site.dca, application(profile=Profile.DCA, lifetime=90 * DAY))
    )

    assert certificate.issuer_bytes == site.dca.certificate.subject_bytes
    assert "Owner" in certificate.issuer
    assert certificate.not_after - NOW <= 90 * DAY
    assert certificate.not_before < NOW - timedelta(hours=23)


@pytest.mark.parametrize(
    "ca_key", [KeyType.EC_P256, pytest.param(KeyType.RSA_2048, marks=pytest.mark.slow)]
)
def test_a_site_is_loaded_as_it_was_made(tmp_path: Path, ca_key: KeyType) -> None:
    made = make_site(tmp_path, settings=CaSettings(organization="Ö Plant", ca_key=ca_key))

    loaded = load_site_authorities(tmp_path)

    assert loaded.own.certificate == made.own.certificate
    assert loaded.own.issuers == made.own.issuers == made.applications.chain
    assert loaded.applications.chain == made.applications.chain
    assert loaded.dca.chain == made.dca.chain
    assert loaded.root is not None
    assert loaded.crls == made.crls
    assert set(loaded.crls) == {"root", "applications", "dca"}


def test_the_registrars_own_certificate_is_an_application_certificate(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    crls = site.all_crls()
    trust = trusting(site.applications, issuers=site.applications.issuers, crls=crls)
    options = ValidationOptions(application_uri=OWN.application_uri, host="localhost")

    path = validate_path(site.own.certificate, trust=trust, now=NOW, options=options)

    assert not path.suppressed
    assert site.own.certificate.san_uris == (OWN.application_uri,)


def test_the_root_key_can_be_moved_away(tmp_path: Path) -> None:
    make_site(tmp_path)
    (tmp_path / "ca" / "root-key.pem").unlink()

    site = load_site_authorities(tmp_path)

    assert site.root is None
    assert issue(site.applications, application())
    assert issue(site.dca, application(profile=Profile.DCA))
    with pytest.raises(IssuerUnavailable):
        site.issuer_for(Profile.AUTHORITY)


@pytest.mark.parametrize("name", ["ca/dca.pem", "ca/dca-key.pem", "own/key.pem", "ca/dca-crl.pem"])
def test_any_other_missing_file_is_named(tmp_path: Path, name: str) -> None:
    make_site(tmp_path)
    (tmp_path / name).unlink()

    with pytest.raises(IssuerUnavailable) as caught:
        load_site_authorities(tmp_path)
    assert caught.value.subject == str(tmp_path / name)


@pytest.mark.parametrize("name", ["ca/dca.pem", "ca/dca-key.pem", "own/key.pem", "ca/dca-crl.pem"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    make_site(tmp_path)
    (tmp_path / name).write_bytes(content)

    with pytest.raises(FileInvalid):
        load_site_authorities(tmp_path)


def test_keys_that_were_exchanged_are_noticed(tmp_path: Path) -> None:
    make_site(tmp_path)
    save_key(tmp_path / "own" / "key.pem", key(KeyType.RSA_2048, 7))

    with pytest.raises(FileInvalid):
        load_site_authorities(tmp_path)


def test_every_key_is_encrypted_if_there_is_a_passphrase(tmp_path: Path) -> None:
    make_site(tmp_path, passphrase="secret of the plant")

    keys = [*tmp_path.rglob("*key.pem")]
    assert len(keys) == 4
    assert all(b"ENCRYPTED" in path.read_bytes() for path in keys)
    assert load_site_authorities(tmp_path, passphrase="secret of the plant")
    with pytest.raises(FileInvalid):
        load_site_authorities(tmp_path, passphrase="guess")


def test_keys_belong_to_their_owner_alone(tmp_path: Path) -> None:
    make_site(tmp_path)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*key.pem")}

    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700


def test_a_site_is_never_made_over_another(tmp_path: Path) -> None:
    site = make_site(tmp_path)

    with pytest.raises(FileInvalid):
        make_site(tmp_path)

    assert load_site_authorities(tmp_path).own.certificate == site.own.certificate


@pytest.mark.clause("I1")
def test_each_certificate_is_in_the_ledger_before_it_is_signed(tmp_path: Path) -> None:
    ledger = MemoryLedger()

    site = make_site(tmp_path, ledger=ledger)

    assert site.root is not None
    assert ledger.signed == {
        "root": site.root.certificate.der,
        "applications": site.applications.certificate.der,
        "dca": site.dca.certificate.der,
        "own": site.own.certificate.der,
    }


class FailingLedger(MemoryLedger):
    def reserve(self, name: str, issuer: str, key_digest: str, prepared: Prepared) -> None:
        if name == "applications":
            raise IssuerUnavailable("the disk is full")
        super().reserve(name, issuer, key_digest, prepared)


def test_nothing_is_signed_that_the_ledger_does_not_take(tmp_path: Path) -> None:
    ledger = FailingLedger()

    with pytest.raises(IssuerUnavailable):
        make_site(tmp_path, ledger=ledger)

    assert set(ledger.signed) == {"root"}
    assert not (tmp_path / "ca" / "applications.pem").exists()


@pytest.mark.clause("OPC 10000-6 §6.2.3")
def test_crl_numbers_grow_and_revocations_stand_on_the_list(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    settings = CaSettings(crl_lifetime=7 * DAY)
    site = make_site(tmp_path, ledger=ledger, settings=settings)

    crl = publish_crl(
        tmp_path, site.dca, [Entry(55)], settings=settings, ledger=ledger, now=NOW + DAY
    )

    assert crl.number == 2
    assert crl.revoked(55)
    assert crl.next_update == (NOW + 8 * DAY).replace(microsecond=0)
    assert ledger.crls["dca"] == crl.der
    assert load_site_authorities(tmp_path).crls["dca"] == crl


def test_a_crl_number_is_lost_rather_than_repeated(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    site = make_site(tmp_path, ledger=ledger)
    ledger.next_crl_number("dca", 1)  # a crash after this took number 2 with it

    crl = publish_crl(tmp_path, site.dca, (), settings=CaSettings(), ledger=ledger, now=NOW)

    assert crl.number == 3


def test_the_list_of_an_offline_root_lives_long(tmp_path: Path) -> None:
    site = make_site(tmp_path)

    root, dca = site.crls["root"].next_update, site.crls["dca"].next_update

    assert root is not None
    assert dca is not None
    assert root - dca > 365 * DAY


# --- a CA the site already has


def write_given(folder: Path, ca: Authority, *crls: bytes, key_number: int) -> tuple[Path, Path]:
    certificate, private = folder / "given.pem", folder / "given-key.pem"
    write_pem(certificate, CERTIFICATE, [one.der for one in ca.chain])
    write_pem(folder / "crls.pem", CRL, crls)
    certificate.write_bytes(certificate.read_bytes() + (folder / "crls.pem").read_bytes())
    save_key(private, key(number=key_number))
    return certificate, private


def below(root: Authority, key_number: int, path_length: int | None = 0) -> Authority:
    """Return a CA of some other PKI, below ``root``."""
    profile = replace(
        application(), profile=Profile.AUTHORITY, application_uri="", path_length=path_length
    )
    der = issue(root, profile, public_key(number=key_number))
    return Authority(
        name="applications",
        certificate=Certificate.from_der(der),
        key=key(number=key_number),
        issuers=root.chain,
    )


def crl_of(authority: Authority, *revoked: Entry, number: int = 1) -> bytes:
    return authority.make_crl(revoked, number=number, now=NOW, lifetime=30 * DAY)


@pytest.mark.parametrize("path_length", [None, 0, 1])
def test_a_given_ca_issues_to_applications_and_never_dca_certificates(
    tmp_path: Path, path_length: int | None
) -> None:
    elsewhere = make_root(number=20, common_name="Corporate Root")
    ca = below(elsewhere, 21, path_length)
    paths = write_given(tmp_path, ca, crl_of(elsewhere), key_number=21)

    given = load_given_authority(*paths, name="applications", now=NOW)
    make_site(tmp_path / "site", given=given)
    site = load_site_authorities(tmp_path / "site")

    assert site.applications.chain == ca.chain
    assert site.own.certificate.issuer_bytes == ca.certificate.subject_bytes
    assert ca.certificate not in site.dca.chain
    assert site.dca.issuers[-1].is_self_issued
    assert Crl.from_der(crl_of(elsewhere)).issuer_bytes in {
        crl.issuer_bytes for crl in site.all_crls()
    }


def test_a_given_ca_goes_on_counting_and_forgets_no_revocation(tmp_path: Path) -> None:
    elsewhere = make_root(number=20, common_name="Corporate Root")
    ca = below(elsewhere, 21)
    earlier = crl_of(ca, Entry(4711, reason="keyCompromise"), Entry(4712), number=40)
    paths = write_given(tmp_path, ca, crl_of(elsewhere), earlier, key_number=21)
    ledger = MemoryLedger()
    given = load_given_authority(*paths, name="applications", now=NOW)
    site = make_site(tmp_path / "site", given=given, ledger=ledger)

    crl = publish_crl(
        tmp_path / "site",
        site.applications,
        [Entry(4712, reason="superseded"), Entry(1)],
        settings=CaSettings(),
        ledger=ledger,
        now=NOW,
    )

    assert site.crls["applications"].number == 41
    assert crl.number == 42
    assert crl.serial_numbers == {4711, 4712, 1}
    entry = crl.parsed.get_revoked_certificate_by_serial_number(4711)
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise


def test_a_given_root_needs_nobody_above(tmp_path: Path) -> None:
    ca = make_root(number=22, common_name="Own Root")
    paths = write_given(tmp_path, ca, key_number=22)

    given = load_given_authority(*paths, name="applications", now=NOW)

    assert given.authority.issuers == ()
    assert given.earlier_crl is None


def test_a_given_chain_must_reach_its_root(tmp_path: Path) -> None:
    elsewhere = make_root(number=20, common_name="Corporate Root")
    ca = below(elsewhere, 21)
    incomplete = Authority(name="applications", certificate=ca.certificate, key=key(number=21))
    paths = write_given(tmp_path, incomplete, crl_of(elsewhere), key_number=21)

    with pytest.raises(FileInvalid, match="Corporate Root"):
        load_given_authority(*paths, name="applications", now=NOW)


def test_an_issuer_of_the_same_name_and_another_key_is_no_issuer(tmp_path: Path) -> None:
    elsewhere = make_root(number=20, common_name="Corporate Root")
    namesake = make_root(number=23, common_name="Corporate Root")
    ca = below(elsewhere, 21)
    wrong = Authority(
        name="applications",
        certificate=ca.certificate,
        key=key(number=21),
        issuers=namesake.chain,
    )
    paths = write_given(tmp_path, wrong, crl_of(namesake), key_number=21)

    with pytest.raises(FileInvalid):
        load_given_authority(*paths, name="applications", now=NOW)


def test_the_lists_of_the_cas_above_are_needed(tmp_path: Path) -> None:
    ca = below(make_root(number=20, common_name="Corporate Root"), 21)
    paths = write_given(tmp_path, ca, key_number=21)

    with pytest.raises(FileInvalid, match="CRL"):
        load_given_authority(*paths, name="applications", now=NOW)


def test_the_key_must_be_that_of_the_given_ca(tmp_path: Path) -> None:
    paths = write_given(tmp_path, make_root(number=22), key_number=3)

    with pytest.raises(FileInvalid):
        load_given_authority(*paths, name="applications", now=NOW)


def test_an_application_cannot_be_given_as_a_ca(tmp_path: Path) -> None:
    root = make_root(number=20)
    leaf = issue(root, application(), public_key(number=21))
    write_pem(tmp_path / "given.pem", CERTIFICATE, [leaf, root.certificate.der])
    save_key(tmp_path / "key.pem", key(number=21))

    with pytest.raises(FileInvalid, match="may not sign"):
        load_given_authority(
            tmp_path / "given.pem", tmp_path / "key.pem", name="applications", now=NOW
        )


def test_an_expired_ca_cannot_be_given(tmp_path: Path) -> None:
    paths = write_given(tmp_path, make_root(number=22, lifetime=DAY), key_number=22)

    with pytest.raises(IssuerUnavailable):
        load_given_authority(*paths, name="applications", now=NOW + 2 * DAY)


@pytest.mark.parametrize("content", ["", "nonsense"])
def test_a_file_without_certificates_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "given.pem").write_text(content)

    with pytest.raises(FileInvalid):
        load_given_authority(
            tmp_path / "given.pem", tmp_path / "key.pem", name="applications", now=NOW
        )
