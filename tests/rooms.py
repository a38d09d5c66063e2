"""Reads the package as text and names every line that breaks the house rules of rooms and floors.

A room imports only from floors below its own, never from a neighbour. The minds (floor 3) have no
I/O, no clock, no randomness and no ``async``. Imports inside functions count like any other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

FLOORS: Mapping[str, int] = {
    "status": 1,
    "errors": 1,
    "native": 2,
    "core": 3,
    "ua": 3,
    "wire": 4,
    "ca": 4,
    "store": 4,
    "enrolment": 5,
    "onboarding": 6,
    "server": 6,
    "simulate": 6,
    "app": 7,
    "cli": 8,
}
"""The floor of each room."""

FRONT = 9
"""Where ``registrar/__init__.py`` and ``__main__.py`` stand: they only open the door."""

NEIGHBOURS_ALLOWED = frozenset({("errors", "status")})

DENIED: Mapping[tuple[str, str], str] = {
    ("simulate", "enrolment"): "a pretended Device must be able to contradict the engine",
}
"""Imports from a lower floor that are refused all the same, with the reason."""

MINDS = frozenset({"core", "ua"})

IMPURE_MODULES = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "threading", "uvloop"),
        *(
            "ftplib",
            "http",
            "select",
            "selectors",
            "socket",
            "socketserver",
            "ssl",
            "urllib.request",
        ),
        *("fileinput", "glob", "os", "pathlib", "shutil", "sqlite3", "subprocess", "tempfile"),
        *("random", "secrets", "time"),
        "logging",
    }
)
"""What a mind may not import: I/O, clock, randomness, concurrency."""

IMPURE_CALLS = frozenset(
    {
        *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
        *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"),
        *("open", "input", "print", "uuid1", "uuid4", "uuid.uuid4"),
    }
)
"""What a mind may not call, as written."""

LONGEST_FILE = 500
"""Lines; past some 400 a file usually answers two questions."""

_CALLBACKS = frozenset(
    {
        *("connection_made", "connection_lost", "data_received", "eof_received"),
        *("buffer_updated", "get_buffer", "pause_writing", "resume_writing"),
    }
)
"""Methods whose meaning :mod:`asyncio` has documented already."""


def violations(package: Path) -> list[str]:
    """Return ``file:line: what is wrong`` for every breach in ``package``, sorted by file."""
    found: list[str] = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        relative = path.relative_to(package.parent)
        found += (f"{relative}:{line}: {what}" for line, what in sorted(_check(relative, text)))
    return found


NATIVE_ROOMS = {"channel.pyx": {"status", "ua", "wire"}}
"""Beside ``errors``. ``channel`` stands for modules of ``ua`` and ``wire`` that hold each other; it
goes by their tables, limits and events, and leaves to them what is not worth having twice."""


def native_violations(folder: Path) -> list[str]:
    """Return the imports of Cython sources in ``folder`` that reach beyond what is theirs."""
    pattern = re.compile(r"^\s*(?:from|import|cimport)\s+(registrar[\w.]*)", re.MULTILINE)
    return [
        f"{path.name}: imports {name}"
        for path in sorted(folder.iterdir())
        if path.suffix in {".pyx", ".pxi", ".pxd"}
        for name in pattern.findall(path.read_text(encoding="utf-8"))
        if name != "registrar.errors"
        and not (name.split(".")[1:2] and name.split(".")[1] in NATIVE_ROOMS.get(path.name, ()))
    ]


def _check(path: Path, text: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(text)
    room = _room_of(path)
    yield from _imports(room, path, tree)
    if room in MINDS:
        yield from _impurities(tree)
    yield from _undocumented(tree)
    length = text.count("\n")
    if length > LONGEST_FILE:
        yield length, f"{length} lines, more than {LONGEST_FILE}"


def _room_of(path: Path) -> str:
    """``registrar/core/match.py`` is in ``core``; ``registrar/errors.py`` is ``errors``."""
    name = path.parts[1].removesuffix(".py")
    return "" if name in {"__init__", "__main__"} else name


def _imports(room: str, path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if room and room not in FLOORS:
        yield 1, f"{room} is no room"
        return
    for line, target in _imported(path, tree):
        other = _target_room(target)
        if other is not None and (why := _refusal(room, other)):
            yield line, why


def _imported(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything imported, however it is spelled."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(path, node)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _dotted(node.func).endswith(
            ("import_module", "__import__")
        ):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value
            elif isinstance(first, ast.JoinedStr) and isinstance(first.values[0], ast.Constant):
                yield node.lineno, str(first.values[0].value)


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.with_suffix("").parts[: -node.level]
    return ".".join((*package, *filter(None, [node.module])))


def _target_room(target: str) -> str | None:
    """Return the room ``target`` lies in, or None where it is not ours or only the version."""
    parts = target.split(".")
    if parts[0] != "registrar" or target == "registrar.__version__":
        return None
    return parts[1] if len(parts) > 1 else ""


def _refusal(room: str, other: str) -> str:
    if other == room:
        return ""
    if other == "_native":
        return "" if room == "native" else f"{room} imports _native past the switch in native"
    if other not in FLOORS:
        return f"{room or 'registrar'} imports registrar.{other}, which is no room"
    if (room, other) in DENIED:
        return f"{room} imports {other}: {DENIED[room, other]}"
    if (room, other) in NEIGHBOURS_ALLOWED:
        return ""
    mine, theirs = FLOORS.get(room, FRONT), FLOORS[other]
    if mine == theirs:
        return f"{room} imports its neighbour {other}"
    return f"{room} imports {other} from a floor above" if theirs > mine else ""


def _impurities(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield node.lineno, "a mind is async"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from _impure_module(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield from _impure_module(node.lineno, f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Call) and _is_impure(_dotted(node.func)):
            yield node.lineno, f"a mind calls {_dotted(node.func)}()"


def _is_impure(call: str) -> bool:
    return call in IMPURE_CALLS or call.endswith(".generate_private_key")


def _impure_module(line: int, name: str) -> Iterator[tuple[int, str]]:
    parts = name.split(".")
    prefixes = {".".join(parts[:size]) for size in range(1, len(parts) + 1)}
    if impure := prefixes & IMPURE_MODULES:
        yield line, f"a mind imports {min(impure)}"


def _undocumented(tree: ast.Module) -> Iterator[tuple[int, str]]:
    if tree.body and not ast.get_docstring(tree):
        yield 1, "the module has no docstring"
    yield from _undocumented_members(tree, "")


def _undocumented_members(
    parent: ast.Module | ast.ClassDef, owner: str
) -> Iterator[tuple[int, str]]:
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_") or node.name in _CALLBACKS or _is_variant(node):
            continue
        if not ast.get_docstring(node):
            yield node.lineno, f"{owner}{node.name} has no docstring"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented_members(node, f"{node.name}.")


def _is_variant(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether it needs no docstring: said elsewhere, or a property, which reads as a field."""
    names = {_dotted(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"cached_property", "overload", "override", "property", "setter"})


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return f"{base}.{node.attr}" if base else node.attr
    return ""
