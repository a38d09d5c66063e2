"""What the tests of this room share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registrar.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A site's database of its own."""
    with Store.open(tmp_path / "registrar.db") as opened:
        yield opened
