"""The limits of a channel and of the decoder, each within a hard maximum (threat-model 3.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from registrar.errors import Misuse

MIN_BUFFER_SIZE = 8192
"""Bytes; no peer may offer less (OPC 10000-6 §7.1.2.3)."""

MAX_BUFFER_SIZE = 1 << 20
"""Bytes of the longest chunk an operator may allow."""

MAX_OPEN_SIZE = 8192
"""Bytes of an OPN chunk (threat-model 5.2)."""

MAX_OPEN_BLOCKS = 4
"""Ciphertext blocks of an OPN, counted before any decryption (threat-model 5.2)."""

MAX_SMALL_BLOCKS = 2
"""Ciphertext blocks of an OPN where both keys have 2048 bits."""

MAX_POLICY_URI = 255
"""Bytes of a SecurityPolicyUri (OPC 10000-6 §6.7.2.3)."""

MAX_URL = 4096
"""Bytes of an EndpointUrl, a ServerUri and an error's Reason (OPC 10000-6 §7.1.2)."""

MAX_HELLO_SIZE = 8 + 20 + 4 + MAX_URL
"""Bytes of a HEL chunk."""

MAX_ERROR_SIZE = 8 + 4 + 4 + MAX_URL
"""Bytes of an ERR chunk."""

MAX_ACKNOWLEDGE_SIZE = 8 + 20
"""Bytes of an ACK chunk."""

MAX_DIAGNOSTIC_DEPTH = 10
"""Levels of DiagnosticInfo (threat-model 5.2)."""

MAX_CHAIN_LENGTH = 8
"""Certificates in a SenderCertificate."""

MAX_PASSWORD_SIZE = 1024
"""Bytes of a password in a UserNameIdentityToken."""

MAX_NONCE_SIZE = 128
"""Bytes of a nonce of CreateSession or ActivateSession."""

MIN_NONCE_SIZE = 32
"""Bytes of a nonce of CreateSession or ActivateSession (OPC 10000-4 §5.7.2)."""

CHANNEL_BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "receive_buffer_size": (MIN_BUFFER_SIZE, MAX_BUFFER_SIZE),
        "send_buffer_size": (MIN_BUFFER_SIZE, MAX_BUFFER_SIZE),
        "max_message_size": (MIN_BUFFER_SIZE, 1 << 28),
        "max_chunk_count": (1, 1 << 15),
        "max_partial_messages": (1, 256),
        "max_outstanding": (1, 1 << 14),
        "min_token_lifetime_s": (1, 3600),
        "max_token_lifetime_s": (1, 86_400),
    }
)
"""Smallest and greatest value an operator may set."""

DECODER_BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"max_depth": (1, 100), "max_elements": (1, 10_000_000)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLimits:
    """What one channel may cost us, and what we tell the peer in HEL or ACK."""

    receive_buffer_size: int = 65_536
    """Bytes of the longest chunk we take."""

    send_buffer_size: int = 65_536
    """Bytes of the longest chunk we send."""

    max_message_size: int = 16 * 1024 * 1024
    """Bytes of the longest message we take, and of all unfinished ones together."""

    max_chunk_count: int = 512
    """Chunks of a message we take."""

    max_partial_messages: int = 8
    """Unfinished messages we keep."""

    max_outstanding: int = 100
    """Requests without a response that a client has."""

    min_token_lifetime_s: float = 10
    max_token_lifetime_s: float = 3600
    """A requested lifetime is clamped to these."""

    def __post_init__(self) -> None:
        _check(self, CHANNEL_BOUNDS)
        if self.min_token_lifetime_s > self.max_token_lifetime_s:
            raise Misuse("min_token_lifetime_s is above max_token_lifetime_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderLimits:
    """What the bytes of a peer may make the decoder build."""

    max_depth: int = 100
    """Levels of nested Variants, ExtensionObjects and recursive structures."""

    max_elements: int = 1_000_000
    """Elements of all arrays of one message, and values nested in others, together."""

    def __post_init__(self) -> None:
        _check(self, DECODER_BOUNDS)


def _check(limits: object, bounds: Mapping[str, tuple[float, float]]) -> None:
    for name, (low, high) in bounds.items():
        value = getattr(limits, name)
        if not low <= value <= high:
            raise Misuse(f"{name} is {value}, allowed are {low} to {high}")
