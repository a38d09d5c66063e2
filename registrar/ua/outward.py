"""What a peer may hear of an error (threat-model 3.7, T15; OPC 10000-4 §6.1.3).

The exact reason is for the log and the audit. Outward, all failures of an OPN are one, except
those certificate errors that help an honest peer and tell an attacker nothing.
"""

from __future__ import annotations

from registrar.errors import CertificateRejected, RegistrarError, Unavailable
from registrar.status import StatusCode, name_of
from registrar.ua.transport import ErrorMessage, encode_error

HARMLESS_CERTIFICATE_ERRORS = frozenset(
    {
        StatusCode.BadCertificateTimeInvalid,
        StatusCode.BadCertificateIssuerTimeInvalid,
        StatusCode.BadCertificateHostNameInvalid,
        StatusCode.BadCertificateUriInvalid,
        StatusCode.BadCertificateUseNotAllowed,
        StatusCode.BadCertificateIssuerUseNotAllowed,
        StatusCode.BadCertificateRevocationUnknown,
        StatusCode.BadCertificateIssuerRevocationUnknown,
    }
)
"""The steps of the validation that are not marked S in the standard."""

TRANSPORT_ERRORS = frozenset(
    {
        StatusCode.BadTcpServerTooBusy,
        StatusCode.BadTcpMessageTypeInvalid,
        StatusCode.BadTcpSecureChannelUnknown,
        StatusCode.BadTcpMessageTooLarge,
        StatusCode.BadTcpNotEnoughResources,
        StatusCode.BadTcpEndpointUrlInvalid,
        StatusCode.BadProtocolVersionUnsupported,
        StatusCode.BadSecureChannelClosed,
        StatusCode.BadSecureChannelTokenUnknown,
        StatusCode.BadTimeout,
    }
)
"""What an ERR may carry as it is (OPC 10000-6 §7.1.5)."""

_MALFORMED = frozenset({StatusCode.BadDecodingError, StatusCode.BadRequestTooLarge})


def outward_status(error: RegistrarError, *, opening: bool) -> StatusCode:
    """Return the status a peer hears instead of ``error``.

    Args:
        opening: whether the error concerns the content of an OPN.
    """
    status = error.status
    if isinstance(error, Unavailable) and status is StatusCode.BadTcpServerTooBusy:
        return status  # decided before a key was used, so it tells nothing about one
    if isinstance(error, CertificateRejected) and status in HARMLESS_CERTIFICATE_ERRORS:
        return status
    if not opening and status in TRANSPORT_ERRORS:
        return status
    if not opening and status in _MALFORMED:
        return StatusCode.BadTcpInternalError
    return StatusCode.BadSecurityChecksFailed


def encode_outward(error: RegistrarError, *, opening: bool) -> bytes:
    """Return the ERR chunk for ``error``; its Reason is the name of its status alone."""
    status = outward_status(error, opening=opening)
    return encode_error(ErrorMessage(error=status, reason=name_of(status)))
