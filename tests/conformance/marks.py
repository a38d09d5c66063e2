"""Which test carries which clause, read from the ``clause`` marks without running anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

REQUIREMENT = re.compile(r"\bR[1-9]\d{0,2}\b")

Named = Mapping[str, ast.expr]
"""What the variables of a module stand for."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Mark:
    """One test and one text of its clause marks."""

    path: str
    """Of the file, from the root of the project, with ``/``."""

    test: str
    """Name of the test function, with its class where it has one."""

    text: str
    """As written: a clause of the standard, requirement numbers, or both."""

    @property
    def requirements(self) -> tuple[str, ...]:
        """The requirement numbers in the text, such as ``R44``."""
        return tuple(REQUIREMENT.findall(self.text))


def marks_in(root: Path) -> list[Mark]:
    """Return every mark of every test below ``root / "tests"``, sorted by file and test."""
    found: set[Mark] = set()
    for path in (root / "tests").rglob("test_*.py"):
        relative = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = _named(tree)
        inherited = tuple(_clauses([named["pytestmark"]], named)) if "pytestmark" in named else ()
        found.update(_marks(tree, relative, named, owner="", inherited=inherited))
    return sorted(found)


def _marks(
    parent: ast.Module | ast.ClassDef,
    path: str,
    named: Named,
    *,
    owner: str,
    inherited: tuple[str, ...],
) -> Iterator[Mark]:
    for node in parent.body:
        if isinstance(node, ast.ClassDef):
            own = (*inherited, *_clauses(node.decorator_list, named))
            yield from _marks(node, path, named, owner=f"{node.name}::", inherited=own)
        elif _is_test(node):
            for text in (*inherited, *_clauses(node.decorator_list, named)):
                yield Mark(path=path, test=f"{owner}{node.name}", text=text)


def _is_test(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
        "test_"
    )


def _named(tree: ast.Module) -> Named:
    """Return what the variables of a module stand for.

    A mark of many tests has a name; every test of the file carries that of ``pytestmark``.
    """
    named: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            named.update((one.id, node.value) for one in node.targets if isinstance(one, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            named[node.target.id] = node.value
    return named


def _clauses(nodes: list[ast.expr], named: Named) -> Iterator[str]:
    for part in _parts(nodes, named):
        if (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr == "clause"
        ):
            for argument in part.args:
                text = named.get(argument.id) if isinstance(argument, ast.Name) else argument
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield text.value


def _parts(nodes: list[ast.expr], named: Named) -> Iterator[ast.AST]:
    """Walk through ``nodes``, and once through what each variable of the module stands for."""
    left, seen = [*nodes], set[str]()
    while left:
        for part in ast.walk(left.pop(0)):
            yield part
            if isinstance(part, ast.Name) and part.id in named and part.id not in seen:
                seen.add(part.id)
                left.append(named[part.id])
