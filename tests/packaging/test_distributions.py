"""The built sdist and wheel install into an empty environment and work there, compiled.

Each is built from what git would hand out, without isolation, so that no index is asked; what they
depend on is borrowed from the environment the tests run in, the package itself is not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

LIMIT_S = 300
"""For one command; compiling takes 20 seconds of two idle cores, and they may have other work."""

# The first test also pays for the build.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * LIMIT_S)]

ROOT = Path(__file__).parents[2]
BORROWED = sysconfig.get_path("purelib")

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import registrar

names = [module.name for module in pkgutil.walk_packages(registrar.__path__, "registrar.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
files = {module.__file__ for name, module in sys.modules.items() if name.startswith("registrar")}
print(*sorted(file for file in files if file), sep="\\n")
"""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributions")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


def test_the_sdist_holds_the_native_sources_and_nothing_built(distributions: Path) -> None:
    with tarfile.open(only(distributions, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    sources = {f"_native/{path.name}" for path in (ROOT / "_native").glob("*.p[yx]*")}
    assert sources <= names
    assert package_data() <= names
    assert not {name for name in names if name.endswith((".so", ".c", ".pyc"))}


def test_the_wheel_holds_the_package_data_and_the_extensions(distributions: Path) -> None:
    with zipfile.ZipFile(only(distributions, "*.whl")) as archive:
        names = set(archive.namelist())

    extensions = {f"registrar/_native/{path.stem}." for path in (ROOT / "_native").glob("*.pyx")}
    assert package_data() <= names
    assert {name.partition(".")[0] + "." for name in names if name.endswith(".so")} == extensions
    assert not {name for name in names if name.startswith(("tests/", "benchmarks/"))}


@pytest.mark.parametrize("kind", ["*.tar.gz", "*.whl"])
def test_a_distribution_works_in_an_environment_of_its_own(
    distributions: Path, kind: str, tmp_path: Path
) -> None:
    python = install(only(distributions, kind), tmp_path / "environment")

    version = run(str(python.parent / "registrar"), "--version", cwd=tmp_path)
    files = run(str(python), "-c", IMPORT_EVERYTHING, cwd=tmp_path).split("\n")

    assert "compiled" in version
    assert {file for file in files if file and not file.startswith(str(tmp_path))} == set()


def install(distribution: Path, environment: Path) -> Path:
    """Install ``distribution`` into a new environment and return its interpreter."""
    run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = environment / "bin" / "python"
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    run(
        *(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"),
        *(*offline, str(distribution)),
        PYTHONPATH=BORROWED,
    )
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(f"{BORROWED}\n")
    return python


def package_data() -> set[str]:
    """Return what the package reads at run time beside its modules."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "registrar").rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc", ".so"}
    }


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    """Run ``command`` outside the clone's own settings and return what it printed."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "REGISTRAR_PURE"}
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
