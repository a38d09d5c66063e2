"""The demo, seen from outside: a plant is onboarded, and every device says so itself.

    registrar demo ─┬─ site ◀── import ── delivery
                    ├─ fleet (own process) ◀──TCP── campaign
                    └─ judge ──TCP──▶ fleet, compared with truth.json

"If a Device cannot be authenticated it is not accepted" (OPC 10000-21 §4.2).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from registrar.errors import Reason
from registrar.store.invariants import check

DEVICES = 28
BUDGET_S = 90
"""Only a hang takes as long."""

IMPOSTORS = {
    Reason.TICKET_MISSING,
    Reason.TICKET_SIGNATURE_INVALID,
    Reason.TICKET_SIGNER_UNTRUSTED,
    Reason.TICKET_SIGNER_REVOKED,
    Reason.DEVICE_CERTIFICATE_REVOKED,
    Reason.DEVICE_CERTIFICATE_UNTRUSTED,
    Reason.KEY_NOT_PROVEN,
    Reason.COMPOSITE_PARTIAL_MATCH,
    Reason.PRODUCT_INSTANCE_URI_CONFLICT,
    Reason.ALREADY_OWNED,
    Reason.CHANGES_NOT_EFFECTIVE,
}

NUMBERS = ("wall_s", "devices_per_s", "registrar_cpu_ms_per_device", "registrar_peak_rss_mb")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_every_genuine_device_is_onboarded_and_every_impostor_refused(
    tmp_path: Path, seed: int
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "registrar", "demo", "--json"),
            *("--devices", str(DEVICES), "--seed", str(seed), "--keep", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        timeout=BUDGET_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = done.stdout.splitlines()
    report = json.loads(line)
    assert report["wrong"] == 0, report["mistakes"]
    assert report["devices"] == DEVICES
    assert report["genuine"] + report["impostors"] == DEVICES
    assert report["onboarded"] == report["genuine"]
    assert report["refused"] == report["impostors"] == len(IMPOSTORS)
    assert report["reasons"] == dict.fromkeys(map(str, IMPOSTORS), 1)
    assert all(report[name] > 0 for name in NUMBERS)
    assert "Traceback" not in done.stderr
    assert check(tmp_path / "site" / "registrar.db") == []


@pytest.mark.slow
def test_a_demo_leaves_a_folder_alone_that_holds_files(tmp_path: Path) -> None:
    (tmp_path / "delivery").write_text("in the way")

    done = subprocess.run(
        [sys.executable, "-m", "registrar", "demo", "--devices", "2", "--keep", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=BUDGET_S,
        check=False,
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert "holds files already" in done.stderr.splitlines()[-1]
    assert (tmp_path / "delivery").read_text() == "in the way"
    assert "Traceback" not in done.stderr
