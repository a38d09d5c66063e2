"""What one connection, one address and one Listener may use; OPC 10000-4 and our threat model.

A value is what an installation asks for; a hard maximum is what no installation gets. Limits of
chunks and decoding stand in ``registrar.ua.limits``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from registrar.errors import Misuse
from registrar.ua.limits import ChannelLimits, DecoderLimits

MAX_UNFINISHED_SIZE = 4 * 1024 * 1024 * 1024
"""Bytes of chunks and messages not yet complete; no installation keeps more of all peers."""

SERVER_MAXIMA: Mapping[str, float] = MappingProxyType(
    {
        "hello_s": 60,
        "open_s": 60,
        "session_s": 300,
        "write_s": 60,
        "connections": 20_000,
        "connections_per_address": 20_000,
        "sessions": 10_000,
        "sessions_per_address": 10_000,
        "outstanding_requests": 100,
        "turn_s": 0.1,
        "operations_per_request": 10_000,
        "references_per_node": 10_000,
        "continuation_points": 100,
        "min_session_timeout_s": 3_600,
        "max_session_timeout_s": 86_400,
        "client_nonces": 100_000,
        "early_message_size": 16 * 1024 * 1024,
        "unfinished_size": MAX_UNFINISHED_SIZE,
        "write_buffer_size": 16 * 1024 * 1024,
        "log_lines_per_minute": 1_000,
        "log_lines_of_all": 10_000,
    }
)
"""No configuration goes beyond these."""

CLIENT_MAXIMA: Mapping[str, float] = MappingProxyType(
    {
        "connect_s": 120,
        "request_s": 300,
        "total_s": 86_400,
        "total_size": 16 * 1024 * 1024 * 1024,
        "total_requests": 100_000_000,
        "discovery_size": 16 * 1024 * 1024,
        "browse_rounds": 10_000,
        "references": 1_000_000,
        "close_s": 30,
        "token_lifetime_s": 86_400,
    }
)


def _check(limits: Any, maxima: Mapping[str, float]) -> None:
    for item in fields(limits):
        maximum = maxima.get(item.name)
        value = getattr(limits, item.name)
        if maximum is not None and not 0 < value <= maximum:
            raise Misuse(f"{item.name} is {value}; it must be above 0 and at most {maximum}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What a Listener spends on its peers."""

    channel: ChannelLimits = field(
        default_factory=lambda: ChannelLimits(max_message_size=4 * 1024 * 1024)
    )
    decoder: DecoderLimits = field(default_factory=lambda: DecoderLimits(max_elements=20_000))
    early_message_size: int = 64 * 1024
    """Bytes of a message on a channel without an activated Session."""
    unfinished_size: int = 64 * 1024 * 1024
    """Bytes of chunks and messages not yet complete, and of requests that wait, of all peers."""
    hello_s: float = 5.0
    """From accept to a complete HEL."""
    open_s: float = 10.0
    """From HEL to an open SecureChannel."""
    session_s: float = 30.0
    """From an open SecureChannel to an activated Session; an unsecured channel ends here."""
    write_s: float = 10.0
    """How long a peer may leave what we wrote unread."""
    connections: int = 1_000
    connections_per_address: int = 100
    sessions: int = 500
    """Sessions of the Listener, activated or not."""
    sessions_per_address: int = 50
    outstanding_requests: int = 16
    """Requests of one connection whose Methods still run; reading stops above."""
    turn_s: float = 0.001
    """How long requests that wait for their turn are served before the loop goes on."""
    operations_per_request: int = 1_000
    """Nodes or Methods in one Read, Write, Browse, Translate or Call."""
    references_per_node: int = 1_000
    """References in one Browse result before a continuation point is made."""
    continuation_points: int = 10
    """Open continuation points of one Session."""
    min_session_timeout_s: float = 1.0
    max_session_timeout_s: float = 3_600.0
    client_nonces: int = 1_024
    """How many client nonces are remembered, so that none is used twice."""
    write_buffer_size: int = 256 * 1024
    """Bytes written and not yet sent before we stop reading, in bytes."""
    log_lines_per_minute: int = 6
    """Log lines one address can cause."""
    log_lines_of_all: int = 120
    """Log lines all addresses together can cause in a minute."""

    def __post_init__(self) -> None:
        _check(self, SERVER_MAXIMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What a Client spends on one connection to one peer.

    A message within these limits is decoded in at most some 15 ms (50 ms in Python), during which
    the event loop serves no other device.
    """

    channel: ChannelLimits = field(
        default_factory=lambda: ChannelLimits(max_message_size=4 * 1024 * 1024)
    )
    decoder: DecoderLimits = field(default_factory=lambda: DecoderLimits(max_elements=10_000))
    discovery_size: int = 1024 * 1024
    """Bytes of an answer on a channel without security, where the peer proved nothing."""
    connect_s: float = 10.0
    """For TCP, HEL and OPN together."""
    request_s: float = 10.0
    """From a request to its response."""
    total_s: float = 3_600.0
    """Life of the connection."""
    total_size: int = 64 * 1024 * 1024
    """Bytes the peer may send on this connection."""
    total_requests: int = 100_000
    """Requests sent on this connection."""
    browse_rounds: int = 100
    """BrowseNext calls that one ``browse`` follows."""
    references: int = 10_000
    """References that one ``browse`` collects."""
    close_s: float = 1.0
    """For the answer to CloseSession and the end of TCP."""
    token_lifetime_s: float = 3_600.0
    """Asked for in each OPN; the token is renewed at 75 %."""

    def __post_init__(self) -> None:
        _check(self, CLIENT_MAXIMA)
