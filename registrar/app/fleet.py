"""A fleet of pretended devices: run in this process, or started as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from registrar.errors import Reason, TimedOut, Unavailable

if TYPE_CHECKING:
    from registrar.simulate import FleetOptions

START_BASE_S: Final = 30.0
START_PER_DEVICE_S: Final = 0.1
"""A plant is ready within this time, also on a machine that does other things."""

STOP_S: Final = 5.0
"""From the signal to the kill."""

OPC_UA_PORT: Final = 4840

_NETWORKS: Final = range(20, 120)
"""Second bytes of the addresses demos use: 65,000 devices fit into each network."""

_LOG: Final = "fleet.log"


async def run_until_stopped(
    options: FleetOptions, *, ready: Callable[[Mapping[str, object]], None]
) -> None:
    """Run a fleet until SIGINT, SIGTERM, or the end of a standard input that is a pipe.

    The pipe belongs to whoever started this process; when it ends, so did they.
    """
    from registrar.simulate import run_fleet

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    descriptor = sys.stdin.fileno() if sys.stdin else -1
    watched = descriptor >= 0 and stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    if watched:
        loop.add_reader(descriptor, _drain, descriptor, stop)
    try:
        await run_fleet(options, stop=stop, ready=ready)
    finally:
        if watched:
            loop.remove_reader(descriptor)


def _drain(descriptor: int, stop: asyncio.Event) -> None:
    if not os.read(descriptor, 4096):
        stop.set()


def free_base() -> str:
    """Return the first address of a loopback network on which no other fleet listens.

    Raises:
        Unavailable: there is one on each.
    """
    # Two demos that begin at the same moment would both find the same one free.
    first = os.getpid() % len(_NETWORKS)
    for network in (*_NETWORKS[first:], *_NETWORKS[:first]):
        base = f"127.{network}.0.1"
        try:
            with socket.create_server((base, OPC_UA_PORT)):
                return base
        except OSError:
            continue
    raise Unavailable("other fleets listen on all loopback networks; stop one of them")


@asynccontextmanager
async def fleet_process(
    *arguments: str, devices: int, log_directory: Path
) -> AsyncIterator[dict[str, object]]:
    """Run ``registrar fleet`` in a process of its own, and stop that one at the end.

    Args:
        arguments: of the command.
        devices: how many the arguments ask for; the time to start follows from it.
        log_directory: where what the process says about itself goes.

    Yields:
        What the process printed when all its devices listened.

    Raises:
        Unavailable: the process ended or did not get ready.
    """
    log = log_directory / _LOG
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "registrar",
            "fleet",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield await _ready(process, START_BASE_S + START_PER_DEVICE_S * devices, log)
    finally:
        await _stop(process)


async def _ready(
    process: asyncio.subprocess.Process, budget_s: float, log: Path
) -> dict[str, object]:
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        async with asyncio.timeout(budget_s):
            line = await process.stdout.readline()
    except TimeoutError:
        raise TimedOut(
            f"the fleet was not ready within {budget_s:.0f} s", subject=str(log)
        ) from None
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        raise Unavailable(
            f"the fleet did not start: {_last_line(log)}", reason=Reason.INTERNAL, subject=str(log)
        )
    return said


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
