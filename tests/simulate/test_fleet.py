"""A whole fleet: its files, its truth, its judge and its update manager."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from registrar.core.enrolment import State
from registrar.errors import ConfigurationInvalid, FileInvalid, Unavailable
from registrar.simulate import (
    Finding,
    Fleet,
    FleetOptions,
    Truth,
    Verdict,
    compare,
    judge,
    load_truth,
    run_fleet,
)
from registrar.simulate.fleet import raise_descriptor_limit
from registrar.simulate.plant import WANTED_REVISION, Kind
from tests.simulate.site import APPLY_CHANGES, Site, discover

pytestmark = pytest.mark.slow

NETWORK = f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 256}"
"""Two runs at the same time do not meet here."""


def _options(directory: Path, devices: int, impostors: int | None = None) -> FleetOptions:
    return FleetOptions(
        devices=devices, directory=directory, base=f"{NETWORK}.1", impostors=impostors
    )


@asynccontextmanager
async def listening(options: FleetOptions) -> AsyncIterator[tuple[Fleet, Truth]]:
    """Run a fleet and load its truth from the file."""
    fleet = Fleet(options)
    fleet.write(options.directory)
    await fleet.start()
    try:
        yield fleet, load_truth(options.directory / "truth.json")
    finally:
        await fleet.close()


async def test_the_shipment_is_what_a_site_would_receive(tmp_path: Path) -> None:
    ready: list[dict[str, object]] = []
    stop = asyncio.Event()
    stop.set()

    await run_fleet(_options(tmp_path, 30), stop=stop, ready=ready.append)

    said = {"event": "ready", "devices": 30, "genuine": 19, "impostors": 11}
    assert ready == [{**said, "directory": str(tmp_path)}]
    urls = (tmp_path / "endpoints.txt").read_text().splitlines()
    assert len(set(urls)) == 30
    assert urls[0] == f"opc.tcp://{NETWORK}.1:4840"
    for path in (tmp_path / "tickets").iterdir():
        assert json.loads(path.read_text()).keys() == {"Devices", "Composites"}
    for name in ("ticket_authorities", "device_identity_authorities"):
        for path in (tmp_path / "authorities" / name).iterdir():
            x509.load_der_x509_certificate(path.read_bytes())
        for path in (tmp_path / "crls" / name).iterdir():
            x509.load_der_x509_crl(path.read_bytes())
    assert set(json.loads((tmp_path / "revisions.json").read_text()).values()) == {WANTED_REVISION}


async def test_an_earlier_shipment_is_replaced(tmp_path: Path) -> None:
    stray = tmp_path / "tickets" / "shipment-099.json"
    stray.parent.mkdir()
    stray.write_text("old")

    Fleet(_options(tmp_path, 3)).write(tmp_path)

    assert not stray.exists()


async def test_the_truth_names_every_kind(tmp_path: Path) -> None:
    fleet = Fleet(_options(tmp_path, 40))
    fleet.write(tmp_path)

    truth = load_truth(tmp_path / "truth.json")

    assert {device.kind for device in truth.devices} == set(Kind)
    assert (truth.genuine, truth.impostors) == (29, 11)
    owned = [device for device in truth.devices if device.owner]
    assert [device.kind for device in owned] == [Kind.ALREADY_OWNED]
    by_url = {device.url: device for device in truth.devices}
    for device in truth.devices:
        if device.twin is not None:
            assert by_url[device.twin].twin == device.url


def test_another_file_is_no_truth(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text('{"devices": [1]}')

    with pytest.raises(FileInvalid):
        load_truth(path)


@pytest.mark.parametrize(
    ("base", "ports"),
    [
        ("10.0.0.1", None),
        ("plant", None),
        ("127.255.255.254", None),
        ("127.0.0.1", 65_535),
        ("127.0.0.1", -1),
    ],
)
async def test_devices_stay_on_this_machine(tmp_path: Path, base: str, ports: int | None) -> None:
    options = replace(_options(tmp_path, 5), base=base, ports=ports)

    with pytest.raises(ConfigurationInvalid) as caught:
        Fleet(options)
    assert caught.value.next_action.startswith("Choose ")


async def test_an_address_in_use_is_said_and_nothing_keeps_listening(tmp_path: Path) -> None:
    async with listening(_options(tmp_path, 2)) as (first, _):
        second = Fleet(replace(_options(tmp_path, 3), base=f"{NETWORK}.0"))

        with pytest.raises(Unavailable):
            await second.start()

        with pytest.raises(Unavailable):
            await discover(second.devices[0])
        assert await discover(first.devices[0])


def test_more_descriptors_than_the_system_allows_are_refused() -> None:
    with pytest.raises(Unavailable):
        raise_descriptor_limit(1 << 40)


async def test_the_judge_sees_who_is_onboarded_by_whom(tmp_path: Path) -> None:
    site, other = Site("site"), Site("other")
    async with listening(_options(tmp_path, 6, impostors=0)) as (fleet, truth):
        for device in fleet.devices:
            device.software_revision = WANTED_REVISION
        *ours, theirs, untouched = fleet.devices
        for device in ours:
            await site.onboard(device)
        await other.onboard(theirs)

        verdict = await judge(truth, identity=site.identity, site_authorities=[site.authority.der])

    assert {d.url: verdict.findings[d.url].defects for d in ours} == {d.url: () for d in ours}
    assert verdict.onboarded == len(ours)
    assert verdict.findings[theirs.url] == Finding(onboarded=False, is_ours=False)
    assert verdict.findings[untouched.url] == Finding(onboarded=False, is_ours=False)


async def test_the_judge_finds_what_is_missing(tmp_path: Path) -> None:
    site = Site("site")
    async with listening(_options(tmp_path, 8, impostors=0)) as (fleet, truth):
        device = next(d for d in fleet.devices if d.product.plan.applications == 2)
        device.software_revision = WANTED_REVISION
        async with site.session(device) as client:
            await site.push(client, device, 0)
            await client.call(device.configuration_objects[0].node, APPLY_CHANGES)
        only = Truth(seed=1, devices=tuple(d for d in truth.devices if d.url == device.url))

        verdict = await judge(only, identity=site.identity, site_authorities=[site.authority.der])

    finding = verdict.findings[device.url]
    assert finding.is_ours
    assert not finding.onboarded
    assert len(finding.defects) == 6  # for both applications: certificate, CA and CRL


async def test_mistakes_are_what_differs_from_the_truth(tmp_path: Path) -> None:
    fleet = Fleet(_options(tmp_path, 40))
    fleet.write(tmp_path)
    truth = load_truth(tmp_path / "truth.json")
    outcomes = {device.url: device.expected[-1] for device in truth.devices}
    for device in truth.devices:
        if device.twin is not None and device.is_genuine:
            outcomes[device.url] = device.expected[0]
    verdict = Verdict(
        findings={
            url: Finding(onboarded=state == State.ONBOARDED, is_ours=state == State.ONBOARDED)
            for url, (state, _) in outcomes.items()
        }
    )
    genuine = next(d for d in truth.devices if d.is_genuine and d.twin is None)
    impostor = next(d for d in truth.devices if d.kind is Kind.SIGNER_REVOKED)
    double = next(d for d in truth.devices if d.kind is Kind.DUPLICATE_URI)

    def mistaken(**changed: tuple[str, str]) -> set[str]:
        return {m.url for m in compare(truth, verdict, {**outcomes, **changed})}

    assert compare(truth, verdict, outcomes) == []
    assert mistaken(**{genuine.url: ("refused", "internal")}) == {genuine.url}
    assert mistaken(**{impostor.url: ("refused", "ticket_missing")}) == {impostor.url}
    assert mistaken(**{impostor.url: ("onboarded", "")}) == {impostor.url}
    assert mistaken(**{double.url: ("onboarded", "")}) == {double.url, double.twin}
    touched = Finding(onboarded=False, is_ours=True)
    shown = Verdict(findings={**verdict.findings, impostor.url: touched})
    assert [m.url for m in compare(truth, shown, outcomes)] == [impostor.url]
    assert len(compare(truth, Verdict(findings={}), outcomes)) == 40
