"""Making the CAs of a new site; ``site`` says what there is and where it lies.

Every certificate is in the ledger before it is signed, the root too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from registrar.ca.authority import Authority, prepare_root, sign_root
from registrar.ca.given import GivenAuthority
from registrar.ca.keys import PrivateKey, generate_key, key_digest, save_key
from registrar.ca.ledger import Ledger
from registrar.ca.pem import CERTIFICATE, CRL, write_pem
from registrar.ca.profiles import CertificateProfile, Profile
from registrar.ca.settings import CaSettings, OwnNames
from registrar.ca.site import (
    APPLICATIONS,
    DCA,
    OWN,
    ROOT,
    OwnIdentity,
    SiteAuthorities,
    SiteFiles,
    publish_crl,
)
from registrar.core.certificate import Certificate
from registrar.errors import FileInvalid


class _Maker:
    """Makes one site's certificates, each in the ledger before it is signed."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: CaSettings,
        ledger: Ledger,
        make_serial: Callable[[], int],
        now: datetime,
        passphrase: str | None,
    ) -> None:
        self.files = SiteFiles(folder)
        self.settings = settings
        self.ledger = ledger
        self._make_serial = make_serial
        self._now = now
        self._passphrase = passphrase

    def root(self) -> Authority:
        """Make the root."""
        key = self._key(ROOT)
        profile = self._authority_profile(Profile.ROOT, "Root", self.settings.root_lifetime, None)
        prepared = prepare_root(key, profile, serial=self._make_serial(), now=self._now)
        self.ledger.reserve(ROOT, ROOT, key_digest(key.public_key()), prepared)
        authority = sign_root(key, prepared, name=ROOT)
        self.ledger.record_signed(prepared, authority.certificate.der)
        self._keep(ROOT, authority.chain)
        return authority

    def authority(self, name: str, common_name: str, root: Authority) -> Authority:
        """Make an issuing CA below ``root``."""
        key = self._key(name)
        lifetime = self.settings.authority_lifetime
        profile = self._authority_profile(Profile.AUTHORITY, common_name, lifetime, 0)
        certificate = self._issue(name, root, key, profile)
        authority = Authority(name=name, certificate=certificate, key=key, issuers=root.chain)
        self._keep(name, authority.chain)
        return authority

    def own(self, names: OwnNames, issuer: Authority) -> OwnIdentity:
        """Make the Registrar's own certificate."""
        key = self._key(OWN)
        profile = CertificateProfile(
            profile=Profile.APPLICATION,
            common_name=names.common_name,
            organization=self.settings.organization,
            application_uri=names.application_uri,
            dns_names=names.dns_names,
            ip_addresses=names.ip_addresses,
            lifetime=self.settings.application_lifetime,
            backdate=self.settings.backdate,
        )
        certificate = self._issue(OWN, issuer, key, profile)
        chain = (certificate, *issuer.chain)
        write_pem(self.files.certificate(OWN), CERTIFICATE, (one.der for one in chain))
        return OwnIdentity(certificate=certificate, issuers=issuer.chain, private_key=key)

    def keep_given(self, given: GivenAuthority) -> Authority:
        """Copy a CA the site had into the folder."""
        save_key(self.files.key(APPLICATIONS), given.private_key, passphrase=self._passphrase)
        self._keep(APPLICATIONS, given.authority.chain)
        if given.earlier_crl is not None:
            write_pem(self.files.earlier_crl(APPLICATIONS), CRL, [given.earlier_crl.der])
        if given.issuer_crls:
            write_pem(self.files.issuer_crls(), CRL, (crl.der for crl in given.issuer_crls))
        return given.authority

    def _issue(
        self, name: str, issuer: Authority, key: PrivateKey, profile: CertificateProfile
    ) -> Certificate:
        public_key = key.public_key()
        prepared = issuer.prepare(public_key, profile, serial=self._make_serial(), now=self._now)
        self.ledger.reserve(name, issuer.name, key_digest(public_key), prepared)
        der = issuer.sign(prepared)
        self.ledger.record_signed(prepared, der)
        return Certificate.from_der(der)

    def _authority_profile(
        self, profile: Profile, common_name: str, lifetime: timedelta, path_length: int | None
    ) -> CertificateProfile:
        organization = self.settings.organization
        return CertificateProfile(
            profile=profile,
            common_name=f"{organization} {common_name}".strip(),
            organization=organization,
            lifetime=lifetime,
            backdate=self.settings.backdate,
            path_length=path_length,
        )

    def _key(self, name: str) -> PrivateKey:
        key = generate_key(self.settings.own_key if name == OWN else self.settings.ca_key)
        save_key(self.files.key(name), key, passphrase=self._passphrase)
        return key

    def _keep(self, name: str, chain: Iterable[Certificate]) -> None:
        write_pem(self.files.certificate(name), CERTIFICATE, (one.der for one in chain))


def create_site_authorities(
    folder: Path,
    *,
    settings: CaSettings,
    own: OwnNames,
    ledger: Ledger,
    make_serial: Callable[[], int],
    now: datetime,
    passphrase: str | None = None,
    given: GivenAuthority | None = None,
) -> SiteAuthorities:
    """Make the CAs of a new site, the Registrar's own certificate, and the first CRLs.

    Args:
        folder: of the site; its ``ca`` and ``own`` must be missing or empty.
        settings: keys and lifetimes.
        own: what the Registrar's own certificate says.
        ledger: holds each certificate before it is signed.
        make_serial: returns 128 random bits, others each time.
        now: the present, timezone-aware.
        passphrase: encrypts every key, if given.
        given: issues to applications instead of a CA of our own; it should issue to nobody
            else from now on, because its CRLs are ours now.

    Raises:
        FileInvalid: the folders are not empty, or cannot be written.
    """
    _make_folders(folder)
    maker = _Maker(
        folder,
        settings=settings,
        ledger=ledger,
        make_serial=make_serial,
        now=now,
        passphrase=passphrase,
    )
    root = maker.root()
    if given is None:
        applications = maker.authority(APPLICATIONS, "Applications CA", root)
    else:
        applications = maker.keep_given(given)
    dca = maker.authority(DCA, "DCA CA", root)
    identity = maker.own(own, applications)
    crls = {
        authority.name: publish_crl(
            folder, authority, (), settings=settings, ledger=ledger, now=now
        )
        for authority in (applications, dca, root)
    }
    return SiteAuthorities(
        applications=applications,
        dca=dca,
        root=root,
        own=identity,
        crls=MappingProxyType(crls),
        issuer_crls=given.issuer_crls if given is not None else (),
    )


def _make_folders(folder: Path) -> None:
    for name in ("ca", "own"):
        place = folder / name
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_empty = not any(place.iterdir())
        except OSError as error:
            raise FileInvalid(f"{place.name} cannot be made: {error.strerror}") from error
        if not is_empty:
            raise FileInvalid(f"{place.name} holds files already", subject=str(place))
