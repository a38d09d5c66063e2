"""A store in a folder of its own, checked for its invariants after every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.store import Store, invariants


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registrar.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        yield opened
        assert invariants.check(path) == []
