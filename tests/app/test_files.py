"""Files an operator names: each is found, bounded and cut, and none ends the work."""

from __future__ import annotations

import base64
import json
import os
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.app import files
from registrar.app.files import (
    DerFile,
    Document,
    Unreadable,
    find_der,
    find_files,
    find_tickets,
    split_der,
    split_tickets,
)

JWS = '{"payload":"e30","signatures":[{"protected":"e30","signature":"AA"}]}'


def sources(data: bytes | str) -> list[str]:
    data = data if isinstance(data, bytes) else data.encode()
    return [one.source for one in split_tickets(data, "f") if isinstance(one, Document)]


def problems(data: bytes) -> list[str]:
    return [one.problem for one in split_tickets(data, "f") if isinstance(one, Unreadable)]


def test_one_ticket_is_passed_on_byte_for_byte() -> None:
    spaced = json.dumps(json.loads(JWS), indent=2).encode()

    assert list(split_tickets(spaced, "f")) == [Document(source="f", text=spaced)]


def test_a_byte_order_mark_is_no_part_of_a_ticket() -> None:
    found = list(split_tickets(b"\xef\xbb\xbf" + JWS.encode(), "f"))

    assert found == [Document(source="f", text=JWS.encode())]


def test_a_ticket_list_is_unpacked() -> None:
    data = json.dumps({"Devices": [JWS, 4, JWS], "Composites": [JWS]})

    assert sources(data) == ["f#Devices[0]", "f#Devices[2]", "f#Composites[0]"]
    assert problems(data.encode()) == ["is not a string that holds a Ticket"]


def test_lines_are_tickets_of_their_own_and_bad_ones_stand_alone() -> None:
    data = f"{JWS}\n\n{{broken\n{JWS}\r\n"

    assert sources(data) == ["f:1", "f:3", "f:4"]


def test_a_broken_document_over_several_lines_stays_one() -> None:
    spaced = json.dumps(json.loads(JWS), indent=2)[:-2]

    assert sources(spaced) == ["f"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b'{"a":1}', "is neither a Ticket nor a TicketList"),
        (b'{"Devices":"x"}', "is not a list of Tickets"),
    ],
)
def test_what_holds_no_ticket_says_so(data: bytes, problem: str) -> None:
    assert problems(data) == [problem]


@given(st.binary())
def test_any_bytes_are_cut_into_documents_or_problems(data: bytes) -> None:
    found = list(split_tickets(data, "f"))

    assert found
    assert list(split_der(data, "f"))


def test_folders_are_walked_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.json", "a/2.json", "a/1.json", ".git/x.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(JWS)

    found = [
        path.relative_to(tmp_path) for path in find_files([tmp_path]) if isinstance(path, Path)
    ]

    assert [str(path) for path in found] == ["a/1.json", "a/2.json", "b.json"]


def test_what_cannot_be_read_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "good.json").write_text(JWS)
    (tmp_path / "loop").symlink_to("loop")

    found = list(find_tickets([tmp_path / "missing", tmp_path]))

    assert [isinstance(one, Document) for one in found] == [False, True, False, False]


@pytest.mark.parametrize("size", [-1, 0, 1])
def test_size_is_limited(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ticket.json"
    path.write_text(JWS)
    monkeypatch.setattr(files, "MAX_TICKET_FILE_SIZE_BYTES", len(JWS) - size)

    (found,) = find_tickets([path])

    assert isinstance(found, Unreadable) is (size == 1)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_depth_is_limited(tmp_path: Path, extra: int) -> None:
    deep = tmp_path.joinpath(*"d" * (files.MAX_FOLDER_DEPTH - 1 + extra))
    deep.mkdir(parents=True)
    (deep / "ticket.json").write_text(JWS)

    (found,) = find_files([tmp_path])

    assert isinstance(found, Unreadable) is (extra == 1)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_number_of_files_is_limited(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 3)
    for number in range(count):
        (tmp_path / str(number)).write_text(JWS)

    found = list(find_files([tmp_path]))

    assert isinstance(found[-1], Unreadable) is (count == 4)


def test_pem_holds_any_number_and_der_one() -> None:
    der = b"\x30\x03abc"
    block = base64.b64encode(der).decode()
    certificate = f"-----BEGIN CERTIFICATE-----\n{block}\n-----END CERTIFICATE-----\n"
    crl = certificate.replace("CERTIFICATE", "X509 CRL")

    assert list(split_der(der, "f")) == [DerFile(source="f", is_crl=None, der=der)]
    assert list(split_der(f"text\n{certificate}{crl}".encode(), "f")) == [
        DerFile(source="f#1", is_crl=False, der=der),
        DerFile(source="f#2", is_crl=True, der=der),
    ]


def test_a_block_without_an_end_is_the_last_that_is_read() -> None:
    """A scan for each end takes a minute for these 3 MB; all of them take a moment."""
    found = list(split_der(b"-----BEGIN CERTIFICATE-----\n" * 100_000, "f"))

    assert found == [Unreadable(source="f#1", problem="has no end, or is no base64")]


def test_a_private_key_is_not_taken_for_a_certificate(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")

    (found,) = find_der([path])

    assert found == Unreadable(source=str(path), problem="holds neither a certificate nor a CRL")


def zipped(path: Path, members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_an_archive_is_read_like_a_folder(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "d.zip",
        {"a/one.json": JWS.encode(), "list.json": json.dumps({"Devices": [JWS]}).encode()},
    )

    found = list(find_tickets([path]))

    assert [one.source for one in found] == [
        f"{path}!a/one.json",
        f"{path}!list.json#Devices[0]",
    ]
    assert all(isinstance(one, Document) for one in found)


def test_an_archive_that_unpacks_without_end_is_left(tmp_path: Path) -> None:
    bomb = {str(number): bytes(1 << 20) for number in range(4)}
    path = zipped(tmp_path / "bomb.zip", {"0.json": JWS.encode(), **bomb})

    *_, last = find_tickets([path])

    assert isinstance(last, Unreadable)
    assert last.problem.startswith(f"unpacks to more than {files.MAX_ARCHIVE_EXPANSION} times")


def test_a_damaged_member_leaves_the_others_alone(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "d.zip",
        {"bad": b"x" * 400, "good": JWS.encode()},
        method=zipfile.ZIP_STORED,
    )
    path.write_bytes(path.read_bytes().replace(b"x" * 400, b"y" * 400))

    bad, good = find_tickets([path])

    assert isinstance(bad, Unreadable)
    assert bad.problem.startswith("cannot be unpacked")
    assert isinstance(good, Document)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_packed_otherwise_than_deflated_is_not_unpacked(
    tmp_path: Path, method: int
) -> None:
    archive = zipped(tmp_path / "d.zip", {"bad": bytes(400)}, method=method)
    data = bytearray(archive.read_bytes())
    data[42] ^= 0xFF  # in what is packed: the decoder's error would leave what follows unread
    archive.write_bytes(data)
    (tmp_path / "good.json").write_text(JWS)

    bad, good = find_tickets([tmp_path])

    assert isinstance(bad, Unreadable)
    assert bad.problem.startswith(f"is packed by method {method}")
    assert isinstance(good, Document)


def test_a_truncated_archive_says_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "d.zip", {"good": JWS.encode()})
    path.write_bytes(path.read_bytes()[:-10])

    (found,) = find_tickets([path])

    assert isinstance(found, Unreadable)
    assert "is no ZIP archive" in found.problem


def test_too_many_files_in_an_archive_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_ARCHIVE_FILES", 2)
    path = zipped(tmp_path / "d.zip", dict.fromkeys("abc", JWS.encode()))

    (found,) = find_tickets([path])

    assert isinstance(found, Unreadable)
    assert found.problem == "holds 3 files, more than 2"


def test_an_endless_line_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 100)
    path = tmp_path / "t.jsonl"
    path.write_text(f"{JWS}\n{'x' * 1000}\n{JWS}\n")

    found = list(find_tickets([path]))

    assert [(one.source, isinstance(one, Document)) for one in found] == [
        (f"{path}:1", True),
        (f"{path}:2", False),
        (f"{path}:3", True),
    ]


def test_the_meter_ends_at_the_size_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text(f"{JWS}\n" * 5)
    (tmp_path / "one.json").write_text(JWS)
    zipped(tmp_path / "z.zip", {"good": JWS.encode()})
    meter = files.Meter()

    list(find_tickets([tmp_path], meter))

    assert meter.bytes_read == files.size_of([tmp_path]) > 0


def test_names_in_an_archive_are_only_said_and_lead_nowhere(tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    (tmp_path / "secret.json").write_text(JWS)
    link = zipfile.ZipInfo("link.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    names = ("../secret.json", "/etc/hostname", "..\\..\\up.json", "same.json", "same.json")
    with zipfile.ZipFile(inside / "d.zip", "w") as archive:
        for name in names[:-1]:
            archive.writestr(name, JWS)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(names[-1], JWS)
        archive.writestr(link, str(tmp_path / "secret.json"))
    before = sorted(tmp_path.rglob("*"))

    *found, target = find_tickets([inside])

    zipped_as = [f"{inside / 'd.zip'}!{name}" for name in names]
    assert found == [Document(source=one, text=JWS.encode()) for one in zipped_as]
    assert target == Document(
        source=f"{inside / 'd.zip'}!link.json", text=bytes(tmp_path / "secret.json")
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_links_of_a_folder_are_followed_to_a_depth(tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text(JWS)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "1.json").symlink_to("../outside.json")
    (folder / "2").symlink_to("missing")
    (folder / "3").symlink_to("/dev/null")
    (folder / "4").symlink_to(".")

    found = list(find_tickets([folder]))

    depth = files.MAX_FOLDER_DEPTH
    assert sum(isinstance(one, Document) for one in found) == depth
    problems = {one.problem for one in found if isinstance(one, Unreadable)}
    assert problems == {
        "No such file or directory",
        "is neither a file nor a folder",
        f"is deeper than {depth} folders",
    }
