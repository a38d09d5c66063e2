"""Searches for bytes that break a target, guided by the branches they reach.

``python -m tests.fuzz.guided der --seconds 60`` needs atheris (``pip install '.[fuzz]'``) and
exits with 0 where nothing was found in that time.
"""

from __future__ import annotations

import os
import sys
import warnings
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["registrar.core", "registrar.ua"]):
    from tests.fuzz.corpus import make_corpus
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Write the seeds into a temporary folder and search; libFuzzer ends the process."""
    parser = ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"))
    options = parser.parse_args()
    target = TARGETS[options.target]
    warnings.simplefilter("error")
    options.keep.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds(make_corpus())):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup(
            [
                sys.argv[0],
                f"-max_total_time={options.seconds}",
                f"-seed={options.seed}",
                f"-artifact_prefix={options.keep}{os.sep}{options.target}-",
                *("-timeout=5", "-rss_limit_mb=1024", "-max_len=16384", "-print_final_stats=1"),
                folder,
            ],
            target.read,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
