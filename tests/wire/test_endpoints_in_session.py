"""The Server a Client reaches is the one it discovered: T10, T26, F12."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asyncua import ua

from registrar.errors import (
    ProtocolViolation,
    Reason,
    SecurityChecksFailed,
)
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire import Client
from registrar.wire.client_checks import compare_endpoints, parse_url
from tests.wire.outcomes import told
from tests.wire.plant import Plant
from tests.wire.raw import refusal_of


def endpoints_of(plant: Plant) -> list[ua.EndpointDescription]:
    """Return what discovery says."""
    return plant.endpoints(plant.url)


ALTERATIONS: dict[str, Callable[[ua.EndpointDescription], object]] = {
    "url": lambda e: setattr(e, "EndpointUrl", "opc.tcp://elsewhere:4840"),
    "mode": lambda e: setattr(e, "SecurityMode", ua.MessageSecurityMode.None_),
    "policy": lambda e: setattr(e, "SecurityPolicyUri", "http://none"),
    "level": lambda e: setattr(e, "SecurityLevel", 99),
    "profile": lambda e: setattr(e, "TransportProfileUri", "http"),
    "tokens": lambda e: setattr(e, "UserIdentityTokens", e.UserIdentityTokens[:1]),
    "application": lambda e: setattr(e.Server, "ApplicationUri", "urn:other"),
}


@pytest.mark.clause("T10: OPC 10000-4 §5.7.2")
@pytest.mark.clause("F12")
@pytest.mark.parametrize("what", ALTERATIONS)
async def test_F12_endpoints_inside_the_session_are_those_discovered(
    plant: Plant, client_identity: ApplicationIdentity, what: str
) -> None:
    discovered = endpoints_of(plant)
    ALTERATIONS[what](discovered[2])

    security = plant.security(client_identity)
    async with await Client.connect(plant.url, security=security) as client:
        error = await refusal_of(client.create_session(discovered=discovered))

    assert told(error) == (
        SecurityChecksFailed,
        StatusCode.BadSecurityChecksFailed,
        Reason.ENDPOINTS_ALTERED,
    )


@pytest.mark.clause("T10: OPC 10000-4 §5.7.2")
def test_order_and_certificates_of_endpoints_do_not_matter(
    server_identity: ApplicationIdentity,
) -> None:
    plant = Plant(server_identity)
    discovered, secured = plant.endpoints("opc.tcp://x"), plant.endpoints("opc.tcp://x")
    secured.reverse()
    for endpoint in secured:
        endpoint.ServerCertificate = None

    compare_endpoints(discovered, secured)


@pytest.mark.clause("T10: OPC 10000-4 §5.7.2")
@pytest.mark.parametrize("change", ["missing", "added", "doubled"])
def test_the_number_of_endpoints_matters(server_identity: ApplicationIdentity, change: str) -> None:
    plant = Plant(server_identity)
    discovered, secured = plant.endpoints("opc.tcp://x"), plant.endpoints("opc.tcp://x")
    if change == "missing":
        secured.pop()
    elif change == "added":
        secured += plant.endpoints("opc.tcp://y")[:1]
    else:
        secured[0] = secured[1]

    with pytest.raises(SecurityChecksFailed):
        compare_endpoints(discovered, secured)


async def test_the_application_uri_of_the_server_is_in_its_certificate(
    plant: Plant, client_identity: ApplicationIdentity
) -> None:
    security = plant.security(client_identity)
    async with await Client.connect(plant.url, security=security) as client:
        error = await refusal_of(client.create_session(server_application_uri="urn:other"))

    assert error.status is StatusCode.BadCertificateUriInvalid


@pytest.mark.clause("T26")
@pytest.mark.parametrize(
    "url",
    [
        *("", "http://x:4840", "opc.tcp://", "opc.tcp://x:99999", "opc.tcp://[", "opc.https://x"),
        *("opc.tcp://x:1:2", "opc.tcp://user@x", "opc.tcp://x:port", "opc.tcp://x y"),
    ],
)
def test_only_opc_tcp_urls_are_followed(url: str) -> None:
    with pytest.raises(ProtocolViolation):
        parse_url(url)


def test_the_port_has_a_default() -> None:
    assert parse_url("opc.tcp://device/") == ("device", 4840)
    assert parse_url("opc.tcp://Device:?a:b") == ("device", 4840)
    assert parse_url("OPC.TCP://[::1]:5000/path") == ("::1", 5000)
    assert parse_url("opc.tcp://[fe80::1%eth0]") == ("fe80::1%eth0", 4840)
