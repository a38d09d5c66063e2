"""The rooms stand on their floors; and the checker that says so sees what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rooms import FLOORS, LONGEST_FILE, native_violations, violations

ROOT = Path(__file__).parents[1]


def test_the_package_keeps_its_floors() -> None:
    found = violations(ROOT / "registrar")

    assert not found, "\n".join(found)


def test_native_sources_import_what_is_theirs() -> None:
    assert native_violations(ROOT / "_native") == []


def test_every_room_is_a_folder_or_a_module() -> None:
    rooms = {path.stem for path in (ROOT / "registrar").iterdir() if not path.name.startswith("_")}

    assert rooms - {"py"} <= set(FLOORS)


BAD_IMPORTS = {
    "from a floor above": ("core/x.py", "from registrar.wire import Client"),
    "from a floor above, as a module": ("core/x.py", "import registrar.wire.client as c"),
    "from a floor above, by its room": ("core/x.py", "from registrar import wire"),
    "from a neighbour": ("core/x.py", "from registrar.ua.codec import encode"),
    "from a neighbour, relatively": ("wire/x.py", "from ..store import Store"),
    "from a neighbour, late": ("wire/x.py", "def _f() -> None:\n    from registrar.ca import keys"),
    "for types only": (
        "store/x.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from registrar.ca import keys",
    ),
    "by name": ("ua/x.py", "import importlib\nimportlib.import_module('registrar.wire')"),
    "by half a name": (
        "ua/x.py",
        "from importlib import import_module\nimport_module(f'registrar.wire.{x}')",
    ),
    "simulate from onboarding": ("simulate/x.py", "from registrar.onboarding import push"),
    "simulate from server": ("simulate/x.py", "from registrar.server import registrar"),
    "simulate from enrolment": ("simulate/x.py", "from registrar.enrolment import engine"),
    "status from errors": ("status.py", "from registrar.errors import Reason"),
    "past the switch": ("core/x.py", "from registrar._native import signatures"),
    "through the front": ("wire/x.py", "from registrar import Site"),
    "from no room": ("wire/x.py", "from registrar.utils import helper"),
    "into no room": ("utils/x.py", "from registrar.errors import Misuse"),
}


@pytest.mark.parametrize(("path", "code"), BAD_IMPORTS.values(), ids=BAD_IMPORTS)
def test_a_wrong_import_is_found(tmp_path: Path, path: str, code: str) -> None:
    package = write(tmp_path, path, code)

    assert len(violations(package)) == 1


GOOD_IMPORTS = {
    "from below": ("wire/x.py", "from registrar.core.match import match"),
    "from the own room": ("wire/x.py", "from registrar.wire.client import Client"),
    "from the own room, relatively": ("wire/x.py", "from .client import Client"),
    "errors from status": ("errors.py", "from registrar.status import StatusCode"),
    "the switch": (
        "native.py",
        "import importlib\nimportlib.import_module(f'registrar._native.{1}')",
    ),
    "the version": ("cli/x.py", "from registrar import __version__"),
    "the front": ("__init__.py", "from registrar.app import Site"),
    "somebody else's": (
        "core/x.py",
        "from cryptography import x509\nfrom datetime import datetime",
    ),
}


@pytest.mark.parametrize(("path", "code"), GOOD_IMPORTS.values(), ids=GOOD_IMPORTS)
def test_a_right_import_is_accepted(tmp_path: Path, path: str, code: str) -> None:
    package = write(tmp_path, path, code)

    assert violations(package) == []


IMPURE = {
    "a loop": "import asyncio",
    "a socket": "import socket",
    "a file": "def _f() -> None:\n    open('x')",
    "a path": "from pathlib import Path",
    "a database": "import sqlite3",
    "TLS": "from ssl import SSLContext",
    "a clock": "import time",
    "now": "from datetime import UTC, datetime\nNOW = datetime.now(UTC)",
    "today": "import datetime\nTODAY = datetime.date.today()",
    "chance": "from random import Random",
    "secrets": "def _f() -> None:\n    import secrets",
    "a key": "from cryptography import rsa\nK = rsa.generate_private_key(3, 9)",
    "a fetch": "import urllib.request",
    "a coroutine": "async def _f() -> None:\n    pass",
    "a log": "import logging",
}


@pytest.mark.parametrize("room", ["core", "ua"])
@pytest.mark.parametrize("code", IMPURE.values(), ids=IMPURE)
def test_a_mind_that_touches_the_world_is_found(tmp_path: Path, room: str, code: str) -> None:
    package = write(tmp_path, f"{room}/x.py", code)

    assert len(violations(package)) == 1


def test_hands_may_touch_the_world(tmp_path: Path) -> None:
    package = write(tmp_path, "wire/x.py", "import asyncio, socket, time")

    assert violations(package) == []


UNDOCUMENTED = {
    "function": "def enrol() -> None:\n    pass",
    "coroutine": "async def enrol() -> None:\n    pass",
    "class": "class Enrolment:\n    pass",
    "method": 'class E:\n    """An E."""\n    def enrol(self) -> None:\n        pass',
}


@pytest.mark.parametrize("code", UNDOCUMENTED.values(), ids=UNDOCUMENTED)
def test_a_missing_docstring_is_found(tmp_path: Path, code: str) -> None:
    package = write(tmp_path, "wire/x.py", code)

    assert len(violations(package)) == 1


def test_a_module_without_docstring_is_found(tmp_path: Path) -> None:
    package = write(tmp_path, "wire/x.py", "import socket", docstring="")

    assert len(violations(package)) == 1


def test_an_overlong_file_is_found(tmp_path: Path) -> None:
    package = write(tmp_path, "wire/x.py", "\n" * LONGEST_FILE)

    assert len(violations(package)) == 1


def test_a_native_source_that_reaches_up_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.pyx").write_text("from registrar.core import jws\n")
    (tmp_path / "b.pxi").write_text("from registrar.errors import Misuse\n")

    assert native_violations(tmp_path) == ["a.pyx: imports registrar.core"]


def write(folder: Path, path: str, code: str, docstring: str = '"""A module."""\n') -> Path:
    """Make a package of one file and return its folder."""
    file = folder / "registrar" / path
    file.parent.mkdir(parents=True)
    file.write_text(f"{docstring}{code}\n")
    return folder / "registrar"
