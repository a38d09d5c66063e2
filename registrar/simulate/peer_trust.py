"""What a pretended Device believes of a certificate, given its TrustList.

A second, independent reading of OPC 10000-4 §6.1.3 in ``cryptography`` alone: the Registrar's own
stands in ``core.path``, and each can contradict the other. Results are kept for the whole plant,
because a thousand Devices are shown the same few certificates.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from registrar.errors import CertificateRejected
from registrar.status import StatusCode

MAX_PATH_LENGTH = 8
KEPT_PARSED = 4096
"""Parsed certificates and CRLs, and verified signatures, kept for the whole plant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustListContent:
    """The four lists of a TrustList, DER (OPC 10000-12 §7.8.2.9)."""

    trusted_certificates: tuple[bytes, ...] = ()
    trusted_crls: tuple[bytes, ...] = ()
    issuer_certificates: tuple[bytes, ...] = ()
    issuer_crls: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.trusted_certificates)

    @property
    def crls(self) -> tuple[bytes, ...]:
        """All CRLs, trusted ones first."""
        return self.trusted_crls + self.issuer_crls


@lru_cache(maxsize=KEPT_PARSED)
def parse_certificate(der: bytes) -> x509.Certificate:
    """Return the certificate.

    Raises:
        CertificateRejected: these bytes are none (Bad_CertificateInvalid).
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.extensions  # noqa: B018, parsed on first access only
        certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise CertificateRejected(f"no certificate: {str(error)[:80]}") from error
    return certificate


@lru_cache(maxsize=KEPT_PARSED)
def parse_crl(der: bytes) -> x509.CertificateRevocationList:
    """Return the CRL.

    Raises:
        CertificateRejected: these bytes are none (Bad_CertificateInvalid).
    """
    try:
        return x509.load_der_x509_crl(der)
    except ValueError as error:
        raise CertificateRejected(f"no CRL: {str(error)[:80]}") from error


def application_uris(der: bytes) -> tuple[str, ...]:
    """Return the URIs of a certificate's SubjectAltName, in their order."""
    try:
        extension = parse_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return ()
    return tuple(extension.value.get_values_for_type(x509.UniformResourceIdentifier))


def check_issuers(der: bytes, content: TrustListContent) -> tuple[bytes, ...]:
    """Require that ``content`` holds all issuers of a certificate up to a root (part12 §7.10.5).

    Errors that may be suppressed are ignored: validity periods and unknown revocation.

    Returns:
        The path, leaf first.

    Raises:
        CertificateRejected: Bad_CertificateChainIncomplete, or Bad_CertificateRevoked.
    """
    known = content.trusted_certificates + content.issuer_certificates
    path = _path(der, known)
    _check_revocation(path, content.crls, must_know=False)
    return path


def check_peer(
    der: bytes, chain: Iterable[bytes], content: TrustListContent, now: datetime
) -> None:
    """Require that a peer's certificate is trusted now.

    Raises:
        CertificateRejected: with the code of the first step that failed.
    """
    known = content.trusted_certificates + content.issuer_certificates + tuple(chain)
    path = _path(der, known)
    if not set(path) & set(content.trusted_certificates):
        raise _rejected(StatusCode.BadCertificateUntrusted, "no certificate of the path is trusted")
    for depth, member in enumerate(path):
        certificate = parse_certificate(member)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            status = StatusCode.BadCertificateIssuerTimeInvalid
            if not depth:
                status = StatusCode.BadCertificateTimeInvalid
            raise _rejected(status, f"outside its validity period, depth {depth}")
    _check_revocation(path, content.crls, must_know=True)


def _path(der: bytes, known: tuple[bytes, ...]) -> tuple[bytes, ...]:
    path = [der]
    while not _is_root(path[-1]):
        issuer = next((c for c in known if is_issued_by(path[-1], c)), None)
        if issuer is None or len(path) == MAX_PATH_LENGTH:
            raise _rejected(
                StatusCode.BadCertificateChainIncomplete, f"issuer missing at depth {len(path)}"
            )
        path.append(issuer)
    return tuple(path)


@lru_cache(maxsize=KEPT_PARSED)
def _is_root(der: bytes) -> bool:
    certificate = parse_certificate(der)
    return certificate.subject == certificate.issuer and is_issued_by(der, der)


@lru_cache(maxsize=KEPT_PARSED)
def is_issued_by(der: bytes, issuer: bytes) -> bool:
    """Tell whether ``issuer`` is a CA that signed the certificate ``der``."""
    authority = parse_certificate(issuer)
    if issuer != der and not _is_authority(authority):
        return False
    try:
        parse_certificate(der).verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check_revocation(path: tuple[bytes, ...], crls: tuple[bytes, ...], must_know: bool) -> None:
    for depth, (member, issuer) in enumerate(pairwise(path)):
        lists = [crl for crl in crls if is_crl_of(crl, issuer)]
        serial = parse_certificate(member).serial_number
        if any(parse_crl(crl).get_revoked_certificate_by_serial_number(serial) for crl in lists):
            status = StatusCode.BadCertificateIssuerRevoked
            if not depth:
                status = StatusCode.BadCertificateRevoked
            raise _rejected(status, f"revoked, depth {depth}")
        if must_know and not lists:
            status = StatusCode.BadCertificateIssuerRevocationUnknown
            if not depth:
                status = StatusCode.BadCertificateRevocationUnknown
            raise _rejected(status, f"no CRL for depth {depth}")


@lru_cache(maxsize=KEPT_PARSED)
def is_crl_of(crl: bytes, issuer: bytes) -> bool:
    """Tell whether ``issuer`` has signed the list ``crl``."""
    authority = parse_certificate(issuer)
    parsed = parse_crl(crl)
    key = authority.public_key()
    if parsed.issuer != authority.subject:
        return False
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return False
    return parsed.is_signature_valid(key)


def _rejected(status: StatusCode, message: str) -> CertificateRejected:
    return CertificateRejected(message, status=status)
