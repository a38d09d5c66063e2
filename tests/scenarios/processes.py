"""Whole processes for stories that need them: a fleet, sites, and ``registrar onboard``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from registrar.app.config import save
from registrar.app.demo import add_update_manager, import_delivery, make_site
from registrar.app.fleet import fleet_process
from registrar.app.site import Site

BUDGET_S = 90.0
"""For one campaign; only a hang takes as long."""

SOFTWARE_WAIT_S = 5.0
"""After all others have ended; a pretended update takes less than one second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A fleet that runs, and the sites that have received what belongs to it."""

    sites: tuple[Site, ...]
    delivery: Path

    @property
    def site(self) -> Site:
        """The site whose SoftwareUpdateManager serves the plant: the first."""
        return self.sites[0]


@asynccontextmanager
async def plant(
    directory: Path, *, devices: int, base: str, seed: int = 1, sites: int = 1
) -> AsyncIterator[Plant]:
    """Run genuine Devices in a process of their own, with ``sites`` sites that wait for them."""
    made = [_make_site(directory / f"site-{number}") for number in range(sites)]
    delivery = directory / "delivery"
    arguments = [
        *("--devices", str(devices), "--impostors", "0", "--seed", str(seed)),
        *("--out", str(delivery), "--base", base),
        *add_update_manager(made[0], directory / "update-manager"),
    ]
    async with fleet_process(*arguments, devices=devices, log_directory=directory):
        yield Plant(
            sites=tuple(import_delivery(site, delivery)[0] for site in made), delivery=delivery
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of ``registrar onboard --json``: how a Device ended."""

    url: str
    state: str
    reason: str


class Campaign:
    """A ``registrar onboard`` in a process of its own, read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def listens(self) -> None:
        """Wait until it listens; from here on it works on Devices."""
        assert self._process.stderr is not None
        async with asyncio.timeout(BUDGET_S):
            said = await self._process.stderr.readline()
        assert said.startswith(b"listening"), said

    async def lines(self) -> AsyncIterator[Line]:
        """Yield each outcome as it is printed."""
        assert self._process.stdout is not None
        async with asyncio.timeout(BUDGET_S):
            async for text in self._process.stdout:
                said = orjson.loads(text)
                yield Line(url=said["url"], state=said["state"], reason=said["reason"])

    def kill(self) -> None:
        """End it without a word, as a power cut would."""
        self._process.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for its end and return its exit code."""
        async with asyncio.timeout(BUDGET_S):
            return await self._process.wait()


@asynccontextmanager
async def campaign(site: Site, delivery: Path, *options: str) -> AsyncIterator[Campaign]:
    """Start ``registrar onboard`` for all Devices of ``delivery``; it is gone at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "registrar", "onboard", str(site.directory)),
        *(str(delivery / "endpoints.txt"), "--json", *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"REGISTRAR_TRACEBACK": "1"},
    )
    try:
        yield Campaign(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def outcomes(site: Site, delivery: Path, *options: str) -> Sequence[Line]:
    """Run a campaign to its end and return how each Device ended."""
    async with campaign(site, delivery, *options) as running:
        return [line async for line in running.lines()]


def _make_site(directory: Path) -> Site:
    site = make_site(directory)
    onboarding = replace(site.settings.onboarding, software_wait_s=SOFTWARE_WAIT_S)
    save(directory, replace(site.settings, onboarding=onboarding))
    return Site.open(directory)
