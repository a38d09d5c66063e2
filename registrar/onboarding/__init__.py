"""Push: the Registrar calls the devices (OPC 10000-21 §7.3)."""

from registrar.onboarding.issuing import Issuers
from registrar.onboarding.link import Counters
from registrar.onboarding.push import PushDriver
from registrar.onboarding.settings import PushSettings, networks

__all__ = ["Counters", "Issuers", "PushDriver", "PushSettings", "networks"]
