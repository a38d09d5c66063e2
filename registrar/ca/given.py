"""A CA the site already has, taken over as its issuing CA for applications."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature

from registrar.ca.authority import Authority
from registrar.ca.keys import PrivateKey, load_key
from registrar.ca.pem import read_certificates, read_crls
from registrar.core.certificate import MAX_CHAIN_LENGTH, Certificate
from registrar.core.crl import Crl
from registrar.errors import FileInvalid, IssuerUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAuthority:
    """The CA with its key, and the lists that came with it."""

    authority: Authority
    private_key: PrivateKey = field(repr=False)
    earlier_crl: Crl | None
    """The last list the CA published elsewhere; what it revokes stays revoked."""

    issuer_crls: tuple[Crl, ...]
    """Of the CAs above it."""


def load_given_authority(
    certificate_path: Path,
    key_path: Path,
    *,
    name: str,
    passphrase: str | None = None,
    now: datetime,
) -> GivenAuthority:
    """Read an issuing CA from PEM files.

    Args:
        certificate_path: the CA's certificate first, then every CA above it to the root, a CRL
            of each of those, and the CA's own last CRL if it ever published one.
        key_path: the CA's private key.
        name: what the ledger will call it.
        passphrase: opens the key, if it is encrypted.
        now: the present, timezone-aware.

    Raises:
        FileInvalid: the files do not hold one complete chain of CAs and its key.
        IssuerUnavailable: a file cannot be read, or a CA of the chain is not valid now.
    """
    certificates = read_certificates(certificate_path)
    if not certificates:
        raise FileInvalid("holds no certificate in PEM", subject=str(certificate_path))
    chain = _chain(certificates[0], certificates[1:])
    for certificate in chain:
        _check_authority(certificate, now)
    crls = read_crls(certificate_path)
    key = load_key(key_path, passphrase=passphrase)
    authority = Authority(name=name, certificate=chain[0], key=key, issuers=chain[1:])
    for issuer in chain[1:]:
        if not any(crl.issuer_bytes == issuer.subject_bytes for crl in crls):
            raise FileInvalid(f"holds no CRL of {issuer.subject}", subject=str(certificate_path))
    own = [crl for crl in crls if crl.issuer_bytes == chain[0].subject_bytes]
    return GivenAuthority(
        authority=authority,
        private_key=key,
        earlier_crl=max(own, key=lambda crl: crl.number or 0, default=None),
        issuer_crls=tuple(crl for crl in crls if crl not in own),
    )


def _chain(leaf: Certificate, others: list[Certificate]) -> list[Certificate]:
    """Return ``leaf`` and the CAs above it up to a self-signed one."""
    chain = [leaf]
    while not chain[-1].is_self_issued:
        above = [
            issuer
            for issuer in others
            if issuer.subject_bytes == chain[-1].issuer_bytes and _is_issued_by(chain[-1], issuer)
        ]
        if not above or len(chain) >= MAX_CHAIN_LENGTH:
            raise FileInvalid(
                f"the chain of {leaf.subject} ends without its issuer {chain[-1].issuer}"
            )
        chain.append(above[0])
    return chain


def _is_issued_by(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.parsed.verify_directly_issued_by(issuer.parsed)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _check_authority(certificate: Certificate, now: datetime) -> None:
    usage = certificate.key_usage
    if not certificate.is_ca or (usage and not (usage.key_cert_sign and usage.crl_sign)):
        raise FileInvalid(f"{certificate.subject} may not sign certificates and CRLs")
    if not certificate.not_before <= now < certificate.not_after:
        raise IssuerUnavailable(f"{certificate.subject} is not valid now")
