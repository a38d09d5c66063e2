"""What a channel reports: the whole output of the sans-I/O protocol beside bytes to send."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from asyncua import ua
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.open_chunk import OpenHeader
from registrar.ua.security_policy import SecurityPolicy
from registrar.ua.transport import Acknowledge, Hello


class ChannelState(StrEnum):
    """Where a channel stands; MSG is processed in OPEN alone.

    ::

        start ──HEL──▶ greeted ──ACK──▶ acknowledged ──OPN──▶ opening ──▶ open ──OPN──▶ open
          └──────────────┴──────────────────┴───────────────────┴──────────┴──▶ closed
    """

    START = "start"
    GREETED = "greeted"
    ACKNOWLEDGED = "acknowledged"
    OPENING = "opening"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Client: the server answered HEL; ``open_request`` comes next."""

    acknowledge: Acknowledge


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """Server: a client said HEL; check its EndpointUrl, then ``acknowledge``."""

    hello: Hello


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenReceived:
    """An OPN that passed the cheap checks; ``process_open`` does the private-key work.

    Until it is settled the channel takes no further chunk.
    """

    header: OpenHeader
    chunk: bytes = field(repr=False)
    identity: ApplicationIdentity | None
    """Ours, which the peer named by its thumbprint; None without security."""

    peer_chain: tuple[bytes, ...] = field(repr=False)
    """The peer's leaf and its issuers, DER; empty without security."""

    peer_key: RSAPublicKey | None = field(repr=False)
    private_operations: int
    """Blocks to decrypt with our key."""

    @property
    def key_bits(self) -> int:
        """Length of our key; above 2048 bits the work belongs into a thread."""
        return self.identity.key_bits if self.identity else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequested:
    """Server: an OpenSecureChannel request whose signature verified. Trust is yet to decide."""

    renewal: bool
    policy: SecurityPolicy
    mode: ua.MessageSecurityMode
    identity: ApplicationIdentity | None
    peer_certificate: bytes | None = field(repr=False)
    """The leaf, DER."""

    peer_chain: tuple[bytes, ...] = field(repr=False)
    """The issuers the peer sent with it, DER."""

    peer_key: RSAPublicKey | None = field(repr=False)
    client_nonce: bytes = field(repr=False)
    requested_lifetime_s: float
    request_id: int
    request_handle: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelOpened:
    """Client: the channel is open, or its token was renewed."""

    channel_id: int
    token_id: int
    lifetime_s: float
    renewed: bool


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A complete MSG."""

    request_id: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MessageAborted:
    """The peer gave up a message it had begun to send."""

    request_id: int
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class CloseReceived:
    """Server: the client closed the channel; close the socket."""


@dataclass(frozen=True, slots=True)
class ErrorReceived:
    """The peer said ERR and closes; close the socket."""

    status: int
    reason: str


Event = (
    Acknowledged
    | HelloReceived
    | OpenReceived
    | MessageReceived
    | MessageAborted
    | CloseReceived
    | ErrorReceived
)
