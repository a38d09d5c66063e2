"""TrustLists as files: written and read in blocks, several at a time.

A TrustList is the body of one TrustListDataType without wrapper (OPC 10000-12 §7.8.2). Only the
Open modes 1 (read) and 6 (write, erasing) exist. ``Size`` means nothing, so the end of a file is
where the structure it holds is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from asyncua import ua

from registrar.core.trust_list_plan import TrustListContent
from registrar.errors import DecodingError, ProtocolViolation
from registrar.ua.codec import decode_structure, encode_structure
from registrar.wire import dca_nodes as nodes
from registrar.wire.builtin import scalar
from registrar.wire.certificate_groups import CertificateGroup
from registrar.wire.client import Client
from registrar.wire.operations import (
    MAX_BATCH,
    MethodFailed,
    Operation,
    perform,
    perform_both,
)

MAX_TRUST_LIST_BYTES: Final = 1 << 20
MAX_BLOCKS: Final = 1024
"""Calls one file may take."""
READ_BLOCK: Final = 32_768
MAX_REQUEST: Final = 49_152
"""Bytes of files in one request; a Server's buffer takes more."""

MAX_UINT32: Final = 0xFFFF_FFFF

_READ, _WRITE = 1, 6
# Servers in the field insist on the type Byte, as the standard has it.
_MODES: Final = {mode: ua.Variant(mode, ua.VariantType.Byte) for mode in (_READ, _WRITE)}
_READ_LENGTH: Final = ua.Variant(READ_BLOCK, ua.VariantType.Int32)
_REMEMBERED: Final = 16
"""Contents kept encoded and decoded: a campaign writes and reads back the same few."""
_ALL_LISTS: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustListPush:
    """What goes into the TrustList of one group."""

    group: CertificateGroup
    content: bytes


@lru_cache(maxsize=_REMEMBERED)
def encode(content: TrustListContent) -> bytes:
    """Return ``content`` as the file holds it, replacing all four lists."""
    return bytes(
        encode_structure(
            ua.TrustListDataType(
                SpecifiedLists=_ALL_LISTS,
                TrustedCertificates=list(content.trusted_certificates),
                TrustedCrls=list(content.trusted_crls),
                IssuerCertificates=list(content.issuer_certificates),
                IssuerCrls=list(content.issuer_crls),
            )
        )
    )


@lru_cache(maxsize=_REMEMBERED)
def decode(data: bytes) -> TrustListContent:
    """Return what ``data`` holds.

    Raises:
        DecodingError: it is not exactly one TrustListDataType.
    """
    if not data:
        return TrustListContent()
    value = decode_structure(ua.TrustListDataType, data)
    return TrustListContent(
        trusted_certificates=tuple(value.TrustedCertificates or ()),
        trusted_crls=tuple(value.TrustedCrls or ()),
        issuer_certificates=tuple(value.IssuerCertificates or ()),
        issuer_crls=tuple(value.IssuerCrls or ()),
    )


def opening_to_write(pushes: Sequence[TrustListPush]) -> list[Operation[int]]:
    """Return the calls that open the files of ``pushes`` and give their handles.

    Raises:
        ProtocolViolation: a content needs more than ``MAX_BLOCKS`` blocks.
    """
    for push in pushes:
        if len(push.content) > push.group.block_size * MAX_BLOCKS:
            raise ProtocolViolation(
                f"{len(push.content)} bytes do not fit into {MAX_BLOCKS} blocks of "
                f"{push.group.block_size}"
            )
    return [_open(push.group.trust_list, _WRITE) for push in pushes]


async def write_trust_lists(
    client: Client,
    pushes: Sequence[TrustListPush],
    handles: Sequence[int],
    *,
    then: Sequence[Operation[bool]] = (),
) -> bool:
    """Write the TrustLists into open files and close these; tell whether ApplyChanges is due.

    The last blocks, the closes and what comes ``then`` go into one request. A Server that works
    such a request off in another order than the given one fails it, and is served one call after
    the other.

    Args:
        then: calls that have to come after the files; they may be repeated.

    Raises:
        MethodFailed: a file was refused, or one of ``then``, which its Method tells.
    """
    if await _write_but_last(client, pushes, handles, then):
        finishing: list[Operation[bool]] = [*_finishing(pushes, handles), *then]
        try:
            required = await perform(client, finishing)
        except MethodFailed as error:
            if error.method != nodes.METHOD_NAMES[nodes.FILE_WRITE]:
                raise
            handles = await perform(client, opening_to_write(pushes))
            await _write_but_last(client, pushes, handles, then)
        else:
            return any(required)
    for push, handle in zip(pushes, handles, strict=True):
        await perform(client, [_last_write(push, handle)])
    required = await perform(client, _closings(pushes, handles))
    return any([*required, *await perform(client, then)])


async def _write_but_last(
    client: Client,
    pushes: Sequence[TrustListPush],
    handles: Sequence[int],
    then: Sequence[Operation[bool]],
) -> bool:
    """Write all blocks but the last; tell whether what is left fits into one request."""
    for push, handle in zip(pushes, handles, strict=True):
        size = push.group.block_size
        for start in range(0, _last_start(push), size):
            block = push.content[start : start + size]
            await perform(client, [_write(push.group.trust_list, handle, block)])
    size = sum(len(push.content) - _last_start(push) for push in pushes)
    size += sum(operation.size_bytes for operation in then)
    return size <= MAX_REQUEST and 2 * len(pushes) + len(then) <= MAX_BATCH


def _finishing(pushes: Sequence[TrustListPush], handles: Sequence[int]) -> list[Operation[bool]]:
    writes = [_last_write(push, handle) for push, handle in zip(pushes, handles, strict=True)]
    return [*writes, *_closings(pushes, handles)]


def _last_start(push: TrustListPush) -> int:
    size = push.group.block_size
    return max(0, (len(push.content) - 1) // size * size)


def _last_write(push: TrustListPush, handle: int) -> Operation[bool]:
    return _write(push.group.trust_list, handle, push.content[_last_start(push) :])


def _closings(pushes: Sequence[TrustListPush], handles: Sequence[int]) -> list[Operation[bool]]:
    return [
        _close_and_update(push.group.trust_list, handle)
        for push, handle in zip(pushes, handles, strict=True)
    ]


def opening_to_read(files: Sequence[ua.NodeId]) -> list[Operation[int]]:
    """Return the calls that open ``files`` and give their handles."""
    return [_open(file, _READ) for file in files]


async def read_trust_lists(
    client: Client, files: Sequence[ua.NodeId], handles: Sequence[int]
) -> list[TrustListContent]:
    """Read what stands in open files, and close these.

    The first blocks and the closes go into one request; a file that is longer, or a Server
    that closed first, is opened and read again.

    Raises:
        MethodFailed: a file cannot be opened or read.
        DecodingError: what was read is no TrustList.
    """
    if 2 * len(files) <= MAX_BATCH:
        try:
            blocks, _ = await perform_both(client, _reads(files, handles), _closes(files, handles))
        except MethodFailed as error:
            if error.method != nodes.METHOD_NAMES[nodes.FILE_READ]:
                raise
        else:
            decoded = [_complete(bytearray(block), is_last=not block) for block in blocks]
            if None not in decoded:
                return [content for content in decoded if content is not None]
        handles = await perform(client, opening_to_read(files))
    return await _read_in_turn(client, files, handles)


async def _read_in_turn(
    client: Client, files: Sequence[ua.NodeId], handles: Sequence[int]
) -> list[TrustListContent]:
    contents = []
    for file, handle in zip(files, handles, strict=True):
        data = bytearray()
        for _ in range(MAX_BLOCKS):
            (block,) = await perform(client, [_read(file, handle)])
            data += block
            content = _complete(data, is_last=not block)
            if content is not None:
                contents.append(content)
                break
        else:
            raise DecodingError(f"a TrustList did not end within {MAX_BLOCKS} blocks")
    await perform(client, _closes(files, handles))
    return contents


def _reads(files: Sequence[ua.NodeId], handles: Sequence[int]) -> list[Operation[bytes]]:
    return [_read(file, handle) for file, handle in zip(files, handles, strict=True)]


def _closes(files: Sequence[ua.NodeId], handles: Sequence[int]) -> list[Operation[None]]:
    return [_close(file, handle) for file, handle in zip(files, handles, strict=True)]


def _complete(data: bytearray, *, is_last: bool) -> TrustListContent | None:
    if len(data) > MAX_TRUST_LIST_BYTES:
        raise DecodingError(f"a TrustList exceeds {MAX_TRUST_LIST_BYTES} bytes")
    if not data and not is_last:
        return None
    try:
        return decode(bytes(data))
    except DecodingError:
        if is_last:
            raise
        return None


def _open(file: ua.NodeId, mode: int) -> Operation[int]:
    return Operation(
        object_id=file,
        method_id=nodes.FILE_OPEN,
        inputs=(_MODES[mode],),
        outputs=1,
        read=_handle,
    )


def _write(file: ua.NodeId, handle: int, block: bytes) -> Operation[bool]:
    """Return the call that writes ``block``; alone it makes no ApplyChanges due."""
    inputs = (_handle_in(handle), scalar(block, ua.VariantType.ByteString))
    return Operation(object_id=file, method_id=nodes.FILE_WRITE, inputs=inputs, read=_no)


def _read(file: ua.NodeId, handle: int) -> Operation[bytes]:
    return Operation(
        object_id=file,
        method_id=nodes.FILE_READ,
        inputs=(_handle_in(handle), _READ_LENGTH),
        outputs=1,
        read=_block,
    )


def _close(file: ua.NodeId, handle: int) -> Operation[None]:
    return Operation(
        object_id=file, method_id=nodes.FILE_CLOSE, inputs=(_handle_in(handle),), read=_nothing
    )


def _close_and_update(file: ua.NodeId, handle: int) -> Operation[bool]:
    return Operation(
        object_id=file,
        method_id=nodes.CLOSE_AND_UPDATE,
        inputs=(_handle_in(handle),),
        outputs=1,
        read=_boolean,
    )


def _handle_in(handle: int) -> ua.Variant:
    return scalar(handle, ua.VariantType.UInt32)


def _handle(outputs: list[object]) -> int:
    handle = outputs[0]
    if not isinstance(handle, int) or isinstance(handle, bool) or not 0 <= handle <= MAX_UINT32:
        raise ProtocolViolation("Open answered no file handle")
    return handle


def _block(outputs: list[object]) -> bytes:
    if outputs[0] is None:
        return b""
    if not isinstance(outputs[0], bytes) or len(outputs[0]) > READ_BLOCK:
        raise ProtocolViolation("Read answered more than was asked for, or no ByteString")
    return outputs[0]


def _boolean(outputs: list[object]) -> bool:
    if not isinstance(outputs[0], bool):
        raise ProtocolViolation("CloseAndUpdate answered no Boolean")
    return outputs[0]


def _no(_: list[object]) -> bool:
    return False


def _nothing(_: list[object]) -> None:
    return None
