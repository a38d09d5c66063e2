"""Code, reason and place of each step of the certificate validation; OPC 10000-4 §6.1.3."""

from __future__ import annotations

from collections.abc import Mapping

from registrar.core.validation import Check
from registrar.errors import Reason
from registrar.status import StatusCode

CODES: Mapping[Check, StatusCode] = {
    Check.POLICY: StatusCode.BadCertificatePolicyCheckFailed,
    Check.EXPIRED: StatusCode.BadCertificateTimeInvalid,
    Check.NOT_YET_VALID: StatusCode.BadCertificateTimeInvalid,
    Check.ISSUER_EXPIRED: StatusCode.BadCertificateIssuerTimeInvalid,
    Check.ISSUER_NOT_YET_VALID: StatusCode.BadCertificateIssuerTimeInvalid,
    Check.HOST_NAME: StatusCode.BadCertificateHostNameInvalid,
    Check.USAGE: StatusCode.BadCertificateUseNotAllowed,
    Check.REVOCATION_UNKNOWN: StatusCode.BadCertificateRevocationUnknown,
    Check.ISSUER_REVOCATION_UNKNOWN: StatusCode.BadCertificateIssuerRevocationUnknown,
    Check.REVOCATION_SKIPPED: StatusCode.BadCertificateRevocationUnknown,
}
"""What a peer hears of each check that an owner's policy may suppress."""

REASONS: Mapping[StatusCode, Reason] = {
    StatusCode.BadCertificateInvalid: Reason.DEVICE_CERTIFICATE_INVALID,
    StatusCode.BadCertificateChainIncomplete: Reason.DEVICE_CERTIFICATE_UNTRUSTED,
    StatusCode.BadCertificatePolicyCheckFailed: Reason.DEVICE_CERTIFICATE_INVALID,
    StatusCode.BadCertificateUntrusted: Reason.DEVICE_CERTIFICATE_UNTRUSTED,
    StatusCode.BadCertificateTimeInvalid: Reason.DEVICE_CERTIFICATE_EXPIRED,
    StatusCode.BadCertificateIssuerTimeInvalid: Reason.DEVICE_CERTIFICATE_EXPIRED,
    StatusCode.BadCertificateHostNameInvalid: Reason.DEVICE_CERTIFICATE_URI_MISMATCH,
    StatusCode.BadCertificateUriInvalid: Reason.DEVICE_CERTIFICATE_URI_MISMATCH,
    StatusCode.BadCertificateUseNotAllowed: Reason.DEVICE_CERTIFICATE_INVALID,
    StatusCode.BadCertificateIssuerUseNotAllowed: Reason.DEVICE_CERTIFICATE_INVALID,
    StatusCode.BadCertificateRevocationUnknown: Reason.DEVICE_CERTIFICATE_REVOCATION_UNKNOWN,
    StatusCode.BadCertificateIssuerRevocationUnknown: (
        Reason.DEVICE_CERTIFICATE_REVOCATION_UNKNOWN
    ),
    StatusCode.BadCertificateRevoked: Reason.DEVICE_CERTIFICATE_REVOKED,
    StatusCode.BadCertificateIssuerRevoked: Reason.DEVICE_CERTIFICATE_REVOKED,
}
"""What an administrator reads for each code."""

STEPS: Mapping[StatusCode, int] = {
    StatusCode.BadCertificatePolicyCheckFailed: 4,
    StatusCode.BadCertificateUntrusted: 5,
    StatusCode.BadCertificateTimeInvalid: 6,
    StatusCode.BadCertificateIssuerTimeInvalid: 6,
    StatusCode.BadCertificateHostNameInvalid: 7,
    StatusCode.BadCertificateUriInvalid: 8,
    StatusCode.BadCertificateUseNotAllowed: 9,
    StatusCode.BadCertificateIssuerUseNotAllowed: 9,
    StatusCode.BadCertificateRevocationUnknown: 10,
    StatusCode.BadCertificateIssuerRevocationUnknown: 10,
    StatusCode.BadCertificateRevoked: 11,
    StatusCode.BadCertificateIssuerRevoked: 11,
}
"""Number of the step that gives each code; 3 for those not named."""
