"""The commands of the tutorial work as they stand, in their order, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
BUDGET_S = 100
"""Only a hang takes as long."""

REFUSALS_EXPECTED = "onboard"
"""A command that ends with 1 where an impostor is among the devices."""


def typed() -> list[str]:
    """Return what the page asks to type, a command a line."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line[:2] == "$ "]


@pytest.mark.slow
def test_the_tutorial_can_be_pasted(tmp_path: Path) -> None:
    commands = [
        line if f" {REFUSALS_EXPECTED} " not in line else f"{line} || [ $? = 1 ]"
        for line in typed()
    ]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    done = subprocess.run(
        ["bash", "-xeuo", "pipefail", "-c", "\n".join(commands)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUDGET_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\tonboarded\t") >= 9
    assert list(tmp_path.iterdir()) == []
