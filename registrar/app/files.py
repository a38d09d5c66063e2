"""The files an operator names: found, bounded and cut into single documents.

    file or folder ─▶ files ─▶ Tickets:       JWS, TicketList JSON, one JWS a line, ZIP of those
                            ─▶ certificates:  PEM with any number, DER
                            ─▶ CRLs:          PEM with any number, DER

Files come from mail, USB sticks and web shops: each may be unreadable, huge or hostile, and
none of them may end the work on the others. What cannot be read becomes an ``Unreadable``.
"""

from __future__ import annotations

import binascii
import contextlib
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from registrar.errors import FileInvalid

MAX_TICKET_FILE_SIZE_BYTES: Final = 64 << 20
MAX_CERTIFICATE_FILE_SIZE_BYTES: Final = 16 << 20
MAX_GIVEN_FILE_SIZE_BYTES: Final = 1 << 20
MAX_PASSPHRASE_FILE_SIZE_BYTES: Final = 4096
MAX_LINE_BYTES: Final = 8 << 20
"""Twice the longest Ticket any configuration allows."""

MAX_FILES: Final = 1_000_000
MAX_FOLDER_DEPTH: Final = 16
MAX_ARCHIVE_FILES: Final = 200_000
MAX_ARCHIVE_EXPANSION: Final = 100
"""Times the size of a ZIP archive; Tickets of one signer pack to a tenth."""

_ZIP: Final = b"PK\x03\x04"
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What is unpacked; LZMA would let an archive of a few bytes ask for gigabytes of dictionary."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_PEM: Final = re.compile(
    rb"-----BEGIN (CERTIFICATE|TRUSTED CERTIFICATE|X509 CRL)-----([^-]*)(-----END \1-----)?"
)
"""A block; no hyphen stands inside, so that each byte is looked at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One Ticket as it stood in a file, not yet verified."""

    source: str
    """The file, and where in it: ``delivery.json#Devices[3]``, ``tickets.jsonl:17``."""
    text: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file or a part of one that holds nothing to verify."""

    source: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DerFile:
    """One certificate or CRL as it stood in a file."""

    source: str
    is_crl: bool | None
    """None where the file does not say: DER."""
    der: bytes


def find_files(paths: Iterable[Path]) -> Iterator[Path | Unreadable]:
    """Yield the regular files at and below ``paths``, each folder in the order of names.

    Hidden files are passed over. A folder deeper than ``MAX_FOLDER_DEPTH`` and what follows
    ``MAX_FILES`` files is not read, and said to be so.
    """
    count = 0
    for path in paths:
        for found in _walk(path, MAX_FOLDER_DEPTH):
            count += 1
            if count > MAX_FILES:
                yield Unreadable(source=str(path), problem=f"holds more than {MAX_FILES} files")
                return
            yield found


def _walk(path: Path, depth: int) -> Iterator[Path | Unreadable]:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISDIR(mode):
            if stat.S_ISREG(mode):
                yield path
            else:
                yield Unreadable(source=str(path), problem="is neither a file nor a folder")
            return
        if depth == 0:
            yield Unreadable(source=str(path), problem=f"is deeper than {MAX_FOLDER_DEPTH} folders")
            return
        names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    except (OSError, ValueError) as error:
        yield Unreadable(source=str(path), problem=_why(error))
        return
    for name in names:
        yield from _walk(path / name, depth - 1)


def read(path: Path, limit: int) -> bytes:
    """Return what the file at ``path`` holds.

    Raises:
        FileInvalid: it cannot be read, or holds more than ``limit`` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise FileInvalid(f"cannot be read: {_why(error)}", subject=str(path)) from error
    if len(data) > limit:
        raise FileInvalid(f"holds more than {limit} bytes", subject=str(path))
    return data


def check_given(*paths: Path) -> None:
    """Check that the key and certificate files an operator named can be read.

    The room ``ca`` reads them, where a missing file means that a site has lost a part.

    Raises:
        FileInvalid: one cannot, or holds more than ``MAX_GIVEN_FILE_SIZE_BYTES``.
    """
    for path in paths:
        read(path, MAX_GIVEN_FILE_SIZE_BYTES)


@dataclass(slots=True)
class Meter:
    """How far reading has come, for a progress bar."""

    bytes_read: int = 0
    """Of the files as they lie on the disk."""


def read_passphrase(path: Path) -> str:
    """Return the first line of the file at ``path``.

    Raises:
        FileInvalid: it cannot be read, is too long, or its first line is empty.
    """
    try:
        first = read(path, MAX_PASSPHRASE_FILE_SIZE_BYTES).decode().splitlines()[0]
    except (UnicodeDecodeError, IndexError):
        first = ""
    if not first:
        raise FileInvalid("has no passphrase in its first line", subject=str(path))
    return first


def size_of(paths: Iterable[Path]) -> int:
    """Return the bytes of all files at and below ``paths`` that are there."""
    sizes = 0
    for path in find_files(paths):
        if isinstance(path, Path):
            with contextlib.suppress(OSError):
                sizes += path.stat().st_size
    return sizes


def find_tickets(
    paths: Iterable[Path], meter: Meter | None = None
) -> Iterator[Document | Unreadable]:
    """Yield every Ticket in the files at and below ``paths``, a piece in memory at a time."""
    meter = meter or Meter()
    for path in find_files(paths):
        if isinstance(path, Unreadable):
            yield path
            continue
        try:
            with path.open("rb") as file:
                yield from _tickets_of(file, str(path), meter)
        except (OSError, ValueError) as error:
            yield Unreadable(source=str(path), problem=f"cannot be read: {_why(error)}")


def _tickets_of(file: BinaryIO, source: str, meter: Meter) -> Iterator[Document | Unreadable]:
    before = meter.bytes_read
    start = file.read(len(_ZIP))
    file.seek(0)
    if start == _ZIP:
        yield from _zipped(file, source, meter)
    else:
        yield from _lines_or_whole(file, source, meter)
    meter.bytes_read = before + file.seek(0, os.SEEK_END)


def _lines_or_whole(file: BinaryIO, source: str, meter: Meter) -> Iterator[Document | Unreadable]:
    """Read a file that begins with a whole Ticket on a line by lines, any other at once."""
    first = file.readline(MAX_LINE_BYTES)
    if first.endswith(b"\n") and _is_ticket(first):
        file.seek(0)
        yield from _read_lines(file, source, meter)
        return
    data = first + file.read(MAX_TICKET_FILE_SIZE_BYTES + 1 - len(first))
    if len(data) > MAX_TICKET_FILE_SIZE_BYTES:
        problem = f"holds more than {MAX_TICKET_FILE_SIZE_BYTES} bytes"
        yield Unreadable(source=source, problem=problem)
    else:
        yield from split_tickets(data, source)


def _is_ticket(line: bytes) -> bool:
    try:
        content = orjson.loads(line.removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        return False
    return isinstance(content, dict) and "signatures" in content


def _read_lines(file: BinaryIO, source: str, meter: Meter) -> Iterator[Document | Unreadable]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        where = f"{source}:{number}"
        meter.bytes_read += len(line)
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            yield Unreadable(source=where, problem=f"is a line of more than {MAX_LINE_BYTES} bytes")
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE_BYTES)
        elif text := line.removeprefix(_BYTE_ORDER_MARK).strip():
            yield Document(source=where, text=text)


def _zipped(file: BinaryIO, source: str, meter: Meter) -> Iterator[Document | Unreadable]:
    """Yield the Tickets in the files of an archive; an archive in it is no Ticket."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield from _members(archive, source, meter)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        yield Unreadable(source=source, problem=f"is no ZIP archive we can read: {error}")


def _members(
    archive: zipfile.ZipFile, source: str, meter: Meter
) -> Iterator[Document | Unreadable]:
    members = [one for one in archive.infolist() if not one.is_dir()]
    if len(members) > MAX_ARCHIVE_FILES:
        problem = f"holds {len(members)} files, more than {MAX_ARCHIVE_FILES}"
        yield Unreadable(source=source, problem=problem)
        return
    packed = max(1, os.fstat(archive.fp.fileno()).st_size if archive.fp else 1)
    left = MAX_ARCHIVE_EXPANSION * packed
    for member in members:
        where = f"{source}!{member.filename}"
        if member.compress_type not in _PACKED:
            problem = f"is packed by method {member.compress_type}, not stored or deflated"
            yield Unreadable(source=where, problem=problem)
            continue
        try:
            with archive.open(member) as opened:
                data = opened.read(min(left, MAX_TICKET_FILE_SIZE_BYTES) + 1)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as bad:
            yield Unreadable(source=where, problem=f"cannot be unpacked: {bad}")
            continue
        left -= len(data)
        if left < 0:
            problem = f"unpacks to more than {MAX_ARCHIVE_EXPANSION} times its {packed} bytes"
            yield Unreadable(source=source, problem=problem)
            return
        meter.bytes_read += member.compress_size
        if len(data) > MAX_TICKET_FILE_SIZE_BYTES:
            problem = f"holds more than {MAX_TICKET_FILE_SIZE_BYTES} bytes"
            yield Unreadable(source=where, problem=problem)
        else:
            yield from split_tickets(data, where)


def split_tickets(data: bytes, source: str) -> Iterator[Document | Unreadable]:
    """Yield the Tickets in the content of one file.

    A Ticket is passed on byte for byte, for its signatures and its strict decoding. Only the
    unsigned TicketList (OPC 10000-21 §8.2.5) is unpacked here.
    """
    data = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError:
        yield from _lines(data, source)
        return
    if isinstance(content, dict) and "signatures" not in content and "payload" not in content:
        yield from _ticket_list(content, source)
    else:
        yield Document(source=source, text=data)


def _lines(data: bytes, source: str) -> Iterator[Document | Unreadable]:
    """One JWS a line; a document that is no JSON at all counts as one line that is malformed."""
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    is_line_wise = sum(line.startswith(b"{") for _, line in lines) * 2 > len(lines)
    if not lines:
        yield Unreadable(source=source, problem="is empty")
    elif len(lines) == 1 or not is_line_wise:
        yield Document(source=source, text=data)
    else:
        for number, line in lines:
            yield Document(source=f"{source}:{number}", text=line.strip())


def _ticket_list(content: dict[str, object], source: str) -> Iterator[Document | Unreadable]:
    found = False
    for member in ("Devices", "Composites"):
        tickets = content.get(member)
        if tickets is None:
            continue
        found = True
        if not isinstance(tickets, list):
            yield Unreadable(source=f"{source}#{member}", problem="is not a list of Tickets")
            continue
        for at, ticket in enumerate(tickets):
            where = f"{source}#{member}[{at}]"
            if isinstance(ticket, str):
                yield Document(source=where, text=ticket)
            else:
                yield Unreadable(source=where, problem="is not a string that holds a Ticket")
    if not found:
        yield Unreadable(source=source, problem="is neither a Ticket nor a TicketList")


def find_der(paths: Iterable[Path]) -> Iterator[DerFile | Unreadable]:
    """Yield every certificate and CRL in the PEM and DER files at and below ``paths``."""
    for path in find_files(paths):
        if isinstance(path, Unreadable):
            yield path
            continue
        try:
            yield from split_der(read(path, MAX_CERTIFICATE_FILE_SIZE_BYTES), str(path))
        except FileInvalid as error:
            yield Unreadable(source=str(path), problem=str(error))


def split_der(data: bytes, source: str) -> Iterator[DerFile | Unreadable]:
    """Yield the certificates and CRLs in the content of one file."""
    if b"-----BEGIN " not in data:
        if data[:1] != b"\x30":
            yield Unreadable(source=source, problem="is neither PEM nor DER")
        else:
            yield DerFile(source=source, is_crl=None, der=data)
        return
    blocks = list(_PEM.finditer(data))
    if not blocks:
        yield Unreadable(source=source, problem="holds neither a certificate nor a CRL")
    for number, block in enumerate(blocks, 1):
        where = source if len(blocks) == 1 else f"{source}#{number}"
        if not block[3]:
            yield Unreadable(source=where, problem="has no end, or is no base64")
            return
        try:
            der = binascii.a2b_base64(b"".join(block[2].split()), strict_mode=True)
        except binascii.Error as error:
            yield Unreadable(source=where, problem=f"is not base64: {error}")
            continue
        yield DerFile(source=where, is_crl=block[1] == b"X509 CRL", der=der)


def _why(error: Exception) -> str:
    text = getattr(error, "strerror", None)
    return str(text or error)
