"""Identities, and a Server that listens."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from registrar.ua.application_identity import ApplicationIdentity
from tests.wire.certificates import make_identity
from tests.wire.plant import CLIENT_URI, SERVER_URI, Plant, Server


@pytest.fixture(scope="session")
def server_identity() -> ApplicationIdentity:
    """Return the Server's."""
    return make_identity(SERVER_URI)


@pytest.fixture(scope="session")
def client_identity() -> ApplicationIdentity:
    """Return the trusted Client's."""
    return make_identity(CLIENT_URI)


@pytest.fixture(scope="session")
def stranger() -> ApplicationIdentity:
    """Return one nobody trusts, with the ApplicationUri of the trusted one."""
    return make_identity(CLIENT_URI)


@pytest.fixture
async def plant(
    server_identity: ApplicationIdentity, client_identity: ApplicationIdentity
) -> AsyncIterator[Plant]:
    """Return a Server that listens on a free port of the loopback."""
    async with Plant(server_identity, trusted=[client_identity.certificate]) as plant:
        yield plant


@pytest.fixture
def build(server_identity: ApplicationIdentity, client_identity: ApplicationIdentity) -> Server:
    """Return a maker of Servers with other limits."""
    return lambda limits: Plant(
        server_identity, trusted=[client_identity.certificate], limits=limits
    )
