"""How an attempt ended, as a test compares it: the class, the StatusCode and the Reason."""

from __future__ import annotations

from registrar.errors import (
    ChunkTooLarge,
    DecodingError,
    ProtocolViolation,
    Reason,
    RegistrarError,
    TimedOut,
    Unavailable,
)
from registrar.status import StatusCode

Outcome = tuple[type[RegistrarError], StatusCode, Reason]

VIOLATION = (
    ProtocolViolation,
    StatusCode.BadTcpMessageTypeInvalid,
    Reason.PROTOCOL_VIOLATION,
)
"""The peer said what cannot come now."""

MALFORMED = DecodingError, StatusCode.BadDecodingError, Reason.PROTOCOL_VIOLATION
TOO_LARGE = ChunkTooLarge, StatusCode.BadTcpMessageTooLarge, Reason.PROTOCOL_VIOLATION
NO_BUFFERS = DecodingError, StatusCode.BadTcpNotEnoughResources, Reason.PROTOCOL_VIOLATION

LATE = TimedOut, StatusCode.BadTimeout, Reason.TIMED_OUT
"""The peer said nothing, or not all of it, in time."""

NOT_THERE = Unavailable, StatusCode.BadConnectionRejected, Reason.UNREACHABLE
"""Nobody listens."""

GONE = Unavailable, StatusCode.BadConnectionClosed, Reason.UNREACHABLE
"""The peer ended the connection."""


def told(error: object) -> Outcome:
    """Return what whoever caught ``error`` can tell by it."""
    assert isinstance(error, RegistrarError)
    return type(error), StatusCode(error.status), error.reason
