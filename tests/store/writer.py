"""A little Registrar in a process of its own, to be killed: ``python -m tests.store.writer PATH``.

It takes Devices all the way and gives each a certificate, and prints a line for each answer it
got from the store, so that whoever kills it knows what was acknowledged. Started again it goes on
where each Device and each issuance stood.
"""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import signal
import sys
from functools import partial
from pathlib import Path

from registrar.ca import Prepared
from registrar.core.enrolment import Event, State
from registrar.core.issuance import IssuanceState
from registrar.core.ports import Lease
from registrar.errors import StoreUnavailable
from registrar.store import Store, enrolments, issuances, leases
from registrar.store.issuances import Issuance
from registrar.store.leases import EngineLock
from tests.ca.building import make_root
from tests.store.building import CAUSE, MINUTE, NOW, go, url, wanted

DEVICES = 24
STORE_IS_GONE = 3

NEXT = {
    State.DISCOVERED: Event.TICKET_MATCHED,
    State.IDENTIFIED: Event.IDENTITY_PROVEN,
    State.PROVEN: Event.PROVISIONING_BEGUN,
    State.PROVISIONING: Event.DCA_CONFIRMED,
    State.CONFIGURING: Event.APPLICATIONS_CONFIRMED,
}


def tell(*words: object) -> None:
    """Print one line in one piece."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def onboard(store: Store, name: str, number: int) -> None:
    """Take one Device from wherever it stands to its end."""
    (row,) = await store.write(lambda tx: enrolments.discover(tx, [url(number)], cause=CAUSE))
    lease = await store.write(
        lambda tx: leases.acquire(tx, row.id, owner=name, now=NOW, ends=NOW + MINUTE)
    )
    state = row.state
    while state in NEXT:
        if state is State.PROVISIONING:
            await certify(store, lease)
        event = NEXT[state]
        state = (await store.write(partial(go, lease=lease, event=event, number=number))).state
        tell("enrolment", row.id, state)


async def certify(store: Store, lease: Lease) -> None:
    """Give the Device a certificate, or finish the one that was begun."""
    held = issuances.active(store.reader, enrolment_id=lease.enrolment_id)
    issuance = held[0] if held and secrets.randbelow(4) else await reserve(store, lease)
    if issuance.state is IssuanceState.RESERVED:
        issuance = await sign(store, lease, issuance)
    if issuance.state is IssuanceState.SIGNED:
        issuance = await store.write(
            lambda tx: issuances.record_delivered(tx, issuance.id, lease=lease, cause=CAUSE)
        )
        tell("issuance", issuance.id, issuance.state)
    assert issuance.certificate is not None
    tell("world", issuance.certificate.hex())
    issuance = await store.write(
        lambda tx: issuances.record_confirmed(tx, issuance.id, lease=lease, cause=CAUSE)
    )
    tell("issuance", issuance.id, issuance.state)


async def reserve(store: Store, lease: Lease) -> Issuance:
    """Reserve a certificate for a new key, as after a Device lost its former one."""
    name = f"urn:example.com:app:{lease.enrolment_id}"
    sought = wanted(lease.enrolment_id, secrets.randbits(127) | 1, application_uri=name)
    issuance = await store.write(
        lambda tx: issuances.reserve(tx, sought.request, lease=lease, cause=CAUSE)
    )
    tell("issuance", issuance.id, issuance.state)
    return issuance


async def sign(store: Store, lease: Lease, issuance: Issuance) -> Issuance:
    """Sign the bytes of the ledger, maybe those that a killed process reserved."""
    prepared = Prepared(serial=issuance.serial, tbs=issuance.tbs, not_after=issuance.not_after)
    certificate = make_root().sign(prepared)
    signed = await store.write(
        lambda tx: issuances.record_signed(tx, issuance.id, certificate, lease=lease, cause=CAUSE)
    )
    tell("issuance", signed.id, signed.state)
    return signed


async def run(path: Path) -> None:
    """Be the Registrar until every Device has ended."""
    name = f"engine{secrets.token_hex(8)}"
    with Store.open(path) as store, EngineLock.take(path, name):
        await store.write(lambda tx: leases.take_over(tx, path, name, cause=CAUSE))
        await asyncio.gather(*(onboard(store, name, number) for number in range(1, DEVICES + 1)))


def main() -> None:
    """Run; a second argument limits every file to so many bytes, as a full disk would."""
    if len(sys.argv) > 2:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        asyncio.run(run(Path(sys.argv[1])))
    except StoreUnavailable:
        sys.exit(STORE_IS_GONE)


if __name__ == "__main__":
    main()
