"""The Server of ``benchmarks.listener``: the Listener of ``benchmarks.channel`` with other limits.

Says where it listens, then answers each line of JSON with what the process has used so far: with
``{"settled": true}`` after a look of the collector, with ``{"key": true}`` beside the CPU of two
decryptions and one signature, which is what opening one channel needs.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
from pathlib import Path
from time import process_time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from benchmarks.channel_server import Devices
from registrar.cli.runner import run
from registrar.ua.application_identity import ApplicationIdentity
from registrar.wire import Listener, ServerLimits
from registrar.wire.limits import SERVER_MAXIMA

PATH = "device"
ROUNDS = 200


def limits() -> ServerLimits:
    """Return limits that do not end idle connections, or crowds, while they are counted."""
    most = int(SERVER_MAXIMA["connections"])
    sessions = int(SERVER_MAXIMA["sessions"])
    return ServerLimits(
        hello_s=SERVER_MAXIMA["hello_s"],
        connections=most,
        sessions=sessions,
        client_nonces=2 * sessions,
    )


def used(listener: Listener) -> dict[str, float]:
    """Return what the process has used, and how many peers it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "cpu_s": process_time(),
        "kernel_s": os.times().system,
        "resident_size": pages * os.sysconf("SC_PAGE_SIZE"),
        "connections": listener.connections,
        "sessions": len(listener.sessions),
        "refusals": listener.refusals.total(),
    }


def key_s(identity: ApplicationIdentity) -> float:
    """Time two decryptions and one signature with the key of ``identity``: CPU seconds."""
    key, digest = identity.private_key, hashes.SHA256()
    oaep = padding.OAEP(padding.MGF1(digest), digest, None)
    block = key.public_key().encrypt(bytes(100), oaep)
    begin = process_time()
    for _ in range(ROUNDS):
        key.decrypt(block, oaep)
        key.decrypt(block, oaep)
        key.sign(block, padding.PSS(padding.MGF1(digest), 32), digest)
    return (process_time() - begin) / ROUNDS


async def serve() -> None:
    """Listen, say where and with which certificate, and answer until the standard input ends."""
    logging.getLogger("registrar").addHandler(logging.NullHandler())
    devices = Devices()
    listener = Listener(devices, limits=limits())
    await listener.start("127.0.0.1")
    url = f"opc.tcp://127.0.0.1:{listener.port}/{PATH}"
    identity = devices.device(PATH)
    print(json.dumps({"url": url, "certificate": identity.certificate.hex()}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        question = json.loads(line)
        if "settled" in question:
            gc.collect()
        answer = used(listener)
        if "key" in question:
            answer["key_s"] = key_s(identity)
        print(json.dumps(answer), flush=True)
    await listener.close()


if __name__ == "__main__":
    run(serve())
