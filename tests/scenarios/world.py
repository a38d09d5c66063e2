"""Asks Devices what they hold, as a CertificateManager of the site would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from asyncua import ua

from registrar.app.site import Site
from registrar.core.certificate import split_chain
from registrar.ua.security_policy import AES256_SHA256_RSAPSS
from registrar.wire.client import ChannelSecurity, Client
from registrar.wire.dca import Dca

SERVER_CONFIGURATION = ua.NodeId(ua.Int32(12637))
GET_CERTIFICATES = ua.NodeId(ua.Int32(32296))
DEFAULT_GROUP = ua.NodeId(ua.Int32(14156))


async def certificates_in_the_world(site: Site, delivery: Path) -> Mapping[str, Sequence[bytes]]:
    """Return every certificate the Devices of ``delivery`` hold for use, leaf only, by URL."""
    urls = (delivery / "endpoints.txt").read_text(encoding="utf-8").split()
    return {url: await certificates_at(site, url) for url in urls}


async def certificates_at(site: Site, url: str) -> Sequence[bytes]:
    """Return the certificates of the DCA at ``url`` and of its applications."""
    async with await Client.connect(url) as client:
        endpoints = await client.get_endpoints()
    served = {bytes(endpoint.ServerCertificate) for endpoint in endpoints}
    assert len(served) == 1, f"{url} serves {len(served)} certificates"
    security = ChannelSecurity(
        policy=AES256_SHA256_RSAPSS,
        mode=ua.MessageSecurityMode.SignAndEncrypt,
        identity=site.identity(),
        server_certificate=served.pop(),
    )
    async with await Client.connect(
        url, security=security, application_uri=site.settings.registrar.application_uri
    ) as client:
        await client.create_session()
        dca = Dca(client)
        groups = [(SERVER_CONFIGURATION, DEFAULT_GROUP)]
        for application in await dca.applications():
            groups += ((application.node, group.node) for group in application.groups)
        held = [
            await client.call(node, GET_CERTIFICATES, ua.Variant(group, ua.VariantType.NodeId))
            for node, group in groups
        ]
    return [split_chain(blob)[0] for _, certificates in held for blob in certificates.Value]
