"""A Server with few descriptors, in a process of its own; prints its port and its certificate."""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from tests.wire.certificates import make_identity
from tests.wire.plant import SERVER_URI, Plant


async def main(descriptors: int) -> None:
    """Listen until the standard input ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    identity = make_identity(SERVER_URI)
    async with Plant(identity) as plant:
        print(json.dumps({"url": plant.url}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
