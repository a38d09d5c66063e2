"""Which test carries which clause, read from the ``clause`` marks without running anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

REQUIREMENT = re.compile(r"\bR[1-9]\d{0,2}\b")


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
        found.update(_marks(tree, relative, owner="", inherited=_module_marks(tree)))
    return sorted(found)


def _marks(
    parent: ast.Module | ast.ClassDef, path: str, *, owner: str, inherited: tuple[str, ...]
) -> Iterator[Mark]:
    for node in parent.body:
        if isinstance(node, ast.ClassDef):
            own = (*inherited, *_clauses(node.decorator_list))
            yield from _marks(node, path, owner=f"{node.name}::", inherited=own)
        elif _is_test(node):
            for text in (*inherited, *_clauses(node.decorator_list)):
                yield Mark(path=path, test=f"{owner}{node.name}", text=text)


def _is_test(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
        "test_"
    )


def _module_marks(tree: ast.Module) -> tuple[str, ...]:
    """Return the clauses of ``pytestmark = ...``, which every test of the file carries."""
    return tuple(
        clause
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(name, ast.Name) and name.id == "pytestmark" for name in node.targets)
        for clause in _clauses([node.value])
    )


def _clauses(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        for call in ast.walk(node):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr == "clause"
            ):
                yield from (
                    argument.value
                    for argument in call.args
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                )
