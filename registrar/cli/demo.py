"""``registrar demo``: a simulated plant is onboarded before your eyes."""

from __future__ import annotations

from pathlib import Path

import click

from registrar.cli.root import REFUSED, examples
from registrar.cli.runner import run


@click.command(
    epilog=examples(
        "registrar demo",
        "registrar demo --devices 24 --seed 7 --json",
    )
)
@click.option(
    "--devices",
    default=200,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="How many devices the plant has.",
)
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same plant.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Leave site and delivery in this folder instead of a temporary one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(devices: int, seed: int, keep: Path | None, as_json: bool) -> None:
    """Onboard a simulated plant, and ask each device what it got.

    One device in twenty is an impostor, at least one of each kind from 24 devices on. Makes a
    site and a fleet in a process of its own, imports what the manufacturers delivered, onboards
    all devices over TCP, then asks each device over TCP what it was given, and compares that
    with what ought to have happened. Exits with 0 only if nothing is wrong.
    """
    from registrar.app.demo import Demo
    from registrar.cli.demo_report import print_report
    from registrar.cli.demo_view import DemoView

    with DemoView(total=devices) as view:
        report = run(Demo(devices=devices, seed=seed, keep=keep, view=view).run())
    print_report(report, as_json=as_json, kept=keep)
    raise SystemExit(REFUSED if report.wrong else 0)
