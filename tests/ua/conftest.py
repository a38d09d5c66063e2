"""Identities for the channel tests; keys are made once a run, because making them is slow."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from registrar.ua.application_identity import ApplicationIdentity
from tests.ua.pairing import make_identity

Identities = Mapping[int, ApplicationIdentity]


@pytest.fixture(scope="session")
def client() -> ApplicationIdentity:
    """An RSA-2048 identity of a client."""
    return make_identity(2048, "client")


@pytest.fixture(scope="session")
def server() -> ApplicationIdentity:
    """An RSA-2048 identity of a server."""
    return make_identity(2048, "server")


@pytest.fixture(scope="session")
def long_keys(client: ApplicationIdentity) -> Identities:
    """Identities by key length."""
    return {2048: client, 3072: make_identity(3072, "long"), 4096: make_identity(4096, "longest")}
