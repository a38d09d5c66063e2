"""The names in an application certificate; OPC 10000-6 §6.2.2."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cryptography import x509

from registrar.errors import SecurityChecksFailed
from registrar.status import StatusCode

KEPT: Final = 256
"""Certificates whose URIs are kept: a peer shows the same one for each Session (0.3 ms)."""


@lru_cache(maxsize=KEPT)
def application_uris(certificate: bytes) -> tuple[str, ...]:
    """Return the URIs of the subjectAltName of a DER certificate, in order; () for none.

    Raises:
        SecurityChecksFailed: not a certificate, or a malformed extension.
    """
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except (ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise SecurityChecksFailed(
            "a certificate cannot be read", status=StatusCode.BadCertificateInvalid
        ) from error
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
