"""The CAs of one site: made once, loaded at every start.

    root (its key can be moved away)          root ─▶ dca           a CA the site has
      ├─▶ applications ─▶ applications, own     or                      └─▶ applications, own
      └─▶ dca ─▶ DCA Certificates

    ca/root.pem  ca/root-key.pem  ca/root-crl.pem      and the same for applications and dca
    ca/issuer-crls.pem  ca/applications-earlier-crl.pem      only with a CA the site had
    own/certificate.pem  own/key.pem

The CA of DCA Certificates always stands below our own root, even where the site has a CA whose
path length would allow another below it: applications trust that CA, and whatever chains to a
trusted CA is trusted, so below it DCA Certificates would be worth as much as any other.
Source: OPC 10000-21 §6.3; OPC 10000-6 §6.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography import x509

from registrar.ca.authority import Authority, RevokedCertificate
from registrar.ca.keys import PrivateKey, key_digest, load_key
from registrar.ca.ledger import Ledger
from registrar.ca.pem import CRL, read_certificates, read_crls, write_pem
from registrar.ca.profiles import Profile
from registrar.ca.settings import CaSettings
from registrar.core.certificate import Certificate
from registrar.core.crl import Crl
from registrar.errors import FileInvalid, IssuerUnavailable

ROOT: Final = "root"
APPLICATIONS: Final = "applications"
DCA: Final = "dca"
OWN: Final = "own"
"""Names of CAs and of the own certificate, in the ledger and of files."""


@dataclass(frozen=True, slots=True)
class SiteFiles:
    """Where everything lies in the folder of a site."""

    folder: Path

    def certificate(self, name: str) -> Path:
        """The chain of a CA, or of the own certificate, leaf first."""
        return self._place(name) / ("certificate.pem" if name == OWN else f"{name}.pem")

    def key(self, name: str) -> Path:
        """The private key."""
        return self._place(name) / ("key.pem" if name == OWN else f"{name}-key.pem")

    def crl(self, name: str) -> Path:
        """The newest CRL of a CA."""
        return self._place(name) / f"{name}-crl.pem"

    def earlier_crl(self, name: str) -> Path:
        """The last CRL a given CA published before it came here; often there is none."""
        return self._place(name) / f"{name}-earlier-crl.pem"

    def issuer_crls(self) -> Path:
        """CRLs of the CAs above a given one; often there are none."""
        return self.folder / "ca" / "issuer-crls.pem"

    def _place(self, name: str) -> Path:
        return self.folder / ("own" if name == OWN else "ca")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnIdentity:
    """The Registrar's own Application Instance Certificate."""

    certificate: Certificate
    issuers: tuple[Certificate, ...]
    """Nearest first, the root last."""

    private_key: PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAuthorities:
    """Everything with a key that a site has."""

    applications: Authority
    """Issues to the Registrar itself, to applications and to singletons (R127)."""

    dca: Authority
    """Issues DCA Certificates and nothing else."""

    root: Authority | None
    """None while its key is away; only a new issuing CA or a new root CRL needs it."""

    own: OwnIdentity
    crls: Mapping[str, Crl]
    """The newest CRL in the folder, by the name of its CA."""

    issuer_crls: tuple[Crl, ...]
    """Of CAs above a given issuing CA, as they were handed over."""

    def issuer_for(self, profile: Profile) -> Authority:
        """Return the CA that signs certificates of ``profile``.

        Raises:
            IssuerUnavailable: the key of the root is away.
        """
        issuers = {
            Profile.APPLICATION: self.applications,
            Profile.DCA: self.dca,
            Profile.AUTHORITY: self.root,
            Profile.ROOT: self.root,
        }
        issuer = issuers[profile]
        if issuer is None:
            raise IssuerUnavailable("the key of the root is not here")
        return issuer

    def all_crls(self) -> tuple[Crl, ...]:
        """Return every CRL a Device needs to check our chains."""
        return (*self.crls.values(), *self.issuer_crls)


def load_site_authorities(folder: Path, *, passphrase: str | None = None) -> SiteAuthorities:
    """Load what ``create_site_authorities`` made; the key of the root may be missing.

    Raises:
        IssuerUnavailable: a file is missing or cannot be read.
        FileInvalid: a file does not hold what it should, or the passphrase is wrong.
    """
    files = SiteFiles(folder)
    names = [APPLICATIONS, DCA]
    has_root_key = files.key(ROOT).exists()
    authorities = {name: _load_authority(files, name, passphrase) for name in names}
    crls = {name: _one_crl(files.crl(name)) for name in (*names, ROOT)}
    issuer_crls = files.issuer_crls()
    return SiteAuthorities(
        applications=authorities[APPLICATIONS],
        dca=authorities[DCA],
        root=_load_authority(files, ROOT, passphrase) if has_root_key else None,
        own=_load_own(files, passphrase),
        crls=MappingProxyType(crls),
        issuer_crls=tuple(read_crls(issuer_crls)) if issuer_crls.exists() else (),
    )


def _load_authority(files: SiteFiles, name: str, passphrase: str | None) -> Authority:
    chain = _chain(files.certificate(name))
    key = load_key(files.key(name), passphrase=passphrase)
    return Authority(name=name, certificate=chain[0], key=key, issuers=chain[1:])


def _load_own(files: SiteFiles, passphrase: str | None) -> OwnIdentity:
    chain = _chain(files.certificate(OWN))
    key = load_key(files.key(OWN), passphrase=passphrase)
    if key_digest(key.public_key()) != hashlib.sha256(chain[0].public_key_der).hexdigest():
        raise FileInvalid("the Registrar's key does not fit its certificate")
    return OwnIdentity(certificate=chain[0], issuers=tuple(chain[1:]), private_key=key)


def _chain(path: Path) -> Sequence[Certificate]:
    chain = read_certificates(path)
    if not chain:
        raise FileInvalid(f"{path.name} holds no certificate in PEM", subject=path.name)
    return chain


def _one_crl(path: Path) -> Crl:
    crls = read_crls(path)
    if len(crls) != 1:
        raise FileInvalid(f"{path.name} holds {len(crls)} CRLs, not one", subject=path.name)
    return crls[0]


def publish_crl(
    folder: Path,
    authority: Authority,
    revoked: Iterable[RevokedCertificate],
    *,
    settings: CaSettings,
    ledger: Ledger,
    now: datetime,
) -> Crl:
    """Sign and publish the next CRL of ``authority``: number, list, ledger, file.

    A crash in between costs a number, never repeats one.

    Args:
        folder: of the site.
        authority: whose list.
        revoked: what the ledger says is revoked; an earlier list of a given CA is added.
        settings: how long it lives.
        ledger: gives out the number, and keeps the list.
        now: the present, timezone-aware.

    Raises:
        IssuerUnavailable: the CA has expired.
    """
    files = SiteFiles(folder)
    earlier = _earlier(files, authority.name)
    number = ledger.next_crl_number(authority.name, earlier.next_number)
    is_root = authority.name == ROOT
    der = authority.make_crl(
        _united(revoked, earlier.revoked),
        number=number,
        now=now,
        lifetime=settings.root_crl_lifetime if is_root else settings.crl_lifetime,
        backdate=settings.backdate,
    )
    ledger.publish_crl(authority.name, der)
    write_pem(files.crl(authority.name), CRL, [der])
    return Crl.from_der(der)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    serial: int
    revoked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Earlier:
    """What a CA published before it came here."""

    next_number: int = 1
    revoked: tuple[_Entry, ...] = ()


def _earlier(files: SiteFiles, name: str) -> _Earlier:
    path = files.earlier_crl(name)
    if not path.exists():
        return _Earlier()
    crl = _one_crl(path)
    entries = tuple(
        _Entry(
            serial=entry.serial_number,
            revoked_at=entry.revocation_date_utc,
            reason=_reason(entry),
        )
        for entry in crl.parsed
    )
    return _Earlier(next_number=(crl.number or 0) + 1, revoked=entries)


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (x509.ExtensionNotFound, ValueError):
        return x509.ReasonFlags.unspecified.value


def _united(
    revoked: Iterable[RevokedCertificate], earlier: Iterable[_Entry]
) -> list[RevokedCertificate]:
    by_serial: dict[int, RevokedCertificate] = {entry.serial: entry for entry in earlier}
    by_serial.update((entry.serial, entry) for entry in revoked)
    return list(by_serial.values())
