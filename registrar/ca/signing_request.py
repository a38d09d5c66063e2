"""What is believed of a signing request: the public key, after it proved itself (T21).

Names and extensions of the certificate come from our profile. The ApplicationUri of the request
is only compared, and its DNS names and addresses are only proposals (ambiguity Q32 of our
reading of OPC 10000-21 §6.3): the caller decides which of them to take.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from registrar.ca.keys import PublicKey, key_digest
from registrar.errors import Reason, Rejected
from registrar.native import compiled

MAX_REQUEST_BYTES: Final = 16 * 1024
"""A request with a 4,096 bit key takes 2 KB."""

MIN_RSA_BITS: Final = 2_048
MAX_RSA_BITS: Final = 4_096
MIN_RSA_EXPONENT: Final = 65_537
MAX_RSA_EXPONENT: Final = 2**32 - 1
"""Larger ones only make every verification slower."""

MAX_NAMES: Final = 32
"""Entries of the subjectAltName that are looked at."""

CURVES: Final = frozenset({"secp256r1", "secp384r1", "brainpoolP256r1", "brainpoolP384r1"})
"""The curves of the elliptic-curve CertificateTypes (OPC 10000-12 §7.8.4)."""

_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for bytes that are no request, or one it does not know."""

_MODULUS_AT: Final = 33
"""Where the modulus begins in the ``key`` of a ``PlainRequest``, behind its leading zero."""

_PKCS1: Final = padding.PKCS1v15()
_RSA_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "RS256": hashes.SHA256(),
    "RS384": hashes.SHA384(),
    "RS512": hashes.SHA512(),
}

_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})
_DNS_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    r"(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\Z",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """What a checked request is good for."""

    public_key: PublicKey
    """Its holder has the private key."""

    key_digest: str
    """SHA-256 of the SubjectPublicKeyInfo, hexadecimal; for finding reuse."""

    dns_names: tuple[str, ...]
    """Proposed, well-formed, nothing more."""

    ip_addresses: tuple[IPv4Address | IPv6Address, ...]


class PlainRequest(NamedTuple):
    """What a usual request holds: signed with RSA, for an RSA key with the exponent 65,537."""

    info: bytes
    """What was signed."""

    key: bytes
    """SubjectPublicKeyInfo, DER."""

    key_bits: int
    uris: tuple[str, ...]
    dns_names: tuple[str, ...]
    addresses: tuple[bytes, ...]
    """Of 4 or 16 bytes."""

    algorithm: str
    """RS256, RS384 or RS512."""

    signature: bytes


@compiled
def read_plain_request(der: bytes) -> PlainRequest | tuple[object, ...] | None:
    """Return the fields of a ``PlainRequest``; None for any other request, well-formed or not.

    Only the compiled twin recognises any.
    """
    return None


def check_signing_request(der: bytes, *, application_uri: str) -> SigningRequest:
    """Check a PKCS#10 request from a Device, the cheap things first.

    Args:
        der: as the Device gave it.
        application_uri: of the application it is meant for; must be a URI of its subjectAltName.

    Raises:
        Rejected: it is malformed, too large, for another application, of a weak or unsupported
            key, or not signed with that key (``SIGNING_REQUEST_INVALID``).

    Source: OPC 10000-12 §7.10.10; OPC 10000-6 §6.2.2; RFC 2986.
    """
    if len(der) > MAX_REQUEST_BYTES:
        raise _invalid(f"{len(der)} bytes exceed {MAX_REQUEST_BYTES}")
    plain = read_plain_request(der)
    if plain is not None:
        checked = _check_plain(PlainRequest._make(plain), application_uri)
        if checked is not None:
            return checked
    return _check_any(der, application_uri)


def _check_plain(plain: PlainRequest, application_uri: str) -> SigningRequest | None:
    """Make the checks of ``_check_any``, which finds the words where one fails."""
    count = len(plain.uris) + len(plain.dns_names) + len(plain.addresses)
    if application_uri not in plain.uris or count > MAX_NAMES:
        return None
    modulus = plain.key[_MODULUS_AT : _MODULUS_AT + plain.key_bits // 8]
    if not MIN_RSA_BITS <= plain.key_bits <= MAX_RSA_BITS or _has_small_factor(
        int.from_bytes(modulus)
    ):
        return None
    try:
        key = load_der_public_key(plain.key)
        if not isinstance(key, rsa.RSAPublicKey):
            return None
        key.verify(plain.signature, plain.info, _PKCS1, _RSA_HASHES[plain.algorithm])
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        return None
    return SigningRequest(
        public_key=key,
        key_digest=hashlib.sha256(plain.key).hexdigest(),
        dns_names=_host_names(plain.dns_names),
        ip_addresses=tuple(map(ip_address, dict.fromkeys(plain.addresses))),
    )


def _host_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(names) if _DNS_NAME.match(name))


def _check_any(der: bytes, application_uri: str) -> SigningRequest:
    try:
        request = x509.load_der_x509_csr(der)
        names = _names(request)
        key = request.public_key()
        hash_algorithm = request.signature_hash_algorithm
    except _UNREADABLE as error:
        raise _invalid(f"it cannot be read: {str(error)[:80]}") from error
    _check_uri(names, application_uri)
    checked = _check_key(key)
    if hash_algorithm is None or hash_algorithm.name not in _HASHES:
        raise _invalid("its signature is not over SHA-2 with 256 bits or more")
    _check_signature(request)
    return SigningRequest(
        public_key=checked,
        key_digest=key_digest(checked),
        dns_names=_host_names(names.get_values_for_type(x509.DNSName)),
        ip_addresses=tuple(
            address
            for address in dict.fromkeys(names.get_values_for_type(x509.IPAddress))
            if isinstance(address, IPv4Address | IPv6Address)
        ),
    )


def _names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise _invalid("it has no subjectAltName") from error
    if len(list(names)) > MAX_NAMES:
        raise _invalid(f"its subjectAltName has more than {MAX_NAMES} entries")
    return names


def _check_uri(names: x509.SubjectAlternativeName, application_uri: str) -> None:
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if application_uri not in uris:
        found = uris[0][:80] if uris else "no URI"
        raise _invalid(f"it names {found!r}, not the ApplicationUri {application_uri!r}")


def _check_key(key: object) -> PublicKey:
    if isinstance(key, rsa.RSAPublicKey):
        return _check_rsa(key)
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in CURVES:
            raise _invalid(f"its key is on the curve {key.curve.name}")
        return key
    raise _invalid("its key is neither RSA nor on an elliptic curve")


def _check_rsa(key: rsa.RSAPublicKey) -> rsa.RSAPublicKey:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise _invalid(f"its RSA key has {key.key_size} bits, not {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    numbers = key.public_numbers()
    if numbers.e % 2 == 0 or not MIN_RSA_EXPONENT <= numbers.e <= MAX_RSA_EXPONENT:
        raise _invalid(f"its RSA exponent is {hex(numbers.e)[:20]}")
    if _has_small_factor(numbers.n):
        raise _invalid("its RSA modulus has a small factor")
    return key


def _has_small_factor(modulus: int) -> bool:
    return math.gcd(modulus, _small_primes()) != 1


@cache
def _small_primes() -> int:
    """Return the product of the primes below 2,000."""
    numbers = range(2, 2_000)
    return math.prod(n for n in numbers if all(n % i for i in range(2, math.isqrt(n) + 1)))


def _check_signature(request: x509.CertificateSigningRequest) -> None:
    try:
        is_signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _invalid("its signature cannot be checked") from error
    if not is_signed:
        raise _invalid("it is not signed with the key it holds")


def _invalid(what: str) -> Rejected:
    return Rejected(
        f"the signing request is invalid: {what}", reason=Reason.SIGNING_REQUEST_INVALID
    )
