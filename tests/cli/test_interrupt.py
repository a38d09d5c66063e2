"""Ctrl-C in a campaign: one line, no traceback, and the next call goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from registrar.app.fleet import free_base


@pytest.mark.slow
def test_an_interrupted_campaign_says_how_to_go_on(site: Path) -> None:
    config = site / "config.toml"
    config.write_text(
        config.read_text().replace("backoff_initial_s = 0.5", "backoff_initial_s = 9.0")
    )
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "registrar", "onboard", str(site)),
            *(f"opc.tcp://{free_base()}:4840", "--listen"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job that a script began in the background ignores SIGINT, and so do its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("listening at opc.tcp://127.0.0.1:")

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert said.splitlines()[-1] == "registrar: stopped; the same command goes on from here"
    assert "Traceback" not in said
