"""Codecs, and identities for the channel tests: keys are made once a run, being slow to make."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from registrar import native
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.codec import Codec
from tests.ua.codecs import COMPILED, PYTHON
from tests.ua.pairing import make_identity

Identities = Mapping[int, ApplicationIdentity]


@pytest.fixture(scope="session", params=["compiled", "python"])
def codec(request: pytest.FixtureRequest) -> Codec:
    """The codec, once with each coder."""
    if request.param == "python":
        return PYTHON
    if "codec" in native.missing_extensions():
        pytest.skip("codec is not compiled")
    return COMPILED


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
