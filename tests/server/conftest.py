"""The backdrop of the push driver, for its site."""

from __future__ import annotations

from tests.onboarding.backdrop import backdrop

__all__ = ["backdrop"]
