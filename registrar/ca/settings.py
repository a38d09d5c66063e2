"""What a site can choose about the certificates it issues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

from registrar.ca.keys import KeyType


@dataclass(frozen=True, slots=True, kw_only=True)
class CaSettings:
    """Keys and times. Lifetimes are wishes: nothing outlives its issuer."""

    organization: str = ""
    """O of every subject; empty for none."""

    ca_key: KeyType = KeyType.EC_P256
    own_key: KeyType = KeyType.RSA_2048
    """Of the Registrar's own certificate."""

    root_lifetime: timedelta = timedelta(days=7_300)
    authority_lifetime: timedelta = timedelta(days=3_650)
    """Of the two issuing CAs."""

    dca_lifetime: timedelta = timedelta(days=1_825)
    """Well below the life of a DeviceIdentity Certificate (OPC 10000-21 §6.3)."""

    application_lifetime: timedelta = timedelta(days=730)
    """Also of the Registrar's own certificate."""

    backdate: timedelta = timedelta(hours=24)
    """How far in the past everything begins, because fresh Devices run behind."""

    crl_lifetime: timedelta = timedelta(days=30)
    root_crl_lifetime: timedelta = timedelta(days=1_095)
    """Long, because the key of the root is meant to be away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnNames:
    """What the Registrar's own certificate says of it."""

    application_uri: str
    common_name: str
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[IPv4Address | IPv6Address, ...] = ()
