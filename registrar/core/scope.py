"""What one authority may vouch for.

Whoever is trusted for pumps of one maker is not thereby trusted for everything on earth; a
stolen key of his does no harm beyond his scope. Source: threat-model T7.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The limits of one trusted certificate; an empty field does not limit."""

    manufacturer: str = ""
    """The ManufacturerName that it may vouch for, exactly."""

    uri_prefix: str = ""
    """How the ProductInstanceUris and CompositeInstanceUris begin, exactly."""

    until: datetime | None = None
    """Aware; later it vouches for nothing."""

    count: int | None = None
    """Tickets of one site that may rest on it; only the store can count them."""

    def fault(self, *, manufacturer: str, uri: str, now: datetime) -> str:
        """Say what of a Device lies outside; empty where nothing does."""
        if self.manufacturer and manufacturer != self.manufacturer:
            return f"manufacturer {manufacturer[:80]!r} is not {self.manufacturer[:80]!r}"
        if not uri.startswith(self.uri_prefix):
            return f"URI {uri[:80]!r} does not begin with {self.uri_prefix[:80]!r}"
        if self.until is not None and now > self.until:
            return f"it is trusted until {self.until.isoformat()} only"
        return ""

    def __str__(self) -> str:
        """Return the limits for people; empty where there are none."""
        limits = (
            f"manufacturer {self.manufacturer}" if self.manufacturer else "",
            f"URIs {self.uri_prefix}…" if self.uri_prefix else "",
            f"until {self.until.isoformat()}" if self.until is not None else "",
            f"at most {self.count} Tickets" if self.count is not None else "",
        )
        return ", ".join(filter(None, limits))
