"""Writes the generated pages."""

from __future__ import annotations

from tests.docs.pages import PAGES, ROOT

if __name__ == "__main__":
    for path, render in PAGES.items():
        (ROOT / path).write_text(render(), encoding="utf-8")
