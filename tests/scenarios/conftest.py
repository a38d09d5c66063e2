"""Stories share the backdrop of the push driver's tests."""

from __future__ import annotations

from tests.onboarding.backdrop import backdrop

__all__ = ["backdrop"]
