"""Builds ``_native`` as ``registrar._native.*``; everything else is in pyproject.toml."""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).parent
CORES = os.cpu_count() or 1

extensions = cythonize(
    [
        Extension(
            f"registrar._native.{source.stem}",
            [source.relative_to(ROOT).as_posix()],
            libraries=["crypto"],
            extra_compile_args=["-O3"],
        )
        for source in sorted((ROOT / "_native").glob("*.pyx"))
    ],
    language_level=3,
    build_dir="build/cython",
    nthreads=CORES,
)
for extension in extensions:
    # Set after cythonize, which drops it: without a compiler everything works, slower.
    extension.optional = True

setup(
    packages=[*find_packages(include=["registrar", "registrar.*"]), "registrar._native"],
    package_dir={"registrar._native": "_native"},
    ext_modules=extensions,
    options={"build_ext": {"parallel": CORES}},
)
