"""``registrar fleet``: pretended devices to try the Registrar with."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.root import examples
from registrar.cli.runner import run


@click.command(
    epilog=examples(
        "registrar fleet --devices 10 --out delivery",
        "registrar fleet --devices 24 --out delivery --ports 48400 --seed 7",
    )
)
@click.option("--devices", required=True, type=click.IntRange(1, 10_000), help="How many.")
@click.option(
    "--out",
    "directory",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to write what the manufacturers of these devices would send.",
)
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same plant.")
@click.option(
    "--impostors",
    type=click.IntRange(0),
    help="How many devices are impostors; one in twenty unless given.",
)
@click.option(
    "--base",
    default="127.20.0.1",
    show_default=True,
    help="The first loopback address; each device has one of its own.",
)
@click.option(
    "--ports",
    type=click.IntRange(1, 65535),
    metavar="FIRST",
    help="Put all devices on the address --base instead, on ports from FIRST on.",
)
@click.option(
    "--update-manager",
    metavar="URL",
    help="Also pretend a SoftwareUpdateManager that reports to the Registrar at URL.",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    help="The certificate of the SoftwareUpdateManager (PEM).",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="The private key of the SoftwareUpdateManager (PEM).",
)
def command(
    directory: Path,
    devices: int,
    seed: int,
    impostors: int | None,
    base: str,
    ports: int | None,
    update_manager: str | None,
    certificate: Path | None,
    key: Path | None,
) -> None:
    """Pretend a plant of factory-new devices, until stopped.

    Each listens on a loopback address of its own. Writes to DIR what a site would receive:
    endpoints.txt, tickets, authorities, crls and revisions.json; and truth.json, which tells
    the impostors. When all devices listen, prints one JSON object. Ends at Ctrl-C, SIGTERM or
    the end of a pipe on its standard input.
    """
    from registrar.app.fleet import run_until_stopped
    from registrar.cli.results import json
    from registrar.simulate import FleetOptions, UpdateManagerOptions

    manager = None
    if update_manager is not None:
        if certificate is None or key is None:
            raise click.UsageError("--update-manager needs --certificate and --key")
        manager = UpdateManagerOptions(
            registrar_url=update_manager, certificate=certificate, private_key=key
        )
    options = FleetOptions(
        devices=devices,
        directory=directory,
        seed=seed,
        base=base,
        ports=ports,
        impostors=impostors,
        update_manager=manager,
    )
    run(run_until_stopped(options, ready=json))
