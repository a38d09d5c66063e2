"""The transaction rules T1 to T12 of OPC 10000-12 §7.10, over TCP."""

from __future__ import annotations

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.simulate.certificate_group import NEVER
from registrar.simulate.model import node_id
from registrar.simulate.trust_list_file import WRITE, encode
from registrar.status import StatusCode
from registrar.wire.client import Client
from tests.simulate.site import (
    ADD_CERTIFICATE,
    APPLY_CHANGES,
    CANCEL_CHANGES,
    CLOSE,
    DCA,
    FILE_WRITE,
    UPDATE_CERTIFICATE,
    Kinds,
    Site,
    device_plan,
    open_file,
    running,
    status_of,
    update_arguments,
    write_trust_list,
)

START, END, RESULT, LISTS, GROUPS, ERRORS = range(32337, 32343)
GOOD = StatusCode.Good


async def _read(client: Client, *nodes: int) -> list[object]:
    """Return values, and for those that have none their status."""
    values = await client.read([(node_id(n), AttributeIds.Value) for n in nodes])
    found: list[object] = []
    for value in values:
        status = int(value.StatusCode.value) if value.StatusCode else 0
        found.append(StatusCode(status) if status or value.Value is None else value.Value.Value)
    return found


async def test_diagnostics_follow_the_transaction() -> None:
    site = Site("s")
    async with running() as device, site.session(device) as client:
        assert set(await _read(client, START, END, RESULT)) == {StatusCode.BadOutOfService}

        handle = await open_file(client, DCA, WRITE)
        _, end, result, lists, groups = await _read(client, START, END, RESULT, LISTS, GROUPS)
        assert (result, lists, groups) == (StatusCode.BadInvalidState, [DCA.trust_list], [])
        assert end in (NEVER, NEVER.replace(tzinfo=None))

        await client.call(DCA.trust_list, CLOSE, handle)
        await client.call(DCA.node, CANCEL_CHANGES)
        (cancelled,) = await _read(client, RESULT)
        assert isinstance(cancelled, ua.StatusCode)
        assert int(cancelled.value) == StatusCode.BadRequestCancelledByClient


async def test_without_a_transaction_there_is_nothing_to_do() -> None:
    async with running() as device, Site("s").session(device) as client:
        for method in (APPLY_CHANGES, CANCEL_CHANGES):
            assert await status_of(client.call(DCA.node, method)) == StatusCode.BadNothingToDo


async def test_an_empty_transaction_is_applied_and_closed() -> None:
    async with running() as device, Site("s").session(device) as client:
        handle = await open_file(client, DCA, WRITE)
        await client.call(DCA.trust_list, CLOSE, handle)

        assert await status_of(client.call(DCA.node, APPLY_CHANGES)) == GOOD
        assert await status_of(client.call(DCA.node, APPLY_CHANGES)) == StatusCode.BadNothingToDo


async def test_while_a_trust_list_is_written_nothing_is_applied() -> None:
    site = Site("s")
    async with running() as device, site.session(device) as client:
        await site.push(client, device, 0)
        handle = await open_file(client, DCA, WRITE)

        early = await status_of(client.call(DCA.node, APPLY_CHANGES))
        await client.call(DCA.trust_list, CLOSE, handle)
        await client.call(DCA.node, APPLY_CHANGES)

    assert early == StatusCode.BadInvalidState
    assert device.is_locked


async def test_a_failing_call_leaves_the_transaction_as_it_was() -> None:
    site = Site("s")
    async with running() as device, site.session(device) as client:
        await site.push(client, device, 0)

        await status_of(client.call(DCA.node, UPDATE_CERTIFICATE, *update_arguments(b"junk")))
        handle = await open_file(client, DCA, WRITE)
        await client.call(DCA.trust_list, FILE_WRITE, handle, ua.Variant(b"x", Kinds.ByteString))
        await client.call(DCA.trust_list, CLOSE, handle)
        await client.call(DCA.node, APPLY_CHANGES)

    assert device.is_locked


async def test_cancelled_changes_are_gone() -> None:
    site = Site("s")
    async with running() as device, site.session(device) as client:
        await site.push(client, device, 0)

        await client.call(DCA.node, CANCEL_CHANGES)

        assert await status_of(client.call(DCA.node, APPLY_CHANGES)) == StatusCode.BadNothingToDo
    assert not device.is_owned


async def test_closing_the_session_cancels() -> None:
    first, second = Site("first"), Site("second")
    async with running() as device:
        async with first.session(device) as client:
            await first.push(client, device, 0)

        await second.onboard(device)

    assert device.is_locked
    trusted = device.configuration.dca.trust_list.trusted_certificates
    assert trusted == (second.authority.der,)


async def test_one_transaction_takes_all_objects_and_any_of_them_applies_it() -> None:
    site = Site("s")
    async with running(device_plan(applications=2)) as device:
        async with site.session(device) as client:
            for at in range(3):
                await site.push(client, device, at)
            await client.call(device.configuration_objects[2].node, node_id(12734))

        assert all(group.is_provisioned for group in device.configuration.groups)


async def test_changes_of_applications_leave_the_connection_alone() -> None:
    site = Site("s")
    async with running(device_plan(applications=1)) as device:
        await site.onboard(device)
        async with site.session(device) as client:
            await site.push(client, device, 1)
            await client.call(device.configuration_objects[1].node, node_id(12734))

            assert (await _read(client, 29879)) == [False]


async def test_single_certificates_wait_for_the_end_of_any_transaction() -> None:
    site = Site("s")
    async with running() as device, site.session(device) as client:
        await write_trust_list(client, DCA, encode(site.trust_list))
        arguments = (
            ua.Variant(site.authority.der, Kinds.ByteString),
            ua.Variant(True, Kinds.Boolean),
        )

        found = await status_of(client.call(DCA.trust_list, ADD_CERTIFICATE, *arguments))

    assert found == StatusCode.BadTransactionPending
