"""Who changes a site from the command line, for the audit trail."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime

from registrar.store.transaction import Cause


def now() -> datetime:
    """Return the present, the one clock of this room."""
    return datetime.now(UTC)


def by_operator(*, reason: str = "", detail: str = "") -> Cause:
    """Return a cause that names the user who runs this process."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return Cause(actor=f"operator {user}", now=now(), reason=reason, detail=detail)
