"""The Registrar is killed in the middle of a campaign, several times, and simply started again.

    endpoints ─▶ onboard ─╳  onboard ─╳  onboard ─╳  onboard ─▶ all onboarded

Each kill comes right after some Device has ended, while the others stand somewhere on their way:
between reserving a serial and signing, delivering and confirming, or two transactions.
OPC 10000-21 §7.3; the ledger must hold every certificate that exists.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from registrar.app.site import Site
from registrar.simulate import judge, load_truth
from registrar.store.invariants import check
from tests.scenarios.processes import Plant, campaign, outcomes, plant
from tests.scenarios.world import certificates_in_the_world

pytestmark = pytest.mark.slow

DEVICES = 36
KILLED_AFTER = (0, 1, 1, 2, 5, 9)
"""How many more Devices have ended at each kill; 0: as soon as there is any sign of life."""


@pytest.mark.timeout(300)
@pytest.mark.clause("R136")
async def test_a_killed_registrar_goes_on_where_each_device_stood(tmp_path: Path) -> None:
    async with plant(tmp_path, devices=DEVICES, base="127.31.0.1", seed=11) as running:
        ended: set[str] = set()
        for more in KILLED_AFTER:
            await kill_after(running, more, ended)
        last = await outcomes(running.site, running.delivery, "--listen")
        assert [line for line in last if line.state != "onboarded"] == []

        world = await certificates_in_the_world(running.site, running.delivery)
        verdict = await judge(
            load_truth(running.delivery / "truth.json"),
            identity=running.site.identity(),
            site_authorities=running.site.authority_certificates(),
        )

    assert ended
    assert {line.url for line in last} == set(world)
    assert {url: one.defects for url, one in verdict.findings.items() if not one.onboarded} == {}
    assert_the_ledger_holds(running.site, [one for held in world.values() for one in held])


async def kill_after(running: Plant, more: int, ended: set[str]) -> None:
    """Start a campaign and kill it when ``more`` Devices have ended that had not before."""
    async with campaign(running.site, running.delivery, "--listen") as process:
        await process.listens()
        fresh = 0
        if more:
            async for line in process.lines():
                fresh += line.url not in ended
                ended.add(line.url)
                if fresh == more:
                    break
        process.kill()


def assert_the_ledger_holds(site: Site, world: list[bytes]) -> None:
    """Hold what the Devices serve against the database, both ways."""
    path = site.directory / "registrar.db"
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "SELECT certificate, state, enrolment_id, application_uri FROM issuances"
            " WHERE enrolment_id IS NOT NULL"
        ).fetchall()
    active = [row for row in rows if row[1] != "revoked"]

    assert check(path) == []
    assert Counter(world) == Counter(row[0] for row in active)
    assert {row[1] for row in active} == {"confirmed"}
    assert max(Counter(row[2:] for row in active).values()) == 1
