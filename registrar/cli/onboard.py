"""``registrar onboard``: the campaign."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from registrar.cli.arguments import site_argument
from registrar.cli.outcomes import OUTCOME_COLUMNS, Tally, outcome_row
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import REFUSED, examples
from registrar.cli.runner import run
from registrar.cli.text import printable

if TYPE_CHECKING:
    from registrar.app.site import Site

SHOWN_PROBLEMS: Final = 20
"""Who names the wrong file wants no line of it on the screen."""


@click.command(
    epilog=examples(
        "registrar onboard plant delivery/endpoints.txt --dry-run",
        "registrar onboard plant delivery/endpoints.txt --listen --csv > outcomes.csv",
    )
)
@site_argument
@click.argument("devices", nargs=-1, metavar="[FILE|URL]…")
@click.option("--dry-run", is_flag=True, help="Match and validate only; change nothing anywhere.")
@click.option(
    "--retry",
    multiple=True,
    type=click.Choice(["refused", "failed"]),
    help="Begin again with devices that were refused, or that failed for want of a peer.",
)
@click.option(
    "--listen",
    is_flag=True,
    help="Listen for UpdateSoftwareStatus, and stay for devices that wait for software.",
)
@format_options
def command(
    site: Path,
    devices: tuple[str, ...],
    dry_run: bool,
    retry: tuple[str, ...],
    listen: bool,
    output: Format,
) -> None:
    """Onboard the devices with these URLs.

    FILE holds one URL a line; "-" is standard input. Without any, goes on with every device of
    SITE that has not ended; so does a second call after an interruption. Prints a line per
    device as it ends: serial number, model, url, ProductInstanceUri, state, reason, next
    action; with --dry-run also the detail. Exits with 1 if any device did not end onboarded
    (with --dry-run: nor identified).
    """
    from registrar.app.site import Site
    from registrar.app.urls import read_urls

    if dry_run and (listen or retry):
        raise click.UsageError("--dry-run excludes --listen and --retry")
    if dry_run and not devices:
        raise click.UsageError("--dry-run needs a FILE or URL")
    opened = Site.open(site)
    urls, bad = read_urls(devices)
    for problem in bad[:SHOWN_PROBLEMS]:
        click.echo(f"registrar: {problem}", err=True)
    if len(bad) > SHOWN_PROBLEMS:
        click.echo(f"registrar: {len(bad) - SHOWN_PROBLEMS} more lines like these", err=True)
    done = run(
        _preview(opened, urls, output)
        if dry_run
        else _onboard(opened, urls if devices else None, retry, listen, output)
    )
    raise SystemExit(0 if done and not bad else REFUSED)


async def _preview(site: Site, urls: Sequence[str], output: Format) -> bool:
    from registrar.app.registrar import Registrar
    from registrar.core.enrolment import State

    # No enrolment keeps the detail for `explain`.
    rows = Rows(output, (*OUTCOME_COLUMNS, "detail"))
    tally = Tally(State.IDENTIFIED, State.ONBOARDED)
    async with Registrar(site) as registrar, aclosing(registrar.preview(urls)) as outcomes:
        async for outcome in outcomes:
            rows.add(**outcome_row(outcome), detail=outcome.detail)
            tally.add(outcome)
    click.echo(f"{tally}; nothing was changed", err=True)
    return tally.is_good


async def _onboard(
    site: Site, urls: Sequence[str] | None, retry: tuple[str, ...], listen: bool, output: Format
) -> bool:
    from registrar.app.registrar import RETRIES, Registrar
    from registrar.cli.view import CampaignView
    from registrar.core.enrolment import State

    rows = Rows(output, OUTCOME_COLUMNS)
    tally = Tally(State.ONBOARDED)
    retried = frozenset[State]().union(*(RETRIES[one] for one in retry))
    async with Registrar(site, listen=listen) as registrar:
        if listen:
            click.echo(f"listening at {registrar.url}", err=True)
        with CampaignView(total=None if urls is None else len(urls)) as view:
            campaign = registrar.onboard(urls, retry=retried, observe=view.observe)
            async with aclosing(campaign) as outcomes:
                async for outcome in outcomes:
                    view.end(outcome)
                    rows.add(**outcome_row(outcome))
                    tally.add(outcome)
    why = f"; next: registrar explain {site.directory} {tally.missed}" if tally.missed else ""
    click.echo(printable(f"{tally}{why}"), err=True)
    return tally.is_good
