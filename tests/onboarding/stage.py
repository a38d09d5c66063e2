"""A site and a few pretended devices on loopback, in one event loop: where stories are played.

Shipment ─▶ site (lists, Tickets) ─▶ engine ─▶ push driver ═ TCP ═▶ devices
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from registrar.app.demo import import_delivery
from registrar.app.site import Site
from registrar.core.enrolment import State
from registrar.core.ports import Driver, Enrolment
from registrar.core.software import SoftwarePolicy
from registrar.core.trust_list_plan import SiteChains
from registrar.enrolment import Engine, EngineLimits, Outcome
from registrar.enrolment.journal import open_journal
from registrar.onboarding import Issuers, PushDriver, PushSettings, networks
from registrar.simulate.device import Device, Surroundings, system_clock
from registrar.simulate.foreign_registrar import foreign_registrar
from registrar.simulate.keys import KeyPool
from registrar.simulate.methods import make_methods
from registrar.simulate.misbehaviour import HONEST, MISBEHAVIOURS, Misbehaviour
from registrar.simulate.model import load_model
from registrar.simulate.plant import (
    CompositePlan,
    DevicePlan,
    Kind,
    Plan,
    TicketRoute,
    Validation,
)
from registrar.simulate.production import Factory, Product
from registrar.simulate.shipment import write_shipment
from registrar.store import audit, issuances
from registrar.store.issuances import Issuance
from registrar.store.store import Store
from registrar.wire.key_queue import KeyQueue

LIMITS = EngineLimits(
    step_s=10.0,
    device_s=30.0,
    attempts=3,
    busy_attempts=3,
    backoff_initial_s=0.01,
    backoff_maximum_s=0.05,
    software_wait_s=10.0,
    mail_interval_s=0.01,
)
LOOPBACK = networks(["127.0.0.0/8"])
SETTLE_S = 0.3
DCA_LIFETIME = timedelta(days=1825)
BACKDATE = timedelta(hours=24)


def device(
    index: int = 0,
    *,
    kind: Kind = Kind.GENUINE,
    maker: str = "alpha",
    route: TicketRoute = TicketRoute.OUT_OF_BAND,
    singleton: bool = False,
    applications: int = 1,
    validation: Validation = Validation.FORM,
    outdated: bool = False,
    composite: str = "",
    twin: int | None = None,
) -> DevicePlan:
    """Plan one device; what is not said is the ordinary case."""
    named = twin if twin is not None and kind is Kind.DUPLICATE_URI else index
    serial_number = f"s-{named:04}"
    model = {"alpha": "alpha-drive", "beta": "beta-sensor", "gamma": "gamma-robot"}[maker]
    return DevicePlan(
        index=index,
        kind=kind,
        maker=maker,
        model=model,
        serial_number=serial_number,
        product_instance_uri=f"urn:{maker}.example.com:{model}:{serial_number}",
        route=route,
        singleton=singleton,
        applications=0 if singleton else applications,
        validation=validation,
        outdated=outdated,
        composite=composite,
        twin=twin,
    )


def now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Stage:
    """Everything a story needs."""

    site: Site
    store: Store
    driver: PushDriver
    devices: tuple[Device, ...]

    @property
    def urls(self) -> list[str]:
        """Of the devices, in the order of their plans."""
        return [one.url for one in self.devices]

    async def onboard(
        self,
        urls: Sequence[str] | None = None,
        *,
        driver: Driver | None = None,
        limits: EngineLimits = LIMITS,
        retry: frozenset[State] = frozenset(),
        listen: bool = False,
        observe: Callable[[Enrolment], None] = lambda _: None,
    ) -> dict[str, Outcome]:
        """Run a campaign to its end and return how each device ended."""
        async with open_journal(self.store, name=uuid.uuid4().hex, now=now) as journal:
            engine = Engine(
                driver=driver or self.driver, journal=journal, random=lambda: 0.0, limits=limits
            )
            campaign = engine.run(urls or self.urls, retry=retry, listen=listen, observe=observe)
            return {outcome.url: outcome async for outcome in campaign}

    async def end_of(self, number: int = 0) -> Outcome:
        """Onboard all devices and return how one of them ended."""
        return (await self.onboard())[self.devices[number].url]

    def issued(self, number: int = 0) -> list[Issuance]:
        """Return everything ever issued to a device, oldest first."""
        rows = self.store.reader.query(
            "SELECT id FROM enrolments WHERE url = ?", (self.devices[number].url,)
        )
        return issuances.history(self.store.reader, rows[0]["id"]) if rows else []

    def audited(self) -> list[str]:
        """Return the events of the audit trail, oldest first."""
        return [entry.event for entry in audit.entries(self.store.reader)]


@dataclass(frozen=True, kw_only=True)
class Backdrop:
    """What is made once for all stories: an empty site, and keys."""

    site: Path
    keys: KeyPool

    @asynccontextmanager
    async def stage(
        self,
        directory: Path,
        *plans: DevicePlan,
        composites: Sequence[CompositePlan] = (),
        misbehaviours: Mapping[int, Misbehaviour] | None = None,
        settings: PushSettings | None = None,
        start: bool = True,
        alter: Callable[[Product], Product] = lambda product: product,
    ) -> AsyncIterator[Stage]:
        """Make devices by ``plans`` and a site that received what belongs to them."""
        plan = Plan(seed=1, devices=plans, composites=tuple(composites))
        made, shipment = Factory(plan, self.keys, now()).make()
        products = [alter(product) for product in made]
        model = load_model()
        surroundings = Surroundings(
            keys=self.keys,
            clock=system_clock(),
            model=model,
            methods=make_methods(model),
            key_queue=KeyQueue(per_address=1024),
        )
        wrong = misbehaviours or {}
        devices = tuple(
            Device(
                product,
                host="127.0.0.1",
                port=0,
                surroundings=surroundings,
                misbehaviour=wrong.get(number, MISBEHAVIOURS.get(product.plan.kind, HONEST)),
            )
            for number, product in enumerate(products)
        )
        neighbour = foreign_registrar(self.keys, now())
        try:
            for one in devices:
                if start:
                    await one.start()
                if one.product.plan.kind is Kind.ALREADY_OWNED:
                    neighbour.take(one)
            delivery = directory / "delivery"
            write_shipment(delivery, shipment, urls=[], wanted_revisions=plan.wanted_revisions)
            shutil.copytree(self.site, directory / "site")
            site, _, _ = import_delivery(Site.open(directory / "site"), delivery)
            with site.store() as store:
                driver = push_driver(site, store, settings or push_settings())
                yield Stage(site=site, store=store, driver=driver, devices=devices)
        finally:
            for one in devices:
                await one.close()
            await asyncio.sleep(0)


def push_settings(**changes: object) -> PushSettings:
    """Return settings for loopback that settle fast."""
    return replace(
        PushSettings(designated_networks=LOOPBACK, settle_s=SETTLE_S, settle_first_s=0.005),
        **changes,  # type: ignore[arg-type]
    )


def push_driver(site: Site, store: Store, settings: PushSettings) -> PushDriver:
    """Return the driver of ``site``, as ``app`` builds it."""
    authorities = site.authorities
    return PushDriver(
        store=store,
        issuers=Issuers(
            applications=authorities.applications,
            dca=authorities.dca,
            application_lifetime=timedelta(days=730),
            dca_lifetime=DCA_LIFETIME,
            backdate=BACKDATE,
            organization="Test",
        ),
        chains=lambda: site_chains(site),
        identity=site.identity(),
        application_uri=site.settings.registrar.application_uri,
        settings=settings,
        software_policy=SoftwarePolicy(wanted_revisions=site.settings.wanted_software),
        now=now,
        random_bytes=os.urandom,
    )


def site_chains(site: Site) -> SiteChains:
    """Return the public side of the site's CAs."""
    authorities = site.authorities
    return SiteChains(
        applications=authorities.applications.chain,
        dca=authorities.dca.chain,
        crls=tuple(authorities.all_crls()),
    )
