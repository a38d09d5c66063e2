"""Devices and their helpers call the Registrar (OPC 10000-21 §9.2)."""

from registrar.server.accounts import Account, hash_password
from registrar.server.server import RegistrarServer
from registrar.server.settings import ListenSettings

__all__ = ["Account", "ListenSettings", "RegistrarServer", "hash_password"]
