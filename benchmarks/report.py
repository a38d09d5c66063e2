"""How results are printed: a table for people, JSON for machines, the machine named in both."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version

Value = str | int | float | bool | None


def machine() -> Mapping[str, Value]:
    """Say on what the numbers were measured."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "cryptography": version("cryptography"),
    }


def show(results: Mapping[str, object], *, as_json: bool) -> None:
    """Print ``results`` and the machine on stdout."""
    if as_json:
        print(json.dumps({**results, "machine": machine()}, indent=2))
        return
    for name, value in {**results, **machine()}.items():
        shown = f"{value:,.2f}" if isinstance(value, float) else value
        print(f"{name:40}\t{shown}")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
