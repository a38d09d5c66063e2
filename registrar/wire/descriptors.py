"""Descriptors: how many peers a process can have at once, whatever its limits say."""

from __future__ import annotations

import resource

RESERVED = 64
"""Descriptors a Listener leaves for the store, files, and for telling those it refuses."""


def raise_limit() -> int:
    """Raise the process's descriptor limit to the hard one and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def most_connections(wanted: int) -> int:
    """Return how many of ``wanted`` connections the descriptor limit lets a Listener keep."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - RESERVED))
