"""Which reason a refusal of the device gets, by what was asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import TracebackType

from registrar.errors import Reason, Rejected, ServiceFailed, Unavailable
from registrar.status import StatusCode
from registrar.wire.operations import MethodFailed


class Act(StrEnum):
    """What the Registrar was doing to the device."""

    READ_ENDPOINTS = "read the endpoints"
    READ_DEVICE = "read the device"
    REQUEST_TICKETS = "RequestTickets"
    OPEN_SESSION = "open a Session"
    FIND_APPLICATIONS = "find the applications"
    GRANT_ROLE = "grant the SecurityAdmin Role"
    WRITE_TRUST_LIST = "write the TrustList"
    REQUEST_SIGNING = "CreateSigningRequest"
    UPDATE_CERTIFICATE = "UpdateCertificate"
    APPLY_CHANGES = "ApplyChanges"
    READ_BACK = "read back"


_BY_ACT: Mapping[Act, Reason] = {
    Act.READ_ENDPOINTS: Reason.PROTOCOL_VIOLATION,
    Act.READ_DEVICE: Reason.NOT_A_DCA,
    Act.REQUEST_TICKETS: Reason.NOT_A_DCA,
    Act.OPEN_SESSION: Reason.ACCESS_DENIED,
    Act.FIND_APPLICATIONS: Reason.PROTOCOL_VIOLATION,
    Act.GRANT_ROLE: Reason.CHANGES_REFUSED,
    Act.WRITE_TRUST_LIST: Reason.TRUST_LIST_REFUSED,
    Act.REQUEST_SIGNING: Reason.CERTIFICATE_REFUSED,
    Act.UPDATE_CERTIFICATE: Reason.CERTIFICATE_REFUSED,
    Act.APPLY_CHANGES: Reason.CHANGES_REFUSED,
    Act.READ_BACK: Reason.CHANGES_NOT_EFFECTIVE,
}

_BY_METHOD: Mapping[str, Act] = {
    "Open": Act.WRITE_TRUST_LIST,
    "CreateSigningRequest": Act.REQUEST_SIGNING,
}
"""Where calls of two acts share a request, the Method tells which of them failed."""

_SHARED = frozenset(_BY_METHOD.values())

_DENIED = frozenset(
    {
        StatusCode.BadUserAccessDenied,
        StatusCode.BadSecurityModeInsufficient,
        StatusCode.BadIdentityTokenRejected,
        StatusCode.BadNotWritable,
    }
)

_LATER = frozenset(
    {
        StatusCode.BadTransactionPending,
        StatusCode.BadTooManySessions,
        StatusCode.BadTcpServerTooBusy,
        StatusCode.BadServerTooBusy,
        StatusCode.BadMaxConnectionsReached,
        StatusCode.BadShutdown,
        StatusCode.BadServerHalted,
        StatusCode.BadResourceUnavailable,
        StatusCode.BadOutOfService,
    }
)
"""Answers that say: come back later."""

_LOST = frozenset(
    {
        StatusCode.BadSessionIdInvalid,
        StatusCode.BadSessionClosed,
        StatusCode.BadSecureChannelIdInvalid,
        StatusCode.BadSecureChannelClosed,
        StatusCode.BadConnectionClosed,
    }
)
"""Answers that say: begin a new Session."""


class Doing:
    """A block in which what fails gets the name of the device, the act and the reason.

    Args:
        act: what is done to the device.
        url: of the device.

    Raises:
        Rejected: the device refused or misbehaved.
        Unavailable: it cannot serve now; BUSY while another transaction is open.
    """

    __slots__ = ("_act", "_url")

    def __init__(self, act: Act, url: str) -> None:
        self._act = act
        self._url = url

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise what explains ``error`` better, if there is such."""
        if error is None:
            return
        act = self._act
        if isinstance(error, ServiceFailed):
            if isinstance(error, MethodFailed) and act in _SHARED:
                act = _BY_METHOD.get(error.method, act)
            raise _refusal(act, self._url, error) from error
        if isinstance(error, Unavailable | Rejected) and not str(error).startswith(self._url):
            raise _named(error, act, self._url) from error


def _refusal(act: Act, url: str, error: ServiceFailed) -> Rejected | Unavailable:
    message = f"{url}: {act}: {error}"
    if error.status in _LATER:
        return Unavailable(message, reason=Reason.BUSY, status=error.status, subject=url)
    if error.status in _LOST:
        return Unavailable(message, status=error.status, subject=url)
    reason = Reason.ACCESS_DENIED if error.status in _DENIED else _BY_ACT[act]
    return Rejected(message, reason=reason, status=error.status, subject=url)


def _named(error: Unavailable | Rejected, act: Act, url: str) -> Unavailable | Rejected:
    kind = Unavailable if isinstance(error, Unavailable) else Rejected
    return kind(f"{url}: {act}: {error}", reason=error.reason, status=error.status, subject=url)
