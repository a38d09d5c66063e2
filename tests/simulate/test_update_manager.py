"""The update manager tells the Registrar over TCP, and brings outdated Devices up to date."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from registrar.errors import FileInvalid
from registrar.simulate import UpdateManagerOptions
from registrar.simulate.device import Device
from registrar.simulate.plant import WANTED_REVISION
from registrar.simulate.update_manager import UpdateManager, load_identity
from tests.simulate.registrar_double import RegistrarDouble
from tests.simulate.site import Site, device_plan, running

pytestmark = pytest.mark.slow
PATIENCE_S = 20


@pytest.fixture
def site() -> Site:
    return Site("site")


@pytest.fixture
async def registrar() -> AsyncIterator[RegistrarDouble]:
    other = Site("registrar")
    double = RegistrarDouble(other.identity, other.uri)
    await double.start()
    yield double
    await double.listener.close()


def _options(directory: Path, site: Site, url: str) -> UpdateManagerOptions:
    certificate, key = directory / "sum.der", directory / "sum.pem"
    certificate.write_bytes(site.identity.certificate + site.authority.der)
    key.write_bytes(
        site.identity.private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return UpdateManagerOptions(registrar_url=url, certificate=certificate, private_key=key)


@asynccontextmanager
async def managing(options: UpdateManagerOptions, device: Device) -> AsyncIterator[UpdateManager]:
    manager = UpdateManager(options, [device])
    task = asyncio.create_task(manager.run())
    try:
        yield manager
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        manager.close()


async def _told(registrar: RegistrarDouble, reports: int) -> list[tuple[str, bool, str]]:
    async with asyncio.timeout(PATIENCE_S):
        while len(registrar.told) < reports:
            registrar.heard.clear()
            await registrar.heard.wait()
    return registrar.told


async def test_a_current_device_is_reported_once_it_is_owned(
    tmp_path: Path, site: Site, registrar: RegistrarDouble
) -> None:
    async with running() as device, managing(_options(tmp_path, site, registrar.url), device):
        await site.onboard(device)

        told = await _told(registrar, 1)

    assert told == [(device.application_uri, True, WANTED_REVISION)]
    assert registrar.callers == {site.identity.certificate}


async def test_an_outdated_device_is_updated_and_then_locked(
    tmp_path: Path, site: Site, registrar: RegistrarDouble
) -> None:
    plan = device_plan(outdated=True)
    async with running(plan) as device, managing(_options(tmp_path, site, registrar.url), device):
        await site.onboard(device)
        assert not device.is_locked

        told = await _told(registrar, 2)

        assert device.is_locked
    uri = device.application_uri
    assert told == [(uri, False, WANTED_REVISION), (uri, True, WANTED_REVISION)]


async def test_a_device_the_registrar_does_not_know_yet_is_reported_again(
    tmp_path: Path, site: Site, registrar: RegistrarDouble
) -> None:
    registrar.not_found = 2
    options = _options(tmp_path, site, registrar.url)
    async with running() as device, managing(options, device) as manager:
        await site.onboard(device)

        await _told(registrar, 1)

        assert registrar.not_found == 0
    assert manager.reported <= {device.application_uri}


async def test_a_registrar_that_listens_later_hears_it_all(
    tmp_path: Path, site: Site, registrar: RegistrarDouble
) -> None:
    port = registrar.listener.port
    options = _options(tmp_path, site, registrar.url)
    await registrar.listener.close()
    async with running() as device, managing(options, device):
        await site.onboard(device)
        await registrar.listener.start("127.0.0.1", port)

        told = await _told(registrar, 1)

    assert told == [(device.application_uri, True, WANTED_REVISION)]


@pytest.mark.parametrize(("name", "content"), [("sum.der", b"junk"), ("sum.pem", b"junk")])
def test_other_files_are_refused(tmp_path: Path, site: Site, name: str, content: bytes) -> None:
    options = _options(tmp_path, site, "opc.tcp://127.0.0.1:1")
    (tmp_path / name).write_bytes(content)

    with pytest.raises(FileInvalid) as error:
        load_identity(options.certificate, options.private_key)

    assert error.value.subject == name
