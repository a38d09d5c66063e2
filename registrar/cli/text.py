"""Text from devices and files, made safe for a terminal and a spreadsheet (threat T27)."""

from __future__ import annotations

import unicodedata

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Categories of characters that move the cursor, hide or turn what stands beside them."""


def printable(text: str) -> str:
    """Return ``text`` with control, direction and invisible characters as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode() if unicodedata.category(one) in _UNSAFE else one
        for one in text
    )


def cell(text: str) -> str:
    """Return ``text`` for a spreadsheet, where a leading ``=`` or ``@`` would be a formula."""
    safe = printable(text)
    return f"'{safe}" if safe[:1] in ("=", "+", "-", "@") else safe
