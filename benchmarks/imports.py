"""How long does a site take to import a delivery of Tickets, and does anything beside it wait?

Workload: one file with a Ticket a line, of three manufacturers with P-256 and two with RSA-2048,
imported by ``Registrar.import_tickets``, which lets ``registrar tickets import`` do it, into a
site's database with full sync. On the event loop of that Registrar a task sleeps a millisecond at
a time: what it sleeps longer is what it waits. For 100,000 Tickets ``import_s`` has to stay at or
below 15, ``wait_p99_ms`` at or below 2, ``peak_rss_mb``, of the importing process, at or below 200.

    python -m benchmarks.imports [--tickets 100000] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from time import perf_counter

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from benchmarks.report import show
from registrar.app import trust
from registrar.app.registrar import Registrar
from registrar.app.site import Site
from registrar.cli.runner import run as run_command
from registrar.core.trust import TrustListName
from registrar.native import is_compiled
from registrar.simulate.manufacturer import Revocation, root_authority
from registrar.simulate.tickets import Algorithm, Claims, Signature, device_payload, sign
from registrar.store import tickets as stored

IMPORT_S_PER_TICKET = 15 / 100_000
WAIT_P99_MS = 2.0
PEAK_RSS_MB = 200.0
SLEEP_S = 0.001


def make_delivery(count: int, directory: Path) -> None:
    """Write ``count`` Tickets, and what they rest on, into ``directory``."""
    now = datetime.now(UTC)
    (directory / "authorities").mkdir()
    signatures: list[Signature] = []
    for number in range(5):
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = (
            ec.generate_private_key(ec.SECP256R1())
            if number < 3
            else rsa.generate_private_key(65537, 2048)
        )
        name = f"Maker {number}"
        root = root_authority(
            f"{name} Root",
            ec.generate_private_key(ec.SECP256R1()),
            serial=x509.random_serial_number() >> 96,
            revocation=Revocation.CRL,
            now=now,
        )
        signer = root.signer(f"{name} Tickets", key)
        algorithm = Algorithm.ES256 if number < 3 else Algorithm.RS256
        signatures.append(Signature(signer=signer, algorithm=algorithm))
        for kind, der in (("der", root.chain[0]), ("crl", root.crl())):
            (directory / "authorities" / f"{number}.{kind}").write_bytes(der)
    with (directory / "tickets.jsonl").open("w") as file:
        for number in range(count):
            claims = Claims(
                manufacturer_name="Example AG",
                model_name="Pump",
                serial_number=str(number),
                software_revision="1.0",
                manufacture_date=now,
            )
            payload = device_payload(claims, f"urn:example.com:pump:{number}")
            file.write(sign(payload, [signatures[number % len(signatures)]]) + "\n")


async def measure(site: Path, files: Sequence[Path]) -> Mapping[str, float]:
    """Import into an open Registrar, beside a task that wants a turn every millisecond."""
    waits: list[float] = []

    async def tick() -> None:
        while True:
            began = perf_counter()
            await asyncio.sleep(SLEEP_S)
            waits.append(1000 * (perf_counter() - began - SLEEP_S))

    async with Registrar(Site.open(site)) as registrar:
        ticking = asyncio.create_task(tick())
        began = perf_counter()
        refused = [one async for one in registrar.import_tickets(files)]
        seconds = perf_counter() - began
        ticking.cancel()
    return {
        "refused": len(refused),
        "import_s": seconds,
        "wait_p99_ms": quantiles(waits, n=100)[-1],
        "wait_max_ms": max(waits),
    }


def run(count: int) -> Mapping[str, float]:
    """Make a site and a delivery, and import it."""
    with tempfile.TemporaryDirectory(prefix="registrar-import-") as name:
        directory = Path(name)
        make_delivery(count, directory)
        site = Site.create(directory / "site")
        with site.store() as store:
            list(trust.add(store, TrustListName.TICKET_AUTHORITIES, [directory / "authorities"]))
        results = run_command(measure(site.directory, [directory / "tickets.jsonl"]))
        with site.store() as store:
            imported = stored.count(store.reader)
    return {
        "compiled": is_compiled(),
        "tickets": count,
        "imported": imported,
        **results,
        "import_cpu_s": _children().ru_utime + _children().ru_stime,
        "peak_rss_mb": _children().ru_maxrss / 1024,
        "registrar_peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _children() -> resource.struct_rusage:
    return resource.getrusage(resource.RUSAGE_CHILDREN)


def main() -> None:
    """Print the results; exit with 1 where one is not reached."""
    parser = argparse.ArgumentParser(description="Import Tickets into a site.")
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = run(options.tickets)
    show(results, as_json=options.json)
    limits = {
        "import_s": IMPORT_S_PER_TICKET * options.tickets,
        "wait_p99_ms": WAIT_P99_MS,
        "peak_rss_mb": PEAK_RSS_MB,
    }
    reached = all(results[name] <= limit for name, limit in limits.items())
    sys.exit(0 if reached and results["imported"] == options.tickets else 1)


if __name__ == "__main__":
    main()
