"""How much the store takes on, and how long changes wait for each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from registrar.errors import Misuse

MAX_PAGES: Final = 0xFFFFFFFE
"""SQLite's own maximum; with its pages of 4 KiB far more than any disk here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """What the store takes on at most."""

    max_waiting: int = 16_384
    """Functions waiting for the writer; more are refused with ``StoreUnavailable``."""

    max_group: int = 512
    """Functions in one commit."""

    gather_s: float = 0.005
    """Seconds to wait for more changes before a group begins: each group costs both threads a
    wake-up and the disk a sync, a change of its own next to nothing."""

    crowd_s: float = 0.01
    """Seconds to wait on where several changes came within ``gather_s``: more are on their way, and
    of all that a Device costs the disk and the two threads, most is paid by the group."""

    group_s: float = 0.002
    """Seconds after which a group begins no further function, so that the loop goes on."""

    max_pages: int = MAX_PAGES
    """Size of the database in pages of 4 KiB."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_waiting <= 1_000_000:
            raise Misuse(f"max_waiting is {self.max_waiting}, not 1 to 1,000,000")
        if not 1 <= self.max_group <= 4_096:
            raise Misuse(f"max_group is {self.max_group}, not 1 to 4,096")
        if not 0 <= self.gather_s <= 1:
            raise Misuse(f"gather_s is {self.gather_s}, not 0 to 1")
        if not 0 <= self.crowd_s <= 1:
            raise Misuse(f"crowd_s is {self.crowd_s}, not 0 to 1")
        if not 0 < self.group_s <= 1:
            raise Misuse(f"group_s is {self.group_s}, not above 0 to 1")
        if not 1 <= self.max_pages <= MAX_PAGES:
            raise Misuse(f"max_pages is {self.max_pages}, not 1 to {MAX_PAGES}")
