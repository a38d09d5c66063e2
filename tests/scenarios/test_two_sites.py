"""Two sites onboard the same Devices at the same time; each Device ends with exactly one owner.

    site 0 ─▶ ┐                    ┌─ onboarded by one
              ├─ the same Devices ─┤
    site 1 ─▶ ┘                    └─ for the other in conflict, the owner's certificate named

The first Registrar that delivers certificate and TrustList wins (OPC 10000-21 §7.3).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from registrar.app.site import Site
from registrar.store.invariants import check
from tests.scenarios.processes import outcomes, plant
from tests.scenarios.world import certificates_at

pytestmark = pytest.mark.slow

DEVICES = 100
OWNS = {"onboarded", "software_pending"}
"""The SoftwareUpdateManager of the plant reports to one of the sites only."""


@pytest.mark.timeout(300)
@pytest.mark.clause("R130")
@pytest.mark.clause("R129")
async def test_each_device_has_one_owner_and_the_loser_learns_which(tmp_path: Path) -> None:
    async with plant(tmp_path, devices=DEVICES, base="127.32.0.1", sites=2) as running:
        ended = await asyncio.gather(
            *(outcomes(site, running.delivery, "--listen") for site in running.sites)
        )
        owners = {
            first.url: next(
                site
                for site, line in zip(running.sites, (first, second), strict=True)
                if line.state in OWNS
            )
            for first, second in zip(
                *(sorted(lines, key=attrgetter("url")) for lines in ended), strict=True
            )
        }
        served = {at: (await certificates_at(owners[at], at))[0] for at in owners}

    assert len(owners) == DEVICES
    for site, lines in zip(running.sites, ended, strict=True):
        lost = {line.url for line in lines if line.state not in OWNS}
        details = details_of(site)
        assert lost == {at for at, owner in owners.items() if owner is not site}
        assert {(line.state, line.reason) for line in lines if line.url in lost} <= {
            ("conflict", "already_owned")
        }
        assert [at for at in lost if not names(details[at], served[at])] == []
        assert check(site.directory / "registrar.db") == []


def names(detail: str, certificate: bytes) -> bool:
    """Tell whether ``detail`` names ``certificate`` by a thumbprint."""
    parsed = x509.load_der_x509_certificate(certificate)
    prints = {parsed.fingerprint(digest()).hex() for digest in (hashes.SHA1, hashes.SHA256)}
    return any(thumbprint in detail.lower() for thumbprint in prints)


def details_of(site: Site) -> Mapping[str, str]:
    with sqlite3.connect(site.directory / "registrar.db") as database:
        return dict(database.execute("SELECT url, detail FROM enrolments").fetchall())
