"""What a person reads who named the wrong thing: what, where, and what to do now."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from registrar.app import site as sites
from registrar.cli.onboard import SHOWN_PROBLEMS
from registrar.errors import StoreUnavailable
from tests.app.signers import write_signer
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("command", "action"),
    [
        (["status", "missing"], "Name the folder of a site, or make one: registrar init missing"),
        (["init", "SITE"], "Name an empty folder, or one that does not exist."),
        (["explain", "SITE", "4711"], "Take the name from registrar status --devices."),
        (
            ["software", "SITE", "4711", "--current", "1"],
            "Take the name from registrar status --devices.",
        ),
        (
            ["trust", "remove", "SITE", "ticket_authorities", "deadbeef"],
            "Take the thumbprint from registrar trust list.",
        ),
        (
            ["trust", "stop", "SITE", "d", "--yes"],
            "Take the thumbprint from registrar trust list.",
        ),
        (
            ["onboard", "SITE", "10.0.0.7:4840"],
            "Give a URL such as opc.tcp://10.0.0.7:4840, or a file with one URL a line.",
        ),
        (
            ["demo", "--devices", "1", "--keep", "SITE"],
            "Name an empty folder, or one that does not exist.",
        ),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_misuse_ends_with_what_to_do_now(
    run: Run, site: Path, command: list[str], action: str
) -> None:
    result = run(*(site if word == "SITE" else word for word in command))

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].endswith(f"; next: {action}")


def test_a_file_in_the_place_of_a_folder_is_misuse(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = run("demo", "--devices", "1", "--keep", tmp_path / "file")

    assert result.exit_code == 2
    assert f"{tmp_path / 'file'}: cannot be used: File exists" in result.stderr


def test_a_full_disk_is_unavailable(run: Run, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sites.Site, "store", full)

    result = run("status", site)

    assert result.exit_code == 3
    assert "No space left on device [store_unavailable]; next: Free disk space" in result.stderr


def test_a_site_that_cannot_be_made_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreUnavailable("nothing was stored: database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(sites, "_trust_own", full)
        failed = run("init", tmp_path / "plant")

    assert failed.exit_code == 3
    assert not (tmp_path / "plant").exists()
    assert run("init", tmp_path / "plant").exit_code == 0


def test_a_folder_that_was_there_before_stays(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreUnavailable("nothing was stored: database or disk is full")

    monkeypatch.setattr(sites, "_trust_own", full)

    assert run("init", tmp_path).exit_code == 3
    assert tmp_path.is_dir()


def test_a_missing_issuing_ca_is_misuse_and_named(run: Run, tmp_path: Path) -> None:
    ca, key = tmp_path / "ca.pem", tmp_path / "ca.key"

    result = run("init", tmp_path / "plant", "--issuing-ca", ca, "--issuing-key", key)

    assert result.exit_code == 2
    assert f"{ca}: cannot be read: No such file or directory [file_invalid]" in result.stderr


def test_an_issuing_ca_without_a_certificate_is_named_as_it_was_given(
    run: Run, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate")

    result = run("init", tmp_path / "plant", "--issuing-ca", ca, "--issuing-key", ca)

    assert result.exit_code == 2
    assert f"{ca}: holds no certificate in PEM [file_invalid]" in result.stderr


@pytest.mark.parametrize("missing", ["--certificate", "--key", "--authority"])
def test_a_missing_file_of_a_signer_is_misuse_and_named(
    run: Run, tmp_path: Path, missing: str
) -> None:
    signer = write_signer(tmp_path, "Maker")
    files = {
        "--certificate": signer.certificate,
        "--key": signer.key,
        "--authority": signer.certificate,
    }
    files[missing] = tmp_path / "missing.pem"
    options = [word for option in files.items() for word in option]
    (tmp_path / "devices.csv").write_text("ProductInstanceUri\nurn:example.com:1\n")

    result = run("tickets", "create", tmp_path / "devices.csv", *options)

    assert result.exit_code == 2
    assert f"{files[missing]}: cannot be read: No such file or directory" in result.stderr


def test_a_composite_that_is_no_uri_is_misuse(run: Run, site: Path) -> None:
    signer = ["--certificate", "s.pem", "--key", "s.key"]

    result = run("tickets", "sign", site, "ticket.json", *signer, "--composite", "no uri")

    assert result.exit_code == 2
    assert "--composite: is no URI" in result.stderr


def test_a_missing_table_is_misuse_and_named(run: Run, site: Path, tmp_path: Path) -> None:
    table = tmp_path / "assets.csv"

    result = run("tickets", "reconcile", site, table)

    assert result.exit_code == 2
    assert f"{table}: cannot be read: No such file or directory [file_invalid]" in result.stderr


def test_a_ticket_that_is_not_there_is_sought_in_the_list(run: Run, site: Path) -> None:
    result = run("tickets", "show", site, "urn:x")

    assert result.exit_code == 1
    assert result.stderr.endswith(f"; next: take a URI from registrar tickets list {site}\n")


def test_who_stops_reading_is_told_nothing(site: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    result = subprocess.run(
        [sys.executable, "-m", "registrar", "trust", "list", str(site)],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)

    assert (result.returncode, result.stderr) == (141, "")


def test_a_file_that_names_no_device_is_misuse(run: Run, site: Path, tmp_path: Path) -> None:
    urls = tmp_path / "endpoints.txt"
    urls.write_text("# nothing yet\n")

    result = run("onboard", site, urls)

    assert result.exit_code == 2
    assert f"{urls}: names no device" in result.stderr


def test_a_wrong_file_of_urls_does_not_flood_the_screen(
    run: Run, site: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "photo.jpg"
    wrong.write_text("no url\n" * 1000)

    result = run("onboard", site, wrong)

    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[SHOWN_PROBLEMS] == f"registrar: {1000 - SHOWN_PROBLEMS} more lines like these"
    assert len(lines) == SHOWN_PROBLEMS + 2


def test_a_dry_run_of_nothing_is_misuse(run: Run, site: Path) -> None:
    result = run("onboard", site, "--dry-run")

    assert result.exit_code == 2
    assert "--dry-run needs a FILE or URL" in result.stderr


def test_a_revision_is_not_empty(run: Run, site: Path) -> None:
    result = run("software", site, "urn:example.com:pump:1", "--current", " ")

    assert result.exit_code == 2
    assert "--current" in result.stderr


def test_trust_says_how_many_were_added(run: Run, site: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    result = run("trust", "add", site, "administrators", tmp_path / "empty")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "0 certificates and CRLs added, 0 refused\n"


def test_a_refused_ticket_says_what_to_do(run: Run, site: Path, tmp_path: Path) -> None:
    bad = tmp_path / "ticket.json"
    bad.write_text("{}")

    (line,) = run("tickets", "import", site, bad).stdout.splitlines()

    assert line.split("\t")[-1].endswith(".")


def test_commands_are_listed_whole_on_eighty_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    for group in ([], ["trust"], ["tickets"]):
        listed = run(*group, "--help").stdout.split("Commands:")[1].split("Examples:")[0]
        assert "..." not in listed
