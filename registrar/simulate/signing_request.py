"""Make the PKCS#10 requests a pretended Device answers CreateSigningRequest with.

Source: OPC 10000-12 §7.10.10; subject names OPC 10000-12 §7.9.4; content OPC 10000-6 §6.2.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from registrar.errors import ServiceFailed
from registrar.status import StatusCode

ATTRIBUTES: Mapping[str, x509.ObjectIdentifier] = {
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "L": NameOID.LOCALITY_NAME,
    "S": NameOID.STATE_OR_PROVINCE_NAME,
    "C": NameOID.COUNTRY_NAME,
}
MAX_SUBJECT_LENGTH = 512
"""Characters of a SubjectName."""

_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^/="]*))\s*(?:/|\Z)')


def parse_subject(subject: str) -> x509.Name:
    """Return the name that ``name=value`` pairs separated by ``/`` stand for.

    Raises:
        ServiceFailed: Bad_InvalidArgument for an unknown name, an empty value or other text.
    """
    if len(subject) > MAX_SUBJECT_LENGTH:
        raise _invalid(f"SubjectName of {len(subject)} characters; limit {MAX_SUBJECT_LENGTH}")
    attributes = []
    at = 0
    while at < len(subject):
        pair = _PAIR.match(subject, at)
        kind = ATTRIBUTES.get(pair[1].upper()) if pair else None
        value = (pair[2] or pair[3] or "").strip() if pair else ""
        if pair is None or kind is None or not value:
            raise _invalid(f"SubjectName {subject[:80]!r}")
        try:
            attributes.append(x509.NameAttribute(kind, value))
        except ValueError as error:
            raise _invalid(f"SubjectName {subject[:80]!r}: {error}") from error
        at = pair.end()
    if not attributes:
        raise _invalid("no SubjectName, and no certificate to take it from")
    return x509.Name(attributes)


def make_signing_request(
    key: rsa.RSAPrivateKey, subject: x509.Name, *, application_uri: str, host: str
) -> bytes:
    """Return the request, DER, signed with ``key``; its SAN begins with the ApplicationUri."""
    try:
        place: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        place = x509.DNSName(host)
    names = [x509.UniformResourceIdentifier(application_uri), place]
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.DER)


def _invalid(message: str) -> ServiceFailed:
    return ServiceFailed(message, status=StatusCode.BadInvalidArgument)
