"""``registrar onboard``: the campaign."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registrar.cli.arguments import site_argument
from registrar.cli.outcomes import OUTCOME_COLUMNS, outcome_row
from registrar.cli.results import Format, Rows, format_options
from registrar.cli.root import REFUSED, examples

if TYPE_CHECKING:
    from registrar.app.site import Site


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
    """Onboard the devices at these URLs, or in FILE with one URL a line ("-": stdin).

    Without any, goes on with every device of SITE that has not ended; so does a second call
    after an interruption. Prints a line per device as it ends: serial number, model, url,
    ProductInstanceUri, state, reason, next action. Exits with 1 if any device did not end
    onboarded (with --dry-run: identified).
    """
    import uvloop

    from registrar.app.site import Site
    from registrar.app.urls import read_urls

    if dry_run and (listen or retry):
        raise click.UsageError("--dry-run excludes --listen and --retry")
    opened = Site.open(site)
    urls, bad = read_urls(devices)
    for problem in bad:
        click.echo(f"registrar: {problem}", err=True)
    done = uvloop.run(
        _preview(opened, urls, output)
        if dry_run
        else _onboard(opened, urls if devices else None, retry, listen, output)
    )
    raise SystemExit(0 if done and not bad else REFUSED)


async def _preview(site: Site, urls: Sequence[str], output: Format) -> bool:
    from registrar.app.registrar import Registrar
    from registrar.core.enrolment import State

    rows = Rows(output, OUTCOME_COLUMNS)
    states: set[State] = set()
    async with Registrar(site) as registrar, aclosing(registrar.preview(urls)) as outcomes:
        async for outcome in outcomes:
            rows.add(**outcome_row(outcome))
            states.add(outcome.state)
    return states <= {State.IDENTIFIED}


async def _onboard(
    site: Site, urls: Sequence[str] | None, retry: tuple[str, ...], listen: bool, output: Format
) -> bool:
    from registrar.app.registrar import RETRIES, Registrar
    from registrar.cli.view import CampaignView
    from registrar.core.enrolment import State

    rows = Rows(output, OUTCOME_COLUMNS)
    states: set[State] = set()
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
                    states.add(outcome.state)
    return states <= {State.ONBOARDED}
