"""What may go wrong, chosen by what the caller does next.

    RegistrarError
    ├── Rejected      the Device, its Ticket or its bytes are at fault: do not retry
    ├── Unavailable   a peer, the network, the store or an issuer cannot serve now: retry later
    └── Misuse        our own code broke a precondition: fix it, never catch it

Each class carries the ``status`` a peer hears. ``reason`` is the machine-readable code an
administrator sees; ``core.reasons`` says what each code means and what to do next.
"""

from __future__ import annotations

from enum import StrEnum

from registrar.status import StatusCode


class Reason(StrEnum):
    """Why a Device, a Ticket or a request was refused or could not be served."""

    # Tickets
    TICKET_MISSING = "ticket_missing"
    TICKET_MALFORMED = "ticket_malformed"
    TICKET_TOO_LARGE = "ticket_too_large"
    TICKET_ALGORITHM_REFUSED = "ticket_algorithm_refused"
    TICKET_SIGNATURE_INVALID = "ticket_signature_invalid"
    TICKET_SIGNER_UNTRUSTED = "ticket_signer_untrusted"
    TICKET_SIGNER_REVOKED = "ticket_signer_revoked"
    TICKET_SIGNER_EXPIRED = "ticket_signer_expired"
    TICKET_SIGNER_INVALID = "ticket_signer_invalid"
    TICKET_SIGNER_REVOCATION_UNKNOWN = "ticket_signer_revocation_unknown"
    AUTHORITY_OUT_OF_SCOPE = "authority_out_of_scope"
    AUTHORITY_STOPPED = "authority_stopped"
    # DeviceIdentity Certificates
    COMPOSITE_PARTIAL_MATCH = "composite_partial_match"
    DEVICE_CERTIFICATE_INVALID = "device_certificate_invalid"
    DEVICE_CERTIFICATE_UNTRUSTED = "device_certificate_untrusted"
    DEVICE_CERTIFICATE_REVOKED = "device_certificate_revoked"
    DEVICE_CERTIFICATE_REVOCATION_UNKNOWN = "device_certificate_revocation_unknown"
    DEVICE_CERTIFICATE_EXPIRED = "device_certificate_expired"
    DEVICE_CERTIFICATE_URI_MISMATCH = "device_certificate_uri_mismatch"
    KEY_NOT_PROVEN = "key_not_proven"
    PRODUCT_INSTANCE_URI_CONFLICT = "product_instance_uri_conflict"
    # The Device on the network
    ALREADY_OWNED = "already_owned"
    NOT_A_DCA = "not_a_dca"
    NETWORK_NOT_DESIGNATED = "network_not_designated"
    SECURITY_POLICY_UNSUPPORTED = "security_policy_unsupported"
    ENDPOINTS_ALTERED = "endpoints_altered"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    PROTOCOL_VIOLATION = "protocol_violation"
    ACCESS_DENIED = "access_denied"
    BUSY = "busy"
    # Provisioning
    SIGNING_REQUEST_INVALID = "signing_request_invalid"
    KEY_REUSED = "key_reused"
    CERTIFICATE_REFUSED = "certificate_refused"
    TRUST_LIST_REFUSED = "trust_list_refused"
    CHANGES_REFUSED = "changes_refused"
    CHANGES_NOT_EFFECTIVE = "changes_not_effective"
    SOFTWARE_OUTDATED = "software_outdated"
    # The Registrar's own side
    CONFIGURATION_INVALID = "configuration_invalid"
    FILE_INVALID = "file_invalid"
    STORE_UNAVAILABLE = "store_unavailable"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    INTERNAL = "internal"


class RegistrarError(Exception):
    """The root; raise one of its branches.

    Args:
        message: what was wrong, with the offending value and the limit it broke; never a
            secret, never more than 80 bytes of what a peer sent.
        reason: the code for administrators, where the class alone does not say it.
        subject: whom it concerns: a URL, a ProductInstanceUri, a file name.
        next_action: what to do now, where the reason alone would send people astray.
    """

    status = StatusCode.BadInternalError
    default_reason = Reason.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        reason: Reason | None = None,
        status: StatusCode | None = None,
        subject: str = "",
        next_action: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason or self.default_reason
        self.subject = subject
        self.next_action = next_action
        if status is not None:
            self.status = status


class Rejected(RegistrarError):
    """The Device, its Ticket or its bytes are at fault. Do not retry."""

    status = StatusCode.BadSecurityChecksFailed
    default_reason = Reason.PROTOCOL_VIOLATION


class Unavailable(RegistrarError):
    """A peer, the network, the store or an issuer cannot serve now. Retry later."""

    status = StatusCode.BadResourceUnavailable
    default_reason = Reason.UNREACHABLE


class Misuse(RegistrarError):
    """Our own code broke a precondition. Fix it; never catch it."""


class DecodingError(Rejected):
    """Bytes that are not what OPC UA, JSON or DER prescribe."""

    status = StatusCode.BadDecodingError


class ChunkTooLarge(DecodingError):
    """A chunk announces more bytes than the negotiated buffer holds."""

    status = StatusCode.BadTcpMessageTooLarge


class MessageTooLarge(DecodingError):
    """A message has more chunks or bytes than the negotiated limits allow."""

    status = StatusCode.BadRequestTooLarge


class ProtocolViolation(Rejected):
    """A message that cannot come now: wrong type, sequence, token, channel or request."""

    status = StatusCode.BadTcpMessageTypeInvalid


class SecurityChecksFailed(Rejected):
    """A signature, padding, key or certificate check of a channel or Session failed."""

    status = StatusCode.BadSecurityChecksFailed


class CertificateRejected(Rejected):
    """A certificate failed a step of OPC 10000-4 §6.1.3; ``status`` is the code of the step."""

    status = StatusCode.BadCertificateInvalid
    default_reason = Reason.DEVICE_CERTIFICATE_INVALID


class TicketInvalid(Rejected):
    """No signature of a Ticket is valid and trusted, or its content is malformed."""

    status = StatusCode.BadTicketInvalid
    default_reason = Reason.TICKET_MALFORMED

    claimed_uri = ""
    """The URI in the payload nobody vouches for, where it can be read: a name to remember it by."""


class AccessDenied(Rejected):
    """The caller lacks the Role, the Privilege or the security mode."""

    status = StatusCode.BadUserAccessDenied
    default_reason = Reason.ACCESS_DENIED


class ServiceFailed(Rejected):
    """A peer answered a service, an operation or a Method with a bad ``status``."""

    status = StatusCode.BadUnexpectedError


class ConfigurationInvalid(Rejected):
    """A configuration file has a wrong key or value; the message names key and line."""

    status = StatusCode.BadConfigurationError
    default_reason = Reason.CONFIGURATION_INVALID


class FileInvalid(Rejected):
    """A file an operator gave cannot be read as what it should be."""

    status = StatusCode.BadInvalidArgument
    default_reason = Reason.FILE_INVALID


class ConnectionClosed(Unavailable):
    """Our own side closed the connection."""

    status = StatusCode.BadConnectionClosed

    def __init__(self) -> None:
        super().__init__("the connection was closed")


class TimedOut(Unavailable):
    """A named wait ended without an answer."""

    status = StatusCode.BadTimeout
    default_reason = Reason.TIMED_OUT


class StoreUnavailable(Unavailable):
    """The database cannot be read or written now."""

    default_reason = Reason.STORE_UNAVAILABLE


class IssuerUnavailable(Unavailable):
    """No certificate can be issued now: the CA key, its CRL or its validity is missing."""

    default_reason = Reason.ISSUER_UNAVAILABLE
