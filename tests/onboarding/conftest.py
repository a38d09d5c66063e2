"""One empty site and one pool of keys for all stories."""

from __future__ import annotations

from tests.onboarding.backdrop import backdrop

__all__ = ["backdrop"]
