"""A site: one folder that holds everything a Registrar needs.

plant/config.toml      every setting, explained
plant/registrar.db     enrolments, ledger, Tickets, trust lists, audit
plant/ca/              root, applications and dca: certificates, keys, CRLs
plant/own/             the Registrar's own certificate and key
"""

from __future__ import annotations

import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from registrar.app import config
from registrar.app.causes import by_operator, now
from registrar.app.files import check_given, read_passphrase
from registrar.app.ledger import SiteLedger
from registrar.app.settings import RegistrarSettings, Settings
from registrar.ca.given import GivenAuthority, load_given_authority
from registrar.ca.keys import KeyType, generate_key, key_digest, save_key
from registrar.ca.making import create_site_authorities
from registrar.ca.pem import CERTIFICATE, write_pem
from registrar.ca.profiles import CertificateProfile, Profile
from registrar.ca.settings import CaSettings, OwnNames
from registrar.ca.site import (
    APPLICATIONS,
    DCA,
    OWN,
    ROOT,
    SiteAuthorities,
    load_site_authorities,
    publish_crl,
)
from registrar.core.crl import Crl
from registrar.core.trust import TrustListName
from registrar.errors import ConfigurationInvalid, FileInvalid
from registrar.store import crls
from registrar.store import trust as stored_trust
from registrar.store.store import Store
from registrar.store.transaction import Transaction
from registrar.store.trust import Role
from registrar.ua.application_identity import ApplicationIdentity

DATABASE: Final = "registrar.db"
EMPTY_FOLDER_WANTED: Final = "Name an empty folder, or one that does not exist."

_DEFAULTS: Final = RegistrarSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedFiles:
    """A certificate this site issued to somebody who is no device, with its key."""

    certificate: Path
    """PEM: the certificate and its issuers."""
    private_key: Path
    """PEM PKCS#8, mode 0600."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """One site's folder and its checked configuration; keys are loaded when first needed."""

    directory: Path
    settings: Settings

    @classmethod
    def create(
        cls,
        directory: Path | str,
        *,
        issuing_ca: Path | None = None,
        issuing_key: Path | None = None,
        passphrase_file: Path | None = None,
    ) -> Site:
        """Make a site.

        Args:
            directory: missing, empty, or with a ``config.toml`` and nothing else.
            issuing_ca: a CA certificate and its issuers (PEM), to issue to applications with.
            issuing_key: the key of ``issuing_ca`` (PEM), copied into the site.
            passphrase_file: its first line encrypts every key, and opens ``issuing_key``.

        Raises:
            ConfigurationInvalid: ``config.toml`` is wrong.
            FileInvalid: the folder is not empty, or a file is not what it should be.
        """
        directory = Path(directory)
        _check_empty(directory)
        settings = _settings_for(directory, passphrase_file)
        passphrase = _passphrase(settings)
        given = _given(issuing_ca, issuing_key, passphrase)
        site = cls(directory=directory, settings=settings)
        with _folder(directory):
            config.save(directory, settings)
            with site.store() as store:
                ledger = site._ledger(store, "the site was made")
                authorities = create_site_authorities(
                    directory,
                    settings=site.ca_settings,
                    own=_own_names(settings),
                    ledger=ledger,
                    make_serial=_make_serial,
                    now=now(),
                    passphrase=passphrase,
                    given=given,
                )
                ledger.confirm()
                _trust_own(store, authorities)
        return site

    @classmethod
    def open(cls, directory: Path | str) -> Site:
        """Open a site that was made before.

        Raises:
            ConfigurationInvalid: there is none, or its configuration is wrong.
        """
        directory = Path(directory)
        if not (directory / DATABASE).is_file():
            raise ConfigurationInvalid(
                "is no site",
                subject=str(directory),
                next_action=f"Name the folder of a site, or make one: registrar init {directory}",
            )
        return cls(directory=directory, settings=config.load(directory / config.FILE_NAME))

    def store(self) -> Store:
        """Open the site's database; it is a context manager that closes it.

        Raises:
            StoreUnavailable: it cannot be opened.
        """
        return Store.open(self.directory / DATABASE)

    @property
    def ca_settings(self) -> CaSettings:
        """What the configuration says about certificates, as ``ca`` takes it."""
        chosen = self.settings.certificates
        return CaSettings(
            organization=self.settings.registrar.organization,
            ca_key=KeyType(chosen.ca_key),
            own_key=KeyType(chosen.own_key),
            dca_lifetime=timedelta(days=chosen.dca_lifetime_days),
            application_lifetime=timedelta(days=chosen.application_lifetime_days),
            backdate=timedelta(hours=chosen.backdate_hours),
            crl_lifetime=timedelta(days=chosen.crl_lifetime_days),
        )

    @cached_property
    def authorities(self) -> SiteAuthorities:
        """The CAs of the site and the Registrar's own key, loaded once.

        Raises:
            IssuerUnavailable: a file is missing.
            FileInvalid: a file is damaged, or the passphrase does not fit.
        """
        return load_site_authorities(self.directory, passphrase=_passphrase(self.settings))

    def identity(self) -> ApplicationIdentity:
        """Return who the Registrar is on a channel.

        Raises:
            IssuerUnavailable: a file is missing.
            FileInvalid: the own key is no RSA key, or see ``authorities``.
        """
        own = self.authorities.own
        if not isinstance(own.private_key, RSAPrivateKey):
            raise FileInvalid("the Registrar's own key is no RSA key", subject=str(self.directory))
        return ApplicationIdentity(
            certificate=own.certificate.der,
            chain=tuple(issuer.der for issuer in own.issuers),
            private_key=own.private_key,
        )

    def authority_certificates(self) -> tuple[bytes, ...]:
        """Return the certificates of all CAs of the site, DER, each once."""
        chains = (self.authorities.applications.chain, self.authorities.dca.chain)
        return tuple(dict.fromkeys(ca.der for chain in chains for ca in chain))

    def refresh_crls(self, store: Store) -> None:
        """Publish what is due: a CRL that lacks a revoked certificate, or is past half its life.

        Raises:
            IssuerUnavailable: a CA has expired.
        """
        present = now()
        authorities = self.authorities
        ledger = self._ledger(store, "a CRL was due")
        fresh: dict[str, Crl] = {}
        for authority in (authorities.applications, authorities.dca, authorities.root):
            if authority is None:
                continue
            revoked = crls.revoked(store.reader, authority.name, now=present)
            crl = authorities.crls[authority.name]
            half = _half_of(crl)
            is_complete = {one.serial for one in revoked} <= crl.serial_numbers
            if is_complete and half is not None and present < half:
                continue
            fresh[authority.name] = publish_crl(
                self.directory,
                authority,
                revoked,
                settings=self.ca_settings,
                ledger=ledger,
                now=present,
            )
        if fresh:
            self.__dict__["authorities"] = replace(authorities, crls={**authorities.crls, **fresh})
            _trust_own(store, self.authorities)

    def issue_application(self, folder: Path, *, name: str, application_uri: str) -> IssuedFiles:
        """Issue a certificate to an application of the site, with a key made here.

        Args:
            folder: where to put both.
            name: common name, and how the ledger knows it.
            application_uri: of the application.
        """
        own_key = KeyType(self.settings.certificates.own_key)
        key = generate_key(own_key)
        issuer = self.authorities.applications
        profile = CertificateProfile(
            profile=Profile.APPLICATION,
            common_name=name,
            organization=self.settings.registrar.organization,
            application_uri=application_uri,
            dns_names=("localhost",),
            lifetime=self.ca_settings.application_lifetime,
            backdate=self.ca_settings.backdate,
        )
        with self.store() as store:
            ledger = SiteLedger(store, application_uris={name: application_uri})
            public_key = key.public_key()
            prepared = issuer.prepare(public_key, profile, serial=_make_serial(), now=now())
            ledger.reserve(name, issuer.name, key_digest(public_key), prepared)
            certificate = issuer.sign(prepared)
            ledger.record_signed(prepared, certificate)
            files = IssuedFiles(
                certificate=folder / "certificate.pem", private_key=folder / "key.pem"
            )
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            save_key(files.private_key, key)
            chain = (certificate, *(ca.der for ca in issuer.chain))
            write_pem(files.certificate, CERTIFICATE, chain)
            ledger.confirm()
        return files

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield what a person should know to be in the folder."""
        yield "configuration", self.directory / config.FILE_NAME
        yield "database", self.directory / DATABASE
        yield "root CA", self.directory / "ca" / f"{ROOT}.pem"
        yield "root key, to be taken offline", self.directory / "ca" / f"{ROOT}-key.pem"
        yield "CA of applications", self.directory / "ca" / f"{APPLICATIONS}.pem"
        yield "CA of DCA Certificates", self.directory / "ca" / f"{DCA}.pem"
        yield "own certificate", self.directory / "own" / "certificate.pem"

    def _ledger(self, store: Store, detail: str) -> SiteLedger:
        uris = {OWN: self.settings.registrar.application_uri}
        return SiteLedger(store, application_uris=uris, detail=detail)


def _check_empty(directory: Path) -> None:
    try:
        names = {path.name for path in directory.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise FileInvalid(f"cannot be used: {error.strerror}", subject=str(directory)) from error
    if names - {config.FILE_NAME}:
        raise FileInvalid(
            "holds files already", subject=str(directory), next_action=EMPTY_FOLDER_WANTED
        )


@contextmanager
def _folder(directory: Path) -> Iterator[None]:
    """Make the folder of a site; where the site then cannot be made, a new folder goes again."""
    is_new = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=not is_new, mode=0o700)
    except OSError as error:
        raise FileInvalid(
            f"cannot be made: {error.strerror}",
            subject=str(directory),
            next_action="Check name and permissions of the folder.",
        ) from error
    try:
        yield
    except BaseException:
        if is_new:
            shutil.rmtree(directory, ignore_errors=True)
        raise


def _settings_for(directory: Path, passphrase_file: Path | None) -> Settings:
    path = directory / config.FILE_NAME
    settings = config.load(path) if path.exists() else Settings()
    chosen = settings.registrar
    if chosen.application_uri == _DEFAULTS.application_uri:
        uri = f"urn:{socket.gethostname()}:registrar:{secrets.token_hex(4)}"
        chosen = replace(chosen, application_uri=uri)
    if chosen.organization == _DEFAULTS.organization and directory.name.isprintable():
        chosen = replace(chosen, organization=directory.absolute().name or chosen.organization)
    if passphrase_file is not None:
        chosen = replace(chosen, passphrase_file=str(passphrase_file.absolute()))
    return replace(settings, registrar=chosen)


def _passphrase(settings: Settings) -> str | None:
    name = settings.registrar.passphrase_file
    return read_passphrase(Path(name)) if name else None


def _given(
    certificate: Path | None, key: Path | None, passphrase: str | None
) -> GivenAuthority | None:
    if certificate is None or key is None:
        return None
    check_given(certificate, key)
    return load_given_authority(
        certificate, key, name=APPLICATIONS, passphrase=passphrase, now=now()
    )


def _own_names(settings: Settings) -> OwnNames:
    host = ip_address(settings.listener.host)
    name = socket.gethostname()
    is_dns_name = name.isascii() and all(
        part.replace("-", "").isalnum() for part in name.split(".")
    )
    return OwnNames(
        application_uri=settings.registrar.application_uri,
        common_name=settings.registrar.application_name,
        dns_names=tuple(dict.fromkeys([*([name] if is_dns_name else []), "localhost"])),
        ip_addresses=() if host.is_unspecified else (host,),
    )


def _trust_own(store: Store, authorities: SiteAuthorities) -> None:
    """Put the site's own CAs and CRLs on the list of site authorities and of applications.

    Whom the CA of applications certified may open a channel to the Registrar; what it may do
    there the list of administrators decides.
    """
    cause = by_operator(detail="the site's own CAs")
    trusted = authorities.applications
    known = {ca.der for ca in (*trusted.issuers, *authorities.dca.chain)}

    def change(tx: Transaction) -> None:
        name = TrustListName.SITE_AUTHORITIES
        stored_trust.add_certificate(tx, name, trusted.certificate.der, cause=cause)
        for der in sorted(known):
            stored_trust.add_certificate(tx, name, der, role=Role.ISSUER, cause=cause)
        for crl in authorities.all_crls():
            stored_trust.add_crl(tx, name, crl.der, cause=cause)

    store.write_sync(change)


def _half_of(crl: Crl) -> datetime | None:
    if crl.this_update is None or crl.next_update is None:
        return None
    return crl.this_update + (crl.next_update - crl.this_update) / 2


def _make_serial() -> int:
    """Return a positive number of 127 random bits, the highest of them set."""
    return secrets.randbits(126) | 1 << 126
