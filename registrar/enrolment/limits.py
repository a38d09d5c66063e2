"""How much the engine does at a time, and how long it waits."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from registrar.errors import Misuse


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """The bounds of one campaign (threat-model §7)."""

    concurrency: int = 48
    """Devices worked on at the same time."""
    concurrency_per_subnet: int = 48
    subnet_prefix_ipv4: int = 24
    subnet_prefix_ipv6: int = 64
    step_s: float = 30.0
    """One command of one device, its close included."""
    device_s: float = 120.0
    """All commands of one device in one campaign; waiting for its turn is not counted."""
    attempts: int = 4
    """Attempts at one command before a device counts as out of reach."""
    busy_attempts: int = 8
    """Attempts while somebody else configures it; a killed Registrar's Session ends sooner."""
    backoff_initial_s: float = 0.5
    backoff_maximum_s: float = 15.0
    close_s: float = 2.0
    """Letting go of a device that does not answer."""
    software_wait_s: float = 60.0
    """How long a listening campaign stays for software updates after all others have ended."""
    mail_interval_s: float = 0.1
    """Between two looks into the inbox."""

    def __post_init__(self) -> None:
        counts = (
            *(self.concurrency, self.concurrency_per_subnet),
            *(self.attempts, self.busy_attempts),
        )
        waits = (self.step_s, self.device_s, self.backoff_initial_s, self.mail_interval_s)
        if min(counts) < 1 or min(waits) <= 0 or self.backoff_maximum_s < self.backoff_initial_s:
            raise Misuse(f"limits must be positive and ordered: {self}")


def backoff_s(attempt: int, limits: EngineLimits, random: float) -> float:
    """Return the seconds to wait after ``attempt`` failed, the first being 1.

    Waits double up to the maximum; ``random`` from [0, 1) spreads them over the upper half, so
    that devices behind one switch do not come back together.
    """
    doubled = limits.backoff_initial_s * 2.0 ** min(attempt - 1, 32)
    return float(min(doubled, limits.backoff_maximum_s) * (0.5 + random / 2))


def subnet_of(url: str, limits: EngineLimits) -> str:
    """Return the subnet the host of ``url`` is in; a name is a subnet of its own."""
    try:
        host = urlsplit(url).hostname or ""
        address = ipaddress.ip_address(host)
    except ValueError:
        return url
    prefix = limits.subnet_prefix_ipv4 if address.version == 4 else limits.subnet_prefix_ipv6
    host_bits = address.max_prefixlen - prefix
    return f"{type(address)(int(address) >> host_bits << host_bits)}/{prefix}"
