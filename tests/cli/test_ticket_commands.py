"""The commands for people who make, compare and read Tickets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registrar.app import trust
from registrar.app.site import Site
from registrar.core.trust import TrustListName
from tests.app.delivery import uri_of
from tests.app.signers import SignerFiles, write_signer
from tests.cli.conftest import Run


@pytest.fixture
def maker(site: Path, tmp_path: Path) -> SignerFiles:
    """A maker that the site trusts."""
    signer = write_signer(tmp_path / "keys", "Maker")
    files = signer.maker.write_authorities(tmp_path / "authorities")
    with Site.open(site).store() as store:
        list(trust.add(store, TrustListName.TICKET_AUTHORITIES, files))
    return signer


def test_from_a_table_to_a_compared_delivery(
    run: Run, site: Path, maker: SignerFiles, tmp_path: Path
) -> None:
    table, made, signed = (tmp_path / name for name in ("d.csv", "made.jsonl", "signed.jsonl"))
    table.write_text(f"ProductInstanceUri,ModelName,SerialNumber\n{uri_of(1)},Pump,1\n")
    signer = ("--certificate", maker.certificate, "--key", maker.key)

    created = run("tickets", "create", table, *signer)
    made.write_text(created.stdout)
    counter_signed = run("tickets", "sign", site, made, *signer, "--composite", "urn:e:cell:1")
    signed.write_text(counter_signed.stdout)
    imported = run("tickets", "import", site, signed)
    reconciled = run("tickets", "reconcile", site, table, "--all", "--json")

    assert [one.exit_code for one in (created, counter_signed, imported, reconciled)] == [0] * 4
    assert len(json.loads(signed.read_text())["signatures"]) == 2
    assert imported.stderr == "1 Tickets imported, 0 refused\n"
    assert json.loads(reconciled.stdout)["result"] == "expected"
    assert reconciled.stderr.startswith("1 expected, 0 missing")


def test_reconcile_exits_with_1_where_something_differs(
    run: Run, site: Path, tmp_path: Path
) -> None:
    table = tmp_path / "d.csv"
    table.write_text("SerialNumber\n17\n")

    result = run("tickets", "reconcile", site, table)

    assert result.exit_code == 1
    assert result.stdout.split("\t")[0] == "missing"


def test_sign_names_what_it_refuses_on_stderr(
    run: Run, site: Path, maker: SignerFiles, tmp_path: Path
) -> None:
    path = tmp_path / "strange.json"
    path.write_text(write_signer(tmp_path / "keys", "Stranger").maker.ticket(1))

    result = run(
        "tickets", "sign", site, path, "--certificate", maker.certificate, "--key", maker.key
    )

    assert (result.exit_code, result.stdout) == (1, "")
    assert "ticket_signer_untrusted" in result.stderr


def test_show_says_whose_signature_counts(
    run: Run, site: Path, maker: SignerFiles, tmp_path: Path
) -> None:
    path = tmp_path / "t.json"
    document = json.loads(maker.maker.ticket(1))
    stranger = json.loads(write_signer(tmp_path / "keys", "Stranger").maker.ticket(1))
    document["signatures"] += stranger["signatures"]
    path.write_text(json.dumps(document))

    from_file = run("tickets", "show", site, path, "--json")
    run("tickets", "import", site, path)
    from_site = run("tickets", "show", site, uri_of(1), "--json")

    for result in (from_file, from_site):
        assert result.exit_code == 0
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        says = {row["what"]: row["says"] for row in rows}
        assert says["Ticket"] == f"for the Device {uri_of(1)}"
        assert says["signature 1"].startswith("counts: by CN=Maker Tickets")
        assert says["signature 2"].startswith("does not count (ticket_sign")
        assert says["believed"].startswith("because of CN=Maker Tickets")


def test_show_gives_the_reason_of_a_refused_ticket(run: Run, site: Path, tmp_path: Path) -> None:
    path = tmp_path / "strange.json"
    path.write_text(write_signer(tmp_path / "keys", "Stranger").maker.ticket(1))

    result = run("tickets", "show", site, path)

    assert result.exit_code == 1
    assert "refused\tticket_signer_untrusted: " in result.stdout
    assert "; next: " in result.stdout


def test_show_of_nothing_says_so(run: Run, site: Path) -> None:
    result = run("tickets", "show", site, "urn:nobody:1")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "urn:nobody:1 is no file, and no Ticket" in result.stderr
