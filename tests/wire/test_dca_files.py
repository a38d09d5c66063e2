"""Batches of calls and TrustLists as files, against Servers with the habits found in the field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from registrar.core.trust_list_plan import TrustListContent
from registrar.errors import DecodingError, ProtocolViolation, ServiceFailed
from registrar.status import StatusCode
from registrar.wire import dca_nodes as nodes
from registrar.wire import trust_list_file
from registrar.wire.builtin import status_code
from registrar.wire.certificate_groups import CertificateGroup
from registrar.wire.operations import MethodFailed, Operation, perform
from registrar.wire.trust_list_file import (
    TrustListPush,
    decode,
    encode,
    opening_to_read,
    opening_to_write,
    read_trust_lists,
    write_trust_lists,
)

FILE = nodes.DEFAULT_GROUP_TRUST_LIST
OTHER = ua.NodeId(ua.Int32(5), ua.Int16(1))
CONTENT = TrustListContent(
    trusted_certificates=(b"ca" * 300,), trusted_crls=(b"crl" * 50,), issuer_certificates=(b"root",)
)


@dataclass
class FileServer:
    """Answers the calls of TrustList files as a Server with some habit does."""

    max_operations: int = 100
    by_instance_only: bool = False
    reversed_order: bool = False
    longest_read: int = 1 << 20
    longest_write: int = 1 << 20
    stored: dict[ua.NodeId, bytes] = field(default_factory=dict)
    open: dict[int, tuple[ua.NodeId, bytearray, int]] = field(default_factory=dict)
    handles: int = 0
    requests: int = 0
    updates: Callable[[bytes], ua.CallMethodResult] | None = None
    """What UpdateCertificate does."""

    async def call_all(self, requests: Sequence[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        self.requests += 1
        if len(requests) > self.max_operations:
            raise ServiceFailed("too many", status=StatusCode.BadTooManyOperations)
        order = list(enumerate(requests))
        if self.reversed_order:
            order.reverse()
        results = {number: self._call(request) for number, request in order}
        return [results[number] for number in range(len(requests))]

    async def translate(self, paths: Sequence[ua.BrowsePath]) -> list[ua.BrowsePathResult]:
        return [ua.BrowsePathResult(StatusCode=status_code(StatusCode.BadNoMatch))] * len(paths)

    def _call(self, request: ua.CallMethodRequest) -> ua.CallMethodResult:
        method = request.MethodId
        by_instance = {
            instance: kind
            for (owner, kind), instance in nodes.INSTANCE_METHODS.items()
            if owner == request.ObjectId
        }
        if self.by_instance_only and method not in by_instance:
            return bad(StatusCode.BadMethodInvalid)
        method = by_instance.get(method, method)
        arguments = [variant.Value for variant in request.InputArguments]
        try:
            return self._file(request.ObjectId, method, arguments)
        except KeyError:
            return bad(StatusCode.BadInvalidArgument)

    def _file(self, file: Any, method: Any, arguments: list[Any]) -> ua.CallMethodResult:
        if method == nodes.FILE_OPEN:
            self.handles += 1
            data = self.stored.get(file, b"") if arguments[0] == 1 else b""
            self.open[self.handles] = (file, bytearray(data), 0)
            return good(ua.Variant(self.handles, ua.VariantType.UInt32))
        if method == nodes.UPDATE_CERTIFICATE:
            assert self.updates is not None
            return self.updates(arguments[0])
        handle = arguments[0]
        owner, content, at = self.open[handle]
        if method == nodes.FILE_WRITE:
            if len(arguments[1]) > self.longest_write:
                return bad(StatusCode.BadOutOfRange)
            content += arguments[1]
            return good()
        if method == nodes.FILE_READ:
            size = min(arguments[1], self.longest_read)
            self.open[handle] = (owner, content, at + size)
            return good(ua.Variant(bytes(content[at : at + size]), ua.VariantType.ByteString))
        del self.open[handle]
        if method == nodes.FILE_CLOSE:
            return good()
        assert method == nodes.CLOSE_AND_UPDATE
        self.stored[owner] = bytes(content)
        return good(ua.Variant(True, ua.VariantType.Boolean))


def good(*outputs: ua.Variant) -> ua.CallMethodResult:
    return ua.CallMethodResult(
        StatusCode=status_code(StatusCode.Good), OutputArguments=list(outputs)
    )


def bad(status: StatusCode) -> ua.CallMethodResult:
    return ua.CallMethodResult(StatusCode=status_code(status))


def push(block_size: int = 16_384, file: ua.NodeId = FILE) -> TrustListPush:
    group = CertificateGroup(
        node=nodes.DEFAULT_GROUP, trust_list=file, certificate_types=(), block_size=block_size
    )
    return TrustListPush(group=group, content=encode(CONTENT))


async def write(server: Any, *pushes: TrustListPush, then: Sequence[Operation[bool]] = ()) -> bool:
    handles = await perform(server, opening_to_write(pushes))
    return await write_trust_lists(server, pushes, handles, then=then)


def asking_behind(server: FileServer, size: int = 0) -> tuple[Operation[bool], list[bool]]:
    """Return a call that fails unless the file stands, and what each such call saw."""
    seen: list[bool] = []

    def update(content: bytes) -> ua.CallMethodResult:
        seen.append(FILE in server.stored)
        return good(ua.Variant(True, ua.VariantType.Boolean))

    server.updates = update
    operation = Operation(
        object_id=nodes.SERVER_CONFIGURATION,
        method_id=nodes.UPDATE_CERTIFICATE,
        inputs=(ua.Variant(b"x" * size, ua.VariantType.ByteString),),
        outputs=1,
        read=lambda outputs: bool(outputs[0]),
    )
    return operation, seen


async def read(server: Any, *files: ua.NodeId) -> list[TrustListContent]:
    handles = await perform(server, opening_to_read(files))
    return await read_trust_lists(server, files, handles)


HABITS: dict[str, Callable[[], FileServer]] = {
    "ordinary": FileServer,
    "one operation a request": lambda: FileServer(max_operations=1),
    "three operations a request": lambda: FileServer(max_operations=3),
    "instance ids only": lambda: FileServer(by_instance_only=True),
    "last call first": lambda: FileServer(reversed_order=True),
    "short reads": lambda: FileServer(longest_read=100),
    "short writes": lambda: FileServer(longest_write=128),
}


@pytest.mark.parametrize("habit", sorted(HABITS))
async def test_what_is_written_is_read_back(habit: str) -> None:
    server = HABITS[habit]()

    required = await write(server, push(128))
    (content,) = await read(server, FILE)

    assert required
    assert content == CONTENT
    assert server.stored == {FILE: encode(CONTENT)}
    assert set(server.open) <= {2}  # the handle a reversed order makes useless


async def test_several_files_share_their_requests() -> None:
    server = FileServer()

    await write(server, push(), push(file=OTHER))
    assert server.requests == 2
    contents = await read(server, FILE, OTHER)

    assert server.requests == 4
    assert contents == [CONTENT, CONTENT]
    assert server.open == {}


@pytest.mark.parametrize("habit", sorted(HABITS))
async def test_what_comes_behind_the_files_finds_them_written(habit: str) -> None:
    server = HABITS[habit]()
    operation, seen = asking_behind(server)

    await write(server, push(128), then=[operation])

    assert server.stored == {FILE: encode(CONTENT)}
    assert seen[-1]
    assert len(seen) == 1 + server.reversed_order


@pytest.mark.parametrize(
    ("size", "requests"), [(0, 2), (trust_list_file.MAX_REQUEST - 2_000, 2), (60_000, 4)]
)
async def test_what_comes_behind_shares_the_request_where_it_fits(size: int, requests: int) -> None:
    server = FileServer()
    operation, _ = asking_behind(server, size)

    await write(server, push(), then=[operation])

    assert server.requests == requests


async def test_a_block_is_never_larger_than_allowed() -> None:
    server = FileServer(longest_write=127)

    with pytest.raises(MethodFailed) as caught:
        await write(server, push(128))

    assert caught.value.method == "Write"
    assert caught.value.status is StatusCode.BadOutOfRange


def test_a_content_of_too_many_blocks_is_refused_before_a_call() -> None:
    content = b"x" * (128 * trust_list_file.MAX_BLOCKS)
    group = push(128).group

    opening_to_write([TrustListPush(group=group, content=content)])
    with pytest.raises(ProtocolViolation):
        opening_to_write([TrustListPush(group=group, content=content + b"x")])


async def test_an_empty_file_is_an_empty_list() -> None:
    assert await read(FileServer(), FILE) == [TrustListContent()]


async def test_a_file_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust_list_file, "MAX_TRUST_LIST_BYTES", 1_000)
    huge = TrustListContent(trusted_certificates=(b"x" * 2_000,))
    server = FileServer(longest_read=300, stored={FILE: encode(huge)})

    with pytest.raises(DecodingError):
        await read(server, FILE)


async def test_what_is_no_trust_list_is_refused() -> None:
    server = FileServer(stored={FILE: b"\xff" * 40})

    with pytest.raises(DecodingError):
        await read(server, FILE)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_trust_list_or_a_decoding_error(data: bytes) -> None:
    try:
        content = decode(data)
    except DecodingError:
        return
    assert isinstance(content, TrustListContent)


async def test_an_answer_of_another_shape_is_a_violation() -> None:
    class Silent(FileServer):
        def _call(self, request: ua.CallMethodRequest) -> ua.CallMethodResult:
            return good()

    with pytest.raises(ProtocolViolation):
        await perform(Silent(), opening_to_read([FILE]))  # type: ignore[arg-type]


async def test_a_tolerated_status_counts_as_an_empty_answer() -> None:
    operation = Operation(
        object_id=FILE,
        method_id=nodes.FILE_CLOSE,
        inputs=(ua.Variant(99, ua.VariantType.UInt32),),
        read=lambda outputs: len(outputs),
        tolerated=frozenset({StatusCode.BadInvalidArgument}),
    )
    server: Any = FileServer()

    assert await perform(server, [operation]) == [0]
