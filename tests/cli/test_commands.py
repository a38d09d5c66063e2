"""The commands that need no device: what they print, in every format, and how they end."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from registrar import __version__
from registrar.app.site import Site
from registrar.errors import Reason
from registrar.native import missing_extensions
from registrar.store import software
from tests.app.delivery import make_maker, uri_of
from tests.cli.conftest import Run

SITE_COMMANDS = [
    ("trust", "list"),
    ("tickets", "list"),
    ("status",),
    ("explain", "urn:x:y"),
    ("software", "urn:x:y", "--current", "1"),
    ("onboard", "opc.tcp://127.0.0.1:1", "--dry-run"),
]


def placed(command: tuple[str, ...], site: Path) -> list[str]:
    """Return the words of ``command`` with SITE where it belongs."""
    groups = 2 if command[0] in ("trust", "tickets") else 1
    return [*command[:groups], str(site), *command[groups:]]


def test_version_says_compiled_or_pure(run: Run) -> None:
    result = run("--version")

    build = "pure" if missing_extensions() else "compiled"
    assert result.stdout.startswith(f"registrar {__version__} ({build}")


@pytest.mark.parametrize("command", SITE_COMMANDS, ids=" ".join)
def test_a_folder_that_is_no_site_is_misuse_in_one_line(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    result = run(*placed(command, tmp_path))

    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert str(tmp_path) in line
    assert "[configuration_invalid]; next: " in line


@pytest.mark.parametrize("command", SITE_COMMANDS, ids=" ".join)
def test_a_broken_configuration_names_key_and_line(
    run: Run, site: Path, command: tuple[str, ...]
) -> None:
    config = site / "config.toml"
    config.write_text("[onboarding]\nconcurrency = 0\n")

    result = run(*placed(command, site))

    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"{config}:2: onboarding.concurrency is 0" in line


@pytest.mark.parametrize("command", SITE_COMMANDS, ids=" ".join)
def test_a_damaged_database_is_unavailable(run: Run, site: Path, command: tuple[str, ...]) -> None:
    (site / "registrar.db").write_bytes(b"no database" * 1000)

    result = run(*placed(command, site))

    assert result.exit_code == 3
    (line,) = result.stderr.splitlines()
    assert "[store_unavailable]; next: " in line


def test_init_prints_where_everything_lies(run: Run, tmp_path: Path) -> None:
    result = run("init", tmp_path / "plant")

    assert result.exit_code == 0
    rows = dict(line.split("\t") for line in result.stdout.splitlines())
    assert all(Path(path).is_file() for path in rows.values())
    assert rows["configuration"].endswith("config.toml")


def test_init_takes_certificate_and_key_together(run: Run, tmp_path: Path) -> None:
    result = run("init", tmp_path / "plant", "--issuing-ca", "ca.pem")

    assert result.exit_code == 2
    assert "belong together" in result.stderr
    assert not (tmp_path / "plant").exists()


def test_init_uses_the_ca_it_is_given(run: Run, site: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    parts = [site / "ca" / "applications.pem", site / "ca" / "root-crl.pem"]
    bundle.write_bytes(b"".join(part.read_bytes() for part in parts))
    key = site / "ca" / "applications-key.pem"

    result = run("init", tmp_path / "other", "--issuing-ca", bundle, "--issuing-key", key)

    assert result.exit_code == 0, result.stderr
    other = Site.open(tmp_path / "other").authorities
    assert other.applications.chain == Site.open(site).authorities.applications.chain


def test_trust_is_added_listed_and_removed(run: Run, site: Path, tmp_path: Path) -> None:
    certificate, crl = make_maker().write_authorities(tmp_path / "authorities")

    added = run("trust", "add", site, "ticket_authorities", certificate, crl, "--json")
    thumbprint = json.loads(added.stdout.splitlines()[0])["thumbprint"]
    listed = run("trust", "list", site)
    removed = run("trust", "remove", site, "ticket_authorities", thumbprint[:8], "--yes")

    assert (added.exit_code, listed.exit_code, removed.exit_code) == (0, 0, 0)
    assert thumbprint in listed.stdout
    assert thumbprint in removed.stdout
    assert thumbprint not in run("trust", "list", site).stdout


def test_an_authority_is_limited_and_stopped(run: Run, site: Path, tmp_path: Path) -> None:
    certificate, crl = make_maker().write_authorities(tmp_path)
    limits = ["--manufacturer", "Example AG", "--uri-prefix", "urn:example.com:", "--count", "5"]
    until = ["--until", "2040-02-29"]

    added = run("trust", "add", site, "ticket_authorities", certificate, crl, *limits, *until)
    listed = run("trust", "list", site, "--json").stdout
    thumbprint = json.loads(listed.splitlines()[0])["thumbprint"]
    asked = run("trust", "stop", site, thumbprint[:8], stdin="n\n")
    stopped = run("trust", "stop", site, thumbprint[:8], "--yes")
    afterwards = run("trust", "list", site).stdout
    lifted = run("trust", "stop", site, thumbprint[:8], "--yes", "--lift")

    assert added.exit_code == stopped.exit_code == lifted.exit_code == 0
    assert asked.exit_code != 0
    assert "2040-02-29T23:59:59.999999+00:00, at most 5 Tickets" in listed
    assert "stopped 20" in afterwards
    assert "stopped 20" not in run("trust", "list", site).stdout


def test_only_ticket_authorities_have_a_scope(run: Run, site: Path) -> None:
    result = run("trust", "add", site, "administrators", "x.pem", "--count", "1")

    assert result.exit_code == 2
    assert "scope" in result.stderr


@pytest.mark.parametrize("answer", ["n\n", ""], ids=["no", "nobody there"])
def test_trust_remove_asks(run: Run, site: Path, tmp_path: Path, answer: str) -> None:
    certificate, _ = make_maker().write_authorities(tmp_path / "authorities")
    added = run("trust", "add", site, "ticket_authorities", certificate, "--json")
    thumbprint = json.loads(added.stdout)["thumbprint"]

    refused = run("trust", "remove", site, "ticket_authorities", thumbprint, stdin=answer)

    assert refused.exit_code == 2
    assert "nothing was changed; next: answer y, or give --yes" in refused.stderr
    assert thumbprint in run("trust", "list", site).stdout


def test_a_bad_file_among_authorities_ends_with_1_and_its_name(
    run: Run, site: Path, tmp_path: Path
) -> None:
    certificate, _ = make_maker().write_authorities(tmp_path / "authorities")
    bad = tmp_path / "bad.pem"
    bad.write_text("hello")

    result = run("trust", "add", site, "device_identity_authorities", bad, certificate, "--csv")

    assert result.exit_code == 1
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["source"] for row in rows] == [str(bad), str(certificate)]
    assert [bool(row["problem"]) for row in rows] == [True, False]


def test_an_unknown_list_is_misuse(run: Run, site: Path) -> None:
    result = run("trust", "add", site, "friends", "x.pem")

    assert result.exit_code == 2
    assert "ticket_authorities" in result.stderr


@pytest.fixture
def delivered(run: Run, site: Path, tmp_path: Path) -> Path:
    """A folder with a good and a bad Ticket of a maker the site trusts."""
    maker = make_maker()
    run("trust", "add", site, "ticket_authorities", *maker.write_authorities(tmp_path / "trust"))
    folder = tmp_path / "tickets"
    folder.mkdir()
    (folder / "good.json").write_text(maker.ticket(1))
    (folder / "bad.json").write_text(make_maker("Other").ticket(2))
    return folder


def test_tickets_are_imported_and_the_refused_are_printed(
    run: Run, site: Path, delivered: Path
) -> None:
    result = run("tickets", "import", site, delivered)

    assert result.exit_code == 1
    assert result.stderr == "1 Tickets imported, 1 refused\n"
    (line,) = result.stdout.splitlines()
    columns = line.split("\t")
    assert columns[:2] == [str(delivered / "bad.json"), "refused"]
    assert columns[3:5] == [uri_of(2), Reason.TICKET_SIGNER_UNTRUSTED]


def test_good_tickets_alone_end_with_0(run: Run, site: Path, delivered: Path) -> None:
    result = run("tickets", "import", site, delivered / "good.json", "--all", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["result"] == "valid"


def test_verifying_prints_both_and_keeps_nothing(run: Run, site: Path, delivered: Path) -> None:
    result = run("tickets", "verify", site, delivered, "--json")

    assert result.exit_code == 1
    assert [json.loads(line)["result"] for line in result.stdout.splitlines()] == [
        "refused",
        "valid",
    ]
    assert run("tickets", "list", site).stdout == ""


def test_tickets_are_listed_in_every_format(run: Run, site: Path, delivered: Path) -> None:
    run("tickets", "import", site, delivered)

    text = run("tickets", "list", site).stdout
    kept = json.loads(run("tickets", "list", site, "--json").stdout)
    (refused,) = csv.DictReader(
        io.StringIO(run("tickets", "list", site, "--refused", "--csv").stdout)
    )

    assert text.split("\t")[:3] == ["DeviceIdentityTicketType", uri_of(1), "Example AG"]
    assert (kept["uri"], kept["model"], kept["serial_number"]) == (uri_of(1), "Pump", "1")
    assert (refused["uri"], refused["reason"]) == (uri_of(2), "ticket_signer_untrusted")


def test_two_formats_at_once_are_misuse(run: Run, site: Path) -> None:
    assert run("status", site, "--json", "--csv").exit_code == 2


def test_software_can_be_reported_before_the_device_is_seen(run: Run, site: Path) -> None:
    result = run("software", site, uri_of(1), "--current", "2.0")

    assert (result.exit_code, result.stdout) == (0, f"{uri_of(1)}\t2.0\n")
    with Site.open(site).store() as store:
        told = software.last_report(store.reader, uri_of(1))
    assert told is not None
    assert (told.is_current, told.revision) == (True, "2.0")


@pytest.mark.parametrize("device", ["4711", "opc.tcp://10.0.0.1:4840"])
def test_software_of_an_unknown_device_is_misuse(run: Run, site: Path, device: str) -> None:
    result = run("software", site, device, "--current", "2.0")

    assert result.exit_code == 2
    assert device in result.stderr


def test_explain_knows_tickets_of_devices_nobody_has_seen(
    run: Run, site: Path, delivered: Path
) -> None:
    run("tickets", "import", site, delivered)

    good = run("explain", site, uri_of(1))
    bad = json.loads(run("explain", site, uri_of(2), "--json").stdout)

    assert good.exit_code == 0
    assert "no device of that name was seen" in good.stdout
    assert "imported" in good.stdout
    assert bad["refused_tickets"][0]["reason"] == "ticket_signer_untrusted"
    assert run("explain", site, uri_of(3)).exit_code == 2


def test_a_file_of_urls_that_is_missing_is_misuse(run: Run, site: Path) -> None:
    result = run("onboard", site, "missing.txt")

    assert result.exit_code == 2
    assert "missing.txt" in result.stderr


def test_a_dry_run_excludes_what_writes(run: Run, site: Path) -> None:
    assert run("onboard", site, "--dry-run", "--listen").exit_code == 2
    assert run("onboard", site, "--dry-run", "--retry", "refused").exit_code == 2
