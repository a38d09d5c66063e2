"""How devices are approached, and where they may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network

from registrar.errors import ConfigurationInvalid, Misuse
from registrar.ua.security_policy import (
    AES128_SHA256_RSAOAEP,
    AES256_SHA256_RSAPSS,
    BASIC256SHA256,
    SecurityPolicy,
)
from registrar.wire.limits import ClientLimits

Network = IPv4Network | IPv6Network

POLICIES: tuple[SecurityPolicy, ...] = (
    AES256_SHA256_RSAPSS,
    AES128_SHA256_RSAOAEP,
    BASIC256SHA256,
)
"""What may be used towards devices, strongest first (T11)."""


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read CIDR texts.

    Raises:
        ConfigurationInvalid: one of them is none.
    """
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise ConfigurationInvalid(f"not a network: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """What the site decided about pushing."""

    designated_networks: tuple[Network, ...]
    """Where new devices may be; anywhere else they are refused (R9)."""
    policies: tuple[SecurityPolicy, ...] = POLICIES
    client: ClientLimits = field(default_factory=ClientLimits)
    unfinished_size: int = 64 * 1024 * 1024
    """Bytes of answers not yet complete that are kept, of all devices together."""
    settle_s: float = 3.0
    """How long applied changes may take to show before they count as not effective."""
    settle_first_s: float = 0.02
    """The first wait for a device that restarts its endpoint; each further one doubles."""
    session_timeout_s: float = 15.0
    """What a killed Registrar leaves open, the device keeps for so long."""
    channel_attempts: int = 2
    """Channels tried with one certificate before its key counts as not proven."""
    organization: str = ""
    """Goes into the subject names that are asked for."""
    reserved_uris: frozenset[str] = frozenset()
    """ApplicationUris that no device may claim for its applications, beside the Registrar's."""

    def __post_init__(self) -> None:
        if (
            not self.policies
            or min(self.settle_s, self.settle_first_s, self.session_timeout_s) <= 0
        ):
            raise Misuse("push needs a policy and positive waits")
        if not 1 <= self.channel_attempts <= 10:
            raise Misuse(f"channel_attempts is {self.channel_attempts}, not 1 to 10")
