"""A device with old software is ours, but waits for its applications.

    DCA Certificate in force ─▶ software_pending ─▶ UpdateSoftwareStatus(TRUE) ─▶ applications
                                                └▶ registrar software (inbox) ─┘

"pushes certificates and TrustLists ... after the software is current" (OPC 10000-21 §4.3.3, §7.3).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from registrar.ca.pem import read_certificates
from registrar.core.enrolment import State
from registrar.core.ports import Enrolment
from registrar.core.software import SoftwareReport
from registrar.core.trust import TrustListName
from registrar.errors import Reason
from registrar.server import ListenSettings, RegistrarServer
from registrar.simulate.plant import WANTED_REVISION
from registrar.simulate.update_manager import UpdateManager, UpdateManagerOptions
from registrar.store import inbox, software, trust
from registrar.store.inbox import News
from registrar.store.transaction import Cause, Transaction
from tests.onboarding.stage import Backdrop, Stage, device, now


@pytest.mark.clause("R95")
@pytest.mark.clause("R131")
@pytest.mark.clause("R128")
async def test_without_a_report_the_applications_stay_empty(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device(outdated=True)) as stage:
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (
            State.SOFTWARE_PENDING,
            Reason.SOFTWARE_OUTDATED,
        )
        assert WANTED_REVISION in outcome.detail
        dca, application = stage.devices[0].configuration.groups
        assert dca.is_provisioned
        assert not application.is_provisioned


@pytest.mark.clause("R96")
async def test_an_operator_reports_while_the_campaign_runs(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with backdrop.stage(tmp_path, device(outdated=True)) as stage:

        def observe(enrolment: Enrolment) -> None:
            if enrolment.state is State.SOFTWARE_PENDING:
                stage.devices[0].update_software(WANTED_REVISION)
                report_by_hand(stage, is_current=True)

        outcomes = await stage.onboard(listen=True, observe=observe)

        assert {one.state for one in outcomes.values()} == {State.ONBOARDED}


def report_by_hand(stage: Stage, *, is_current: bool) -> None:
    """Do what ``registrar software`` does."""
    uri = stage.devices[0].application_uri
    report = SoftwareReport(is_current=is_current, revision=WANTED_REVISION)
    cause = Cause(actor="operator", now=now())

    def change(tx: Transaction) -> None:
        software.report(tx, uri, report, cause=cause)
        inbox.append(tx, News.SOFTWARE, uri, now=cause.now)

    stage.store.write_sync(change)


async def test_a_report_before_the_campaign_counts(backdrop: Backdrop, tmp_path: Path) -> None:
    async with backdrop.stage(tmp_path, device(outdated=True)) as stage:
        report_by_hand(stage, is_current=True)
        stage.devices[0].update_software(WANTED_REVISION)

        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED


async def test_a_later_campaign_goes_on_after_a_report(backdrop: Backdrop, tmp_path: Path) -> None:
    async with backdrop.stage(tmp_path, device(outdated=True)) as stage:
        await stage.onboard()
        stage.devices[0].update_software(WANTED_REVISION)
        report_by_hand(stage, is_current=True)

        outcome = await stage.end_of()

        assert outcome.state is State.ONBOARDED


@pytest.mark.slow
@pytest.mark.clause("R128")
@pytest.mark.clause("R129")
async def test_a_software_update_manager_reports_over_tcp(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    plans = [device(0, outdated=True), device(1)]

    async with backdrop.stage(tmp_path, *plans) as stage:
        files = stage.site.issue_application(
            tmp_path / "manager", name="Manager", application_uri="urn:example.com:manager"
        )
        leaf = read_certificates(files.certificate)[0].der
        stage.store.write_sync(
            lambda tx: trust.add_certificate(
                tx,
                TrustListName.ADMINISTRATORS,
                leaf,
                cause=Cause(actor="test", now=now()),
            )
        )
        server = RegistrarServer(
            store=stage.store,
            identity=stage.site.identity(),
            application_uri=stage.site.settings.registrar.application_uri,
            settings=ListenSettings(),
            now=now,
        )
        async with server:
            options = UpdateManagerOptions(
                registrar_url=server.url,
                certificate=files.certificate,
                private_key=files.private_key,
            )
            manager = UpdateManager(options, stage.devices)
            task = asyncio.create_task(manager.run())
            try:
                outcomes = await stage.onboard(listen=True)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                manager.close()

        assert {one.state for one in outcomes.values()} == {State.ONBOARDED}
        assert stage.devices[0].is_locked
