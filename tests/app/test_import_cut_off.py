"""An import that is killed or finds the disk full keeps whole batches, and can be repeated."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from registrar.app import tickets, trust
from registrar.app.settings import Settings
from registrar.app.site import Site
from registrar.core.trust import TrustListName
from registrar.store import tickets as stored
from registrar.store.store import Store
from tests.app.delivery import Maker, make_maker, uri_of

COUNT = 4 * tickets.BATCH
PATIENCE_S = 60


@pytest.fixture(scope="module")
def maker() -> Maker:
    return make_maker()


@pytest.fixture(scope="module")
def delivery(maker: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Valid Tickets, a line each."""
    path = tmp_path_factory.mktemp("delivery") / "tickets.jsonl"
    path.write_text("".join(f"{maker.ticket(number)}\n" for number in range(COUNT)))
    return path


@pytest.fixture
def site(maker: Maker, tmp_path: Path) -> Site:
    made = Site.create(tmp_path / "plant")
    with made.store() as store:
        paths = maker.write_authorities(tmp_path / "authorities")
        list(trust.add(store, TrustListName.TICKET_AUTHORITIES, paths))
    return made


def start(
    site: Site, delivery: Path, limit: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    """Import in a process of its own."""
    command = [sys.executable, "-m", "registrar", "tickets", "import"]
    return subprocess.Popen(
        [*command, str(site.directory), str(delivery)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def check_and_repeat(site: Site, delivery: Path) -> None:
    """Check that nothing was kept by halves, and that a second import completes it."""
    with site.store() as store:
        assert stored.count(store.reader) % tickets.BATCH == 0
        assert all(one.is_valid for one in tickets.import_files(store, Settings(), [delivery]))
        assert uris(store) == {uri_of(number) for number in range(COUNT)}


def uris(store: Store) -> set[str]:
    return {one.uri for one in stored.all_of(store.reader)}


@pytest.mark.slow
@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_killed_import_kept_whole_batches(site: Site, delivery: Path, batches: int) -> None:
    process = start(site, delivery)
    deadline = time.monotonic() + PATIENCE_S
    with site.store() as store:
        while stored.count(store.reader) < batches * tickets.BATCH:
            assert time.monotonic() < deadline
            time.sleep(0.002)
    process.kill()
    process.communicate()

    assert process.returncode < 0
    check_and_repeat(site, delivery)


@pytest.mark.slow
@pytest.mark.clause("F50")
@pytest.mark.parametrize("room", [1 << 20, 3 << 20])
def test_an_import_on_a_full_disk_kept_whole_batches(site: Site, delivery: Path, room: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    process = start(site, delivery, limit)
    _, said = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 3
    assert "[store_unavailable]; next: Free disk space" in said
    assert "Traceback" not in said
    check_and_repeat(site, delivery)
