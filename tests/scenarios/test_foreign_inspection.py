"""asyncua's Client looks at a Device after it was onboarded, once as a friend, once as a stranger.

    site ─▶ root ─▶ applications CA ─▶ Registrar        let in
    nobody ─▶ self-signed                               refused

With TrustList and software in place a Device shows only endpoints with its DCA Certificate and
refuses who is not in its TrustList (OPC 10000-21 §7.3).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto.security_policies import (
    SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
)
from asyncua.ua.uaerrors import UaError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from registrar.core.certificate import split_chain
from tests.scenarios.processes import Plant, outcomes, plant
from tests.scenarios.world import SERVER_CONFIGURATION

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

POLICIES = [
    SecurityPolicyBasic256Sha256,
    SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicyAes256Sha256RsaPss,
]
DEVICES = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def onboarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plant]:
    directory = tmp_path_factory.mktemp("inspection")
    async with plant(directory, devices=DEVICES, base="127.33.0.1", seed=3) as running:
        lines = await outcomes(running.site, running.delivery, "--listen")
        assert {line.state for line in lines} == {"onboarded"}
        yield running


def urls(running: Plant) -> list[str]:
    return (running.delivery / "endpoints.txt").read_text(encoding="utf-8").split()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.clause("R129")
async def test_only_endpoints_with_the_dca_certificate_are_shown(onboarded: Plant) -> None:
    for url in urls(onboarded):
        endpoints = await Client(url).connect_and_get_server_endpoints()

        (der,) = {bytes(endpoint.ServerCertificate) for endpoint in endpoints}
        assert issued_by_the_site(der, onboarded)
        modes = {endpoint.SecurityMode for endpoint in endpoints}
        assert ua.MessageSecurityMode.SignAndEncrypt in modes


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.clause("OPC 10000-21 §7.3")
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", ["Sign", "SignAndEncrypt"])
async def test_a_client_of_the_site_is_let_in(onboarded: Plant, policy: type, mode: str) -> None:
    url = urls(onboarded)[0]
    own = onboarded.site.directory / "own"

    client = await secured(url, policy, mode, own / "certificate.pem", own / "key.pem")
    client.application_uri = onboarded.site.settings.registrar.application_uri
    async with client:
        name = await client.get_node(SERVER_CONFIGURATION).read_browse_name()
        children = await client.nodes.server.get_children()

    assert name.Name == "ServerConfiguration"
    assert SERVER_CONFIGURATION in {child.nodeid for child in children}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.clause("R129")
@pytest.mark.parametrize("policy", POLICIES)
async def test_a_stranger_is_refused(onboarded: Plant, policy: type, tmp_path: Path) -> None:
    url = urls(onboarded)[0]
    key, certificate = self_signed(tmp_path)

    client = await secured(url, policy, "SignAndEncrypt", certificate, key)
    client.application_uri = STRANGER

    with pytest.raises((UaError, ConnectionError, TimeoutError)):
        await client.connect()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.clause("threat-model 5.3")
async def test_nobody_is_let_in_without_security(onboarded: Plant) -> None:
    client = Client(urls(onboarded)[0], timeout=5)

    with pytest.raises((UaError, ConnectionError, TimeoutError)):
        await client.connect()


async def secured(url: str, policy: type, mode: str, certificate: Path, key: Path) -> Client:
    """Return a Client of ``asyncua`` that will use what the Device offers for policy and mode."""
    endpoints = await Client(url).connect_and_get_server_endpoints()
    client = Client(url, timeout=10)
    await client.set_security(
        policy,
        certificate,
        key,
        server_certificate=bytes(endpoints[0].ServerCertificate),
        mode=ua.MessageSecurityMode[mode],
    )
    return client


STRANGER = "urn:example.com:stranger"


def self_signed(directory: Path) -> tuple[Path, Path]:
    """Make the key and certificate of somebody no Device of the site has heard of."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Stranger")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(STRANGER)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    paths = directory / "key.pem", directory / "certificate.pem"
    for path, content in zip(
        paths, (pem, certificate.public_bytes(serialization.Encoding.PEM)), strict=True
    ):
        path.write_bytes(content)
    return paths


def issued_by_the_site(der: bytes, running: Plant) -> bool:
    """Tell whether a CA of the site signed the leaf of ``der``."""
    leaf = x509.load_der_x509_certificate(split_chain(der)[0])
    authorities = map(x509.load_der_x509_certificate, running.site.authority_certificates())
    issuers = [one for one in authorities if one.subject == leaf.issuer]
    for issuer in issuers:
        leaf.verify_directly_issued_by(issuer)
    return bool(issuers)
