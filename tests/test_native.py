"""The switch to compiled code: an extension that is missing is done without, a stale one is not."""

from __future__ import annotations

import importlib
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from registrar import native

pytestmark = pytest.mark.skipif(native.PURE, reason="nothing compiled is looked for")


def invented() -> str:
    """Stand for a function of a module that may have a twin."""
    return "python"


@pytest.fixture
def extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the extension that is the twin of ``invented``."""
    monkeypatch.setattr(importlib.import_module("registrar._native"), "__path__", [str(tmp_path)])
    monkeypatch.setattr(invented, "__module__", f"registrar.core.{tmp_path.name}")
    return tmp_path / f"{tmp_path.name}.py"


@pytest.mark.usefixtures("extension")
def test_without_an_extension_the_python_body_serves() -> None:
    assert native.compiled(invented) is invented


def test_an_extension_takes_the_place_of_the_body(extension: Path) -> None:
    extension.write_text("def invented(): return 'native'\n")

    assert native.compiled(invented)() == "native"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("from registrar.errors import GoneSinceThen", "GoneSinceThen"),
        ("import registrar.gone_since_then", "gone_since_then"),
        ("raise ValueError('array.array size changed')", "size changed"),
    ],
)
def test_a_stale_extension_says_how_to_build_it_anew(
    extension: Path, source: str, why: str
) -> None:
    extension.write_text(source + "\n")

    with pytest.raises(ImportError, match=f"does not fit .*{why}.*: run `make build`$"):
        native.compiled(invented)


MISUSES: Sequence[tuple[object, ...]] = (
    *((), (None,), (b"",), (bytes(64),), (1,), ("a", "b"), (None, None), (bytes(64), 0.0)),
    *((1, b"", 0.0), ("a", 1, None), (None, None, None), ("a", 1, None, None), (None,) * 4),
)
"""Arguments of methods that take none, up to four."""


@pytest.mark.skipif("channel" in native.missing_extensions(), reason="channel is not compiled")
def test_an_object_of_the_channel_that_was_not_initialised_raises_instead_of_crashing() -> None:
    """A crash would end the test run."""
    channel = importlib.import_module("registrar._native.channel")
    classes: list[Any] = [
        one
        for one in vars(channel).values()
        if isinstance(one, type) and one.__module__ == channel.__name__
    ]

    for one in classes:
        for name in dir(one):
            for arguments in MISUSES:
                if not name.startswith("__"):
                    with suppress(Exception):
                        use(getattr(one.__new__(one), name), arguments)

    assert {"ClientChannel", "ClientConnection", "KeyQueue"} <= {one.__name__ for one in classes}


def use(member: object, arguments: tuple[object, ...]) -> None:
    """Call a method, and begin what it leaves to be awaited."""
    begun = member(*arguments) if callable(member) else None
    if isinstance(begun, Coroutine):
        begun.send(None)
