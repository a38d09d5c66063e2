"""The demo: a site, a simulated plant, a campaign, and a judge who asks the devices.

    site ─▶ plant (a process of its own) ─▶ import ─▶ campaign ─▶ judge ─▶ compare with the truth

The campaign uses what every site uses: the same imports, the same configuration, the same
Registrar. Only the judge and the comparison read ``truth.json``; the Registrar never does.
"""

from __future__ import annotations

import resource
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import orjson

from registrar.app import tickets, trust
from registrar.app.config import save
from registrar.app.fleet import fleet_process, free_base
from registrar.app.registrar import Registrar
from registrar.app.settings import ListenerSettings
from registrar.app.site import EMPTY_FOLDER_WANTED, Site
from registrar.app.urls import read_urls
from registrar.core.enrolment import State
from registrar.core.ports import Enrolment
from registrar.core.trust import TrustListName
from registrar.enrolment import Outcome
from registrar.errors import FileInvalid

_IMPORTED: Final = (TrustListName.TICKET_AUTHORITIES, TrustListName.DEVICE_IDENTITY_AUTHORITIES)


class View(Protocol):
    """Who watches a demo; each call must return at once."""

    def phase(self, name: str) -> None:
        """Hear what begins now."""
        ...

    def observe(self, enrolment: Enrolment) -> None:
        """Hear of an arrow of the campaign."""
        ...

    def end(self, outcome: Outcome) -> None:
        """Hear of a device that ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A device that did not end as the truth says."""

    url: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What the demo saw."""

    devices: int
    genuine: int
    onboarded: int
    """As the devices themselves say, asked over TCP."""
    impostors: int
    refused: int
    """Devices that were kept out for one of the reasons the truth allows."""
    reasons: dict[str, int]
    """Reason code → devices that ended with it."""
    wrong: int
    mistakes: tuple[Wrong, ...]
    tickets_imported: int
    tickets_refused: int
    wall_s: float
    """Of the campaign, from the first connection to the last outcome."""
    total_s: float
    """Of the whole demo, the making of plant and site and the judge included."""
    devices_per_s: float
    registrar_cpu_ms_per_device: float
    """User and system time of this process during the campaign, threads included."""
    registrar_peak_rss_mb: float
    """Of this process until the end of the campaign."""
    exchanges: int
    """Requests to devices that were answered."""
    private_key_operations: int
    """With the key of the Registrar, in channels and Sessions."""
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Campaign:
    outcomes: tuple[Outcome, ...]
    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    exchanges: int
    private_key_operations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One demo."""

    devices: int
    seed: int
    keep: Path | None
    """Where to leave ``site`` and ``delivery``; None: nowhere."""
    view: View
    impostors: int | None = None
    """How many devices are impostors; None: one in twenty."""

    async def run(self) -> DemoReport:
        """Run it and return what was seen.

        Raises:
            Unavailable: the plant could not be started.
            FileInvalid: the folder to keep is not empty.
        """
        began = time.monotonic()
        with self._directory() as directory:
            self.view.phase("making the site")
            site = make_site(directory / "site")
            as_manager = add_update_manager(site, directory / "update-manager")
            self.view.phase(f"making a plant of {self.devices} devices")
            delivery = directory / "delivery"
            arguments = [
                *("--devices", str(self.devices), "--seed", str(self.seed)),
                *(() if self.impostors is None else ("--impostors", str(self.impostors))),
                *("--out", str(delivery), "--base", free_base()),
                *as_manager,
            ]
            async with fleet_process(*arguments, devices=self.devices, log_directory=directory):
                return await self._with_plant(site, delivery, began)

    async def _with_plant(self, site: Site, delivery: Path, began: float) -> DemoReport:
        self.view.phase("importing Tickets, authorities and revocation lists")
        site, imported, refused = import_delivery(site, delivery)
        self.view.phase("onboarding")
        campaign = await self._campaign(site, delivery)
        self.view.phase("asking every device what it was given")
        return await _judged(
            site, delivery, campaign, began=began, imported=imported, refused=refused
        )

    async def _campaign(self, site: Site, delivery: Path) -> _Campaign:
        urls, _ = read_urls([str(delivery / "endpoints.txt")])
        outcomes: list[Outcome] = []
        usage = resource.getrusage(resource.RUSAGE_SELF)
        began = time.monotonic()
        async with Registrar(site, listen=True) as registrar:
            async with aclosing(registrar.onboard(urls, observe=self.view.observe)) as ended:
                async for outcome in ended:
                    outcomes.append(outcome)
                    self.view.end(outcome)
            wall_s = time.monotonic() - began
            counters = registrar.counters
        after = resource.getrusage(resource.RUSAGE_SELF)
        return _Campaign(
            outcomes=tuple(outcomes),
            wall_s=wall_s,
            cpu_s=after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime,
            peak_rss_mb=after.ru_maxrss / 1024,
            exchanges=counters.exchanges,
            private_key_operations=counters.private_key_operations,
        )

    @contextmanager
    def _directory(self) -> Iterator[Path]:
        if self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            if any(self.keep.iterdir()):
                raise FileInvalid(
                    "holds files already",
                    subject=str(self.keep),
                    next_action=EMPTY_FOLDER_WANTED,
                )
        kept = nullcontext(str(self.keep)) if self.keep else None
        with kept or tempfile.TemporaryDirectory(prefix="registrar-demo-") as name:
            yield Path(name).absolute()


def import_delivery(site: Site, delivery: Path) -> tuple[Site, int, int]:
    """Take in what the manufacturers sent, as the commands would.

    Returns:
        The site with the wanted revisions in its configuration, the number of Tickets that
        were imported and of those that were refused.
    """
    wanted = orjson.loads((delivery / "revisions.json").read_bytes())
    settings = replace(site.settings, wanted_software=wanted)
    save(site.directory, settings)
    site = Site.open(site.directory)
    with site.store() as store:
        for name in _IMPORTED:
            for kind in ("authorities", "crls"):
                for _ in trust.add(store, name, [delivery / kind / name]):
                    pass
        received = [
            one.is_valid
            for one in tickets.import_files(store, site.settings, [delivery / "tickets"])
        ]
    return site, sum(received), len(received) - sum(received)


def make_site(directory: Path) -> Site:
    """Make a site that listens on a free port of 127.0.0.1."""
    site = Site.create(directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    listener = ListenerSettings(host="127.0.0.1", port=port)
    save(directory, replace(site.settings, listener=listener))
    return Site.open(directory)


def add_update_manager(site: Site, directory: Path) -> tuple[str, ...]:
    """Let ``site`` trust a pretended SoftwareUpdateManager; its certificate goes to ``directory``.

    Returns:
        The arguments with which ``registrar fleet`` is that manager.
    """
    manager = site.issue_application(
        directory,
        name="SoftwareUpdateManager",
        application_uri="urn:registrar:demo:software-update-manager",
    )
    with site.store() as store:
        for _ in trust.add(store, TrustListName.ADMINISTRATORS, [manager.certificate]):
            pass
    return (
        *("--update-manager", f"opc.tcp://127.0.0.1:{site.settings.listener.port}"),
        *("--certificate", str(manager.certificate), "--key", str(manager.private_key)),
    )


async def _judged(
    site: Site,
    delivery: Path,
    campaign: _Campaign,
    *,
    began: float,
    imported: int,
    refused: int,
) -> DemoReport:
    # Only now, so that what the judge needs does not count as the Registrar's memory.
    from registrar.simulate import compare, judge, load_truth

    truth = load_truth(delivery / "truth.json")
    verdict = await judge(
        truth, identity=site.identity(), site_authorities=site.authority_certificates()
    )
    found = {one.url: (str(one.state), str(one.reason or "")) for one in campaign.outcomes}
    mistakes = tuple(
        Wrong(url=one.url, expected=str(one.expected), found=str(one.found))
        for one in compare(truth, verdict, found)
    )
    impostors = {one.url for one in truth.devices if not one.is_genuine}
    bad = {one.url for one in mistakes}
    return DemoReport(
        devices=len(truth.devices),
        genuine=len(truth.devices) - len(impostors),
        onboarded=verdict.onboarded,
        impostors=len(impostors),
        refused=_refused(campaign.outcomes, bad),
        reasons=_reasons(campaign.outcomes),
        wrong=len(bad),
        mistakes=mistakes,
        tickets_imported=imported,
        tickets_refused=refused,
        wall_s=campaign.wall_s,
        total_s=time.monotonic() - began,
        devices_per_s=len(truth.devices) / campaign.wall_s,
        registrar_cpu_ms_per_device=1000 * campaign.cpu_s / len(truth.devices),
        registrar_peak_rss_mb=campaign.peak_rss_mb,
        exchanges=campaign.exchanges,
        private_key_operations=campaign.private_key_operations,
        outcomes=campaign.outcomes,
    )


def _refused(outcomes: Sequence[Outcome], wrong: set[str]) -> int:
    """Count who was rightly kept out: of two devices with one name, the one that came second."""
    return sum(one.url not in wrong and one.state is not State.ONBOARDED for one in outcomes)


def _reasons(outcomes: Sequence[Outcome]) -> dict[str, int]:
    counts = Counter(str(one.reason) for one in outcomes if one.reason is not None)
    return dict(sorted(counts.items()))
