"""The fixture that stories of several rooms share."""

from __future__ import annotations

import pytest

from registrar.app.site import Site
from registrar.simulate.keys import KeyPool
from tests.onboarding.stage import Backdrop


@pytest.fixture(scope="session")
def backdrop(tmp_path_factory: pytest.TempPathFactory) -> Backdrop:
    """Make what is slow to make, once."""
    directory = tmp_path_factory.mktemp("backdrop") / "site"
    Site.create(directory)
    return Backdrop(site=directory, keys=KeyPool(300))
