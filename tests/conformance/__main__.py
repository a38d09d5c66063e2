"""Writes ``docs/conformance.md``; says on stderr which requirement nobody carries."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conformance.marks import marks_in
from tests.conformance.report import read_requirements, render, uncovered

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Write the page and return 1 where a requirement is left uncovered."""
    requirements, marks = read_requirements(), marks_in(ROOT)
    (ROOT / "docs" / "conformance.md").write_text(render(requirements, marks), encoding="utf-8")
    problems = uncovered(requirements, marks)
    print(*problems, sep="\n", file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
