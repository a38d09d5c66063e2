"""URLs for a campaign: good ones are taken once, bad ones are named with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.app.urls import read_urls, url_problem
from registrar.errors import FileInvalid
from registrar.store.enrolments import MAX_URL


def test_arguments_and_files_are_read_in_order_and_once(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.txt"
    path.write_text("# plant\nopc.tcp://10.0.0.2:4840\n\n  opc.tcp://10.0.0.1:4840  \n")

    urls, problems = read_urls(["opc.tcp://10.0.0.1:4840", str(path)])

    assert urls == ["opc.tcp://10.0.0.1:4840", "opc.tcp://10.0.0.2:4840"]
    assert problems == []


def test_a_bad_line_is_named_and_the_others_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.txt"
    path.write_bytes(b"opc.tcp://10.0.0.1:4840\nhttp://10.0.0.2\n\xff\xfe\nopc.tcp://h:99999\n")

    urls, problems = read_urls([str(path)])

    assert urls == ["opc.tcp://10.0.0.1:4840"]
    assert [problem.split(" ")[0] for problem in problems] == [f"{path}:{n}:" for n in (2, 3, 4)]


def test_a_file_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(FileInvalid, match="No such file"):
        read_urls(["missing.txt"])


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_length_is_limited(extra: int) -> None:
    url = "opc.tcp://plc:4840/".ljust(MAX_URL + extra, "x")

    assert bool(url_problem(url)) is (extra == 1)


@pytest.mark.parametrize(
    "url", ["opc.tcp://plc", "opc.tcp://[::1]:4840", "opc.tcp://10.0.0.1:4840/path"]
)
def test_urls_of_devices_are_taken(url: str) -> None:
    assert url_problem(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "plc:4840",
        "opc.https://plc",
        "opc.tcp://",
        "opc.tcp://:4840",
        "opc.tcp://plc:0",
        "opc.tcp://plc:x",
        "opc.tcp://pl\x1bc",
        "opc.tcp://[::1",
        "file:///etc/passwd",
    ],
)
def test_urls_that_lead_elsewhere_are_refused(url: str) -> None:
    assert url_problem(url)


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    url_problem(text)
