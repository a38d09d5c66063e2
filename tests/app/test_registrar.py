"""The embedding API: a site is opened, devices are onboarded, outcomes stream."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registrar import Registrar, Site
from registrar.app.demo import import_delivery
from registrar.app.fleet import free_base
from registrar.core.enrolment import State
from registrar.core.ports import Enrolment
from registrar.errors import Misuse, Unavailable
from registrar.simulate import FleetOptions, run_fleet
from registrar.store import audit, enrolments
from registrar.store.invariants import check


@asynccontextmanager
async def plant(directory: Path, devices: int) -> AsyncIterator[tuple[Site, list[str]]]:
    """Run genuine devices in this process, with a site that has received their papers."""
    stop, ready = asyncio.Event(), asyncio.Event()
    delivery = directory / "delivery"
    options = FleetOptions(devices=devices, directory=delivery, base=free_base(), impostors=0)
    running = asyncio.create_task(run_fleet(options, stop=stop, ready=lambda _: ready.set()))
    try:
        await asyncio.wait_for(ready.wait(), 30)
        site, _, _ = import_delivery(Site.create(directory / "site"), delivery)
        yield site, (delivery / "endpoints.txt").read_text().split()
    finally:
        stop.set()
        await running


@pytest.mark.slow
async def test_devices_are_onboarded_and_every_step_is_heard(tmp_path: Path) -> None:
    heard: list[Enrolment] = []

    async with plant(tmp_path, 3) as (site, urls), Registrar(site) as registrar:
        outcomes = [one async for one in registrar.onboard(urls, observe=heard.append)]
        again = [one async for one in registrar.onboard(urls)]
        counters = registrar.counters

    assert {one.url for one in outcomes} == set(urls)
    assert {one.state for one in outcomes} <= {State.ONBOARDED, State.SOFTWARE_PENDING}
    assert {one.url: one.state for one in again} == {one.url: one.state for one in outcomes}
    assert {one.state for one in heard} >= {State.IDENTIFIED, State.PROVISIONING}
    assert counters.private_key_operations > 0
    assert check(site.directory / "registrar.db") == []


@pytest.mark.slow
async def test_a_preview_writes_nothing(tmp_path: Path) -> None:
    async with plant(tmp_path, 2) as (site, urls):
        with site.store() as store:
            before = len(audit.entries(store.reader, kind=audit.Kind.ENROLMENT))
        async with Registrar(site) as registrar:
            outcomes = [one async for one in registrar.preview(urls)]
        with site.store() as store:
            assert len(audit.entries(store.reader, kind=audit.Kind.ENROLMENT)) == before
            assert enrolments.counts(store.reader) == {}

    assert [one.state for one in outcomes] == [State.IDENTIFIED] * 2


@pytest.mark.slow
async def test_a_device_that_is_away_ends_as_unreachable(tmp_path: Path) -> None:
    site = Site.create(tmp_path / "site")
    config = site.directory / "config.toml"
    text = config.read_text().replace("attempts = 4", "attempts = 1")
    config.write_text(text)

    async with Registrar(Site.open(site.directory)) as registrar:
        (outcome,) = [one async for one in registrar.onboard([f"opc.tcp://{free_base()}:4840"])]

    assert outcome.state is State.UNREACHABLE
    assert outcome.next_action


@pytest.mark.slow
async def test_a_port_that_is_taken_is_unavailable(tmp_path: Path) -> None:
    site = Site.create(tmp_path / "site")
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config = site.directory / "config.toml"
    config.write_text(config.read_text().replace("\nport = 0", f"\nport = {port}"))

    async with server:
        with pytest.raises(Unavailable) as refusal:
            async with Registrar(Site.open(site.directory), listen=True):
                pass

    assert str(port) in refusal.value.subject


@pytest.mark.slow
async def test_a_registrar_that_is_not_open_is_misused(tmp_path: Path) -> None:
    registrar = Registrar(Site.create(tmp_path / "site"))

    with pytest.raises(Misuse):
        await anext(registrar.onboard([]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import registrar.core.verify", "asyncua"),
        ("import registrar.core.verify", "registrar.app"),
        ("import registrar.cli.root", "asyncua"),
        ("import registrar.cli.root", "sqlite3"),
        ("from registrar.app.site import Site", "asyncua"),
        ("from registrar.app.registrar import Registrar", "numpy"),
        ("from registrar.app.registrar import Registrar", "registrar.simulate"),
    ],
)
def test_an_import_loads_what_it_needs_and_no_more(statement: str, absent: str) -> None:
    code = f"import sys; {statement}; sys.exit({absent!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
