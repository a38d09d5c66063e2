"""What the tests of this room share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from registrar.app.site import Site
from registrar.cli.root import root

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def made_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site made once; copy it to change it."""
    return Site.create(tmp_path_factory.mktemp("made") / "plant").directory


@pytest.fixture
def site(made_site: Path, tmp_path: Path) -> Path:
    """A site of its own."""
    return Path(shutil.copytree(made_site, tmp_path / "plant"))


@pytest.fixture
def run() -> Run:
    """Run a command and return what it printed and how it ended."""

    def run_command(*arguments: object, stdin: str | None = None) -> Result:
        return CliRunner().invoke(root, [str(one) for one in arguments], input=stdin)

    return run_command
