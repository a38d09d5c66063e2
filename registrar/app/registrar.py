"""The Registrar: a site, opened, with everything a campaign needs built and connected.

Site ─▶ store ─┬─▶ journal ─▶ engine ◀─ push driver ◀─ identity, issuers, configuration
               └─▶ listener (UpdateSoftwareStatus)
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

from registrar.app.causes import now
from registrar.app.reverification import verify_again
from registrar.app.settings import OnboardingSettings, Settings
from registrar.app.site import Site
from registrar.app.tickets import Received, import_beside, ticket_policy
from registrar.core.enrolment import State
from registrar.core.identity import IdentityPolicy
from registrar.core.software import SoftwarePolicy
from registrar.core.trust_list_plan import SiteChains
from registrar.core.validation import Check
from registrar.enrolment import Engine, EngineLimits, Outcome
from registrar.enrolment.engine import Observer, ignore
from registrar.enrolment.journal import open_journal
from registrar.errors import Misuse
from registrar.onboarding import Counters, Issuers, PushDriver, PushSettings, networks
from registrar.server import Account, ListenSettings, RegistrarServer
from registrar.store.store import Store
from registrar.ua.security_policy import POLICIES, SecurityPolicy

RETRIES: Final[Mapping[str, frozenset[State]]] = MappingProxyType(
    {
        "refused": frozenset({State.REFUSED, State.CONFLICT}),
        "failed": frozenset({State.UNREACHABLE}),
    }
)
"""What ``registrar onboard --retry`` means."""

_POLICY_PREFIX: Final = "http://opcfoundation.org/UA/SecurityPolicy#"


class Registrar:
    """Onboards the devices of one site; use it as an async context manager.

    Args:
        site: whose.
        listen: also serve UpdateSoftwareStatus, at the address in the configuration.
    """

    def __init__(self, site: Site, *, listen: bool = False) -> None:
        self._site = site
        self._listen = listen
        self._exit = AsyncExitStack()
        self._engine: Engine | None = None
        self._driver: PushDriver | None = None
        self._server: RegistrarServer | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            store = stack.enter_context(self._site.store())
            self._site.refresh_crls(store)
            verify_again(store, self._site.settings, now=now())
            journal = await stack.enter_async_context(
                open_journal(store, name=f"registrar{secrets.token_hex(8)}", now=now)
            )
            self._driver = _driver(self._site, store)
            self._engine = Engine(
                driver=self._driver,
                journal=journal,
                random=random.SystemRandom().random,
                limits=_limits(self._site.settings.onboarding),
            )
            if self._listen:
                self._server = _server(self._site, store)
                await self._server.start()
                stack.push_async_callback(self._server.close)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._engine = None
        await self._exit.aclose()

    @property
    def url(self) -> str:
        """Where this Registrar listens; empty where it does not."""
        return self._server.url if self._server is not None else ""

    @property
    def counters(self) -> Counters:
        """What all connections to devices spent so far."""
        if self._driver is None:
            raise Misuse("the Registrar is not open")
        return self._driver.counters

    async def onboard(
        self,
        urls: Sequence[str] | None = None,
        *,
        retry: Collection[State] = (),
        observe: Observer = ignore,
    ) -> AsyncGenerator[Outcome, None]:
        """Onboard devices, and yield one outcome for each as it ends.

        Args:
            urls: ``opc.tcp`` URLs; None goes on with every device that has not ended.
            retry: ended states to begin again, see ``RETRIES``.
            observe: hears where every step led, for views; must return at once.

        Raises:
            Unavailable: the store cannot serve.
        """
        campaign = self._opened().run(urls, retry=retry, listen=self._listen, observe=observe)
        async with aclosing(campaign) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def preview(self, urls: Sequence[str]) -> AsyncGenerator[Outcome, None]:
        """Match and validate only: nothing is written, neither here nor on the devices."""
        async with aclosing(self._opened().preview(urls)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def import_tickets(self, paths: Sequence[Path]) -> AsyncGenerator[Received, None]:
        """Import Tickets beside everything else, and yield those that are refused.

        Devices that wait for one of them are visited again.

        Args:
            paths: files and folders: JWS, TicketList, one JWS a line, ZIP.

        Raises:
            Unavailable: the site's database cannot serve.
        """
        async with aclosing(import_beside(self._site.directory, paths)) as refused:
            async for one in refused:
                yield one

    def _opened(self) -> Engine:
        if self._engine is None:
            raise Misuse("the Registrar is not open; use it with `async with`")
        return self._engine


def _limits(chosen: OnboardingSettings) -> EngineLimits:
    return EngineLimits(
        concurrency=chosen.concurrency,
        concurrency_per_subnet=chosen.concurrency_per_subnet,
        subnet_prefix_ipv4=chosen.subnet_prefix_ipv4,
        subnet_prefix_ipv6=chosen.subnet_prefix_ipv6,
        step_s=chosen.step_budget_s,
        device_s=chosen.device_budget_s,
        attempts=chosen.attempts,
        backoff_initial_s=chosen.backoff_initial_s,
        backoff_maximum_s=max(chosen.backoff_maximum_s, chosen.backoff_initial_s),
        software_wait_s=chosen.software_wait_s,
    )


def _driver(site: Site, store: Store) -> PushDriver:
    settings = site.settings
    return PushDriver(
        store=store,
        issuers=_issuers(site),
        chains=lambda: _chains(site),
        identity=site.identity(),
        application_uri=settings.registrar.application_uri,
        settings=_push_settings(settings),
        software_policy=SoftwarePolicy(wanted_revisions=settings.wanted_software),
        ticket_policy=ticket_policy(settings),
        identity_policy=_identity_policy(settings),
        now=now,
        random_bytes=os.urandom,
    )


def _identity_policy(settings: Settings) -> IdentityPolicy:
    if not settings.revocation.accept_unknown_device_identities:
        return IdentityPolicy()
    unknown = frozenset({Check.REVOCATION_UNKNOWN, Check.ISSUER_REVOCATION_UNKNOWN})
    return IdentityPolicy(suppress=unknown)


def _issuers(site: Site) -> Issuers:
    chosen = site.settings.certificates
    return Issuers(
        applications=site.authorities.applications,
        dca=site.authorities.dca,
        application_lifetime=timedelta(days=chosen.application_lifetime_days),
        dca_lifetime=timedelta(days=chosen.dca_lifetime_days),
        backdate=timedelta(hours=chosen.backdate_hours),
        organization=site.settings.registrar.organization,
    )


def _chains(site: Site) -> SiteChains:
    return SiteChains(
        applications=site.authorities.applications.chain,
        dca=site.authorities.dca.chain,
        crls=site.authorities.all_crls(),
    )


def _push_settings(settings: Settings) -> PushSettings:
    return PushSettings(
        designated_networks=networks(settings.networks.designated),
        policies=_policies(settings),
        organization=settings.registrar.organization,
        reserved_uris=frozenset(settings.listener.software_update_admins),
    )


def _policies(settings: Settings) -> tuple[SecurityPolicy, ...]:
    names = settings.onboarding.policies
    return tuple(POLICIES[f"{_POLICY_PREFIX}{name}"] for name in names)


def _server(site: Site, store: Store) -> RegistrarServer:
    chosen = site.settings
    return RegistrarServer(
        store=store,
        identity=site.identity(),
        application_uri=chosen.registrar.application_uri,
        application_name=chosen.registrar.application_name,
        settings=_listen_settings(chosen),
        now=now,
    )


def _listen_settings(chosen: Settings) -> ListenSettings:
    users = chosen.software_update_users
    return ListenSettings(
        host=chosen.listener.host,
        port=chosen.listener.port,
        policies=_policies(chosen),
        software_update_admins=frozenset(chosen.listener.software_update_admins),
        accounts={name: Account(password_hash=value) for name, value in users.items()},
    )
