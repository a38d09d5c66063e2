"""The TrustList as a file (part12 §7.8.2), over TCP and with a clock of its own."""

from __future__ import annotations

import pytest
from asyncua import ua

from registrar.errors import CertificateRejected, ServiceFailed
from registrar.simulate.certificate_group import CertificateGroup
from registrar.simulate.model import DCA_OBJECT, node_id
from registrar.simulate.peer_trust import TrustListContent
from registrar.simulate.transaction import Transactions
from registrar.simulate.trust_list_file import (
    ACTIVITY_TIMEOUT_S,
    ISSUER_CERTIFICATES,
    MAX_OPEN_FILES,
    READ,
    TRUSTED_CERTIFICATES,
    TRUSTED_CRLS,
    WRITE,
    TrustListFile,
    decode,
    encode,
    sha1_hex,
)
from registrar.status import StatusCode
from tests.simulate.site import (
    ADD_CERTIFICATE,
    CLOSE,
    CLOSE_AND_UPDATE,
    DCA,
    FILE_WRITE,
    GET_POSITION,
    NOW,
    OPEN,
    OPEN_WITH_MASKS,
    REMOVE_CERTIFICATE,
    SET_POSITION,
    Kinds,
    Site,
    device_plan,
    open_file,
    running,
    status_of,
    write_trust_list,
)
from tests.simulate.site import (
    READ as FILE_READ,
)

SESSION = object()


class Bench:
    """A TrustList without a network, and a clock that is moved by hand."""

    def __init__(self, max_size: int = 0) -> None:
        self.time = 0.0
        self.group = CertificateGroup(node=DCA_OBJECT.group, trust_list_node=DCA_OBJECT.trust_list)
        self.transactions = Transactions(lambda: NOW)
        self.file = TrustListFile(self.group, self.transactions, lambda: self.time, max_size)

    def stage(self, data: bytes) -> TrustListContent:
        """Write ``data`` and return what is staged."""
        handle = self.file.open(SESSION, WRITE)
        self.file.write(SESSION, handle, data)
        self.file.close_and_update(SESSION, handle)
        return self.transactions.staged_trust_list(self.group)


def _status(error: pytest.ExceptionInfo[ServiceFailed]) -> StatusCode:
    return error.value.status


@pytest.mark.parametrize("mode", [0, 2, 3, 4, 5, 7, 10, 255])
def test_only_reading_and_erasing_writing_are_modes(mode: int) -> None:
    with pytest.raises(ServiceFailed) as error:
        Bench().file.open(SESSION, mode)

    assert _status(error) == StatusCode.BadInvalidArgument


def test_lists_that_are_not_specified_stay_as_they_are() -> None:
    bench, site = Bench(), Site("s")
    before = bench.group.trust_list = site.trust_list
    other = TrustListContent(issuer_certificates=(site.authority.der,))

    staged = bench.stage(encode(other, ISSUER_CERTIFICATES))

    assert staged.trusted_certificates == before.trusted_certificates
    assert staged.trusted_crls == before.trusted_crls
    assert staged.issuer_certificates == (site.authority.der,)


def test_a_second_write_builds_upon_what_is_staged() -> None:
    bench, content = Bench(), Site("s").trust_list

    bench.stage(encode(content, TRUSTED_CERTIFICATES))
    staged = bench.stage(encode(content, TRUSTED_CRLS))

    assert staged == content
    assert not bench.group.trust_list


def test_masks_choose_what_is_read() -> None:
    bench = Bench()
    whole = bench.group.trust_list = Site("s").trust_list

    handle = bench.file.open_with_masks(SESSION, TRUSTED_CRLS)
    content = decode(bench.file.read(SESSION, handle, 65_536), TrustListContent())

    assert content == TrustListContent(trusted_crls=whole.trusted_crls)


@pytest.mark.parametrize("data", [b"", b"x", b"\xff" * 40])
def test_other_bytes_are_no_trust_list(data: bytes) -> None:
    bench = Bench()

    with pytest.raises(ServiceFailed) as error:
        bench.stage(data)

    assert _status(error) == StatusCode.BadInvalidArgument
    assert bench.file.open_count == 0
    assert not bench.transactions.changes


@pytest.mark.parametrize(
    "content",
    [
        TrustListContent(trusted_certificates=(b"junk",)),
        TrustListContent(issuer_crls=(b"junk",)),
    ],
)
def test_every_certificate_and_crl_must_be_one(content: TrustListContent) -> None:
    with pytest.raises(CertificateRejected) as error:
        Bench().stage(encode(content))

    assert error.value.status == StatusCode.BadCertificateInvalid


def test_a_trust_list_may_be_as_large_as_the_limit() -> None:
    data = encode(Site("s").trust_list)

    Bench(len(data)).stage(data)
    with pytest.raises(ServiceFailed) as error:
        Bench(len(data) - 1).stage(data)

    assert _status(error) == StatusCode.BadRequestTooLarge


def test_open_files_are_limited() -> None:
    bench = Bench()
    for _ in range(MAX_OPEN_FILES):
        bench.file.open(SESSION, READ)

    with pytest.raises(ServiceFailed) as error:
        bench.file.open(SESSION, READ)

    assert _status(error) == StatusCode.BadResourceUnavailable


def test_a_file_nobody_touches_is_closed_and_its_changes_are_lost() -> None:
    bench = Bench()
    handle = bench.file.open(SESSION, WRITE)
    bench.time = ACTIVITY_TIMEOUT_S
    bench.file.write(SESSION, handle, b"x")

    bench.time = 2 * ACTIVITY_TIMEOUT_S
    assert bench.file.is_being_written
    bench.time += 0.001

    assert not bench.file.is_being_written
    with pytest.raises(ServiceFailed) as error:
        bench.file.write(SESSION, handle, b"x")
    assert _status(error) == StatusCode.BadInvalidArgument


def test_handles_belong_to_their_session() -> None:
    bench = Bench()
    handle = bench.file.open(SESSION, READ)

    with pytest.raises(ServiceFailed) as error:
        bench.file.read(object(), handle, 1)

    assert _status(error) == StatusCode.BadInvalidArgument


def test_reading_and_writing_need_their_own_mode() -> None:
    bench = Bench()
    reading, writing = bench.file.open(SESSION, READ), bench.file.open(SESSION, WRITE)

    for wrong in (
        lambda: bench.file.write(SESSION, reading, b"x"),
        lambda: bench.file.read(SESSION, writing, 1),
        lambda: bench.file.close_and_update(SESSION, reading),
    ):
        with pytest.raises(ServiceFailed) as error:
            wrong()
        assert _status(error) == StatusCode.BadInvalidState


async def test_staged_lists_are_not_what_readers_see() -> None:
    site = Site("s")
    async with running() as device, site.session(device) as client:
        await write_trust_list(client, DCA, encode(site.trust_list))

        handle = await open_file(client, DCA, READ)
        length = ua.Variant(65_536, Kinds.Int32)
        (data,) = await client.call(DCA.trust_list, FILE_READ, handle, length)

    assert decode(data.Value, TrustListContent()) == TrustListContent()


async def test_a_file_is_read_in_pieces_and_from_any_position() -> None:
    site = Site("s")
    async with running() as device:
        await site.onboard(device)
        async with site.session(device) as client:
            mask = ua.Variant(15, Kinds.UInt32)
            (handle,) = await client.call(DCA.trust_list, OPEN_WITH_MASKS, mask)
            pieces = []
            while True:
                few = ua.Variant(100, Kinds.Int32)
                (piece,) = await client.call(DCA.trust_list, FILE_READ, handle, few)
                if not piece.Value:
                    break
                pieces.append(piece.Value)
            (end,) = await client.call(DCA.trust_list, GET_POSITION, handle)
            start = ua.Variant(4, Kinds.UInt64)
            await client.call(DCA.trust_list, SET_POSITION, handle, start)
            (again,) = await client.call(DCA.trust_list, FILE_READ, handle, few)
            await client.call(DCA.trust_list, CLOSE, handle)

    whole = b"".join(pieces)
    assert decode(whole, TrustListContent()) == device.configuration.dca.trust_list
    assert end.Value == len(whole)
    assert again.Value == whole[4:104]


async def test_small_blocks_are_all_some_devices_take() -> None:
    async with running(device_plan(index=3)) as device, Site("s").session(device) as client:
        limit = device.max_byte_string_length
        handle = await open_file(client, DCA, WRITE)

        fits = ua.Variant(bytes(limit), Kinds.ByteString)
        await client.call(DCA.trust_list, FILE_WRITE, handle, fits)
        too_long = ua.Variant(bytes(limit + 1), Kinds.ByteString)
        found = await status_of(client.call(DCA.trust_list, FILE_WRITE, handle, too_long))

    assert found == StatusCode.BadRequestTooLarge


async def test_one_trusted_certificate_is_added_and_removed() -> None:
    site, friend = Site("s"), Site("friend")
    trusted = ua.Variant(True, Kinds.Boolean)
    added = ua.Variant(friend.authority.der, Kinds.ByteString)
    named = ua.Variant(sha1_hex(friend.authority.der).lower(), Kinds.String)
    async with running() as device:
        await site.onboard(device)
        async with site.session(device) as client:
            as_issuer = ua.Variant(False, Kinds.Boolean)
            refused = await status_of(
                client.call(DCA.trust_list, ADD_CERTIFICATE, added, as_issuer)
            )
            await client.call(DCA.trust_list, ADD_CERTIFICATE, added, trusted)
        assert friend.authority.der in device.configuration.dca.trust_list.trusted_certificates
        async with site.session(device) as client:
            await client.call(DCA.trust_list, REMOVE_CERTIFICATE, named, trusted)
        async with site.session(device) as client:
            gone = await status_of(client.call(DCA.trust_list, REMOVE_CERTIFICATE, named, trusted))

    assert refused == StatusCode.BadCertificateInvalid
    assert gone == StatusCode.BadInvalidArgument
    assert friend.authority.der not in device.configuration.dca.trust_list.trusted_certificates


async def test_a_ca_that_others_need_stays() -> None:
    site = Site("s")
    leaf = site.identity.certificate
    content = TrustListContent(
        trusted_certificates=(leaf, site.authority.der), trusted_crls=(site.authority.crl(),)
    )
    async with running() as device, site.session(device) as client:
        await write_trust_list(client, DCA, encode(content))
        await client.call(DCA.node, node_id(12740))
        async with site.session(device) as again:
            named = ua.Variant(sha1_hex(site.authority.der), Kinds.String)
            trusted = ua.Variant(True, Kinds.Boolean)
            found = await status_of(again.call(DCA.trust_list, REMOVE_CERTIFICATE, named, trusted))

    assert found == StatusCode.BadCertificateChainIncomplete


async def test_open_insists_on_a_byte() -> None:
    async with running() as device, Site("s").session(device) as client:
        wrong = ua.Variant(6, Kinds.UInt32)

        found = await status_of(client.call(DCA.trust_list, OPEN, wrong))
        unknown = ua.Variant(77, Kinds.UInt32)
        no_handle = await status_of(client.call(DCA.trust_list, CLOSE_AND_UPDATE, unknown))

    assert found == StatusCode.BadInvalidArgument
    assert no_handle == StatusCode.BadInvalidArgument
