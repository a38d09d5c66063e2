"""TrustLists as files: written and read in blocks, several at a time.

A TrustList is the body of one TrustListDataType without wrapper (OPC 10000-12 §7.8.2). Only the
Open modes 1 (read) and 6 (write, erasing) exist. ``Size`` means nothing, so the end of a file is
where the structure it holds is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from asyncua import ua

from registrar.core.trust_list_plan import TrustListContent
from registrar.errors import DecodingError, ProtocolViolation
from registrar.ua.codec import decode_structure, encode_structure
from registrar.wire import dca_nodes as nodes
from registrar.wire.client import Client
from registrar.wire.dca import CertificateGroup
from registrar.wire.operations import Operation, perform

MAX_TRUST_LIST_BYTES: Final = 1 << 20
MAX_BLOCKS: Final = 1024
"""Calls one file may take."""
READ_BLOCK: Final = 32_768

_READ, _WRITE = 1, 6
_ALL_LISTS: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustListPush:
    """What goes into the TrustList of one group."""

    group: CertificateGroup
    content: bytes


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


async def write_trust_lists(client: Client, pushes: Sequence[TrustListPush]) -> bool:
    """Write the TrustLists; tell whether ApplyChanges is required.

    Raises:
        ServiceFailed: a file was refused; it is closed, and so are those not yet written.
    """
    for push in pushes:
        if len(push.content) > push.group.block_size * MAX_BLOCKS:
            raise ProtocolViolation(
                f"{len(push.content)} bytes do not fit into {MAX_BLOCKS} blocks of "
                f"{push.group.block_size}"
            )
    files = [push.group.trust_list for push in pushes]
    handles = await perform(client, [_open(file, _WRITE) for file in files])
    writes = []
    for push, handle in zip(pushes, handles, strict=True):
        size = push.group.block_size
        for start in range(0, len(push.content), size):
            writes.append(_write(push.group.trust_list, handle, push.content[start : start + size]))
    await _perform_within(client, writes, [push.group.block_size for push in pushes])
    closes = [_close_and_update(*pair) for pair in zip(files, handles, strict=True)]
    required: list[bool] = await perform(client, closes)
    return any(required)


async def _perform_within(
    client: Client, writes: Sequence[Operation[None]], sizes: Sequence[int]
) -> None:
    """Send ``writes`` in requests that stay about as large as the largest block allowed."""
    at_once = max(1, READ_BLOCK // max([*sizes, 1]))
    for start in range(0, len(writes), at_once):
        await perform(client, writes[start : start + at_once])


async def read_trust_lists(client: Client, files: Sequence[ua.NodeId]) -> list[TrustListContent]:
    """Read what stands in ``files``.

    Raises:
        ServiceFailed: a file cannot be opened or read.
        DecodingError: what was read is no TrustList.
    """
    handles = await perform(client, [_open(file, _READ) for file in files])
    held = list(zip(files, handles, strict=True))
    data = [bytearray() for _ in files]
    decoded: list[TrustListContent | None] = [None] * len(files)
    for _ in range(MAX_BLOCKS):
        unread = [number for number, value in enumerate(decoded) if value is None]
        if not unread:
            break
        blocks = await perform(client, [_read(*held[number]) for number in unread])
        for number, block in zip(unread, blocks, strict=True):
            data[number] += block
            decoded[number] = _complete(data[number], is_last=not block)
    await perform(client, [_close(*pair) for pair in held])
    if None in decoded:
        raise DecodingError(f"a TrustList did not end within {MAX_BLOCKS} blocks")
    return [content for content in decoded if content is not None]


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
    # Servers in the field insist on the type Byte, as the standard has it.
    return Operation(
        object_id=file,
        method_id=nodes.FILE_OPEN,
        inputs=(ua.Variant(mode, ua.VariantType.Byte),),
        outputs=1,
        read=_handle,
    )


def _write(file: ua.NodeId, handle: int, block: bytes) -> Operation[None]:
    inputs = (_handle_in(handle), ua.Variant(block, ua.VariantType.ByteString))
    return Operation(object_id=file, method_id=nodes.FILE_WRITE, inputs=inputs, read=_nothing)


def _read(file: ua.NodeId, handle: int) -> Operation[bytes]:
    return Operation(
        object_id=file,
        method_id=nodes.FILE_READ,
        inputs=(_handle_in(handle), ua.Variant(READ_BLOCK, ua.VariantType.Int32)),
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
    return ua.Variant(handle, ua.VariantType.UInt32)


def _handle(outputs: list[object]) -> int:
    if not isinstance(outputs[0], int):
        raise ProtocolViolation("Open answered no file handle")
    return outputs[0]


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


def _nothing(_: list[object]) -> None:
    return None
