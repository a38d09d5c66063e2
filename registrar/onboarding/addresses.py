"""Where a URL leads, and whether new devices may be there (R9, T26)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from registrar.errors import Reason, Rejected, Unavailable
from registrar.onboarding.settings import Network

DEFAULT_PORT = 4840


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a device is, resolved once and for one run."""

    url: str
    """With the address in place of a name."""
    hosts: tuple[str, ...]
    """The name, if one was given, and the address: what its certificates may say."""


async def locate(url: str, networks: Sequence[Network]) -> Place:
    """Resolve the host of ``url`` and check that new devices may be there.

    Raises:
        Rejected: it is no opc.tcp URL, or the address is outside the designated networks.
        Unavailable: the name cannot be resolved now.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    except ValueError as error:
        raise Rejected(f"{url[:80]} is no URL: {error}", subject=url) from error
    if parts.scheme != "opc.tcp" or not host:
        raise Rejected(f"{url[:80]} is no opc.tcp URL", subject=url)
    address = await _resolve(url, host, port)
    if not any(address in network for network in networks):
        raise Rejected(
            f"{url}: read the endpoints: {address} is in none of the designated networks",
            reason=Reason.NETWORK_NOT_DESIGNATED,
            subject=url,
        )
    text = str(address)
    shown = f"[{text}]" if address.version == 6 else text
    return Place(
        url=f"opc.tcp://{shown}:{port}{parts.path}", hosts=tuple(dict.fromkeys((host, text)))
    )


async def _resolve(url: str, host: str, port: int) -> IPv4Address | IPv6Address:
    try:
        return ip_address(host)
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"{url}: {host[:80]} cannot be resolved: {error}") from error
    return ip_address(str(found[0][4][0]).partition("%")[0])
