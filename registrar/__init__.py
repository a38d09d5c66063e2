"""A Registrar for OPC UA Device Onboarding (OPC 10000-21)."""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
