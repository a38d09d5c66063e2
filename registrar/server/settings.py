"""How the Registrar listens, and who may do what there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from registrar.errors import ConfigurationInvalid
from registrar.server.accounts import Account
from registrar.ua.security_policy import (
    AES128_SHA256_RSAOAEP,
    AES256_SHA256_RSAPSS,
    BASIC256SHA256,
    SecurityPolicy,
)
from registrar.wire.limits import ServerLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """What the site decided about its listener."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free one."""
    policies: tuple[SecurityPolicy, ...] = (
        AES256_SHA256_RSAPSS,
        AES128_SHA256_RSAOAEP,
        BASIC256SHA256,
    )
    software_update_admins: frozenset[str] = frozenset()
    """ApplicationUris of trusted applications that may report software, beside those whose
    certificate is on the list of administrators."""
    accounts: Mapping[str, Account] = field(default_factory=dict)
    """People who may report software, by user name."""
    limits: ServerLimits = field(default_factory=ServerLimits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigurationInvalid(f"port {self.port} is not 0 to 65535")
        if not self.policies:
            raise ConfigurationInvalid("the listener needs a security policy")
