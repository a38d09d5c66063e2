"""Run a plant of pretended Devices in one process, and write what its site receives.

Each Device listens on a loopback address of its own, or on a port of its own where one address
has to do. Everything a Registrar may know is in the shipment's files; ``truth.json`` beside them
is for judging only.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from registrar.errors import ConfigurationInvalid, Unavailable
from registrar.simulate.device import Device, Surroundings, system_clock
from registrar.simulate.foreign_registrar import foreign_registrar
from registrar.simulate.keys import MAX_READY, KeyPool, warm
from registrar.simulate.methods import make_methods
from registrar.simulate.misbehaviour import HONEST, MISBEHAVIOURS
from registrar.simulate.model import load_model
from registrar.simulate.plant import Kind, Plan, plan
from registrar.simulate.production import KEYS_OF_MAKERS, KEYS_PER_DEVICE, Factory
from registrar.simulate.shipment import write_shipment
from registrar.simulate.trust_list_file import sha1_hex
from registrar.simulate.truth import save_truth, truth_of
from registrar.simulate.update_manager import UpdateManager, UpdateManagerOptions
from registrar.wire.key_queue import KeyQueue

OPC_UA_PORT = 4840
BASE = "127.20.0.1"
CONNECTIONS_PER_DEVICE = 3
BUSY_DEVICES = 1_024
"""Devices somebody talks to at the same time; a Registrar onboards no more at once."""

SPARE_DESCRIPTORS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """Which plant, and where it listens."""

    devices: int
    directory: Path
    """Created; receives the shipment and ``truth.json``."""
    seed: int = 1
    base: str = BASE
    """The first Device's address; the others take the following ones."""
    ports: int | None = None
    """Set: all Devices share the address ``base``, on the ports from this one on."""
    impostors: int | None = None
    """None: one in twenty, each kind at least once from 24 Devices on."""
    update_manager: UpdateManagerOptions | None = None


class Fleet:
    """The Devices of one plan; make it, ``start`` it, ``close`` it."""

    def __init__(self, options: FleetOptions) -> None:
        """Make the Devices; nothing listens yet. Must be called on a running event loop."""
        now = datetime.now(UTC)
        self.plan = plan(options.devices, options.seed, options.impostors)
        keys = KeyPool(_keys_needed(self.plan))
        products, self.shipment = Factory(self.plan, keys, now).make()
        for product in products[:MAX_READY]:
            for identity in product.identities:
                warm(identity.key)
        keys.prepare(sum(1 + device.applications for device in self.plan.devices))
        model = load_model()
        surroundings = Surroundings(
            keys=keys,
            clock=system_clock(),
            model=model,
            methods=make_methods(model),
            # One queue for all Devices, to whom the one Registrar is one address.
            key_queue=KeyQueue(per_address=1_024),
        )
        places = _places(options)
        self.devices = tuple(
            Device(
                product,
                host=host,
                port=port,
                surroundings=surroundings,
                misbehaviour=MISBEHAVIOURS.get(product.plan.kind, HONEST),
            )
            for product, (host, port) in zip(products, places, strict=False)
        )
        neighbour = foreign_registrar(keys, now)
        self._owners: dict[int, str] = {}
        for device in self.devices:
            if device.product.plan.kind is Kind.ALREADY_OWNED:
                neighbour.take(device)
                self._owners[device.product.plan.index] = sha1_hex(device.dca_certificate or b"")

    def write(self, directory: Path) -> None:
        """Write the shipment and the truth."""
        write_shipment(
            directory,
            self.shipment,
            urls=[device.url for device in self.devices],
            wanted_revisions=self.plan.wanted_revisions,
        )
        truth = truth_of(self.plan, self.devices, self._owners)
        save_truth(directory / "truth.json", truth)

    async def start(self) -> None:
        """Let every Device listen.

        Raises:
            Unavailable: an address is in use; all are closed again.
        """
        listening = len(self.devices)
        busy = CONNECTIONS_PER_DEVICE * min(listening, BUSY_DEVICES)
        raise_descriptor_limit(listening + busy + SPARE_DESCRIPTORS)
        try:
            for device in self.devices:
                await device.start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop every Device."""
        for device in self.devices:
            await device.close()


async def run_fleet(
    options: FleetOptions,
    *,
    stop: asyncio.Event,
    ready: Callable[[dict[str, object]], None],
) -> None:
    """Make a plant, write its shipment, and let it listen until ``stop`` is set.

    Args:
        options: which plant, and where.
        stop: ends it.
        ready: told once all Devices listen and the files are written.

    Raises:
        Unavailable: an address is in use.
        FileInvalid: the update manager's certificate or key cannot be read.
    """
    fleet = Fleet(options)
    fleet.write(options.directory)
    await fleet.start()
    # What was made lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    manager, task = None, None
    try:
        if options.update_manager is not None:
            manager = UpdateManager(options.update_manager, fleet.devices)
            task = asyncio.create_task(manager.run())
        ready(
            {
                "event": "ready",
                "devices": len(fleet.devices),
                "genuine": fleet.plan.genuine,
                "impostors": len(fleet.devices) - fleet.plan.genuine,
                "directory": str(options.directory),
            }
        )
        await stop.wait()
    finally:
        if manager is not None and task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            manager.close()
        await fleet.close()
        gc.unfreeze()


def raise_descriptor_limit(wanted: int) -> None:
    """Allow this process ``wanted`` descriptors.

    Raises:
        Unavailable: the system allows fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Unavailable(f"{wanted} open files are needed; the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _keys_needed(planned: Plan) -> int:
    return KEYS_OF_MAKERS + sum(KEYS_PER_DEVICE + d.applications for d in planned.devices)


def _places(options: FleetOptions) -> Iterator[tuple[str, int]]:
    if options.ports is not None:
        last = options.ports + options.devices - 1
        if not 0 < options.ports <= last <= 65_535:
            raise ConfigurationInvalid(
                f"there are no ports {options.ports} to {last}",
                next_action="Choose a lower first port or fewer devices.",
            )
        return ((options.base, options.ports + number) for number in range(options.devices))
    try:
        first = ipaddress.IPv4Address(options.base)
        is_inside = first.is_loopback and (first + max(options.devices - 1, 0)).is_loopback
    except ipaddress.AddressValueError:
        is_inside = False
    if not is_inside:
        raise ConfigurationInvalid(
            f"{options.devices} devices do not fit into 127.0.0.0/8 from {options.base} on",
            next_action="Choose a lower address in 127.0.0.0/8 or fewer devices.",
        )
    return ((str(first + number), OPC_UA_PORT) for number in range(options.devices))
